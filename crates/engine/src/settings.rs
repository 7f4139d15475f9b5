//! What the operator may change while the engine runs. Everybody reads [`Inner::settings`] when they need one, so a
//! change holds from then on; who waits for long watches.

use std::{collections::BTreeMap, fmt, time::Duration};

use sandbar_store::{SettingRow, setting_list, setting_put_in_txn};
use sandbar_types::{Actor, Generation};
use serde_json::Value;

use crate::{Engine, Result, engine::Inner, error::require_seen};

/// The settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineSettings {
    /// LIMIT: sandboxes that live at once, the stopped ones included.
    pub sandboxes_max: u64,
    /// How long a stop waits before it kills, where the request does not say.
    pub stop_grace: Duration,
    /// How long an app may go unused before its sandbox sleeps, where the sandbox does not say.
    pub app_idle_timeout: Duration,
    /// LIMIT: how far ahead a keep-alive may reach.
    pub keepalive_max: Duration,
    /// How often the host is compared with the store.
    pub reconcile_interval: Duration,
    /// How long an idempotency key is remembered.
    pub idempotency_ttl: Duration,
    /// How long what is left of a deleted sandbox, its history, is kept.
    pub history_ttl: Duration,
    /// How long events are kept, also of sandboxes that live on.
    pub event_ttl: Duration,
    /// How long lines of the audit log are kept.
    pub audit_ttl: Duration,
    /// How long an exec that ended is kept, with its log.
    pub log_ttl: Duration,
    /// How long a stopped sandbox without changes is kept; `None`: until somebody deletes it.
    pub stopped_ttl: Option<Duration>,
    /// How often upper layers are measured.
    pub size_interval: Duration,
    /// LIMIT: bytes that all sandboxes may hold together; `None`: as much as the disk.
    pub total_disk_bytes_max: Option<u64>,
    /// LIMIT: free bytes of the data directory below which no sandbox is made.
    pub free_bytes_min: u64,
    /// Free bytes of the data directory below which those that run are told.
    pub free_bytes_low: u64,
    /// Bytes that the server holds in reserve for itself.
    pub disk_reserve_bytes: u64,
    /// How long a question of an agent waits for a person.
    pub question_deadline: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_hours(24);
        Self {
            sandboxes_max: 1000,
            stop_grace: Duration::from_secs(10),
            app_idle_timeout: Duration::from_mins(35),
            keepalive_max: DAY,
            reconcile_interval: Duration::from_mins(1),
            idempotency_ttl: 7 * DAY,
            history_ttl: 30 * DAY,
            event_ttl: 90 * DAY,
            audit_ttl: 365 * DAY,
            log_ttl: 30 * DAY,
            stopped_ttl: None,
            size_interval: Duration::from_secs(3),
            total_disk_bytes_max: None,
            free_bytes_min: 256 << 20,
            free_bytes_low: 1 << 30,
            disk_reserve_bytes: 64 << 20,
            question_deadline: Duration::from_hours(1),
        }
    }
}

/// Knows what is meant by what was stored.
pub trait SettingsReader: fmt::Debug + Send + Sync + 'static {
    /// What holds from now on. Called when the engine starts, before anything is removed for its age, and after each
    /// change. What it does not understand, it leaves out.
    fn read(&self, stored: &[SettingRow]) -> EngineSettings;
}

/// A change of settings, all or nothing.
#[derive(Debug, Clone)]
pub struct SettingsChange {
    /// Who changes them.
    pub by: Actor,
    /// The generation that was seen; `None` for any.
    pub seen: Option<Generation>,
    /// By name, what each is set to; `None` takes that back.
    pub values: BTreeMap<String, Option<Value>>,
}

/// The generation of all settings together; 0 before the first change.
#[must_use]
pub fn settings_generation(stored: &[SettingRow]) -> Generation {
    stored.iter().map(|row| row.generation).max().unwrap_or(Generation(0))
}

impl Engine {
    /// Stores a change and applies it; what the reader understands of it, it has checked before.
    ///
    /// # Errors
    /// `stale_generation`; the store failed. Nothing is changed then.
    pub async fn settings_change(&self, change: SettingsChange) -> Result<()> {
        let SettingsChange { by, seen, values } = change;
        // Held until it is applied, so that of two changes the later one is applied last.
        let _changing = self.inner.changing_settings.lock().await;
        let mut txn = self.inner.store.begin().await?;
        let generation = settings_generation(&setting_list(&mut txn).await?);
        require_seen(seen, generation)?;
        for (key, value) in values {
            let row = SettingRow {
                key,
                value,
                generation: generation.next(),
                changed_by: by.clone(),
                changed_at: self.now(),
            };
            setting_put_in_txn(&mut txn, &row).await?;
        }
        let stored = setting_list(&mut txn).await?;
        txn.commit().await?;
        if let Some(reader) = &self.inner.config.reader {
            self.inner.settings.send_replace(reader.read(&stored));
        }
        Ok(())
    }
}

impl Inner {
    /// What holds now.
    pub(crate) fn settings(&self) -> EngineSettings {
        *self.settings.borrow()
    }
}
