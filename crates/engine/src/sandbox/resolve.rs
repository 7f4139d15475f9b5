//! From what somebody types to a sandbox of theirs.

use sandbar_store::tenant_has_sandbox;
use sandbar_types::{SandboxId, TenantId};

use crate::{Engine, Error, ErrorKind, Result};

impl Engine {
    /// Finds a sandbox of `tenant` by its id, its name, or the unique beginning of its id (with or without `sb_`).
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
        let own: Vec<_> = {
            let actors = self.inner.actors();
            actors
                .values()
                .map(|handle| handle.row())
                .filter(|row| row.tenant_id == tenant)
                .collect()
        };
        if let Some(row) = own.iter().find(|row| row.name.as_str() == text) {
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
