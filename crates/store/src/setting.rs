//! Settings that were changed while the server ran.

use jiff::Timestamp;
use sandbar_types::{Actor, Generation};
use serde_json::Value;

use crate::{
    Reads, Row, StoreError, WriteTxn,
    query::query,
    row::{self, to_int, to_json},
};

/// A setting that was changed, or taken back.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingRow {
    /// Its name, such as `sandbox.max`.
    pub key: String,
    /// What it was set to; `None` where that was taken back.
    pub value: Option<Value>,
    /// Of all settings together: each change takes the next one.
    pub generation: Generation,
    /// Who changed it last.
    pub changed_by: Actor,
    /// When it was changed last.
    pub changed_at: Timestamp,
}

fn read(found: &Row) -> Result<SettingRow, StoreError> {
    Ok(SettingRow {
        key: row::column(found, "key")?,
        value: row::json_opt(found, "value")?,
        generation: Generation(row::count(found, "generation")?),
        changed_by: row::json(found, "changed_by")?,
        changed_at: row::time(found, "changed_at")?,
    })
}

/// Writes `row` in the place of what its key had.
///
/// # Errors
/// The database failed.
pub async fn setting_put_in_txn(txn: &mut WriteTxn, row: &SettingRow) -> Result<(), StoreError> {
    query(
        "INSERT INTO setting (key, value, generation, changed_by, changed_at) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, generation = excluded.generation, \
         changed_by = excluded.changed_by, changed_at = excluded.changed_at",
    )
    .bind(&row.key)
    .bind(row.value.as_ref().map(to_json))
    .bind(to_int(row.generation.0))
    .bind(to_json(&row.changed_by))
    .bind(row.changed_at.as_microsecond())
    .execute(txn)
    .await
    .map_err(StoreError::query("put a setting"))?;
    Ok(())
}

/// Lists every setting that was ever changed, by name.
///
/// # Errors
/// The database failed, or a row cannot be read.
pub async fn setting_list(conn: &mut impl Reads) -> Result<Vec<SettingRow>, StoreError> {
    let rows = query("SELECT * FROM setting ORDER BY key")
        .fetch_all(conn)
        .await
        .map_err(StoreError::query("list settings"))?;
    rows.iter().map(read).collect()
}
