//! What git needs to know of a person, and what it is asked for.

use serde::{Deserialize, Serialize};

/// LIMIT: characters of a name or an address.
const FIELD_CHARS_MAX: usize = 256;

/// Who makes a commit, as git writes it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "GitIdentityFields", deny_unknown_fields)]
pub struct GitIdentity {
    #[cfg_attr(
        feature = "openapi",
        schema(
            pattern = r"^[^<>\x00-\x1f\x7f-\x9f\s]([^<>\x00-\x1f\x7f-\x9f]{0,254}[^<>\x00-\x1f\x7f-\x9f\s])?$"
        )
    )]
    name: String,
    #[cfg_attr(
        feature = "openapi",
        schema(
            pattern = r"^[^<>\x00-\x1f\x7f-\x9f\s]([^<>\x00-\x1f\x7f-\x9f]{0,254}[^<>\x00-\x1f\x7f-\x9f\s])?$"
        )
    )]
    email: String,
}

/// [`GitIdentity`] as it is read, unchecked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GitIdentityFields {
    name: String,
    email: String,
}

/// A name or an address that git would not write down as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a git identity: name and e-mail are 1 to 256 characters without `<`, `>` and control characters, and not blank"
)]
pub struct InvalidGitIdentity;

impl GitIdentity {
    /// Checks both.
    ///
    /// # Errors
    /// One of them is blank, too long, or holds what git would drop.
    pub fn new(
        name: impl Into<String>,
        email: impl Into<String>,
    ) -> Result<Self, InvalidGitIdentity> {
        let (name, email) = (name.into(), email.into());
        let fits = |field: &str| {
            (1..=FIELD_CHARS_MAX).contains(&field.chars().count())
                && field.trim() == field
                && !field.chars().any(|c| c.is_control() || matches!(c, '<' | '>'))
        };
        if fits(&name) && fits(&email) { Ok(Self { name, email }) } else { Err(InvalidGitIdentity) }
    }

    /// Their name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Their address.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.email
    }
}

impl TryFrom<GitIdentityFields> for GitIdentity {
    type Error = InvalidGitIdentity;

    fn try_from(fields: GitIdentityFields) -> Result<Self, Self::Error> {
        Self::new(fields.name, fields.email)
    }
}

/// Whose name a commit of approved changes has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CommitAuthor {
    /// The sandbox's, as `<name> (sandbar)`; the reviewer commits.
    Agent,
    /// The reviewer's.
    #[default]
    Reviewer,
    /// The reviewer's, with a `Co-authored-by` line for the sandbox.
    CoAuthored,
}

/// How approved changes are committed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, default)]
pub struct CommitSpec {
    /// What the commit says. Without a template, this is all of it.
    pub message: Option<String>,
    /// Whose name it has.
    pub author: CommitAuthor,
    /// The message, with `{{message}}`, `{{sandbox}}`, `{{files}}` (a line for each path) and `{{count}}` filled in.
    pub template: Option<String>,
    /// Who reviewed, where the repository's own configuration does not say; else who made the sandbox.
    pub reviewer: Option<GitIdentity>,
}

/// A branch that arrived in the source's repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PullOutcome {
    /// The branch.
    pub branch: String,
    /// Where it is now.
    pub head: String,
    /// Where it was; absent when it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// How many commits the repository did not have.
    pub total: u64,
    /// The newest of them, newest first, at most 200.
    pub commits: Vec<PulledCommit>,
}

/// A commit that arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PulledCommit {
    /// Its id.
    pub id: String,
    /// The first line of its message, as the sandbox wrote it.
    pub subject: String,
    /// Who wrote it, as the sandbox says.
    pub author: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_cannot_add_a_line_or_a_second_address() {
        assert!(GitIdentity::new("Ann Ö. \"x\" \\", "ann@example.org").is_ok());
        for (name, email) in [
            ("", "a@b"),
            ("Ann", ""),
            ("Ann\n[core]", "a@b"),
            ("Ann", "a@b>\nx"),
            ("Ann <", "a@b"),
            (" ", "a@b"),
            ("Ann\0", "a@b"),
        ] {
            assert_eq!(
                GitIdentity::new(name, email),
                Err(InvalidGitIdentity),
                "{name:?} {email:?}"
            );
        }
        let text = r#"{"name":"A","email":"a@b"}"#;
        let read: GitIdentity = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert!(serde_json::from_str::<GitIdentity>(r#"{"name":"A","email":"a\nb"}"#).is_err());
    }
}
