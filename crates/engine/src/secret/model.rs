//! Settings and secrets as they are asked for and shown.

use jiff::Timestamp;
use sandbar_secrets::ExposeSecret as _;
pub use sandbar_secrets::SecretString;
use sandbar_store::ConfigItemRow;
use sandbar_types::{ConfigAccess, EnvName, Generation, ProcessName, SandboxId};

use crate::AppRef;

/// A setting or a secret, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigItem {
    /// Its name, and that of the variable.
    pub key: EnvName,
    /// Its value; `None` for a secret.
    pub value: Option<String>,
    /// Who gets it.
    pub access: ConfigAccess,
    /// Grows with every change.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl ConfigItem {
    pub(super) fn of(row: ConfigItemRow) -> Self {
        Self {
            key: row.at.key,
            value: row.plain,
            access: row.access,
            generation: row.generation,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Whose settings and secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigScope {
    /// Those of a sandbox.
    Sandbox(SandboxId),
    /// Those of an app, which its sandboxes get, too.
    App(AppRef),
}

impl ConfigScope {
    /// What it is called where it is kept.
    pub(super) fn id(self) -> String {
        match self {
            Self::Sandbox(id) => id.to_string(),
            Self::App(app) => app.id.to_string(),
        }
    }

    /// What it is called in a message.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Sandbox(_) => "sandbox",
            Self::App(_) => "app",
        }
    }
}

impl From<SandboxId> for ConfigScope {
    fn from(id: SandboxId) -> Self {
        Self::Sandbox(id)
    }
}

impl From<AppRef> for ConfigScope {
    fn from(app: AppRef) -> Self {
        Self::App(app)
    }
}

/// The text of a secret, to be shown this once.
#[must_use]
pub fn expose(secret: &SecretString) -> &str {
    secret.expose_secret()
}

/// What shall be kept.
#[derive(Debug, Clone)]
pub struct ConfigCreateParams {
    /// Its name.
    pub key: EnvName,
    /// Its value.
    pub value: SecretString,
    /// Whether it is a secret.
    pub is_sensitive: bool,
    /// Who gets it.
    pub access: ConfigAccess,
}

/// What shall be different. `None`: as it is.
#[derive(Debug, Clone, Default)]
pub struct ConfigUpdateParams {
    /// Its value.
    pub value: Option<SecretString>,
    /// Whether it is a secret.
    pub is_sensitive: Option<bool>,
    /// Who gets it.
    pub access: Option<ConfigAccess>,
}

/// Which one, and which one was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigWhich {
    /// Whose.
    pub scope: ConfigScope,
    /// Its name.
    pub key: EnvName,
    /// The generation that was decided on; `None`: whichever there is.
    pub generation: Option<Generation>,
}

/// What becomes of processes that have the value of before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterChange {
    /// They run on with it.
    #[default]
    RunOn,
    /// They are restarted.
    Restart,
}

/// A change that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChanged {
    /// What it is now.
    pub item: ConfigItem,
    /// The processes of the app that run with what was before.
    pub stale_processes: Vec<ProcessName>,
}
