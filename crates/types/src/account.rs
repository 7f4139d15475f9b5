//! How tenants, users and keys are called.

use serde::{Deserialize, Serialize};

use crate::word::word;

/// The name of a tenant, unique in the server, or of a user, unique in its tenant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(String);

/// What an API key is for, in words of whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyName(String);

/// A text that cannot be a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAccountName {
    /// Of a tenant or a user.
    #[error(
        "not a name: 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.`, `@`, `+`, the first a letter or digit"
    )]
    Account,
    /// Of a key.
    #[error("not the name of a key: 1 to 64 characters that can be seen, spaces only between them")]
    Key,
}

fn is_account_name(name: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&name.len())
        && name.bytes().next().is_some_and(is_alphanumeric)
        && name.bytes().all(|b| is_alphanumeric(b) || b"-_.@+".contains(&b))
}

/// ASCII, so that two names that look the same are the same.
fn is_key_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.trim() == name
        && name.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

word!(AccountName, is_account_name, InvalidAccountName, InvalidAccountName::Account);
word!(KeyName, is_key_name, InvalidAccountName, InvalidAccountName::Key);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_127_names_have_one_spelling() {
        for good in ["a", "ada.lovelace+ci@example.com", "0-team"] {
            assert!(good.parse::<AccountName>().is_ok(), "{good}");
        }
        for wrong in ["", "A", "..", "-a", "a b", "a/b", "a\0", "é", &"a".repeat(65)] {
            assert!(wrong.parse::<AccountName>().is_err(), "{wrong}");
        }
        assert!("CI of main".parse::<KeyName>().is_ok());
        for wrong in ["", " a", "a ", "a\nb", "\u{1b}[31m", "é", &"a".repeat(65)] {
            assert!(wrong.parse::<KeyName>().is_err(), "{wrong}");
        }
    }
}
