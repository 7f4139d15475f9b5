//! Into the environment of processes inside, at the last moment: what is recorded of them has no values.

use std::collections::BTreeMap;

use sandbar_secrets::ExposeSecret as _;
use sandbar_store::{ConfigItemRow, config_list};
use sandbar_types::{AppSpec, ConfigAccess, EnvName, ExecSpec, SandboxId, TenantId};
use serde::Serialize;

use super::keys;
use crate::{Error, ErrorKind, Result, credential, engine::Inner};

/// LIMIT: bytes of what a supervisor is told at once, below its own limit of one frame.
const TOLD_BYTES_MAX: usize = 960 << 10;

/// A command with what it gets. What the request itself sets, wins.
pub(crate) async fn of_agent(
    inner: &Inner,
    (tenant, id): (TenantId, SandboxId),
    spec: &ExecSpec,
) -> Result<ExecSpec> {
    let mut spec = spec.clone();
    let mut values = values(inner, (tenant, id), ConfigAccess::reaches_agent).await?;
    for (name, placeholder) in credential::placeholders(inner, id).await? {
        values.entry(name).or_insert(placeholder);
    }
    if values.is_empty() {
        return Ok(spec);
    }
    for (name, value) in values {
        spec.env.entry(name).or_insert(value);
    }
    require_sendable(&spec)?;
    Ok(spec)
}

/// An app with what its processes get. It wins over the manifest, whose values are those of the project.
pub(crate) async fn of_runtime(
    inner: &Inner,
    (tenant, id): (TenantId, SandboxId),
    spec: &AppSpec,
) -> Result<AppSpec> {
    let mut spec = spec.clone();
    let values = values(inner, (tenant, id), ConfigAccess::reaches_runtime).await?;
    for (name, placeholder) in credential::placeholders(inner, id).await? {
        for process in &mut spec.processes {
            process.env.entry(name.clone()).or_insert_with(|| placeholder.clone());
        }
    }
    if values.is_empty() {
        return Ok(spec);
    }
    for process in &mut spec.processes {
        process.env.extend(values.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    require_sendable(&spec)?;
    Ok(spec)
}

/// What there is for a sandbox: what its app has, and over it what it has itself, whomever that reaches.
async fn rows(inner: &Inner, tenant: TenantId, id: SandboxId) -> Result<Vec<ConfigItemRow>> {
    let app = inner.actors().get(&id).and_then(|handle| handle.row().app_id);
    let scopes = [app.map(|app| app.to_string()), Some(id.to_string())];
    let mut conn = inner.store.read().await?;
    let mut by_key = BTreeMap::new();
    for scope in scopes.into_iter().flatten() {
        let found = config_list(&mut conn, tenant, &scope).await?;
        by_key.extend(found.into_iter().map(|row| (row.at.key.clone(), row)));
    }
    Ok(by_key.into_values().collect())
}

async fn values(
    inner: &Inner,
    (tenant, id): (TenantId, SandboxId),
    reaches: fn(ConfigAccess) -> bool,
) -> Result<BTreeMap<EnvName, String>> {
    let mut found = rows(inner, tenant, id).await?;
    found.retain(|row| reaches(row.access));
    if found.iter().all(|row| row.sealed.is_none()) {
        return Ok(found.into_iter().filter_map(plain).collect());
    }
    // The keys first, then the rows: a rotation in between would seal them with another one.
    let ring = inner.secrets.to_open().await?;
    let mut found = rows(inner, tenant, id).await?;
    found.retain(|row| reaches(row.access));
    let mut values = BTreeMap::new();
    for row in found {
        if row.sealed.is_some() {
            let value = keys::open(ring.as_ref(), &row)?;
            values.insert(row.at.key, value.expose_secret().to_owned());
        } else {
            values.extend(plain(row));
        }
    }
    Ok(values)
}

fn plain(row: ConfigItemRow) -> Option<(EnvName, String)> {
    Some((row.at.key, row.plain?))
}

fn require_sendable(spec: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(spec).map_err(Error::internal)?.len();
    if bytes <= TOLD_BYTES_MAX {
        return Ok(());
    }
    let message = "the settings and secrets are too much for the environment of what is started";
    Err(Error::new(ErrorKind::LimitReached, "limit_reached", message)
        .hint("each process gets a copy of them all; put what is large into files")
        .details(&serde_json::json!({ "limit": "environment_bytes", "value": TOLD_BYTES_MAX })))
}
