//! The values of credentials, sealed; and what is inside in their place.

use jiff::Timestamp;
use sandbar_secrets::ExposeSecret as _;
use sandbar_store::{
    ConfigItemRow, ConfigKey, CredentialRow, Reads, WriteTxn, config_fetch, config_put_in_txn,
    config_remove_in_txn,
};
use sandbar_types::{ConfigAccess, Generation};

use super::invalid;
use crate::{Result, SecretString, secret};

/// LIMIT: bytes of a value. A shorter one would be found in what has nothing to do with it.
const VALUE_BYTES: std::ops::RangeInclusive<usize> = 8..=(16 << 10);
/// LIMIT: bytes of what a placeholder begins with.
const PREFIX_BYTES_MAX: usize = 32;

/// What every placeholder holds.
pub(super) const PLACEHOLDER: &str = "sbx-placeholder-";

pub(super) fn check(value: &SecretString) -> Result<()> {
    let value = value.expose_secret();
    if !VALUE_BYTES.contains(&value.len()) {
        let (min, max) = (VALUE_BYTES.start(), VALUE_BYTES.end());
        return Err(invalid(format!("the value of a credential is {min} to {max} bytes long")));
    }
    if !value.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(invalid("the value of a credential is visible ASCII without spaces"));
    }
    Ok(())
}

/// Makes what is inside in place of a value. It has no character that JSON, a form or a shell treats in its own way.
pub(super) fn placeholder(prefix: &str) -> Result<String> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if prefix.len() > PREFIX_BYTES_MAX || !prefix.bytes().all(is_plain) {
        return Err(invalid("a placeholder begins with letters, digits, `-`, `_` and `.` only"));
    }
    Ok(format!("{prefix}{PLACEHOLDER}{}", uuid::Uuid::new_v4().simple()))
}

/// What is sealed of a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What is put into requests.
    Value,
    /// What a new value is asked for with. It goes to the token endpoint, and to no way out.
    Refresh,
    /// What the token endpoint knows by who asks. It goes there, and to no way out.
    Client,
}

fn key(row: &CredentialRow, part: Part) -> ConfigKey {
    let key = match part {
        Part::Value => "VALUE",
        Part::Refresh => "REFRESH",
        Part::Client => "CLIENT",
    };
    ConfigKey {
        tenant_id: row.tenant_id,
        scope_id: row.id.to_string(),
        key: key.parse().expect("it is a name"),
    }
}

/// Seals and writes a part of a credential, over the one that is there.
pub(super) async fn put(
    txn: &mut WriteTxn,
    ring: &secret::Ring<'_>,
    (row, now): (&CredentialRow, Timestamp),
    (part, value): (Part, &SecretString),
) -> Result<()> {
    let at = key(row, part);
    let before = config_fetch(txn, &at).await?;
    let mut item = ConfigItemRow {
        at,
        sealed: None,
        plain: None,
        access: ConfigAccess::ControlPlaneOnly,
        value_version: before.map_or(1, |before| before.value_version + 1),
        generation: Generation::FIRST,
        created_at: now,
        updated_at: now,
    };
    secret::put_value(&mut item, ring.as_ref(), value);
    Ok(config_put_in_txn(txn, &item).await?)
}

/// Removes a part of a credential, where there is one.
pub(super) async fn remove(txn: &mut WriteTxn, row: &CredentialRow, part: Part) -> Result<()> {
    Ok(config_remove_in_txn(txn, &key(row, part)).await?)
}

/// Opens a part of a credential; `None` where there is none, or none that opens.
pub(super) async fn open(
    conn: &mut impl Reads,
    ring: &secret::Ring<'_>,
    (row, part): (&CredentialRow, Part),
) -> Result<Option<SecretString>> {
    let Some(item) = config_fetch(conn, &key(row, part)).await? else { return Ok(None) };
    match secret::open(ring.as_ref(), &item) {
        Ok(value) => Ok(Some(value)),
        Err(err) => {
            let error = &err as &dyn std::error::Error;
            tracing::warn!(credential = row.name.as_str(), error, "a credential does not open");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_no_header_holds_or_that_is_everywhere_is_refused() {
        assert!(check(&"sk-1234567".into()).is_ok());
        for value in ["short", "two words here", "line\nbreak-and-more", "umläut-and-more"] {
            assert!(check(&value.into()).is_err(), "{value}");
        }
    }

    #[test]
    fn a_placeholder_begins_as_the_program_expects_and_is_new_each_time() {
        let one = placeholder("sk-ant-api03-").unwrap();
        assert!(one.starts_with("sk-ant-api03-sbx-placeholder-"), "{one}");
        assert_ne!(one, placeholder("sk-ant-api03-").unwrap());
        assert!(placeholder("a b").is_err());
    }
}
