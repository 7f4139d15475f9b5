//! Passwords: argon2id, never more than a few at once, and as much work for a user that is not there.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};

use crate::{Error, ErrorKind, Result, engine::Inner, workspace_view::blocking};

/// LIMIT: bytes of a password.
const LENGTH: std::ops::RangeInclusive<usize> = 12..=1024;

/// What is compared with where there is no user or no password, so that it takes as long.
static NOBODY: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody has this password").ok());

fn hash(password: &str) -> Result<String> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    hashed.map(|hash| hash.to_string()).map_err(Error::internal)
}

/// Refuses what is no password.
pub(super) fn check(password: &str) -> Result<()> {
    if LENGTH.contains(&password.len()) {
        return Ok(());
    }
    let (least, most) = (LENGTH.start(), LENGTH.end());
    let message = format!("a password has {least} to {most} bytes");
    Err(Error::new(ErrorKind::Invalid, "invalid_value", message))
}

impl Inner {
    pub(super) async fn password_hash(&self, password: String) -> Result<String> {
        check(&password)?;
        let _turn = self.accounts.hashing.acquire().await.map_err(Error::internal)?;
        blocking(move || hash(&password)).await?
    }

    /// Whether `password` is the one of `expected`.
    pub(super) async fn password_is(
        &self,
        password: String,
        expected: Option<String>,
    ) -> Result<bool> {
        if password.len() > *LENGTH.end() {
            return Ok(false);
        }
        let _turn = self.accounts.hashing.acquire().await.map_err(Error::internal)?;
        blocking(move || {
            let is_somebody = expected.is_some();
            let Some(expected) = expected.or_else(|| NOBODY.clone()) else { return false };
            let Ok(parsed) = PasswordHash::new(&expected) else { return false };
            let fits = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
            fits && is_somebody
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_as_argon2id_and_never_twice_the_same() {
        let (one, two) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && one != two);
        assert!(NOBODY.is_some());
    }

    #[test]
    fn a_password_is_neither_short_nor_endless() {
        for (length, fits) in [(0, false), (11, false), (12, true), (1024, true), (1025, false)] {
            assert_eq!(check(&"a".repeat(length)).is_ok(), fits, "{length}");
        }
    }
}
