//! Logins whose token ends after some hours: the server asks for a new one, and the programs inside see neither.
//!
//! A token endpoint often takes the token that it is asked with only once, and answers with the next. So whoever renews
//! has the turn of that credential, looks whether somebody did meanwhile, and is no future that a sandbox's end drops.
//! What came and could not be kept is kept in memory, and written with the next turn.
//! Where an agent's logins are renewed is said in the table of `sandbar-agents`.

mod exchange;
mod plan;
mod turns;

use std::{sync::Arc, time::Instant};

use sandbar_secrets::ExposeSecret as _;
use sandbar_store::{CredentialRow, Update, credential_fetch, credential_update_in_txn};
use sandbar_types::{CredentialId, SandboxId, TenantId};

use self::exchange::{Tokens, tokens};
pub use self::{
    exchange::{TokenAnswer, TokenRequest},
    plan::{Renewal, RenewalParams, TokenBody},
};
pub(super) use self::{plan::RenewalSecrets, turns::Turns};
use super::{
    values::{self, Part},
    wire::{self, RenewalAsk},
};
use crate::{Error, Result, SecretString, engine::Inner, event::EventPayload};

/// How often what came is tried to be kept at once.
const KEEP_TRIES: usize = 3;

/// Why there is no new value.
enum NotRenewed {
    /// It was told already, or there is nothing to tell.
    Quiet,
    Failed(String),
}

impl From<Error> for NotRenewed {
    fn from(error: Error) -> Self {
        tracing::warn!(error = &error as &dyn std::error::Error, "a login cannot be renewed");
        Self::Failed("the record of the login cannot be read or written".to_owned())
    }
}

/// Answers a request of `sandbox` that waits for a new value.
pub(super) async fn answer(inner: Arc<Inner>, sandbox: SandboxId, ask: RenewalAsk) {
    let RenewalAsk { credential, seen, reply } = ask;
    let found = wire::rows(&inner, sandbox).await.unwrap_or_default();
    let row = found.into_iter().find(|row| row.name == credential);
    let is_renewed = match row {
        None => false,
        Some(row) => match renew(&inner, &row, &seen).await {
            Ok(()) => true,
            Err(NotRenewed::Quiet) => false,
            Err(NotRenewed::Failed(reason)) => {
                tracing::warn!(sandbox.id = %sandbox, credential = credential.as_str(), %reason, "a login was not renewed");
                let hint = hint(&row);
                let credential = credential.to_string();
                let payload = EventPayload::CredentialExpired { credential, reason, hint };
                inner.event_append(sandbox, &payload).await;
                false
            }
        },
    };
    // Who asked may have gone; what is new is there for the next one.
    reply.send(is_renewed).ok();
}

fn hint(row: &CredentialRow) -> String {
    match &row.agent {
        Some(agent) => format!(
            "log in with the agent on the host, then `sandbar agents connect {agent} --from-login`"
        ),
        None => "bind the secret anew: `sandbar secret bind`".to_owned(),
    }
}

async fn renew(
    inner: &Inner,
    found: &CredentialRow,
    seen: &SecretString,
) -> std::result::Result<(), NotRenewed> {
    let (tenant, id) = (found.tenant_id, found.id);
    let turn = inner.credentials.renewals.of(id);
    let mut turn = turn.lock().await;
    let (renewal, value, secrets) = read(inner, (tenant, id)).await?.ok_or(NotRenewed::Quiet)?;
    if value.expose_secret() != seen.expose_secret() {
        return Ok(());
    }
    if turn.rests() {
        return Err(NotRenewed::Quiet);
    }
    let of_now = |(of, tokens): (SecretString, Tokens)| {
        (of.expose_secret() == value.expose_secret()).then_some(tokens)
    };
    let came = match turn.pending.take().and_then(of_now) {
        Some(tokens) => Ok(tokens),
        None => ask(inner, &renewal, &secrets).await,
    };
    let came = came.inspect_err(|_| turn.failed_at = Some(Instant::now()));
    let came = came.map_err(NotRenewed::Failed)?;
    let mut kept = Ok(());
    for _ in 0..KEEP_TRIES {
        kept = keep(inner, (tenant, id), (&value, &came)).await;
        if kept.is_ok() {
            break;
        }
    }
    if let Err(error) = kept {
        turn.pending = Some((value, came));
        return Err(error.into());
    }
    turn.failed_at = None;
    turn.renewed_at = Some(Instant::now());
    inner.credentials.tell(tenant);
    tracing::info!(credential = found.name.as_str(), "a login was renewed");
    Ok(())
}

async fn ask(
    inner: &Inner,
    renewal: &Renewal,
    secrets: &RenewalSecrets,
) -> std::result::Result<Tokens, String> {
    let request = renewal.request(secrets).ok_or("the token endpoint is none")?;
    let answer = inner.config.network.ask_token(request).await?;
    tokens(&answer, inner.config.clock.now())
}

type Kept = (Renewal, SecretString, RenewalSecrets);

/// What is kept now; `None` where it is gone, is not renewed, or does not open.
async fn read(inner: &Inner, (tenant, id): (TenantId, CredentialId)) -> Result<Option<Kept>> {
    let ring = inner.secrets.to_open().await?;
    let mut conn = inner.store.read().await?;
    let Some(row) = credential_fetch(&mut conn, tenant, id).await? else { return Ok(None) };
    let Some(renewal) = row.renewal.as_ref().and_then(Renewal::of) else { return Ok(None) };
    let value = values::open(&mut conn, &ring, (&row, Part::Value)).await?;
    let secrets = RenewalSecrets::open(&mut conn, &ring, &row).await?;
    Ok(value.zip(secrets).map(|(value, secrets)| (renewal, value, secrets)))
}

/// Writes both tokens at once, unless somebody gave another value meanwhile.
async fn keep(
    inner: &Inner,
    (tenant, id): (TenantId, CredentialId),
    (seen, came): (&SecretString, &Tokens),
) -> Result<()> {
    let ring = inner.secrets.to_seal(&inner.store, true).await?;
    let ring = ring.expect("keys are there where something is to be sealed");
    let mut txn = inner.store.begin().await?;
    let Some(mut row) = credential_fetch(&mut txn, tenant, id).await? else { return Ok(()) };
    let value = values::open(&mut txn, &ring, (&row, Part::Value)).await?;
    let is_seen = value.is_some_and(|value| value.expose_secret() == seen.expose_secret());
    let Some(mut renewal) = row.renewal.as_ref().and_then(Renewal::of).filter(|_| is_seen) else {
        return Ok(());
    };
    let now = inner.config.clock.now();
    renewal.expires_at = came.expires_at;
    row.renewal = Some(renewal.to_value());
    row.updated_at = now;
    values::put(&mut txn, &ring, (&row, now), (Part::Value, &came.value)).await?;
    if let Some(refresh) = &came.refresh {
        values::put(&mut txn, &ring, (&row, now), (Part::Refresh, refresh)).await?;
    }
    match credential_update_in_txn(&mut txn, &row).await? {
        Update::Applied(_) => Ok(txn.commit().await?),
        Update::Stale => {
            Err(Error::internal(std::io::Error::other("a row changed within a transaction")))
        }
    }
}
