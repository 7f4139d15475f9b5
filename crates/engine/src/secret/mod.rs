//! Settings and secrets of a sandbox or an app: kept by the server, put into the environment of whom their policy names.
//!
//! A secret is sealed before the store sees it, and nobody can ask for it again: it leaves the server only as a variable
//! of a process inside. Which process, [`sandbar_types::ConfigAccess`] says. What is recorded of a command or of an app,
//! and what is beside the files of the sandbox, is written before the values are added.

mod delivery;
mod keys;
mod model;
mod rotation;

use jiff::Timestamp;
use sandbar_secrets::{ExposeSecret as _, Place};
use sandbar_store::{
    ConfigItemRow, ConfigKey, Reads, WriteTxn, config_fetch, config_list, config_put_in_txn,
    config_remove_in_txn, event_insert_of_sandbox_in_txn, sandbox_fetch, sandbox_fetch_current,
};
use sandbar_types::{
    EnvName, Generation, ProcessName, ProcessState, SandboxId, SandboxState, TenantId,
};

pub(crate) use self::{
    delivery::{of_agent, of_runtime},
    keys::{Keys, Ring, open},
    rotation::resume,
};
pub use self::{
    model::{
        AfterChange, ConfigChanged, ConfigCreateParams, ConfigItem, ConfigScope,
        ConfigUpdateParams, ConfigWhich, SecretString, expose,
    },
    rotation::Rotation,
};
use crate::{
    Engine, Error, ErrorKind, Result, app, error::require_seen, event::EventPayload, processes,
};

/// LIMIT: items of one sandbox or app.
const ITEMS_MAX: usize = 256;
/// LIMIT: bytes of a value; the kernel takes twice that in one variable.
const VALUE_BYTES_MAX: usize = 64 << 10;

fn not_found(scope: ConfigScope, key: &EnvName) -> Error {
    let message = format!("the {} has no setting or secret `{key}`", scope.noun());
    Error::new(ErrorKind::NotFound, "config_not_found", message)
        .hint("`sandbar secret ls` lists them")
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Invalid, "invalid_value", message)
}

fn check(value: &SecretString) -> Result<()> {
    let value = value.expose_secret();
    if value.contains('\0') {
        return Err(invalid("a value holds no NUL byte"));
    }
    if value.len() > VALUE_BYTES_MAX {
        return Err(invalid(format!("a value is at most {VALUE_BYTES_MAX} bytes long")));
    }
    Ok(())
}

impl Engine {
    /// Lists what a sandbox or an app has, by name; of secrets everything but the value.
    ///
    /// # Errors
    /// `sandbox_not_found`, `app_not_found`.
    pub async fn config_list(&self, scope: impl Into<ConfigScope>) -> Result<Vec<ConfigItem>> {
        let scope = scope.into();
        let mut conn = self.inner.store.read().await?;
        let tenant = owner(&mut conn, scope).await?;
        let rows = config_list(&mut conn, tenant, &scope.id()).await?;
        Ok(rows.into_iter().map(ConfigItem::of).collect())
    }

    /// Gives a sandbox or an app a setting or a secret.
    ///
    /// # Errors
    /// `sandbox_not_found`, `app_not_found`, `config_exists`, `limit_reached`, `invalid_value`, `secrets_key_unusable`.
    pub async fn config_create(
        &self,
        scope: impl Into<ConfigScope>,
        params: ConfigCreateParams,
        after: AfterChange,
    ) -> Result<ConfigChanged> {
        let scope = scope.into();
        check(&params.value)?;
        let ring = self.inner.secrets.to_seal(&self.inner.store, params.is_sensitive).await?;
        let mut txn = self.inner.store.begin().await?;
        let tenant = owner(&mut txn, scope).await?;
        let there = config_list(&mut txn, tenant, &scope.id()).await?;
        if there.iter().any(|row| row.at.key == params.key) {
            let message = format!("the {} has `{}` already", scope.noun(), params.key);
            return Err(Error::new(ErrorKind::Conflict, "config_exists", message)
                .hint("change it: `PATCH …/config/{key}`, or `sandbar secret set`"));
        }
        if there.len() >= ITEMS_MAX {
            let message = format!(
                "there are at most {ITEMS_MAX} settings and secrets of one {}",
                scope.noun()
            );
            return Err(Error::new(ErrorKind::LimitReached, "limit_reached", message)
                .hint("remove some: `sandbar secret rm`"));
        }
        let now = self.now();
        let mut row = ConfigItemRow {
            at: ConfigKey { tenant_id: tenant, scope_id: scope.id(), key: params.key },
            sealed: None,
            plain: None,
            access: params.access,
            value_version: 1,
            generation: Generation::FIRST,
            created_at: now,
            updated_at: now,
        };
        put_value(&mut row, keyring(ring.as_ref()), &params.value);
        config_put_in_txn(&mut txn, &row).await?;
        self.commit(txn, scope, &row.at.key).await?;
        drop(ring);
        let stale_processes = self.settle(scope, row.access.reaches_runtime(), after).await?;
        Ok(ConfigChanged { item: ConfigItem::of(row), stale_processes })
    }

    /// Changes a value, who gets it, or both. Without a value, the one that is there stays as it is.
    ///
    /// # Errors
    /// `sandbox_not_found`, `app_not_found`, `config_not_found`, `stale_generation`, `invalid_value`, `secrets_key_unusable`.
    pub async fn config_update(
        &self,
        which: ConfigWhich,
        params: ConfigUpdateParams,
        after: AfterChange,
    ) -> Result<ConfigChanged> {
        params.value.as_ref().map_or(Ok(()), check)?;
        let seals = params.is_sensitive != Some(false)
            && (params.value.is_some() || params.is_sensitive == Some(true));
        let ring = self.inner.secrets.to_seal(&self.inner.store, seals).await?;
        let mut txn = self.inner.store.begin().await?;
        let before = fetch(&mut txn, &which).await?;
        let mut row = before.clone();
        let is_sensitive = params.is_sensitive.unwrap_or(before.sealed.is_some());
        row.access = params.access.unwrap_or(before.access);
        match (params.value, before.plain) {
            (Some(value), _) => {
                row.value_version += 1;
                put_value(&mut row, keyring(ring.as_ref()).filter(|_| is_sensitive), &value);
            }
            (None, Some(plain)) if is_sensitive => {
                put_value(&mut row, keyring(ring.as_ref()), &SecretString::from(plain));
            }
            (None, None) if !is_sensitive => {
                return Err(invalid("what was a secret is shown to nobody: give a new value")
                    .hint("send `value` together with `is_sensitive: false`"));
            }
            (None, Some(_) | None) => {}
        }
        row.generation = before.generation.next();
        row.updated_at = self.now();
        config_put_in_txn(&mut txn, &row).await?;
        self.commit(txn, which.scope, &which.key).await?;
        drop(ring);
        let reaches = before.access.reaches_runtime() || row.access.reaches_runtime();
        let stale_processes = self.settle(which.scope, reaches, after).await?;
        Ok(ConfigChanged { item: ConfigItem::of(row), stale_processes })
    }

    /// Removes one, and returns the processes that run on with it.
    ///
    /// # Errors
    /// `sandbox_not_found`, `app_not_found`, `config_not_found`, `stale_generation`.
    pub async fn config_remove(
        &self,
        which: ConfigWhich,
        after: AfterChange,
    ) -> Result<Vec<ProcessName>> {
        let mut txn = self.inner.store.begin().await?;
        let row = fetch(&mut txn, &which).await?;
        config_remove_in_txn(&mut txn, &row.at).await?;
        self.commit(txn, which.scope, &which.key).await?;
        self.settle(which.scope, row.access.reaches_runtime(), after).await
    }

    async fn commit(&self, mut txn: WriteTxn, scope: ConfigScope, key: &EnvName) -> Result<()> {
        let payload = EventPayload::ConfigChanged { key: key.clone() };
        let event = match scope {
            ConfigScope::Sandbox(id) => {
                let payload = payload.to_value();
                event_insert_of_sandbox_in_txn(&mut txn, id, self.now(), &payload).await?
            }
            ConfigScope::App(app) => {
                self.inner.app_event_in_txn(&mut txn, (app, None), &payload).await?
            }
        };
        txn.commit().await?;
        self.inner.event_written(event);
        Ok(())
    }

    /// Restarts the processes of whom it concerns, where that was asked for and they have the value; returns those that
    /// still have the old one.
    async fn settle(
        &self,
        scope: ConfigScope,
        reaches_runtime: bool,
        after: AfterChange,
    ) -> Result<Vec<ProcessName>> {
        if !reaches_runtime {
            return Ok(Vec::new());
        }
        let id = match scope {
            ConfigScope::Sandbox(id) => id,
            ConfigScope::App(app) => {
                let mut conn = self.inner.store.read().await?;
                match sandbox_fetch_current(&mut conn, app.id).await? {
                    Some(row) => row.id,
                    None => return Ok(Vec::new()),
                }
            }
        };
        self.renew(id, after).await
    }

    async fn renew(&self, id: SandboxId, after: AfterChange) -> Result<Vec<ProcessName>> {
        let handle = self.inner.actor(id)?;
        if !is_alive(&handle.row().state) {
            return Ok(Vec::new());
        }
        let is_stale = match after {
            AfterChange::RunOn => true,
            // The change is made, whatever becomes of the app: the answer says that it runs with the old one.
            AfterChange::Restart => {
                let renewed = processes::renew(&self.inner, &handle, id).await;
                if let Err(err) = &renewed {
                    tracing::warn!(sandbox.id = %id, error = err as &dyn std::error::Error, "an app could not be restarted");
                }
                renewed.is_err()
            }
        };
        let app = handle.app.app();
        let runs =
            app.processes.iter().filter(|_| is_stale).filter(|process| match process.state {
                ProcessState::Waiting { .. }
                | ProcessState::Starting
                | ProcessState::Running
                | ProcessState::Ready
                | ProcessState::Unhealthy { .. }
                | ProcessState::BackingOff { .. }
                | ProcessState::Stopping => true,
                ProcessState::Stopped | ProcessState::Exited | ProcessState::GivenUp { .. } => {
                    false
                }
            });
        Ok(runs.map(|process| process.name.clone()).collect())
    }
}

const fn is_alive(state: &SandboxState) -> bool {
    match state {
        SandboxState::Running | SandboxState::Paused => true,
        SandboxState::Creating
        | SandboxState::Stopping
        | SandboxState::Stopped
        | SandboxState::Failed { .. }
        | SandboxState::Deleting => false,
    }
}

/// The tenant of a sandbox or an app that is not deleted: what it owns goes with it, so nothing may come after.
async fn owner(conn: &mut impl Reads, scope: ConfigScope) -> Result<TenantId> {
    match scope {
        ConfigScope::Sandbox(id) => {
            let found = sandbox_fetch(conn, id).await?.filter(|row| row.deleted_at.is_none());
            found.map(|row| row.tenant_id).ok_or_else(|| {
                let message = format!("there is no sandbox {id}");
                Error::new(ErrorKind::NotFound, "sandbox_not_found", message)
            })
        }
        ConfigScope::App(app) => Ok(app::fetch(conn, app).await?.tenant_id),
    }
}

async fn fetch(txn: &mut WriteTxn, which: &ConfigWhich) -> Result<ConfigItemRow> {
    let tenant_id = owner(txn, which.scope).await?;
    let at = ConfigKey { tenant_id, scope_id: which.scope.id(), key: which.key.clone() };
    let row = config_fetch(txn, &at).await?.ok_or_else(|| not_found(which.scope, &which.key))?;
    require_seen(which.generation, row.generation)?;
    Ok(row)
}

fn keyring<'a>(ring: Option<&'a keys::Ring<'_>>) -> Option<&'a sandbar_secrets::Keyring> {
    ring.and_then(|ring| ring.as_ref())
}

/// The same item for another owner: a secret is sealed again, for its new place.
pub(crate) fn copy(
    ring: Option<&sandbar_secrets::Keyring>,
    item: ConfigItemRow,
    (scope_id, now): (&str, Timestamp),
) -> Result<ConfigItemRow> {
    let secret = item.sealed.as_ref().map(|_| keys::open(ring, &item)).transpose()?;
    let mut copy = ConfigItemRow {
        at: ConfigKey { scope_id: scope_id.to_owned(), ..item.at },
        sealed: None,
        plain: item.plain,
        access: item.access,
        value_version: 1,
        generation: Generation::FIRST,
        created_at: now,
        updated_at: now,
    };
    if let Some(secret) = secret {
        put_value(&mut copy, ring, &secret);
    }
    Ok(copy)
}

/// Seals a value where there are keys to seal it with; else it is one that may be read.
pub(crate) fn put_value(
    row: &mut ConfigItemRow,
    ring: Option<&sandbar_secrets::Keyring>,
    value: &SecretString,
) {
    row.sealed = ring.map(|ring| with_place(row, |place| ring.seal(place, value)).into_bytes());
    row.plain = ring.is_none().then(|| value.expose_secret().to_owned());
}

/// Calls `call` with what the secret of `row` is sealed for.
fn with_place<T>(row: &ConfigItemRow, call: impl FnOnce(&Place<'_>) -> T) -> T {
    call(&Place {
        tenant: &row.at.tenant_id.to_string(),
        scope: &row.at.scope_id,
        name: row.at.key.as_str(),
        version: row.value_version,
    })
}
