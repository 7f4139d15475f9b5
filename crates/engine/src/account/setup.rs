//! The first administrator: made by whoever can read what the server wrote, and by nobody who merely came first.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    net::IpAddr,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use sandbar_store::user_count_admins;
use sandbar_types::{AccountName, Role, TenantId};

use super::{login::wrong, secret, user::User};
use crate::{Engine, Error, ErrorKind, Result, UserCreateParams};

/// Digits of a code: 128 random bits.
const DIGITS: usize = 32;

impl Engine {
    /// Makes a new code and writes it to `setup-code` of the data directory; `None` where there is an administrator.
    ///
    /// # Errors
    /// The store failed, or the file cannot be written.
    pub async fn setup_begin(&self) -> Result<Option<String>> {
        if !self.needs_setup().await? {
            self.setup_end();
            return Ok(None);
        }
        let mut code = secret::generate()?;
        code.truncate(DIGITS);
        self.setup_write(&code).map_err(Error::internal)?;
        *self.inner.accounts.setup() = Some(secret::hash(&code));
        Ok(Some(code))
    }

    fn setup_file(&self) -> PathBuf {
        self.inner.config.data_dir.join("setup-code")
    }

    fn setup_write(&self, code: &str) -> io::Result<()> {
        let path = self.setup_file();
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "{code}")
    }

    /// Forgets the code.
    pub(super) fn setup_end(&self) {
        *self.inner.accounts.setup() = None;
        // A file that stays holds a code that nothing takes any more.
        fs::remove_file(self.setup_file()).ok();
    }

    /// Whether there is no administrator yet.
    ///
    /// # Errors
    /// The store failed.
    pub async fn needs_setup(&self) -> Result<bool> {
        let mut conn = self.inner.store.read().await?;
        Ok(user_count_admins(&mut conn, TenantId::DEFAULT).await? == 0)
    }

    /// Makes the first administrator.
    ///
    /// # Errors
    /// `setup_done` where there is one, `invalid_credentials` for another code, `invalid_value`, `rate_limited`.
    pub async fn setup(
        &self,
        code: &str,
        name: AccountName,
        password: String,
        address: Option<IpAddr>,
    ) -> Result<User> {
        self.attempt(&[], address)?;
        if !self.needs_setup().await? {
            return Err(done());
        }
        // Compared as hashes: how far a guess was right cannot be told from the time.
        let expected = *self.inner.accounts.setup();
        if expected.is_none_or(|expected| expected != secret::hash(code.trim())) {
            return Err(wrong("this is not the code that the server wrote")
                .hint("read `setup-code` of the server's data directory, or its log"));
        }
        let params = UserCreateParams {
            tenant: TenantId::DEFAULT,
            name,
            role: Role::Admin,
            password: Some(password),
        };
        self.user_insert(params, super::user::Only::FirstAdmin).await
    }
}

pub(super) fn done() -> Error {
    Error::new(ErrorKind::Conflict, "setup_done", "there is an administrator already")
        .hint("log in, or add users with `sandbar user add`")
}
