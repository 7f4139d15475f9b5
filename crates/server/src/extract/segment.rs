//! What a segment of the path names, parsed at the door.

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;
use sandbar_api::ErrorCode;
use sandbar_engine::AppRef;
use sandbar_types::{
    ApiKeyId, ApproveId, CheckpointId, CredentialId, EnvName, ExecId, InvalidEnvName, InvalidId,
    InvalidProcessName, ProcessName, SandboxId, TaskId, UserId, WebhookId,
};

use crate::{asker, audit::Notes, error::ApiError, state::AppState};

/// The sandbox that `{sandbox}` in the path names: by id, unique beginning of one, name, or that of its app.
///
/// Of the tenant of who asks, always: a handler has no other way to an id.
#[derive(Debug)]
pub(crate) struct Sandbox(pub(crate) SandboxId);

impl FromRequestParts<AppState> for Sandbox {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let tenant = asker::identity(parts)?.principal.tenant;
        let text = segment(parts, state, "sandbox").await?;
        let id = state.engine.sandbox_resolve(tenant, &text).await?;
        if let Some(notes) = parts.extensions.get::<Notes>() {
            notes.is_about(id);
        }
        Ok(Self(id))
    }
}

/// The app that `{app}` in the path names, by id or name. Of the tenant of who asks, always.
#[derive(Debug)]
pub(crate) struct App(pub(crate) AppRef);

impl FromRequestParts<AppState> for App {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let tenant = asker::identity(parts)?.principal.tenant;
        let text = segment(parts, state, "app").await?;
        Ok(Self(state.engine.app_resolve(tenant, &text).await?))
    }
}

/// An id in the path, by the name of its segment. A text that is no id names nothing: the same answer as for an id that
/// nobody has.
macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($id:ty), $segment:literal, $code:ident, $message:literal, $hint:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(pub(crate) $id);

        impl FromRequestParts<AppState> for $name {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
                let text = segment(parts, state, $segment).await?;
                text.parse().map(Self).map_err(|error: InvalidId| {
                    ApiError::new(ErrorCode::$code, $message).hint(format!("{error}; {}", $hint))
                })
            }
        }
    )*};
}

ids! {
    /// The exec that `{exec}` in the path names.
    Exec(ExecId), "exec", ExecNotFound, "the sandbox has no such exec", "`GET …/execs` lists them";
    /// The approve that `{approve}` in the path names.
    Approve(ApproveId), "approve", ApproveNotFound, "there is no such approve", "`GET /v1/approves` lists them";
    /// The checkpoint that `{checkpoint}` in the path names.
    Checkpoint(CheckpointId), "checkpoint", CheckpointNotFound, "there is no such checkpoint", "`GET …/checkpoints` lists them";
    /// The user that `{user}` in the path names.
    User(UserId), "user", UserNotFound, "there is no such user", "`GET /v1/users` lists them";
    /// The API key that `{key}` in the path names.
    Key(ApiKeyId), "key", ApiKeyNotFound, "there is no such API key", "`GET /v1/api-keys` lists them";
    /// The webhook that `{webhook}` in the path names.
    Webhook(WebhookId), "webhook", WebhookNotFound, "there is no such webhook", "`GET /v1/webhooks` lists them";
    /// The credential that `{credential}` in the path names.
    Credential(CredentialId), "credential", CredentialNotFound, "there is no such credential", "`GET /v1/credentials` lists them";
    /// The task that `{task}` in the path names.
    Task(TaskId), "task", TaskNotFound, "there is no such task", "`GET …/tasks` lists those of a sandbox";
}

/// The port that `{port}` in the path names, from 1.
#[derive(Debug)]
pub(crate) struct Port(pub(crate) u16);

impl FromRequestParts<AppState> for Port {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "port").await?;
        let port = text.parse().ok().filter(|port| *port != 0);
        port.map(Self).ok_or_else(|| {
            ApiError::new(ErrorCode::InvalidName, "a port is a number from 1 to 65535")
        })
    }
}

/// The process that `{process}` in the path names.
#[derive(Debug)]
pub(crate) struct Process(pub(crate) ProcessName);

impl FromRequestParts<AppState> for Process {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "process").await?;
        text.parse().map(Self).map_err(|error: InvalidProcessName| {
            ApiError::new(ErrorCode::InvalidName, error.to_string())
                .hint("`GET …/app` lists the processes")
        })
    }
}

/// The setting or secret that `{key}` of a configuration in the path names.
#[derive(Debug)]
pub(crate) struct ConfigKey(pub(crate) EnvName);

impl FromRequestParts<AppState> for ConfigKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let text = segment(parts, state, "key").await?;
        text.parse().map(Self).map_err(|error: InvalidEnvName| {
            ApiError::new(ErrorCode::InvalidName, error.to_string())
                .hint("`GET …/config` lists what there is")
        })
    }
}

/// The name of the tenant in the path.
#[derive(Debug)]
pub(crate) struct TenantName(pub(crate) String);

impl FromRequestParts<AppState> for TenantName {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        segment(parts, state, "tenant").await.map(Self)
    }
}

async fn segment(parts: &mut Parts, state: &AppState, name: &str) -> Result<String, ApiError> {
    let unreadable = || ApiError::new(ErrorCode::InvalidRequest, "the address is not UTF-8");
    let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| unreadable())?;
    let text = params.iter().find(|(key, _)| *key == name).map(|(_, text)| text.to_owned());
    text.ok_or_else(unreadable)
}
