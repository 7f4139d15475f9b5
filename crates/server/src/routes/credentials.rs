//! Secrets that are put into requests of sandboxes on their way out.
//!
//! Whoever says where a value goes could send it to themselves: rules are for administrators.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};
use sandbar_api::{
    Credential as Body, CredentialCreateRequest, CredentialLogin, CredentialRenewal,
    CredentialUpdateRequest, CredentialWhy as WhyBody, CredentialWhyAnswer, CredentialWhyQuery,
    ErrorCode, Page, PageQuery,
};
use sandbar_engine::{
    CredentialCreateParams, CredentialScope, CredentialUpdateParams, CredentialWhich,
    EgressCredential as Record, Login, Renewal, RenewalParams, WhyRequest,
};
use sandbar_types::{CredentialId, Target};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::AskedBy,
    error::ApiError,
    etag::{seen, tagged},
    extract::{Credential, Json, Query, Sandbox},
    page::{page, page_cursor, page_limit},
    state::AppState,
};

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(credential_list, credential_create))
        .routes(routes!(credential_fetch, credential_update, credential_delete))
        .routes(routes!(credential_why))
}

/// Lists credentials, oldest first. Values are never shown.
#[utoipa::path(get, path = "/v1/credentials", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(PageQuery), responses((status = 200, body = Page<Body>)))]
async fn credential_list(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Query(query): Query<PageQuery>,
) -> Result<Answer<Page<Body>>, ApiError> {
    let limit = page_limit(query.limit)?;
    let after: Option<CredentialId> = page_cursor(query.cursor.as_deref())?;
    let found = state.engine.credential_list(principal.tenant, after, limit + 1).await?;
    Ok(Answer(page(found, limit, |last| last.id.to_string(), body)))
}

/// Keeps a credential: it is put into requests that a rule of it is for, and inside there is a placeholder.
#[utoipa::path(post, path = "/v1/credentials", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "credential.created"}))),
    request_body = CredentialCreateRequest, responses((status = 201, body = Body)))]
async fn credential_create(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Json(request): Json<CredentialCreateRequest>,
) -> Result<Response, ApiError> {
    let scope = match (request.app, request.sandbox) {
        (None, None) => CredentialScope::Tenant,
        (Some(app), None) => CredentialScope::App(app),
        (None, Some(sandbox)) => CredentialScope::Sandbox(sandbox),
        (Some(_), Some(_)) => {
            let message = "a credential is for an app or for a sandbox, not for both";
            return Err(ApiError::new(ErrorCode::InvalidValue, message));
        }
    };
    let params = CredentialCreateParams {
        name: request.name,
        value: request.value.0.into(),
        scope,
        agent: request.agent,
        login: match request.login {
            CredentialLogin::Key => Login::Key,
            CredentialLogin::Oauth => Login::OAuth,
        },
        host: request.host,
        env: request.env,
        prefix: request.placeholder_prefix,
        rules: request.rules,
        renewal: request.renewal.map(|renewal| RenewalParams {
            refresh_token: renewal.refresh_token.0.into(),
            expires_at: renewal.expires_at,
            token_url: renewal.token_url,
            client_id: renewal.client_id,
            client_secret: renewal.client_secret.map(|secret| secret.0.into()),
        }),
    };
    let made = state.engine.credential_create(principal.tenant, params).await?;
    Ok((StatusCode::CREATED, answer(made)).into_response())
}

/// Looks at a credential.
#[utoipa::path(get, path = "/v1/credentials/{credential}", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("credential" = String, Path)), responses((status = 200, body = Body)))]
async fn credential_fetch(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Credential(id): Credential,
) -> Result<Response, ApiError> {
    Ok(answer(state.engine.credential_fetch(principal.tenant, id).await?))
}

/// Changes a credential: its value, where it may go, the variable inside. Requests get what it is when they begin.
#[utoipa::path(patch, path = "/v1/credentials/{credential}", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "credential.updated"}))),
    params(("credential" = String, Path), ("If-Match" = Option<String>, Header)),
    request_body = CredentialUpdateRequest, responses((status = 200, body = Body)))]
async fn credential_update(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Credential(id): Credential,
    headers: HeaderMap,
    Json(request): Json<CredentialUpdateRequest>,
) -> Result<Response, ApiError> {
    let CredentialUpdateRequest { value, rules, env } = request;
    let params = CredentialUpdateParams { value: value.map(|value| value.0.into()), rules, env };
    let which = CredentialWhich { tenant: principal.tenant, id, generation: seen(&headers)? };
    Ok(answer(state.engine.credential_update(which, params).await?))
}

/// Removes a credential.
#[utoipa::path(delete, path = "/v1/credentials/{credential}", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "admin", "audit": "credential.deleted"}))),
    params(("credential" = String, Path), ("If-Match" = Option<String>, Header)), responses((status = 204)))]
async fn credential_delete(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
    Credential(id): Credential,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let which = CredentialWhich { tenant: principal.tenant, id, generation: seen(&headers)? };
    state.engine.credential_remove(which).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says which credentials a request from a sandbox would get, and why not the others. Nothing is sent.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/credentials/why", tag = "config",
    extensions(("x-sandbar" = json!({"scope": "read"}))),
    params(("sandbox" = String, Path), CredentialWhyQuery),
    responses((status = 200, body = CredentialWhyAnswer)))]
async fn credential_why(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Query(query): Query<CredentialWhyQuery>,
) -> Result<Answer<CredentialWhyAnswer>, ApiError> {
    if query.host.is_empty() {
        return Err(ApiError::new(ErrorCode::InvalidQuery, "`host` says no host"));
    }
    let host = query.host.parse().map_err(|_| {
        ApiError::new(ErrorCode::InvalidValue, "`host` is a host, without a port or a scheme")
    })?;
    let request = WhyRequest {
        target: Target { host, port: query.port.unwrap_or(443) },
        method: query.method.unwrap_or_else(|| "GET".to_owned()),
        path: query.path.unwrap_or_else(|| "/".to_owned()),
    };
    let found = state.engine.credential_why(id, &request).await?;
    // A server without a way out says nothing of it.
    let Target { host, port } = &request.target;
    let network = state.engine.network_why(id, &host.to_string(), Some(*port)).await.ok();
    let credentials = found
        .into_iter()
        .map(|why| WhyBody {
            name: why.name,
            env: why.env,
            applies: why.miss.is_none(),
            miss: why.miss,
            is_trusted: why.is_trusted,
        })
        .collect();
    Ok(Answer(CredentialWhyAnswer { credentials, network }))
}

fn answer(record: Record) -> Response {
    tagged(record.generation, body(record))
}

fn body(record: Record) -> Body {
    let (app, sandbox) = match record.scope {
        CredentialScope::Tenant => (None, None),
        CredentialScope::App(app) => (Some(app), None),
        CredentialScope::Sandbox(sandbox) => (None, Some(sandbox)),
    };
    Body {
        id: record.id,
        name: record.name,
        app,
        sandbox,
        agent: record.agent,
        env: record.env,
        placeholder: record.placeholder,
        rules: record.rules,
        renewal: record.renewal.map(|Renewal { token_url, expires_at, .. }| CredentialRenewal {
            token_url,
            expires_at,
        }),
        generation: record.generation,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}
