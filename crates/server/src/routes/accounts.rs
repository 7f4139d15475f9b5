//! Logging in and out, one's own password, who one is, and the first administrator.

use axum::{
    Json as Answer,
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderValue, StatusCode, header};
use sandbar_api::{
    AuthStatus, ErrorCode, LoginRequest, Me, PasswordRequest, Session, SetupRequest, User,
};
use sandbar_engine::{Credential, Identity, LoginParams};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::{AskedBy, CameBy, IdentifiedBy},
    audit::Notes,
    error::ApiError,
    extract::Json,
    identify::{clear_cookie, set_cookie},
    routes::users,
    state::AppState,
};

/// The tenant of users who do not name one.
const DEFAULT_TENANT: &str = "default";

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(auth_status))
        .routes(routes!(setup))
        .routes(routes!(login))
        .routes(routes!(logout))
        .routes(routes!(password))
        .routes(routes!(me))
}

/// Says whether one can log in, and whether one is.
#[utoipa::path(get, path = "/v1/auth/status", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "none"}))),
    responses((status = 200, body = AuthStatus)))]
async fn auth_status(
    State(state): State<AppState>,
    identity: Option<axum::Extension<Identity>>,
) -> Result<Answer<AuthStatus>, ApiError> {
    let needs_setup = state.engine.needs_setup().await?;
    Ok(Answer(AuthStatus { needs_setup, is_authenticated: identity.is_some() }))
}

/// Makes the first administrator, with the code that the server wrote to its log and to `setup-code` of its data
/// directory. Coming first is not enough.
#[utoipa::path(post, path = "/v1/auth/setup", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "none", "audit": "setup.completed setup.failed"}))),
    request_body = SetupRequest, responses((status = 201, body = User)))]
async fn setup(
    State(state): State<AppState>,
    CameBy(transport): CameBy,
    Json(request): Json<SetupRequest>,
) -> Result<(StatusCode, Answer<User>), ApiError> {
    let SetupRequest { code, name, password } = request;
    let made = state.engine.setup(&code.0, name, password.0, transport.address()).await?;
    Ok((StatusCode::CREATED, Answer(users::body(made))))
}

/// Begins a session: its token is in the cookie of the answer. Users log in on TCP, where browsers are.
///
/// With the cookie, what changes something needs `Origin` and the header `X-Sandbar-Csrf` as well.
#[utoipa::path(post, path = "/v1/auth/login", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "none", "audit": "login.succeeded login.failed"}))),
    request_body = LoginRequest, responses((status = 200, body = Session)))]
async fn login(
    State(state): State<AppState>,
    CameBy(transport): CameBy,
    notes: Option<axum::Extension<Notes>>,
    Json(request): Json<LoginRequest>,
) -> Result<Response, ApiError> {
    let tenant = request.tenant.unwrap_or_else(|| DEFAULT_TENANT.parse().expect("it is a name"));
    let LoginRequest { name, password, .. } = request;
    let params = LoginParams { tenant, name, password: password.0, address: transport.address() };
    let begun = state.engine.login(params).await?;
    let expires_at = begun.expires_at;
    if let Some(axum::Extension(notes)) = notes {
        notes.became(begun.tenant, begun.who);
    }
    let cookie = set_cookie(transport.channel(), &begun.token, state.engine.now(), expires_at);
    let no_store = HeaderValue::from_static("no-store");
    let headers = [(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, no_store)];
    Ok((headers, Answer(Session { expires_at })).into_response())
}

/// Ends the session that asks.
#[utoipa::path(post, path = "/v1/auth/logout", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "any", "audit": "session.ended"}))), responses((status = 204)))]
async fn logout(
    State(state): State<AppState>,
    CameBy(transport): CameBy,
    IdentifiedBy(identity): IdentifiedBy,
) -> Result<Response, ApiError> {
    let Credential::Session(id, _) = identity.credential else {
        return Err(ApiError::new(ErrorCode::InvalidRequest, "there is no session to end")
            .hint("remove an API key with `DELETE /v1/api-keys/{key}`"));
    };
    state.engine.logout(id).await?;
    let cookie = [(header::SET_COOKIE, clear_cookie(transport.channel()))];
    Ok((StatusCode::NO_CONTENT, cookie).into_response())
}

/// Changes the password of the user whose session asks, and ends the user's other sessions.
#[utoipa::path(post, path = "/v1/auth/password", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "any", "audit": "password.changed"}))),
    request_body = PasswordRequest, responses((status = 204)))]
async fn password(
    State(state): State<AppState>,
    IdentifiedBy(identity): IdentifiedBy,
    Json(request): Json<PasswordRequest>,
) -> Result<StatusCode, ApiError> {
    state.engine.password_change(&identity, request.current.0, request.new.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says who asks, and what they may ask for.
#[utoipa::path(get, path = "/v1/me", tag = "accounts",
    extensions(("x-sandbar" = json!({"scope": "any"}))), responses((status = 200, body = Me)))]
async fn me(
    State(state): State<AppState>,
    AskedBy(principal): AskedBy,
) -> Result<Answer<Me>, ApiError> {
    let tenant = state.engine.tenant_fetch(principal.tenant).await?;
    Ok(Answer(Me {
        tenant: tenant.id,
        tenant_name: tenant.name,
        is_instance_admin: principal.is_instance(),
        actor: principal.who,
        role: principal.role,
        scopes: principal.scopes.into(),
        quota: tenant.quota,
    }))
}
