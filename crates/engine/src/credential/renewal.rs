//! Logins whose token ends after some hours: the server asks for a new one, and the programs inside see neither.
//!
//! A token endpoint often takes the token that it is asked with only once, and answers with the next. So whoever renews
//! has the turn of that credential, looks whether somebody did meanwhile, and is no future that a sandbox's end drops.
//! What came and could not be kept is kept in memory, and written with the next turn.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use sandbar_secrets::ExposeSecret as _;
use sandbar_store::{CredentialRow, Update, credential_fetch, credential_update_in_txn};
use sandbar_types::{
    AgentName, CredentialId, InjectionPlace, InjectionRule, SandboxId, TenantId, escaped,
};
use serde::{Deserialize, Serialize};

use super::{
    agents, invalid,
    values::{self, Part},
    wire::{self, RenewalAsk, WireRenewal},
};
use crate::{Error, Result, SecretString, engine::Inner, event::EventPayload};

/// How long a failure answers for those that follow, and how long what is new is not renewed once more.
const REST: Duration = Duration::from_secs(30);
/// How often what came is tried to be kept at once.
const KEEP_TRIES: usize = 3;
/// LIMIT: bytes of a client's id.
const CLIENT_ID_BYTES_MAX: usize = 256;

/// How a token endpoint wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenBody {
    /// With JSON.
    Json,
    /// With a form, as RFC 6749 has it.
    Form,
}

/// How a credential is renewed: everything but the token that it is renewed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The token endpoint: `https://HOST[:PORT]/PATH`.
    pub token_url: String,
    /// Who asks, as the endpoint knows it.
    pub client_id: String,
    /// How it wants to be asked.
    pub body: TokenBody,
    /// When the value ends, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// How a credential shall be renewed. Of an agent that is known, endpoint and client are known.
#[derive(Debug, Clone)]
pub struct RenewalParams {
    /// What a new value is asked for with.
    pub refresh_token: SecretString,
    /// When the value ends, where that is known.
    pub expires_at: Option<Timestamp>,
    /// The token endpoint.
    pub token_url: Option<String>,
    /// Who asks, as the endpoint knows it.
    pub client_id: Option<String>,
}

/// What a token endpoint is asked.
#[derive(Debug, Clone)]
pub struct TokenRequest {
    /// Its host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path.
    pub path: String,
    /// The kind of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: SecretString,
}

/// What a token endpoint answered.
#[derive(Debug, Clone)]
pub struct TokenAnswer {
    /// The status.
    pub status: u16,
    /// The body. It holds tokens, where it is no refusal.
    pub body: SecretString,
}

/// The token endpoints of agents, with the public ids of their programs.
fn known(agent: &str) -> Option<(&'static str, &'static str, TokenBody)> {
    match agent {
        "claude-code" => Some((
            "https://platform.claude.com/v1/oauth/token",
            "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
            TokenBody::Json,
        )),
        "codex" => Some((
            "https://auth.openai.com/oauth/token",
            "app_EMoamEEZ73f0CkXaXp7hrann",
            TokenBody::Json,
        )),
        _ => None,
    }
}

impl RenewalParams {
    /// Checks it, and adds what is known of the agent.
    pub(super) fn plan(self, agent: Option<&AgentName>) -> Result<(Renewal, SecretString)> {
        values::check(&self.refresh_token)?;
        let known = agent.and_then(|agent| known(agent.as_str()));
        let known_url = known.map(|(url, ..)| url.to_owned());
        let known_client = known.map(|(_, client, _)| client.to_owned());
        let (Some(token_url), Some(client_id)) =
            (self.token_url.or(known_url), self.client_id.or(known_client))
        else {
            return Err(invalid(
                "a renewal needs `token_url` and `client_id`, or an agent whose logins are known",
            ));
        };
        split(&token_url)?;
        let is_plain = client_id.bytes().all(|b| b.is_ascii_graphic());
        if client_id.is_empty() || client_id.len() > CLIENT_ID_BYTES_MAX || !is_plain {
            return Err(invalid("`client_id` is visible ASCII without spaces"));
        }
        let body = known.map_or(TokenBody::Form, |(.., body)| body);
        let renewal = Renewal { token_url, client_id, body, expires_at: self.expires_at };
        Ok((renewal, self.refresh_token))
    }
}

/// Host, port and path of a token endpoint.
fn split(url: &str) -> Result<(String, u16, String)> {
    let wrong = || invalid("`token_url` is https://HOST[:PORT]/PATH");
    let rest = url.strip_prefix("https://").ok_or_else(wrong)?;
    let (authority, path) = rest.split_at(rest.find('/').ok_or_else(wrong)?);
    let (host, port) = agents::split(authority).map_err(|_| wrong())?;
    let rule = InjectionRule {
        host,
        port,
        methods: Vec::new(),
        path: path.to_owned(),
        place: InjectionPlace::Body,
    };
    rule.check().map_err(|_| wrong())?;
    Ok((rule.host, rule.port, rule.path))
}

impl Renewal {
    /// What is in the record; `None` where a later version wrote what this one does not read.
    pub(super) fn of(value: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(value.clone()).ok()
    }

    pub(super) fn to_value(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("it has texts alone")
    }

    pub(super) fn on_wire(&self) -> Option<WireRenewal> {
        let (host, port, path) = split(&self.token_url).ok()?;
        Some(WireRenewal { host, port, path, expires_at: self.expires_at })
    }

    fn request(&self, refresh: &SecretString) -> Option<TokenRequest> {
        let (host, port, path) = split(&self.token_url).ok()?;
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh.expose_secret()),
            ("client_id", &self.client_id),
        ];
        let (content_type, body) = match self.body {
            TokenBody::Json => {
                let fields: BTreeMap<_, _> = fields.into_iter().collect();
                ("application/json", serde_json::to_string(&fields).ok()?)
            }
            TokenBody::Form => {
                let pairs =
                    fields.map(|(name, value)| [name, "=", &escaped(value.as_bytes())].concat());
                ("application/x-www-form-urlencoded", pairs.join("&"))
            }
        };
        Some(TokenRequest { host, port, path, content_type, body: body.into() })
    }
}

/// Tokens that came.
#[derive(Debug, Clone)]
struct Tokens {
    value: SecretString,
    /// The next one to ask with, where the last is not good any more.
    refresh: Option<SecretString>,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
}

/// Reads an answer.
fn tokens(answer: &TokenAnswer, now: Timestamp) -> std::result::Result<Tokens, String> {
    if answer.status != 200 {
        return Err(format!("the token endpoint answered {}", answer.status));
    }
    // What serde says of it could hold a part of it.
    let read = serde_json::from_str::<Answer>(answer.body.expose_secret());
    let not_understood = || "the answer of the token endpoint cannot be understood".to_owned();
    let Answer { access_token, refresh_token, expires_in } = read.map_err(|_| not_understood())?;
    let value: SecretString = access_token.into();
    let refresh: Option<SecretString> = refresh_token.map(Into::into);
    [Some(&value), refresh.as_ref()]
        .into_iter()
        .flatten()
        .try_for_each(|token| values::check(token).map_err(|_| not_understood()))?;
    let expires_at =
        expires_in.and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok());
    Ok(Tokens { value, refresh, expires_at })
}

/// One turn after the other for each credential.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<CredentialId, Arc<tokio::sync::Mutex<Turn>>>>);

#[derive(Debug, Default)]
struct Turn {
    failed_at: Option<Instant>,
    renewed_at: Option<Instant>,
    /// Came, for what was asked with this value, and could not be kept.
    pending: Option<(SecretString, Tokens)>,
}

impl Turns {
    fn of(&self, id: CredentialId) -> Arc<tokio::sync::Mutex<Turn>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(id).or_default())
    }
}

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
    let rests = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < REST);
    let (renewal, value, refresh) = read(inner, (tenant, id)).await?.ok_or(NotRenewed::Quiet)?;
    if value.expose_secret() != seen.expose_secret() {
        return Ok(());
    }
    if rests(turn.failed_at) || rests(turn.renewed_at) {
        return Err(NotRenewed::Quiet);
    }
    let of_now = |(of, tokens): (SecretString, Tokens)| {
        (of.expose_secret() == value.expose_secret()).then_some(tokens)
    };
    let came = match turn.pending.take().and_then(of_now) {
        Some(tokens) => Ok(tokens),
        None => ask(inner, &renewal, &refresh).await,
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
    refresh: &SecretString,
) -> std::result::Result<Tokens, String> {
    let request = renewal.request(refresh).ok_or("the token endpoint is none")?;
    let answer = inner.config.network.ask_token(request).await?;
    tokens(&answer, inner.config.clock.now())
}

type Kept = (Renewal, SecretString, SecretString);

/// What is kept now; `None` where it is gone, is not renewed, or does not open.
async fn read(inner: &Inner, (tenant, id): (TenantId, CredentialId)) -> Result<Option<Kept>> {
    let ring = inner.secrets.to_open().await?;
    let mut conn = inner.store.read().await?;
    let Some(row) = credential_fetch(&mut conn, tenant, id).await? else { return Ok(None) };
    let Some(renewal) = row.renewal.as_ref().and_then(Renewal::of) else { return Ok(None) };
    let value = values::open(&mut conn, &ring, (&row, Part::Value)).await?;
    let refresh = values::open(&mut conn, &ring, (&row, Part::Refresh)).await?;
    Ok(value.zip(refresh).map(|(value, refresh)| (renewal, value, refresh)))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn params(token_url: Option<&str>) -> RenewalParams {
        RenewalParams {
            refresh_token: "sk-ant-ort01-a+b".into(),
            expires_at: None,
            token_url: token_url.map(str::to_owned),
            client_id: None,
        }
    }

    #[test]
    fn of_known_agents_endpoint_and_client_are_known_and_an_endpoint_is_over_tls() {
        for agent in ["claude-code", "codex"] {
            let agent = agent.parse().unwrap();
            assert!(params(None).plan(Some(&agent)).is_ok(), "{agent}");
            for wrong in
                ["http://a.example/t", "https://a.example", "https://a..b/t", "https://a/../t"]
            {
                assert!(params(Some(wrong)).plan(Some(&agent)).is_err(), "{wrong}");
            }
        }
        assert!(params(None).plan(None).is_err());
        assert_eq!(
            split("https://[::1]:8443/v1/token").unwrap(),
            ("[::1]".to_owned(), 8443, "/v1/token".to_owned())
        );
    }

    #[test]
    fn a_request_is_written_as_the_endpoint_wants_it() {
        let agent = "codex".parse().unwrap();
        let (mut renewal, refresh) = params(None).plan(Some(&agent)).unwrap();
        let request = renewal.request(&refresh).unwrap();
        assert_eq!(
            request.body.expose_secret(),
            r#"{"client_id":"app_EMoamEEZ73f0CkXaXp7hrann","grant_type":"refresh_token","refresh_token":"sk-ant-ort01-a+b"}"#
        );
        renewal.body = TokenBody::Form;
        let request = renewal.request(&refresh).unwrap();
        assert!(request.body.expose_secret().contains("&refresh_token=sk-ant-ort01-a%2Bb&"));
    }

    #[test]
    fn an_answer_without_a_token_that_can_be_put_in_is_a_failure_that_says_none_of_it() {
        let now = Timestamp::UNIX_EPOCH;
        let read = |status, body: &str| tokens(&TokenAnswer { status, body: body.into() }, now);
        let good = read(200, r#"{"access_token":"new-token-1","expires_in":60}"#).unwrap();
        assert_eq!(good.expires_at.map(Timestamp::as_second), Some(60));
        assert!(good.refresh.is_none());
        for (status, body) in [
            (400, r#"{"error":"invalid_grant"}"#),
            (200, "planted"),
            (200, r#"{"access_token":"planted\n"}"#),
            (200, r#"{"access_token":"new-token-1","refresh_token":"planted x"}"#),
        ] {
            let why = read(status, body).unwrap_err();
            assert!(!why.contains("planted") && !why.contains("grant"), "{why}");
        }
    }
}
