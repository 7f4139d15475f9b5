//! Secrets that are put into requests of sandboxes on their way out, and never into a sandbox.
//!
//! What is kept of one is sealed like every secret, as items of the configuration whose scope is the credential. Inside
//! there is a placeholder, which is worth nothing. [`wire`] hands the values to the way out of a sandbox, and to nobody
//! else; [`trust`] has the programs inside believe who ends their connections.

mod agents;
mod changes;
mod model;
mod renewal;
mod stand_in;
mod trust;
mod values;
mod why;
mod wire;

use sandbar_store::{
    CredentialRow, Reads, Update, WriteTxn, credential_fetch, credential_insert_in_txn,
    credential_list, credential_list_of_scope, credential_remove_in_txn, credential_update_in_txn,
    sandbox_fetch,
};
use sandbar_types::{CredentialId, Generation, InjectionRule, InvalidRule, TenantId};

pub(crate) use self::{
    agents::of_agent,
    changes::Changes,
    stand_in::stand_in,
    trust::prepare,
    wire::{begin, bound, placeholders},
};
pub use self::{
    agents::{KnownAgent, Login},
    model::{
        CredentialCreateParams, CredentialScope, CredentialUpdateParams, CredentialWhich,
        EgressCredential,
    },
    renewal::{Renewal, RenewalParams, TokenAnswer, TokenBody, TokenRequest},
    trust::Trust,
    why::{CredentialWhy, WhyRequest},
    wire::{RenewalAsk, Wire, WireCredential, WireRenewal, WireTold},
};
use self::{renewal::RenewalSecrets, values::Part};
use crate::{Engine, Error, ErrorKind, Result, error::require_seen};

/// LIMIT: credentials of one tenant, app or sandbox.
const CREDENTIALS_MAX: usize = 64;

fn not_found() -> Error {
    Error::new(ErrorKind::NotFound, "credential_not_found", "there is no such credential")
        .hint("`GET /v1/credentials` lists them")
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Invalid, "invalid_value", message)
}

/// Returns rules as they are kept.
fn checked(rules: Vec<InjectionRule>) -> Result<Vec<InjectionRule>> {
    if rules.is_empty() || rules.len() > InjectionRule::MAX {
        return Err(invalid(format!("a credential has 1 to {} rules", InjectionRule::MAX)));
    }
    let refused =
        |why: InvalidRule| Error::new(ErrorKind::Invalid, "invalid_rule", why.to_string());
    rules.into_iter().map(|rule| rule.checked().map_err(refused)).collect()
}

impl Engine {
    /// Keeps a credential.
    ///
    /// # Errors
    /// `credential_exists`, `invalid_rule`, `invalid_value`, `limit_reached`, `sandbox_not_found`, `app_not_found`,
    /// `secrets_key_unusable`.
    pub async fn credential_create(
        &self,
        tenant: TenantId,
        params: CredentialCreateParams,
    ) -> Result<EgressCredential> {
        let params = agents::complete(params)?;
        let rules = checked(params.rules)?;
        values::check(&params.value)?;
        let placeholder = values::placeholder(params.prefix.as_deref().unwrap_or_default())?;
        let renewal = params.renewal.map(|renewal| renewal.plan(params.agent.as_ref()));
        let (renewal, secrets) = renewal.transpose()?.unzip();
        let now = self.now();
        let row = CredentialRow {
            id: CredentialId::generate(),
            tenant_id: tenant,
            scope_id: params.scope.id(tenant),
            name: params.name,
            agent: params.agent,
            env: params.env,
            placeholder,
            rules,
            renewal: renewal.as_ref().map(Renewal::to_value),
            generation: Generation::FIRST,
            created_at: now,
            updated_at: now,
        };
        let ring = self.inner.secrets.to_seal(&self.inner.store, true).await?;
        let ring = ring.expect("keys are there where something is to be sealed");
        let mut txn = self.inner.store.begin().await?;
        require_scope(&mut txn, tenant, params.scope).await?;
        let there = credential_list_of_scope(&mut txn, tenant, &row.scope_id).await?;
        if there.iter().any(|known| known.name == row.name) {
            let message = format!("there is a credential `{}` already", row.name);
            return Err(Error::new(ErrorKind::Conflict, "credential_exists", message)
                .hint("change it, or remove it first: `sandbar secret unbind`"));
        }
        if there.len() >= CREDENTIALS_MAX {
            let message = format!("there are at most {CREDENTIALS_MAX} credentials of one owner");
            return Err(Error::new(ErrorKind::LimitReached, "limit_reached", message));
        }
        credential_insert_in_txn(&mut txn, &row).await?;
        values::put(&mut txn, &ring, (&row, now), (Part::Value, &params.value)).await?;
        if let Some(secrets) = &secrets {
            secrets.put(&mut txn, &ring, (&row, now)).await?;
        }
        txn.commit().await?;
        drop(ring);
        self.inner.credentials.tell(tenant);
        Ok(EgressCredential::of(row))
    }

    /// Looks at a credential.
    ///
    /// # Errors
    /// `credential_not_found`.
    pub async fn credential_fetch(
        &self,
        tenant: TenantId,
        id: CredentialId,
    ) -> Result<EgressCredential> {
        let found = credential_fetch(&mut self.inner.store.read().await?, tenant, id).await?;
        found.map(EgressCredential::of).ok_or_else(not_found)
    }

    /// Lists at most `limit` credentials of a tenant after `after`, oldest first.
    ///
    /// # Errors
    /// The store failed.
    pub async fn credential_list(
        &self,
        tenant: TenantId,
        after: Option<CredentialId>,
        limit: u32,
    ) -> Result<Vec<EgressCredential>> {
        let mut conn = self.inner.store.read().await?;
        let rows = credential_list(&mut conn, tenant, after, limit).await?;
        Ok(rows.into_iter().map(EgressCredential::of).collect())
    }

    /// Changes a credential. Requests that begin from now on get what it is then.
    ///
    /// # Errors
    /// `credential_not_found`, `stale_generation`, `invalid_rule`, `invalid_value`, `secrets_key_unusable`.
    pub async fn credential_update(
        &self,
        which: CredentialWhich,
        params: CredentialUpdateParams,
    ) -> Result<EgressCredential> {
        let CredentialUpdateParams { value, rules, env } = params;
        if let Some(value) = &value {
            values::check(value)?;
        }
        let ring = self.inner.secrets.to_seal(&self.inner.store, value.is_some()).await?;
        let mut txn = self.inner.store.begin().await?;
        let mut row = fetch(&mut txn, which).await?;
        row.env = env.unwrap_or(row.env);
        if value.is_some() && row.renewal.take().is_some() {
            RenewalSecrets::remove(&mut txn, &row).await?;
        }
        row.rules = checked(rules.unwrap_or(row.rules))?;
        row.updated_at = self.now();
        row.generation = match credential_update_in_txn(&mut txn, &row).await? {
            Update::Applied(generation) => generation,
            Update::Stale => {
                let message = "the credential was changed since";
                return Err(Error::new(ErrorKind::Stale, "stale_generation", message));
            }
        };
        if let (Some(value), Some(ring)) = (&value, &ring) {
            let value = (Part::Value, value);
            values::put(&mut txn, ring, (&row, row.updated_at), value).await?;
        }
        txn.commit().await?;
        drop(ring);
        self.inner.credentials.tell(row.tenant_id);
        Ok(EgressCredential::of(row))
    }

    /// Removes a credential. No request that begins from now on gets it.
    ///
    /// # Errors
    /// `credential_not_found`, `stale_generation`.
    pub async fn credential_remove(&self, which: CredentialWhich) -> Result<()> {
        let mut txn = self.inner.store.begin().await?;
        let row = fetch(&mut txn, which).await?;
        credential_remove_in_txn(&mut txn, row.tenant_id, row.id).await?;
        txn.commit().await?;
        self.inner.credentials.renewals.forget(row.id);
        self.inner.credentials.tell(row.tenant_id);
        Ok(())
    }
}

async fn fetch(txn: &mut WriteTxn, which: CredentialWhich) -> Result<CredentialRow> {
    let row = credential_fetch(txn, which.tenant, which.id).await?.ok_or_else(not_found)?;
    require_seen(which.generation, row.generation)?;
    Ok(row)
}

/// What is not this tenant's is not there.
async fn require_scope(
    conn: &mut impl Reads,
    tenant: TenantId,
    scope: CredentialScope,
) -> Result<()> {
    match scope {
        CredentialScope::Tenant => Ok(()),
        CredentialScope::Sandbox(id) => {
            let found = sandbox_fetch(conn, id).await?;
            let is_there =
                found.is_some_and(|row| row.tenant_id == tenant && row.deleted_at.is_none());
            if is_there {
                return Ok(());
            }
            let message = format!("there is no sandbox {id}");
            Err(Error::new(ErrorKind::NotFound, "sandbox_not_found", message))
        }
        CredentialScope::App(id) => {
            crate::app::fetch(conn, crate::AppRef { tenant, id }).await.map(drop)
        }
    }
}
