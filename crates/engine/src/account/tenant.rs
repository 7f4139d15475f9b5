//! Tenants.

use jiff::Timestamp;
use sandbar_store::{
    TenantRow, tenant_fetch, tenant_find_name, tenant_insert_in_txn, tenant_list,
    tenant_update_in_txn,
};
use sandbar_types::{AccountName, Generation, HostPath, Principal, Quota, TenantId};

use crate::{Engine, Error, ErrorKind, Result, error::require_seen};

/// LIMIT: tenants of one server.
const TENANTS_MAX: usize = 1000;

/// A tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// Its name.
    pub name: AccountName,
    /// What it may have.
    pub quota: Quota,
    /// Below which directories its sources are; `None` for anywhere.
    pub source_roots: Option<Vec<HostPath>>,
    /// Grows with every change.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Tenant {
    fn of(row: TenantRow) -> Self {
        let TenantRow { id, name, quota, source_roots, generation, created_at } = row;
        Self { id, name, quota, source_roots, generation, created_at }
    }
}

/// What a tenant shall be.
#[derive(Debug, Clone)]
pub struct TenantCreateParams {
    /// Its name.
    pub name: AccountName,
    /// What it may have.
    pub quota: Quota,
    /// Below which directories its sources are; none: its workspaces begin empty or from presets.
    pub source_roots: Vec<HostPath>,
}

/// What of a tenant shall be another.
#[derive(Debug, Clone, Default)]
pub struct TenantUpdateParams {
    /// The generation that was seen; `None` for any.
    pub seen: Option<Generation>,
    /// What it may have.
    pub quota: Option<Quota>,
    /// Below which directories its sources are.
    pub source_roots: Option<Vec<HostPath>>,
}

fn not_found(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, "tenant_not_found", format!("there is no tenant `{name}`"))
}

impl Engine {
    /// The tenant that `by` speaks for, or `name`: another one is there for who runs the server only.
    ///
    /// # Errors
    /// `tenant_not_found`.
    pub async fn tenant_resolve(&self, by: &Principal, name: Option<&str>) -> Result<TenantId> {
        let Some(text) = name else { return Ok(by.tenant) };
        let name: AccountName = text.parse().map_err(|_| not_found(text))?;
        let found = tenant_find_name(&mut self.inner.store.read().await?, &name).await?;
        let is_seen = |tenant: &TenantRow| tenant.id == by.tenant || by.is_instance();
        found.filter(is_seen).map(|tenant| tenant.id).ok_or_else(|| not_found(text))
    }

    /// Looks at a tenant.
    ///
    /// # Errors
    /// `tenant_not_found`.
    pub async fn tenant_fetch(&self, id: TenantId) -> Result<Tenant> {
        let found = tenant_fetch(&mut self.inner.store.read().await?, id).await?;
        found.map(Tenant::of).ok_or_else(|| not_found(&id.to_string()))
    }

    /// Lists tenants, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn tenant_list(&self) -> Result<Vec<Tenant>> {
        let rows = tenant_list(&mut self.inner.store.read().await?).await?;
        Ok(rows.into_iter().map(Tenant::of).collect())
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// `account_name_taken`, `limit_reached`.
    pub async fn tenant_create(&self, params: TenantCreateParams) -> Result<Tenant> {
        let row = TenantRow {
            id: TenantId::generate(),
            name: params.name,
            quota: params.quota,
            source_roots: Some(params.source_roots),
            generation: Generation::FIRST,
            created_at: self.now(),
        };
        let mut txn = self.inner.store.begin().await?;
        if tenant_list(&mut txn).await?.len() >= TENANTS_MAX {
            let message = format!("there are {TENANTS_MAX} tenants already");
            return Err(Error::new(ErrorKind::LimitReached, "limit_reached", message));
        }
        if tenant_find_name(&mut txn, &row.name).await?.is_some() {
            let message = format!("there is a tenant `{}` already", row.name);
            return Err(Error::new(ErrorKind::Conflict, "account_name_taken", message));
        }
        tenant_insert_in_txn(&mut txn, &row).await?;
        txn.commit().await?;
        Ok(Tenant::of(row))
    }

    /// Changes what a tenant may have. What it has already stays.
    ///
    /// # Errors
    /// `tenant_not_found`, `stale_generation`.
    pub async fn tenant_update(&self, id: TenantId, params: TenantUpdateParams) -> Result<Tenant> {
        let mut txn = self.inner.store.begin().await?;
        let found = tenant_fetch(&mut txn, id).await?;
        let mut row = found.ok_or_else(|| not_found(&id.to_string()))?;
        require_seen(params.seen, row.generation)?;
        row.generation = row.generation.next();
        row.quota = params.quota.unwrap_or(row.quota);
        row.source_roots = params.source_roots.or(row.source_roots);
        tenant_update_in_txn(&mut txn, &row).await?;
        txn.commit().await?;
        Ok(Tenant::of(row))
    }
}
