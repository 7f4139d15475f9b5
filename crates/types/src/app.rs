//! How apps are called and found.

use serde::{Deserialize, Serialize};

use crate::{AppId, SandboxName, word::word};

/// The name of an app, unique in its tenant: one that a sandbox could have, too, and not like the id of an app.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);

/// A word that an app is filed under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppTag(String);

/// What another program calls a user or a project of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExternalId(String);

/// A text that names nothing of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAppWord {
    /// Of an app.
    #[error(
        "not the name of an app: 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.`, the first a letter or digit, not like an id"
    )]
    Name,
    /// A tag.
    #[error(
        "not a tag: 1 to 64 of `a-z`, `0-9`, `-`, `_`, `.`, `:`, `/`, the first a letter or digit"
    )]
    Tag,
    /// An id of somebody else.
    #[error("not an external id: 1 to 255 visible ASCII characters")]
    ExternalId,
}

fn is_name(name: &str) -> bool {
    name.parse::<SandboxName>().is_ok() && !name.starts_with(AppId::PREFIX)
}

fn is_tag(tag: &str) -> bool {
    let is_alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&tag.len())
        && tag.bytes().next().is_some_and(is_alphanumeric)
        && tag.bytes().all(|b| is_alphanumeric(b) || b"-_.:/".contains(&b))
}

fn is_external_id(id: &str) -> bool {
    (1..=255).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

word!(AppName, is_name, InvalidAppWord, InvalidAppWord::Name);
word!(AppTag, is_tag, InvalidAppWord, InvalidAppWord::Tag);
word!(ExternalId, is_external_id, InvalidAppWord, InvalidAppWord::ExternalId);

impl AppName {
    /// The same name for a sandbox of the app.
    #[must_use]
    pub fn to_sandbox_name(&self) -> SandboxName {
        self.0.parse().expect("checked when it was made")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_app_is_one_of_a_sandbox_and_no_id() {
        for good in ["shop", "a", "0-a.b_c", &"a".repeat(64)] {
            assert_eq!(good.parse::<AppName>().unwrap().to_sandbox_name().as_str(), good);
        }
        for bad in ["", "Shop", "-a", "a/b", "app_1", "sb_1", "a\0", "é", &"a".repeat(65)] {
            assert_eq!(bad.parse::<AppName>(), Err(InvalidAppWord::Name), "{bad}");
        }
    }

    #[test]
    fn tags_and_external_ids_hold_nothing_that_cannot_be_seen() {
        for good in ["team:web", "v1.2", "a/b"] {
            assert!(good.parse::<AppTag>().is_ok(), "{good}");
        }
        for bad in ["", "A", ":a", "a b", "a\0", &"a".repeat(65)] {
            assert!(bad.parse::<AppTag>().is_err(), "{bad}");
        }
        assert!("auth0|5f7c8e".parse::<ExternalId>().is_ok());
        for bad in ["", "a b", "a\n", "\0", "é", &"a".repeat(256)] {
            assert!(bad.parse::<ExternalId>().is_err(), "{bad}");
        }
    }
}
