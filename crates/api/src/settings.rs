//! What the server does by itself, and what of it can be changed while it runs.

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use sandbar_types::{Actor, Generation, Limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A text that names no setting that can be changed while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such setting, or it cannot be changed while the server runs")]
pub struct UnknownSetting;

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:tt;)+) => {
        /// A setting that can be changed while the server runs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        pub enum SettingKey {
            $($(#[doc = $doc])+ #[serde(rename = $text)] $name,)+
        }

        impl SettingKey {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// As it is written: the section and the key of `config.toml`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

keys! {
    /// What is logged, such as `info,sandbar_engine=debug`.
    ServerLogFilter = "server.log_filter";
    /// Requests in a minute of each user and each key, where the quota of the tenant says nothing; 0 is without end.
    ServerRequestsPerMinute = "server.requests_per_minute";
    /// Sandboxes that live at once, the stopped ones included.
    SandboxMax = "sandbox.max";
    /// How long a stop waits before it kills, where the request does not say.
    SandboxStopGrace = "sandbox.stop_grace";
    /// How long an app may go unused before its sandbox sleeps, where the sandbox does not say.
    SandboxAppIdleTimeout = "sandbox.app_idle_timeout";
    /// How far ahead a keep-alive may reach.
    SandboxKeepaliveMax = "sandbox.keepalive_max";
    /// How long the history of a deleted sandbox is kept.
    RetentionHistory = "retention.history";
    /// How long events are kept.
    RetentionEvents = "retention.events";
    /// How long an idempotency key is remembered.
    RetentionIdempotencyKeys = "retention.idempotency_keys";
    /// How often the host is compared with the store.
    UpkeepReconcileInterval = "upkeep.reconcile_interval";
    /// How often upper layers are measured.
    UpkeepSizeInterval = "upkeep.size_interval";
    /// How long a question of an agent waits for a person, before the answer that lets nothing happen is given.
    TaskQuestionDeadline = "task.question_deadline";
}

impl fmt::Display for SettingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SettingKey {
    type Err = UnknownSetting;

    fn from_str(text: &str) -> Result<Self, UnknownSetting> {
        Self::ALL.iter().copied().find(|key| key.as_str() == text).ok_or(UnknownSetting)
    }
}

/// The value of a setting: a number, or a text as it is in `config.toml`, such as `30s`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum SettingValue {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// Who says what a setting is. What comes later here beats what comes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SettingSource {
    /// Nobody.
    Default,
    /// Somebody, while the server ran.
    Stored,
    /// `config.toml` in the data directory.
    File,
    /// A variable of the server's environment.
    Environment,
    /// The command line of the server.
    CommandLine,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Setting {
    /// Which one.
    pub key: SettingKey,
    /// What it is.
    pub value: SettingValue,
    /// What it would be if nobody said anything.
    pub default: SettingValue,
    /// Who says so.
    pub source: SettingSource,
    /// Whether it can be changed now: what was said when the server was started cannot.
    pub is_editable: bool,
    /// Who changed it last while the server ran; shown to who runs the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<Actor>,
    /// When it was changed last while the server ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changed_at: Option<Timestamp>,
}

/// Where previews are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PreviewSettings {
    /// Previews are at `<port>-<sandbox>.preview.<domain>`.
    pub domain: String,
    /// How browsers reach them: `http` or `https`.
    pub scheme: String,
}

/// What the server does by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// The version of the server.
    pub version: String,
    /// Grows with every change; the `ETag`.
    pub generation: Generation,
    /// Where previews are; absent where the server has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<PreviewSettings>,
    /// The limits of a new sandbox that does not say them.
    pub limits: Limits,
    /// Every setting that can be changed while the server runs.
    pub settings: Vec<Setting>,
}

/// Changes settings, all or none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsUpdateRequest {
    /// What is set, and to what.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<SettingKey, SettingValue>,
    /// What is as it was before anybody set it while the server ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unset: Vec<SettingKey>,
}
