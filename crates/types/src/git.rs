//! What git needs to know of a person, and what it is asked for.

use serde::{Deserialize, Serialize};

/// LIMIT: bytes of a name or an address.
const FIELD_BYTES_MAX: usize = 256;

/// Who makes a commit, as git writes it down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(try_from = "GitIdentityFields")]
pub struct GitIdentity {
    name: String,
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
    "not a git identity: name and e-mail are 1 to 256 bytes without `<`, `>` and control characters, and not blank"
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
            (1..=FIELD_BYTES_MAX).contains(&field.len())
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
