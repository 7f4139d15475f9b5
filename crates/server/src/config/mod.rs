//! What the operator sets: `<data>/config.toml`, and over it the environment (`SANDBAR_<SECTION>_<KEY>`).
//!
//! Every setting has a default, so an empty file is a whole one. What is not understood is refused when the server
//! starts, with its line or the name of the variable; nothing is ignored, and nothing is half-taken.
//! `docs/operations.md` lists every setting; a test compares.

mod environment;
mod network;
mod origin;
mod telemetry;
mod value;
mod webhooks;

use std::{
    fmt, fs, io,
    net::IpAddr,
    num::NonZeroU16,
    path::{Path, PathBuf},
    str::FromStr,
};

use sandbar_api::{SettingKey, SettingValue};
use sandbar_engine::EngineSettings;
use sandbar_proxy::preview::{AccessKey, PreviewConfig, PreviewDomain, Scheme};
use serde::{Deserialize, Serialize};
use tracing_subscriber::filter;

pub(crate) use self::{
    network::Network, origin::Origin, telemetry::Telemetry, value::Text, webhooks::Webhooks,
};
use self::{
    origin::Origins,
    value::{Idle, Interval, Kept, Patience},
};
use crate::{LogFormat, TcpListen, logging};

/// The file, below the data directory.
const FILE: &str = "config.toml";
const DAY_MS: u64 = 86_400_000;

/// Everything that an operator can set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub(crate) server: ServerSection,
    pub(crate) preview: PreviewSection,
    pub(crate) network: Network,
    pub(crate) sandbox: SandboxSection,
    pub(crate) retention: RetentionSection,
    pub(crate) upkeep: UpkeepSection,
    pub(crate) limits: LimitsSection,
    pub(crate) task: TaskSection,
    pub(crate) webhooks: Webhooks,
    pub(crate) telemetry: Telemetry,
    /// Who said what of it.
    #[serde(skip)]
    origins: Origins,
}

/// `[server]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ServerSection {
    /// Where to listen on TCP.
    pub(crate) listen: Text<TcpListen>,
    /// How log lines look.
    pub(crate) log_format: LogFormat,
    /// What is logged.
    pub(crate) log_filter: Text<LogFilter>,
    /// Requests in a minute of each user and each key, where the quota of the tenant says nothing; 0: without end.
    pub(crate) requests_per_minute: u32,
}

/// `[preview]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PreviewSection {
    /// Previews are at `<port>-<sandbox>.preview.<domain>`.
    pub(crate) domain: Text<PreviewDomain>,
    /// How browsers reach them.
    pub(crate) scheme: Scheme,
    /// The port that browsers reach them on; that of the listener where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<NonZeroU16>,
    /// Proxies of the operator, whose `X-Forwarded-*` is believed.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    /// How long a person waits until the page is shown that says that the sandbox wakes.
    pub(crate) browser_patience: Patience,
    /// How long a program's request is held while the sandbox wakes.
    pub(crate) program_patience: Patience,
}

/// `[sandbox]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SandboxSection {
    /// Sandboxes that live at once, the stopped ones included.
    max: u32,
    /// How long a stop waits before it kills.
    stop_grace: Patience,
    /// How long an app may go unused before its sandbox sleeps.
    app_idle_timeout: Idle,
    /// How far ahead a keep-alive may reach.
    keepalive_max: Idle,
}

/// `[retention]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RetentionSection {
    /// How long the history of a deleted sandbox is kept.
    history: Kept,
    /// How long events are kept, also of sandboxes that live on.
    events: Kept,
    /// How long lines of the audit log are kept.
    audit: Kept,
    /// How long an idempotency key is remembered.
    idempotency_keys: Kept,
    /// How long an exec that ended is kept, with its log.
    execs: Kept,
    /// How long a stopped sandbox without changes is kept; until somebody deletes it where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<Kept>,
}

/// `[upkeep]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UpkeepSection {
    /// How often the host is compared with the store.
    reconcile_interval: Interval,
    /// How often upper layers are measured.
    size_interval: Interval,
}

/// `[task]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TaskSection {
    /// How long a question of an agent waits for a person.
    question_deadline: Idle,
}

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LimitsSection {
    /// What all sandboxes may hold on disk together; as much as there is where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_disk_bytes: Option<u64>,
    /// What must be free in the data directory for a new sandbox.
    free_disk_bytes_min: u64,
    /// What is free when sandboxes that run are told that it is little.
    free_disk_bytes_low: u64,
    /// What the server holds in reserve for itself.
    reserve_disk_bytes: u64,
}

impl Default for TaskSection {
    fn default() -> Self {
        Self { question_deadline: Idle::of(60 * 60_000) }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            total_disk_bytes: None,
            free_disk_bytes_min: 256 << 20,
            free_disk_bytes_low: 1 << 30,
            reserve_disk_bytes: 64 << 20,
        }
    }
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: Text(TcpListen::Usual),
            log_format: LogFormat::Auto,
            log_filter: Text(LogFilter("info".to_owned())),
            requests_per_minute: 0,
        }
    }
}

impl Default for PreviewSection {
    fn default() -> Self {
        Self {
            domain: Text(PreviewDomain::default()),
            scheme: Scheme::Http,
            port: None,
            trusted_proxies: Vec::new(),
            // A resume from pause takes less, and then no page flashes.
            browser_patience: Patience::of(300),
            program_patience: Patience::of(60_000),
        }
    }
}

impl PreviewSection {
    pub(crate) fn config(&self, key: AccessKey) -> PreviewConfig {
        PreviewConfig {
            scheme: self.scheme,
            trusted: self.trusted_proxies.clone(),
            browser_patience: self.browser_patience.get(),
            program_patience: self.program_patience.get(),
            ..PreviewConfig::new(self.domain.0.clone(), key)
        }
    }
}

impl Default for SandboxSection {
    fn default() -> Self {
        Self {
            max: 1000,
            stop_grace: Patience::of(10_000),
            app_idle_timeout: Idle::of(35 * 60_000),
            keepalive_max: Idle::of(DAY_MS),
        }
    }
}

impl Default for RetentionSection {
    fn default() -> Self {
        Self {
            history: Kept::of(30 * DAY_MS),
            events: Kept::of(90 * DAY_MS),
            audit: Kept::of(365 * DAY_MS),
            idempotency_keys: Kept::of(7 * DAY_MS),
            execs: Kept::of(30 * DAY_MS),
            stopped: None,
        }
    }
}

impl Default for UpkeepSection {
    fn default() -> Self {
        Self { reconcile_interval: Interval::of(60_000), size_interval: Interval::of(3_000) }
    }
}

/// What is logged, in the syntax of `tracing_subscriber::EnvFilter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter(pub(crate) String);

impl FromStr for LogFilter {
    type Err = filter::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        tracing_subscriber::EnvFilter::try_new(text).map(|_readable| Self(text.to_owned()))
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why the configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It is no TOML, has a field that does not exist, or a value that cannot be; the source has line and column.
    #[error("{path} is not understood", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A variable of the environment cannot be used.
    #[error("the variable {name} is not understood: {what}")]
    Variable {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
}

impl Config {
    /// Reads the file of `data_dir`, and over it the variables that begin with `SANDBAR_` and the name of a section.
    /// Without a file, the defaults.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(
        data_dir: &Path,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let path = data_dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigError::File { path, source }),
        };
        let malformed =
            |source| ConfigError::Malformed { path: path.clone(), source: Box::new(source) };
        // First by itself, so that what is wrong with it has its line.
        let _file: Self = toml::from_str(&text).map_err(malformed)?;
        let mut table = toml::from_str(&text).map_err(malformed)?;
        let mut origins = Origins::of_file(&table);
        for (name, value) in variables {
            if let Some(key) = environment::set(&mut table, &name, &value)? {
                origins.set(key, Origin::Environment { variable: name });
            }
        }
        Self::deserialize(table).map(|config| Self { origins, ..config }).map_err(malformed)
    }

    /// Everything that holds, as a file that says it.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every section is a table of plain values")
    }

    /// As it is, but listening there.
    #[must_use]
    pub fn with_listen(mut self, listen: TcpListen) -> Self {
        self.server.listen = Text(listen);
        self
    }

    /// As it is, but logging that.
    ///
    /// # Errors
    /// It is no filter.
    pub fn with_log_filter(mut self, filter: &str) -> Result<Self, ConfigError> {
        let parsed: LogFilter = filter.parse().map_err(|error: filter::ParseError| {
            ConfigError::Variable { name: "--log".to_owned(), what: error.to_string() }
        })?;
        self.server.log_filter = Text(parsed);
        self.origins.set(SettingKey::ServerLogFilter.to_string(), Origin::CommandLine);
        Ok(self)
    }

    /// Starts logging, and collecting traces, as it says; a second call changes nothing.
    pub fn start_logging(&self) {
        logging::start(self.server.log_format, &self.server.log_filter.0.0, &self.telemetry);
    }

    pub(crate) const fn listen(&self) -> TcpListen {
        self.server.listen.0
    }

    /// What of it is the engine's.
    pub(crate) fn engine(&self) -> EngineSettings {
        EngineSettings {
            sandboxes_max: self.sandbox.max.into(),
            stop_grace: self.sandbox.stop_grace.get(),
            app_idle_timeout: self.sandbox.app_idle_timeout.get(),
            keepalive_max: self.sandbox.keepalive_max.get(),
            history_ttl: self.retention.history.get(),
            event_ttl: self.retention.events.get(),
            idempotency_ttl: self.retention.idempotency_keys.get(),
            reconcile_interval: self.upkeep.reconcile_interval.get(),
            audit_ttl: self.retention.audit.get(),
            log_ttl: self.retention.execs.get(),
            stopped_ttl: self.retention.stopped.map(Kept::get),
            size_interval: self.upkeep.size_interval.get(),
            total_disk_bytes_max: self.limits.total_disk_bytes,
            free_bytes_min: self.limits.free_disk_bytes_min,
            free_bytes_low: self.limits.free_disk_bytes_low,
            disk_reserve_bytes: self.limits.reserve_disk_bytes,
            question_deadline: self.task.question_deadline.get(),
        }
    }

    /// Who said what `key` is, when the server was started; `None` where nobody did.
    pub(crate) fn origin(&self, key: SettingKey) -> Option<&Origin> {
        self.origins.get(key.as_str())
    }

    /// What `key` is.
    pub(crate) fn value(&self, key: SettingKey) -> SettingValue {
        let (section, key) = split(key);
        let table = toml::Table::try_from(self).expect("every section is a table");
        match table.get(section).and_then(|section| section.get(key)) {
            Some(toml::Value::Integer(number)) => SettingValue::Number(*number),
            Some(toml::Value::String(text)) => SettingValue::Text(text.clone()),
            other => unreachable!("what can be changed is a number or a text, not {other:?}"),
        }
    }

    /// As it is, but with `value` for `key`.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub(crate) fn with(&self, key: SettingKey, value: &SettingValue) -> Result<Self, String> {
        let (section, key) = split(key);
        let value = match value {
            SettingValue::Number(number) => toml::Value::Integer(*number),
            SettingValue::Text(text) => toml::Value::String(text.clone()),
        };
        let mut table = toml::Table::try_from(self).expect("every section is a table");
        if let Some(toml::Value::Table(section)) = table.get_mut(section) {
            section.insert(key.to_owned(), value);
        }
        let read = Self::deserialize(table);
        read.map(|config| Self { origins: self.origins.clone(), ..config })
            .map_err(|error: toml::de::Error| error.message().to_owned())
    }
}

/// The section and the key of a setting.
fn split(key: SettingKey) -> (&'static str, &'static str) {
    key.as_str().split_once('.').expect("the name of a setting has a section")
}

#[cfg(test)]
mod tests;
