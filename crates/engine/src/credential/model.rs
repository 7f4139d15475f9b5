//! Credentials as they are asked for and shown.

use jiff::Timestamp;
use sandbar_store::CredentialRow;
use sandbar_types::{
    AgentName, AppId, CredentialId, CredentialName, EnvName, Generation, InjectionRule, SandboxId,
    TenantId,
};

use super::{Login, Renewal, RenewalParams};
use crate::SecretString;

/// Whose sandboxes get a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialScope {
    /// All of the tenant's.
    Tenant,
    /// Those of an app.
    App(AppId),
    /// This one.
    Sandbox(SandboxId),
}

impl CredentialScope {
    /// What it is called where it is kept.
    pub(super) fn id(self, tenant: TenantId) -> String {
        match self {
            Self::Tenant => tenant.to_string(),
            Self::App(id) => id.to_string(),
            Self::Sandbox(id) => id.to_string(),
        }
    }

    fn of(text: &str) -> Self {
        match (text.parse(), text.parse()) {
            (Ok(id), _) => Self::Sandbox(id),
            (Err(_), Ok(id)) => Self::App(id),
            (Err(_), Err(_)) => Self::Tenant,
        }
    }
}

/// A credential, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressCredential {
    /// Its id.
    pub id: CredentialId,
    /// What it is called.
    pub name: CredentialName,
    /// Whose sandboxes get it.
    pub scope: CredentialScope,
    /// Which agent it is for.
    pub agent: Option<AgentName>,
    /// The variable that has the placeholder inside.
    pub env: Option<EnvName>,
    /// What is inside in place of the value.
    pub placeholder: String,
    /// Where the value may go.
    pub rules: Vec<InjectionRule>,
    /// How it is renewed, where it is.
    pub renewal: Option<Renewal>,
    /// Grows with every change.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl EgressCredential {
    pub(super) fn of(row: CredentialRow) -> Self {
        Self {
            scope: CredentialScope::of(&row.scope_id),
            id: row.id,
            name: row.name,
            agent: row.agent,
            env: row.env,
            placeholder: row.placeholder,
            renewal: row.renewal.as_ref().and_then(Renewal::of),
            rules: row.rules,
            generation: row.generation,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// What shall be kept.
#[derive(Debug, Clone)]
pub struct CredentialCreateParams {
    /// What it is called.
    pub name: CredentialName,
    /// The secret.
    pub value: SecretString,
    /// Whose sandboxes get it.
    pub scope: CredentialScope,
    /// Which agent it is for. Of one that is known, what is not said here is known.
    pub agent: Option<AgentName>,
    /// How that agent got it.
    pub login: Login,
    /// Another host than the one that is known of that agent: `HOST` or `HOST:PORT`.
    pub host: Option<String>,
    /// The variable that has the placeholder inside.
    pub env: Option<EnvName>,
    /// What the placeholder begins with, for programs that look.
    pub prefix: Option<String>,
    /// Where the value may go.
    pub rules: Vec<InjectionRule>,
    /// How it is renewed, where it is.
    pub renewal: Option<RenewalParams>,
}

/// What shall be different. `None`: as it is.
#[derive(Debug, Clone, Default)]
pub struct CredentialUpdateParams {
    /// The secret. One that was renewed is not any more: who gives a value gave no token to renew it with.
    pub value: Option<SecretString>,
    /// Where the value may go.
    pub rules: Option<Vec<InjectionRule>>,
    /// The variable that has the placeholder inside.
    pub env: Option<Option<EnvName>>,
}

/// Which one, and which one was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CredentialWhich {
    /// Whose.
    pub tenant: TenantId,
    /// Its id.
    pub id: CredentialId,
    /// The generation that was decided on; `None`: whichever there is.
    pub generation: Option<Generation>,
}
