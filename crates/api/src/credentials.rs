//! Secrets that are put into requests of sandboxes on their way out.

use jiff::Timestamp;
use sandbar_types::{
    AgentName, AppId, CredentialId, CredentialName, EnvName, Generation, InjectionRule, NetworkWhy,
    RuleMiss, SandboxId,
};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::Secret;

/// A credential, without its value, which nobody can read again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// What it is called.
    pub name: CredentialName,
    /// The app whose sandboxes get it, where it is not every sandbox of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// The only sandbox that gets it, where it is not every one of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxId>,
    /// Which agent it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The environment variable that has the placeholder inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvName>,
    /// What is inside in place of the value. It is worth nothing.
    pub placeholder: String,
    /// Where the value may go.
    pub rules: Vec<InjectionRule>,
    /// How the server renews it, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<CredentialRenewal>,
    /// Grows with every change; also the `ETag`.
    pub generation: Generation,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was changed last.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// How an agent got its credential.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialLogin {
    /// A key of an API.
    #[default]
    Key,
    /// The token of a login.
    Oauth,
}

/// Keeps a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialCreateRequest {
    /// What it is called.
    pub name: CredentialName,
    /// The secret: 8 bytes to 16 KiB of visible ASCII.
    pub value: Secret,
    /// Only the sandboxes of this app get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppId>,
    /// Only this sandbox gets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxId>,
    /// Which agent it is for. Of one that is known, rules and variable are known as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// How that agent got it.
    #[serde(default)]
    pub login: CredentialLogin,
    /// Another host than the one that is known of the agent: `HOST` or `HOST:PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The environment variable that has the placeholder inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvName>,
    /// What the placeholder begins with, for programs that look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder_prefix: Option<String>,
    /// Where the value may go: 1 to 32 rules, or none for an agent that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<InjectionRule>,
    /// How the server renews it. Without, it is good until it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<CredentialRenewalRequest>,
}

/// How the server renews a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialRenewal {
    /// The token endpoint that it asks.
    pub token_url: String,
    /// When the value ends, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// How the server is to renew a credential. Of an agent that is known, endpoint and client are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialRenewalRequest {
    /// What a new value is asked for with. It goes to the token endpoint alone.
    pub refresh_token: Secret,
    /// When the value ends; without, it is renewed when it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// The token endpoint: `https://HOST[:PORT]/PATH`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// Who asks, as the endpoint knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// What the endpoint knows who asks by, where it wants that. It goes to the token endpoint alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
}

/// Changes a credential. What is absent stays as it is, the value too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CredentialUpdateRequest {
    /// The secret. One that was renewed is not renewed any more then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Secret>,
    /// Where the value may go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<InjectionRule>>,
    /// The environment variable that has the placeholder inside; `null` for none.
    #[schema(value_type = Option<EnvName>)]
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub env: Option<Option<EnvName>>,
}

/// Tells what is said to be nothing from what is not said.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<EnvName>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A request that somebody wonders about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct CredentialWhyQuery {
    /// The host.
    #[param(min_length = 1)]
    pub host: String,
    /// The port; 443 when absent.
    #[param(maximum = 65535)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The method; `GET` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The path; `/` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// What a credential has to do with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialWhy {
    /// Which one.
    pub name: CredentialName,
    /// The environment variable that has its placeholder inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<EnvName>,
    /// Whether the request gets it.
    pub applies: bool,
    /// Why not, of the rule that came closest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miss: Option<RuleMiss>,
    /// Whether the programs inside believe who puts it in. Where not, the sandbox was started by an earlier version: stop
    /// and start it.
    pub is_trusted: bool,
}

/// What the credentials of a sandbox have to do with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialWhyAnswer {
    /// Every credential that reaches the sandbox; those that the request gets first, then those that came closest.
    pub credentials: Vec<CredentialWhy>,
    /// Whether the host may be reached at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkWhy>,
}
