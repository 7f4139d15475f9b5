//! From what somebody types to a sandbox of theirs.

use std::sync::Arc;

use sandbar_store::{SandboxRow, sandbox_fetch_current, tenant_has_sandbox};
use sandbar_types::{SandboxId, SandboxName, TenantId};

use super::Sandbox;
use crate::{Engine, Error, ErrorKind, Result, app};

impl Engine {
    /// Finds a sandbox of `tenant` by its id, its name, the id or name of the app that it is current of, or the unique
    /// beginning of its id (with or without `sb_`). A sandbox's own name wins, unless its app has the same name and has
    /// replaced it.
    ///
    /// The one gate between tenants: what another tenant has is answered exactly as what nobody has. An id of one that
    /// was deleted is found, for its history.
    ///
    /// # Errors
    /// `sandbox_not_found`, `ambiguous_id` (with the candidates).
    pub async fn sandbox_resolve(&self, tenant: TenantId, text: &str) -> Result<SandboxId> {
        if let Ok(id) = text.parse() {
            return self.resolve_id(tenant, id).await;
        }
        let own = self.own(tenant);
        let named = own.iter().find(|row| row.name.as_str() == text);
        match named {
            Some(row) if row.app_id.is_none() => return Ok(row.id),
            Some(row) => {
                let of_app = self.current_of_app(tenant, text).await;
                return Ok(of_app
                    .ok()
                    .flatten()
                    .filter(|now| now.app_id == row.app_id)
                    .map_or(row.id, |now| now.id));
            }
            None => {}
        }
        if let Some(row) = self.current_of_app(tenant, text).await? {
            return Ok(row.id);
        }
        let digits = text.strip_prefix(SandboxId::PREFIX).unwrap_or(text);
        let matches: Vec<SandboxId> = own
            .iter()
            .map(|row| row.id)
            .filter(|id| {
                !digits.is_empty() && id.to_string()[SandboxId::PREFIX.len()..].starts_with(digits)
            })
            .collect();
        match matches.as_slice() {
            [id] => Ok(*id),
            [] => Err(unknown(text)),
            [_, _, ..] => Err(Error::new(
                ErrorKind::Conflict,
                "ambiguous_id",
                format!("`{text}` begins several ids"),
            )
            .hint("type more of the id, or the name")
            .details(&serde_json::json!({ "candidates": matches }))),
        }
    }

    /// Finds the living sandbox of `tenant` that has `name`.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub fn sandbox_named(&self, tenant: TenantId, name: &SandboxName) -> Result<Sandbox> {
        let found = self.own(tenant).into_iter().find(|row| row.name == *name);
        found.map(|row| Sandbox::of(&row)).ok_or_else(|| unknown(name.as_str()))
    }

    fn own(&self, tenant: TenantId) -> Vec<Arc<SandboxRow>> {
        let actors = self.inner.actors();
        actors.values().map(|handle| handle.row()).filter(|row| row.tenant_id == tenant).collect()
    }

    /// The sandbox that the app which `text` names is about; `None` where it names none.
    async fn current_of_app(&self, tenant: TenantId, text: &str) -> Result<Option<SandboxRow>> {
        let mut conn = self.inner.store.read().await?;
        let Some(app) = app::find(&mut conn, tenant, text).await? else { return Ok(None) };
        let current = sandbox_fetch_current(&mut conn, app.id).await?;
        current.map(Some).ok_or_else(|| app::has_none(&app.name))
    }

    async fn resolve_id(&self, tenant: TenantId, id: SandboxId) -> Result<SandboxId> {
        let living = self.inner.actors().get(&id).map(|handle| handle.row().tenant_id);
        if living == Some(tenant) {
            return Ok(id);
        }
        // Asked for a foreign one as for one that never was, so that neither body nor time tells them apart.
        let mut conn = self.inner.store.read().await?;
        let was_own = tenant_has_sandbox(&mut conn, tenant, id).await?;
        if was_own { Ok(id) } else { Err(unknown(&id.to_string())) }
    }
}

fn unknown(text: &str) -> Error {
    Error::new(ErrorKind::NotFound, "sandbox_not_found", format!("there is no sandbox `{text}`"))
        .hint("`sandbar ls` lists them")
}
