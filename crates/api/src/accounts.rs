//! Who asks: logging in, users, API keys, tenants.

use std::fmt;

use jiff::Timestamp;
use sandbar_types::{
    AccountName, Actor, ApiKeyId, Generation, HostPath, KeyName, Quota, Role, Scope, TenantId,
    UserId,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The header that a request with a session's cookie needs when it changes something; any value will do. Pages of
/// other sites cannot send it.
pub const CSRF: &str = "x-sandbar-csrf";

/// A text that nobody may read in a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Password)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Whether one can log in, and whether one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthStatus {
    /// There is no administrator yet: `POST /v1/auth/setup` makes one.
    pub needs_setup: bool,
    /// This request came with a session, a key or a token that is right, or by the unix socket.
    pub is_authenticated: bool,
}

/// Makes the first administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetupRequest {
    /// What the server wrote to its log, and to `setup-code` of its data directory.
    pub code: Secret,
    /// The administrator's name.
    pub name: AccountName,
    /// The administrator's password, 12 to 1024 bytes.
    pub password: Secret,
}

/// Begins a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginRequest {
    /// The user's tenant; `default` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<AccountName>,
    /// The user's name.
    pub name: AccountName,
    /// The user's password.
    pub password: Secret,
}

/// A session that began. Its token is in the cookie, and nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// When it ends, however much it is used.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
}

/// Changes one's own password, and ends one's other sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordRequest {
    /// The password until now.
    pub current: Secret,
    /// The password from now on, 12 to 1024 bytes.
    pub new: Secret,
}

/// Who asks, and what they may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// On whose behalf.
    pub tenant: TenantId,
    /// The tenant's name.
    pub tenant_name: AccountName,
    /// Who.
    pub actor: Actor,
    /// What they are in the tenant.
    pub role: Role,
    /// What they may ask for.
    pub scopes: Vec<Scope>,
    /// Whether the whole server listens to them.
    pub is_instance_admin: bool,
    /// What the tenant may have.
    pub quota: Quota,
}

/// Which page of a list, of which tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct TenantPageQuery {
    /// Items on the page, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The name of a tenant; one's own when absent. Another one is there for who runs the server only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// Of which tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default, deny_unknown_fields)]
pub struct TenantQuery {
    /// The name of a tenant; one's own when absent. Another one is there for who runs the server only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// The id.
    pub id: UserId,
    /// The name, unique in the tenant.
    pub name: AccountName,
    /// What the user may do.
    pub role: Role,
    /// Whether the user can log in.
    pub has_password: bool,
    /// Grows with every change; the `ETag`.
    pub generation: Generation,
    /// When the user was added.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Adds a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserCreateRequest {
    /// The name, unique in the tenant.
    pub name: AccountName,
    /// What the user may do.
    pub role: Role,
    /// 12 to 1024 bytes; without one the user cannot log in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// Changes a user. A new password ends the user's sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UserUpdateRequest {
    /// What the user may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// 12 to 1024 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
}

/// An API key, without the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose it is; absent for one that whoever runs the server made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// What it is for.
    pub name: KeyName,
    /// What it begins with.
    pub prefix: String,
    /// What it may do at most; never more than its user may.
    pub role: Role,
    /// What of that it may ask for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ends; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
}

/// Makes an API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyCreateRequest {
    /// What it is for.
    pub name: KeyName,
    /// What it may do at most; one's own role when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// What of that it may ask for; all of it when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<Scope>>,
    /// When it ends; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// An API key that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKeyCreated {
    /// What is kept of it.
    pub api_key: ApiKey,
    /// The key itself, for `Authorization: Bearer`. It is shown this once.
    pub secret: Secret,
}

/// A tenant: what one of them has, no other one sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name, unique in the server.
    pub name: AccountName,
    /// What it may have.
    pub quota: Quota,
    /// Below which directories of the host its sources are; absent: anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_roots: Option<Vec<HostPath>>,
    /// Grows with every change; the `ETag`.
    pub generation: Generation,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Makes a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantCreateRequest {
    /// Its name, unique in the server.
    pub name: AccountName,
    /// What it may have; without end when absent.
    #[serde(default)]
    pub quota: Quota,
    /// Below which directories of the host its sources are. None: workspaces begin empty, or from presets.
    #[serde(default)]
    pub source_roots: Vec<HostPath>,
}

/// Changes a tenant. What it has already stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TenantUpdateRequest {
    /// What it may have, all of it anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
    /// Below which directories of the host its sources are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_roots: Option<Vec<HostPath>>,
}
