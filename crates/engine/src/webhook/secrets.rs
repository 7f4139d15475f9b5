//! The secrets that messages are signed with: items of the configuration whose scope is the webhook, so that they are
//! sealed, rotated and backed up as every other secret is.

use jiff::Timestamp;
use sandbar_secrets::SecretString;
use sandbar_store::{
    ConfigItemRow, ConfigKey, ReadConn, WebhookRow, WriteTxn, config_fetch, config_put_in_txn,
};
use sandbar_types::{ConfigAccess, Generation};

use super::signature;
use crate::{Error, Result, engine::Inner, secret};

/// Which secret of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Current,
    Old,
}

fn key(row: &WebhookRow, which: Which) -> ConfigKey {
    let key = match which {
        Which::Current => "CURRENT",
        Which::Old => "OLD",
    };
    ConfigKey {
        tenant_id: row.tenant_id,
        scope_id: row.id.to_string(),
        key: key.parse().expect("it is a name"),
    }
}

/// Makes a secret, keeps it sealed, and returns it: this once. The one before is kept as the old one.
pub(super) async fn renew(
    txn: &mut WriteTxn,
    ring: &secret::Ring<'_>,
    row: &WebhookRow,
    now: Timestamp,
) -> Result<SecretString> {
    let made = signature::generate(random()?);
    let before = config_fetch(txn, &key(row, Which::Current)).await?;
    let version = before.as_ref().map_or(1, |before| before.value_version + 1);
    if let Some(before) = before {
        let value = secret::open(ring.as_ref(), &before)?;
        put(txn, ring, item(key(row, Which::Old), before.value_version, now), &value).await?;
    }
    put(txn, ring, item(key(row, Which::Current), version, now), &made).await?;
    Ok(made)
}

/// The secrets that hold at `now`, the current one first.
pub(super) async fn holding(
    inner: &Inner,
    row: &WebhookRow,
    now: Timestamp,
) -> Result<Vec<SecretString>> {
    let ring = inner.secrets.to_open().await?;
    let mut conn = inner.store.read().await?;
    let mut found = vec![fetch(&mut conn, &ring, &key(row, Which::Current)).await?];
    if row.old_secret_until.is_some_and(|until| now < until) {
        found.push(fetch(&mut conn, &ring, &key(row, Which::Old)).await?);
    }
    Ok(found.into_iter().flatten().collect())
}

async fn fetch(
    conn: &mut ReadConn,
    ring: &secret::Ring<'_>,
    at: &ConfigKey,
) -> Result<Option<SecretString>> {
    let row = config_fetch(conn, at).await?;
    row.map(|row| secret::open(ring.as_ref(), &row)).transpose()
}

async fn put(
    txn: &mut WriteTxn,
    ring: &secret::Ring<'_>,
    mut row: ConfigItemRow,
    value: &SecretString,
) -> Result<()> {
    secret::put_value(&mut row, ring.as_ref(), value);
    Ok(config_put_in_txn(txn, &row).await?)
}

fn item(at: ConfigKey, value_version: u64, now: Timestamp) -> ConfigItemRow {
    ConfigItemRow {
        at,
        sealed: None,
        plain: None,
        access: ConfigAccess::ControlPlaneOnly,
        value_version,
        generation: Generation::FIRST,
        created_at: now,
        updated_at: now,
    }
}

fn random() -> Result<[u8; 32]> {
    use std::io::Read as _;

    let mut random = [0; 32];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .map_err(Error::internal)?;
    Ok(random)
}
