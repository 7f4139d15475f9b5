//! One line of the audit log for each request of a route that changes something, written here and nowhere else.
//!
//! A route says what it is in the log with `audit` of `x-sandbar`; [`Actions`] is read from the document. The line is written
//! when the answer is known and before it leaves. A request that nobody waits for any more is told, too: what it asked
//! for may be done. A line has names of fields and ids; no text of a body, a header or a query reaches it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    RequestExt as _,
    body::{Body, HttpBody as _},
    extract::{MatchedPath, RawPathParams, Request},
    response::Response,
};
use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use sandbar_api::ErrorCode;
use sandbar_engine::{AuditEntry, AuditTarget, Engine};
use sandbar_types::{Actor, AuditOutcome, Principal, SandboxId, TenantId};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::openapi::OpenApi;

use crate::{auth::Transport, openapi, state::AppState};

/// LIMIT: bytes of an answer in which the id of what was made is looked for.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// LIMIT: names of fields in a line; the routes have fewer.
const FIELDS_MAX: usize = 64;

/// What a route is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Action {
    done: String,
    not_done: String,
}

impl Action {
    fn parse(text: &str) -> Option<Self> {
        let (done, not_done) = text.split_once(' ').unwrap_or((text, text));
        let is_none = text == "none";
        (!is_none).then(|| Self { done: done.to_owned(), not_done: not_done.to_owned() })
    }
}

/// What every route is in the log, by its path and method.
#[derive(Debug, Default)]
pub(crate) struct Actions(BTreeMap<String, BTreeMap<&'static str, Action>>);

impl Actions {
    /// Reads them from the document.
    pub(crate) fn of(document: &mut OpenApi) -> Self {
        let mut found: BTreeMap<String, BTreeMap<_, _>> = BTreeMap::new();
        for (path, item) in &mut document.paths.paths {
            for (method, operation) in openapi::operations(item) {
                let declared = openapi::declared(operation, "audit");
                if let Some(action) = declared.and_then(Action::parse) {
                    found.entry(path.clone()).or_default().insert(method, action);
                }
            }
        }
        Self(found)
    }

    fn of_request(&self, request: &Request) -> Option<&Action> {
        let path = request.extensions().get::<MatchedPath>()?;
        self.0.get(path.as_str())?.get(request.method().as_str())
    }
}

/// What is learned about a request while it is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    tenant: Option<TenantId>,
    actor: Option<Actor>,
    is_instance: bool,
    sandbox: Option<SandboxId>,
    fields: Vec<String>,
}

impl Notes {
    fn with<T>(&self, change: impl FnOnce(&mut Noted) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// It is known who asks, whether they may or not.
    pub(crate) fn asked_by(&self, principal: &Principal) {
        self.with(|noted| {
            noted.tenant = Some(principal.tenant);
            noted.actor = Some(principal.who.clone());
            noted.is_instance = principal.is_instance();
        });
    }

    /// Somebody logged in by the request itself.
    pub(crate) fn became(&self, tenant: TenantId, actor: Actor) {
        self.with(|noted| (noted.tenant, noted.actor) = (Some(tenant), Some(actor)));
    }

    /// The path names this sandbox.
    pub(crate) fn is_about(&self, sandbox: SandboxId) {
        self.with(|noted| noted.sandbox = Some(sandbox));
    }

    /// The body is one that the route takes, and has these fields.
    pub(crate) fn has_fields(&self, body: &[u8]) {
        // Its names are the schema's, as nothing else is taken.
        let fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let names = fields.into_iter().map(|(name, _)| name).take(FIELDS_MAX);
        self.with(|noted| noted.fields = names.collect());
    }
}

#[derive(Debug, Default, Deserialize)]
struct NamedTenant {
    tenant: Option<String>,
}

/// A request that is in the log when it is answered, and also when nobody waits for its answer any more.
#[derive(Debug)]
pub(crate) struct Audited {
    engine: Engine,
    notes: Notes,
    action: Action,
    named_tenant: Option<String>,
    params: Vec<(String, String)>,
    /// `None` once it is written.
    entry: Option<AuditEntry>,
}

impl Audited {
    /// `None` where the route changes nothing.
    pub(crate) async fn begin(
        state: &AppState,
        request: &mut Request,
        request_id: &str,
    ) -> Option<Self> {
        let action = state.actions.of_request(request)?.clone();
        let notes = Notes::default();
        request.extensions_mut().insert(notes.clone());
        let query = request.uri().query().unwrap_or_default();
        let named: NamedTenant = serde_html_form::from_str(query).unwrap_or_default();
        let address =
            request.extensions().get().and_then(|transport: &Transport| transport.address());
        let params = request.extract_parts::<RawPathParams>().await.ok();
        let params = params.iter().flatten().map(|(name, text)| (name.to_owned(), text.to_owned()));
        let entry = AuditEntry {
            tenant: None,
            actor: Actor::Unknown,
            address,
            action: action.not_done.clone(),
            target: None,
            outcome: AuditOutcome::Failed,
            error_code: Some("abandoned"),
            request_id: request_id.to_owned(),
            detail: Map::new(),
        };
        Some(Self {
            engine: state.engine.clone(),
            notes,
            named_tenant: named.tenant,
            params: params.collect(),
            action,
            entry: Some(entry),
        })
    }

    /// Writes the line. The answer is as it was.
    pub(crate) async fn end(mut self, response: Response, code: Option<ErrorCode>) -> Response {
        let (response, made) = made(response).await;
        let Some(mut entry) = self.entry.take() else { return response };
        self.complete(&mut entry, made);
        entry.outcome = outcome(response.status());
        entry.error_code = code.map(ErrorCode::as_str);
        if entry.outcome == AuditOutcome::Ok {
            entry.action.clone_from(&self.action.done);
        }
        let is_instance = self.notes.with(|noted| noted.is_instance);
        if let (true, Some(name)) = (is_instance, &self.named_tenant) {
            let operator = Principal::instance(entry.actor.clone());
            // Where there is no such tenant, it is in the log of who asked.
            let named = self.engine.tenant_resolve(&operator, Some(name)).await.ok();
            entry.tenant = named.or(entry.tenant);
        }
        self.engine.audit_write(entry).await;
        response
    }

    /// Adds what was noted.
    fn complete(&self, entry: &mut AuditEntry, made: Option<String>) {
        let sandbox = self.notes.with(|noted| {
            entry.tenant = noted.tenant;
            entry.actor = noted.actor.clone().unwrap_or(Actor::Unknown);
            if !noted.fields.is_empty() {
                let fields = std::mem::take(&mut noted.fields);
                entry.detail.insert("fields".to_owned(), fields.into());
            }
            noted.sandbox.map(|id| id.to_string())
        });
        for (at, (name, text)) in self.params.iter().enumerate() {
            let id = if name == "sandbox" { sandbox.clone() } else { shown(text) };
            match id {
                None => {}
                Some(id) if at == 0 => {
                    entry.target = Some(AuditTarget { kind: kind(name).to_owned(), id });
                }
                Some(id) => drop(entry.detail.insert(name.clone(), id.into())),
            }
        }
        if let Some(id) = made {
            if self.params.is_empty() {
                let kind = self.action.done.split('.').next().unwrap_or_default().to_owned();
                entry.target = Some(AuditTarget { kind, id });
            } else {
                entry.detail.insert("made".to_owned(), id.into());
            }
        }
    }
}

impl Drop for Audited {
    fn drop(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            self.complete(&mut entry, None);
            self.engine.audit_write_later(entry);
        }
    }
}

/// What kind of thing a part of a path names.
fn kind(param: &str) -> &str {
    if param == "key" { "api_key" } else { param }
}

/// A part of a path as it is in the log: an id or a name. Whatever else somebody put there is not written down.
fn shown(text: &str) -> Option<String> {
    let is_name = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.@+".contains(&b));
    is_name.then(|| text.to_owned())
}

const fn outcome(status: StatusCode) -> AuditOutcome {
    match status.as_u16() {
        100..=399 => AuditOutcome::Ok,
        401 | 403 | 421 | 429 => AuditOutcome::Refused,
        _ => AuditOutcome::Failed,
    }
}

/// The id of what was made, and the answer as it was.
async fn made(response: Response) -> (Response, Option<String>) {
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let is_whole = response.body().size_hint().exact().is_some_and(|size| size <= ANSWER_BYTES_MAX);
    if response.status() != StatusCode::CREATED || !is_json || !is_whole {
        return (response, None);
    }
    let (parts, body) = response.into_parts();
    // It is in memory already, so this cannot fail.
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let id = serde_json::from_slice(&bytes).ok().and_then(|answer: Value| id_of(&answer));
    (Response::from_parts(parts, Body::from(bytes)), id)
}

/// `id` of an answer, or of the object in it; `key` of a setting, which has no id.
fn id_of(answer: &Value) -> Option<String> {
    let text = |value: &Value, name: &str| value[name].as_str().map(ToOwned::to_owned);
    let inner =
        || answer.as_object()?.values().find_map(|v| text(v, "id").or_else(|| text(v, "key")));
    text(answer, "id").or_else(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_path_that_is_no_name_is_not_written_down() {
        assert_eq!(shown("us_0198"), Some("us_0198".to_owned()));
        for odd in ["", "a b", "a/b", "\u{e9}", "=1+1", &"x".repeat(65)] {
            assert_eq!(shown(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_id_is_found_where_answers_have_it() {
        let id = |value: Value| id_of(&value);
        assert_eq!(id(serde_json::json!({ "id": "sb_1" })), Some("sb_1".to_owned()));
        let nested = serde_json::json!({ "api_key": { "id": "ak_1" }, "secret": "sbk_x" });
        assert_eq!(id(nested), Some("ak_1".to_owned()));
        assert_eq!(id(serde_json::json!({ "item": { "key": "TOKEN" } })), Some("TOKEN".to_owned()));
        assert_eq!(id(serde_json::json!({ "a": 1 })), None);
    }
}
