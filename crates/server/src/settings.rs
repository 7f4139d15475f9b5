//! What holds: what was said when the server was started, and where nobody said anything, what was changed since.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use sandbar_api::{
    ErrorCode, Setting, SettingKey, SettingSource, SettingValue, SettingsUpdateRequest,
};
use sandbar_engine::{EngineSettings, SettingRow, SettingsReader, settings_generation};
use sandbar_types::Generation;
use serde_json::Value;

use crate::{
    config::{Config, Origin},
    error::ApiError,
    logging,
};

/// The settings of a server that runs. The engine reads by it what is its own.
#[derive(Debug)]
pub(crate) struct Settings {
    /// As the server was started.
    given: Config,
    now: RwLock<Arc<Now>>,
}

/// What holds at one moment.
#[derive(Debug)]
pub(crate) struct Now {
    /// Everything.
    pub(crate) config: Config,
    /// What was changed, by name.
    changed: BTreeMap<SettingKey, SettingRow>,
    /// Counts the changes.
    pub(crate) generation: Generation,
}

impl SettingsReader for Settings {
    fn read(&self, stored: &[SettingRow]) -> EngineSettings {
        let mut config = self.given.clone();
        let mut changed = BTreeMap::new();
        for row in stored {
            let Ok(key) = row.key.parse::<SettingKey>() else {
                tracing::warn!(setting = row.key, "a stored setting is unknown; it is left out");
                continue;
            };
            changed.insert(key, row.clone());
            let Some(value) = &row.value else { continue };
            if self.given.origin(key).is_some() {
                tracing::info!(
                    setting = row.key,
                    "a stored setting is left out: it was said when the server was started"
                );
                continue;
            }
            let read = serde_json::from_value(value.clone()).map_err(|error| error.to_string());
            match read.and_then(|value: SettingValue| config.with(key, &value)) {
                Ok(with) => config = with,
                Err(error) => tracing::warn!(
                    setting = row.key,
                    error,
                    "a stored setting is not understood; it is left out"
                ),
            }
        }
        logging::set_filter(&config.server.log_filter.0.0);
        let engine = config.engine();
        let now = Now { config, changed, generation: settings_generation(stored) };
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(now);
        engine
    }
}

impl Settings {
    /// Before the engine has read what was stored.
    pub(crate) fn new(given: Config) -> Self {
        let now = Now {
            config: given.clone(),
            changed: BTreeMap::new(),
            generation: settings_generation(&[]),
        };
        Self { given, now: RwLock::new(Arc::new(now)) }
    }

    /// What holds now.
    pub(crate) fn now(&self) -> Arc<Now> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks a change: each value can be one, and nothing of it was said when the server was started.
    pub(crate) fn check(
        &self,
        request: SettingsUpdateRequest,
    ) -> Result<BTreeMap<String, Option<Value>>, ApiError> {
        let SettingsUpdateRequest { set, unset } = request;
        if let Some(key) = unset.iter().find(|key| set.contains_key(key)) {
            let message = format!("`{key}` cannot be set and taken back at once");
            return Err(ApiError::new(ErrorCode::InvalidRequest, message));
        }
        let set = set.into_iter().map(|(key, value)| (key, Some(value)));
        let change = set.chain(unset.into_iter().map(|key| (key, None)));
        let checked = change.map(|(key, value)| {
            if let Some(origin) = self.given.origin(key) {
                let message = format!("`{key}` is set {origin}");
                return Err(ApiError::new(ErrorCode::SettingFixed, message)
                    .hint("take it out there, and start the server again")
                    .details(serde_json::json!({ "setting": key })));
            }
            let Some(value) = value else { return Ok((key.to_string(), None)) };
            // As the setting shows it, which may be another spelling than was sent.
            let with = self.given.with(key, &value).map_err(|error| {
                ApiError::new(ErrorCode::InvalidValue, format!("`{key}`: {error}"))
                    .details(serde_json::json!({ "setting": key }))
            })?;
            let value =
                serde_json::to_value(with.value(key)).map_err(|e| ApiError::internal(&e))?;
            Ok((key.to_string(), Some(value)))
        });
        checked.collect()
    }

    /// Every setting that may be changed.
    pub(crate) fn list(&self) -> Vec<Setting> {
        let (now, default) = (self.now(), Config::default());
        let one = |&key: &SettingKey| {
            let origin = self.given.origin(key);
            let changed = now.changed.get(&key);
            let source = match origin {
                Some(Origin::File) => SettingSource::File,
                Some(Origin::Environment { .. }) => SettingSource::Environment,
                Some(Origin::CommandLine) => SettingSource::CommandLine,
                None if changed.is_some_and(|row| row.value.is_some()) => SettingSource::Stored,
                None => SettingSource::Default,
            };
            Setting {
                key,
                value: now.config.value(key),
                default: default.value(key),
                source,
                is_editable: origin.is_none(),
                changed_by: changed.map(|row| row.changed_by.clone()),
                changed_at: changed.map(|row| row.changed_at),
            }
        };
        SettingKey::ALL.iter().map(one).collect()
    }
}
