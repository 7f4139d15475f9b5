//! Secrets that are put into requests on their way out: everything but their values.

use jiff::Timestamp;
use sandbar_types::{
    AgentName, CredentialId, CredentialName, EnvName, Generation, InjectionRule, TenantId,
};

use crate::{
    Reads, Row, StoreError, Update, WriteTxn,
    query::query,
    row::{self, to_int, to_json},
};

/// A credential. Its values are items of the configuration with its id as scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRow {
    /// Its id.
    pub id: CredentialId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// Of what of theirs: the id of the tenant itself, of an app, or of a sandbox.
    pub scope_id: String,
    /// What it is called, in its scope.
    pub name: CredentialName,
    /// Which agent it is for.
    pub agent: Option<AgentName>,
    /// The variable that has the placeholder inside.
    pub env: Option<EnvName>,
    /// What is inside in place of the value.
    pub placeholder: String,
    /// Where the value may go.
    pub rules: Vec<InjectionRule>,
    /// How it is renewed, as whoever wrote it says.
    pub renewal: Option<serde_json::Value>,
    /// Grows with each change.
    pub generation: Generation,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
}

fn read(found: &Row) -> Result<CredentialRow, StoreError> {
    Ok(CredentialRow {
        id: row::parsed(found, "id")?,
        tenant_id: row::parsed(found, "tenant_id")?,
        scope_id: row::column(found, "scope_id")?,
        name: row::parsed(found, "name")?,
        agent: row::parsed_opt(found, "agent")?,
        env: row::parsed_opt(found, "env")?,
        placeholder: row::column(found, "placeholder")?,
        rules: row::json(found, "rules")?,
        renewal: row::json_opt(found, "renewal")?,
        generation: Generation(row::count(found, "generation")?),
        created_at: row::time(found, "created_at")?,
        updated_at: row::time(found, "updated_at")?,
    })
}

/// Inserts `new` as it is.
///
/// # Errors
/// The database failed, also where its scope has one of that name.
pub async fn credential_insert_in_txn(
    txn: &mut WriteTxn,
    new: &CredentialRow,
) -> Result<(), StoreError> {
    query(
        "INSERT INTO credential (id, tenant_id, scope_id, name, agent, env, placeholder, rules, renewal, generation, \
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(new.id.to_string())
    .bind(new.tenant_id.to_string())
    .bind(&new.scope_id)
    .bind(new.name.as_str())
    .bind(new.agent.as_ref().map(|agent| agent.as_str().to_owned()))
    .bind(new.env.as_ref().map(|env| env.as_str().to_owned()))
    .bind(&new.placeholder)
    .bind(to_json(&new.rules))
    .bind(new.renewal.as_ref().map(to_json))
    .bind(to_int(new.generation.0))
    .bind(new.created_at.as_microsecond())
    .bind(new.updated_at.as_microsecond())
    .execute(txn)
    .await
    .map_err(StoreError::query("insert a credential"))?;
    Ok(())
}

/// Writes what may change, where nobody else did since the generation of `new`.
///
/// # Errors
/// The database failed.
pub async fn credential_update_in_txn(
    txn: &mut WriteTxn,
    new: &CredentialRow,
) -> Result<Update, StoreError> {
    let next = new.generation.next();
    let changed = query(
        "UPDATE credential SET agent = $1, env = $2, rules = $3, renewal = $4, generation = $5, updated_at = $6 \
         WHERE id = $7 AND tenant_id = $8 AND generation = $9",
    )
    .bind(new.agent.as_ref().map(|agent| agent.as_str().to_owned()))
    .bind(new.env.as_ref().map(|env| env.as_str().to_owned()))
    .bind(to_json(&new.rules))
    .bind(new.renewal.as_ref().map(to_json))
    .bind(to_int(next.0))
    .bind(new.updated_at.as_microsecond())
    .bind(new.id.to_string())
    .bind(new.tenant_id.to_string())
    .bind(to_int(new.generation.0))
    .execute(txn)
    .await
    .map_err(StoreError::query("change a credential"))?;
    Ok(Update::of(changed, next))
}

/// Fetches a credential of `tenant`.
///
/// # Errors
/// The database failed, or the row cannot be read.
pub async fn credential_fetch(
    conn: &mut impl Reads,
    tenant: TenantId,
    id: CredentialId,
) -> Result<Option<CredentialRow>, StoreError> {
    let found = query("SELECT * FROM credential WHERE id = $1 AND tenant_id = $2")
        .bind(id.to_string())
        .bind(tenant.to_string())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::query("fetch a credential"))?;
    found.as_ref().map(read).transpose()
}

/// Lists at most `limit` credentials of `tenant` after `after`, oldest first.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn credential_list(
    conn: &mut impl Reads,
    tenant: TenantId,
    after: Option<CredentialId>,
    limit: u32,
) -> Result<Vec<CredentialRow>, StoreError> {
    let rows =
        query("SELECT * FROM credential WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $3")
            .bind(tenant.to_string())
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(limit)
            .fetch_all(conn)
            .await
            .map_err(StoreError::query("list credentials"))?;
    rows.iter().map(read).collect()
}

/// Lists the credentials of one scope by name. There are never many.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn credential_list_of_scope(
    conn: &mut impl Reads,
    tenant: TenantId,
    scope: &str,
) -> Result<Vec<CredentialRow>, StoreError> {
    let rows =
        query("SELECT * FROM credential WHERE tenant_id = $1 AND scope_id = $2 ORDER BY name")
            .bind(tenant.to_string())
            .bind(scope)
            .fetch_all(conn)
            .await
            .map_err(StoreError::query("list credentials of a scope"))?;
    rows.iter().map(read).collect()
}

/// Lists the credentials of several scopes, by scope and name: what reaches a sandbox, its app and its tenant at once.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn credential_list_of_scopes(
    conn: &mut impl Reads,
    tenant: TenantId,
    scopes: [&str; 3],
) -> Result<Vec<CredentialRow>, StoreError> {
    let [first, second, third] = scopes;
    let rows = query(
        "SELECT * FROM credential WHERE tenant_id = $1 AND scope_id IN ($2, $3, $4) ORDER BY scope_id, name",
    )
    .bind(tenant.to_string())
    .bind(first)
    .bind(second)
    .bind(third)
    .fetch_all(conn)
    .await
    .map_err(StoreError::query("list credentials that reach a sandbox"))?;
    rows.iter().map(read).collect()
}

/// Removes a credential with its values.
///
/// # Errors
/// The database failed.
pub async fn credential_remove_in_txn(
    txn: &mut WriteTxn,
    tenant: TenantId,
    id: CredentialId,
) -> Result<(), StoreError> {
    crate::config_remove_all_in_txn(txn, tenant, &id.to_string()).await?;
    query("DELETE FROM credential WHERE id = $1 AND tenant_id = $2")
        .bind(id.to_string())
        .bind(tenant.to_string())
        .execute(txn)
        .await
        .map_err(StoreError::query("remove a credential"))?;
    Ok(())
}

/// Removes every credential of a scope that ends, with their values.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn credential_remove_all_in_txn(
    txn: &mut WriteTxn,
    tenant: TenantId,
    scope: &str,
) -> Result<(), StoreError> {
    for row in credential_list_of_scope(txn, tenant, scope).await? {
        credential_remove_in_txn(txn, tenant, row.id).await?;
    }
    Ok(())
}
