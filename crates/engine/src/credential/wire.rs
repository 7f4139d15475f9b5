//! What the way out of a sandbox gets of its credentials, for as long as it is served.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use sandbar_secrets::SecretString;
use sandbar_store::{CredentialRow, SandboxRow, credential_list_of_scopes};
use sandbar_types::{CredentialName, EnvName, InjectionRule, SandboxId, Target, TenantId};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    agents,
    renewal::Renewal,
    trust,
    values::{self, Part},
};
use crate::{Error, Result, engine::Inner, event::EventPayload};

/// Before the store is asked again that did not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// LIMIT: reports that wait to be written; more are dropped, for an upstream can say a value back as often as it likes.
const TOLD_MAX: usize = 64;
/// LIMIT: requests that wait for a new value to be asked for; more wait for a place.
const ASKS_MAX: usize = 16;

/// A credential with its value, for the way out.
#[derive(Debug, Clone)]
pub struct WireCredential {
    /// What it is called.
    pub name: CredentialName,
    /// The value; `None` where it does not open: what would get it is refused.
    pub secret: Option<SecretString>,
    /// What is inside in its place.
    pub placeholder: String,
    /// Where it may go.
    pub rules: Vec<InjectionRule>,
    /// How it is renewed, where it is.
    pub renewal: Option<WireRenewal>,
}

/// What the way out is to know of how a credential is renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireRenewal {
    /// Where new values come from. The programs inside are not to ask there themselves.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path.
    pub path: String,
    /// When the value ends, where that is known.
    pub expires_at: Option<Timestamp>,
}

/// A request waits for a new value.
#[derive(Debug)]
pub struct RenewalAsk {
    /// Of which credential.
    pub credential: CredentialName,
    /// The value that has ended. Where there is another one already, that is the new one.
    pub seen: SecretString,
    /// Takes whether there is a new value.
    pub reply: oneshot::Sender<bool>,
}

/// What became of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WireTold {
    /// An upstream said it back, and it was taken out.
    Echoed {
        /// Which one.
        credential: String,
        /// Who.
        host: String,
    },
}

/// What the way out of one sandbox gets.
#[derive(Debug, Clone)]
pub struct Wire {
    /// The key of the sandbox's authority.
    pub key: SecretString,
    /// Its credentials, now.
    pub credentials: watch::Receiver<Arc<Vec<WireCredential>>>,
    /// Where it is told what became of them.
    pub told: mpsc::Sender<WireTold>,
    /// Where new values are asked for.
    pub renewals: mpsc::Sender<RenewalAsk>,
}

/// What [`Wire`] is at the other end: kept up to date until it is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    id: SandboxId,
    sender: watch::Sender<Arc<Vec<WireCredential>>>,
    told: mpsc::Receiver<WireTold>,
    asks: mpsc::Receiver<RenewalAsk>,
    changed: watch::Receiver<()>,
}

/// Begins to hand the credentials of a sandbox to its way out; `None` where nobody inside would believe who does.
pub(crate) async fn begin(inner: &Inner, row: &SandboxRow) -> Option<(Wire, Feed)> {
    let id = row.id;
    let key = match trust::key(inner, id) {
        Ok(key) => key?,
        Err(err) => {
            tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "a sandbox gets no credentials: its key cannot be read");
            return None;
        }
    };
    // Before they are read: what changes in between is read again.
    let changed = inner.credentials.of(row.tenant_id);
    // Nothing is let out before it is known what would get a value.
    let sender = watch::Sender::new(Arc::new(loaded(inner, id).await));
    let (told, reports) = mpsc::channel(TOLD_MAX);
    let (renewals, asks) = mpsc::channel(ASKS_MAX);
    let wire = Wire { key, credentials: sender.subscribe(), told, renewals };
    Some((wire, Feed { id, sender, told: reports, asks, changed }))
}

impl Feed {
    /// Keeps it up to date, and writes down what is told, until it is dropped.
    pub(crate) async fn run(self, inner: &Arc<Inner>) {
        let Self { id, sender, mut told, mut asks, mut changed } = self;
        let follow = async {
            while changed.changed().await.is_ok() {
                let next = match load(inner, id).await {
                    Ok(found) => found,
                    Err(err) => {
                        unreadable(id, &err);
                        sender.send_modify(|known| *known = without_values(known));
                        loaded(inner, id).await
                    }
                };
                sender.send_replace(Arc::new(next));
            }
        };
        let record = async {
            while let Some(WireTold::Echoed { credential, host }) = told.recv().await {
                inner.event_append(id, &EventPayload::CredentialEchoed { credential, host }).await;
            }
        };
        let renew = async {
            while let Some(ask) = asks.recv().await {
                // Not ours to drop: a login whose new tokens came and were not kept is lost.
                inner.tasks.spawn(super::renewal::answer(Arc::clone(inner), id, ask));
            }
        };
        tokio::join!(follow, record, renew);
    }
}

/// What there is, once the store answers.
async fn loaded(inner: &Inner, id: SandboxId) -> Vec<WireCredential> {
    loop {
        match load(inner, id).await {
            Ok(found) => return found,
            Err(err) => unreadable(id, &err),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

fn unreadable(id: SandboxId, err: &Error) {
    tracing::warn!(sandbox.id = %id, error = err as &dyn std::error::Error, "the credentials of a sandbox cannot be read");
}

/// No request gets what may have been taken back, and none that is to get something goes out without it.
fn without_values(known: &[WireCredential]) -> Arc<Vec<WireCredential>> {
    let closed =
        |credential: &WireCredential| WireCredential { secret: None, ..credential.clone() };
    Arc::new(known.iter().map(closed).collect())
}

async fn load(inner: &Inner, id: SandboxId) -> Result<Vec<WireCredential>> {
    // The keys first, then the rows: a rotation in between would seal them with another one.
    let ring = inner.secrets.to_open().await;
    if let Err(err) = &ring {
        tracing::warn!(sandbox.id = %id, error = err as &dyn std::error::Error, "the values of credentials cannot be opened");
    }
    let mut found = Vec::new();
    let rows = rows(inner, id).await?;
    let mut conn = inner.store.read().await?;
    for row in rows {
        let secret = match &ring {
            Ok(ring) => values::open(&mut conn, ring, (&row, Part::Value)).await?,
            Err(_) => None,
        };
        let renewal = row.renewal.as_ref().and_then(Renewal::of).and_then(|it| it.on_wire());
        let CredentialRow { name, placeholder, rules, .. } = row;
        found.push(WireCredential { name, secret, placeholder, rules, renewal });
    }
    Ok(found)
}

/// What reaches a sandbox: of one name, the narrowest.
pub(super) async fn rows(inner: &Inner, id: SandboxId) -> Result<Vec<CredentialRow>> {
    let handle = inner.actors().get(&id).map(|handle| handle.row());
    let Some(row) = handle else { return Ok(Vec::new()) };
    let tenant: TenantId = row.tenant_id;
    let scopes = [
        tenant.to_string(),
        row.app_id.map(|app| app.to_string()).unwrap_or_default(),
        id.to_string(),
    ];
    let mut conn = inner.store.read().await?;
    let [all, app, own] = &scopes;
    let found = credential_list_of_scopes(&mut conn, tenant, [all, app, own]).await?;
    let rank = |row: &CredentialRow| scopes.iter().position(|scope| *scope == row.scope_id);
    let mut by_name: BTreeMap<CredentialName, CredentialRow> = BTreeMap::new();
    for row in found {
        let is_narrower = by_name.get(&row.name).is_none_or(|known| rank(known) < rank(&row));
        if is_narrower {
            by_name.insert(row.name.clone(), row);
        }
    }
    Ok(by_name.into_values().collect())
}

/// Hosts and ports that credentials of a sandbox are bound to; none where nobody inside would believe who puts them in.
pub(crate) async fn bound(inner: &Inner, id: SandboxId) -> Result<Vec<Target>> {
    if trust::key(inner, id).map_err(Error::internal)?.is_none() {
        return Ok(Vec::new());
    }
    let rules = rows(inner, id).await?.into_iter().flat_map(|row| row.rules);
    Ok(rules.filter_map(|rule| rule.target()).collect())
}

/// Variables with placeholders for the programs of a sandbox, and those that make them look; what it sets itself wins.
pub(crate) async fn placeholders(
    inner: &Inner,
    id: SandboxId,
) -> Result<BTreeMap<EnvName, String>> {
    let Some(row) = inner.actors().get(&id).map(|handle| handle.row()) else {
        return Ok(BTreeMap::new());
    };
    let mut variables = BTreeMap::new();
    for found in rows(inner, id).await? {
        let switches = agents::way(&found).map_or(&[][..], |way| way.switches);
        for (name, value) in switches {
            variables
                .insert(name.parse().expect("it is a name of a variable"), (*value).to_owned());
        }
        variables.extend(found.env.map(|name| (name, found.placeholder)));
    }
    variables.retain(|name, _| !row.spec.env.contains_key(name));
    Ok(variables)
}
