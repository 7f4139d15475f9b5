//! The keys that secrets are sealed with: read when they are needed first, and made with the first secret.

use std::path::PathBuf;

use sandbar_secrets::{KeyFileError, Keyring, Sealed, UnsealError};
use sandbar_store::{ConfigItemRow, Store, config_list_sealed};
use tokio::sync::{Mutex, RwLock, RwLockReadGuard};

use super::with_place;
use crate::{Error, ErrorKind, Result, SecretString};

/// The keys of the server.
///
/// Whoever seals holds a reader from then until the secret is committed, and whoever opens from before the row is read:
/// so a rotation that has the writer knows that nothing is under way with a key that it retires.
#[derive(Debug)]
pub(crate) struct Keys {
    path: PathBuf,
    ring: RwLock<Option<Keyring>>,
    /// One rotation at a time.
    pub(super) rotating: Mutex<()>,
}

/// Keys that do not change while this is held; `None` where there is no file.
pub(crate) type Ring<'a> = RwLockReadGuard<'a, Option<Keyring>>;

impl Keys {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, ring: RwLock::new(None), rotating: Mutex::new(()) }
    }

    /// The keys to open secrets with.
    pub(crate) async fn to_open(&self) -> Result<Ring<'_>> {
        let ring = self.ring.read().await;
        if ring.is_some() {
            return Ok(ring);
        }
        drop(ring);
        let mut ring = self.ring.write().await;
        if ring.is_none() {
            *ring = Keyring::load(&self.path).map_err(unusable)?;
        }
        Ok(ring.downgrade())
    }

    /// The keys to seal with, if `seals`; `None` where nothing is to be sealed. They are made for the first secret, and
    /// never where there are secrets already, which a new file would leave closed for ever.
    pub(crate) async fn to_seal(&self, store: &Store, seals: bool) -> Result<Option<Ring<'_>>> {
        if !seals {
            return Ok(None);
        }
        loop {
            let ring = self.to_open().await?;
            if ring.is_some() {
                return Ok(Some(ring));
            }
            drop(ring);
            let mut ring = self.ring.write().await;
            if ring.is_none() && Keyring::load(&self.path).map_err(unusable)?.is_none() {
                let sealed = config_list_sealed(&mut store.read().await?, None, 1).await?;
                if let Some(row) = sealed.first() {
                    return Err(missing(row));
                }
                *ring = Some(Keyring::create(&self.path).map_err(unusable)?);
            }
        }
    }

    /// Adds a key, which seals from now on.
    pub(super) async fn rotate(&self, store: &Store) -> Result<String> {
        drop(self.to_seal(store, true).await?);
        let mut ring = self.ring.write().await;
        let ring = ring.as_mut().expect("it was just there, and never goes");
        Ok(ring.rotate().map_err(unusable)?.to_string())
    }

    /// Drops every key but the one that seals.
    pub(super) async fn retire_old(&self) -> Result<()> {
        match self.ring.write().await.as_mut() {
            Some(ring) => ring.retire_old().map_err(unusable),
            None => Ok(()),
        }
    }
}

/// Opens the secret of a row.
pub(crate) fn open(ring: Option<&Keyring>, row: &ConfigItemRow) -> Result<SecretString> {
    let damaged = || {
        let message = format!("the secret `{}` is damaged", row.at.key);
        Error::new(ErrorKind::Denied, "secrets_key_unusable", message).hint("set it again")
    };
    let ring = ring.ok_or_else(|| missing(row))?;
    let sealed = sealed(row).ok_or_else(damaged)?;
    with_place(row, |place| ring.unseal(place, &sealed)).map_err(|err| match err {
        UnsealError::KeyMissing { .. } => missing(row),
        UnsealError::Damaged => damaged(),
    })
}

/// The secret of a row, sealed.
pub(super) fn sealed(row: &ConfigItemRow) -> Option<Sealed> {
    Sealed::from_bytes(row.sealed.clone()?).ok()
}

/// The refusal where the key of a secret is gone.
fn missing(row: &ConfigItemRow) -> Error {
    let key = sealed(row).map_or_else(|| "unknown".to_owned(), |sealed| sealed.key().to_string());
    let message = format!(
        "the secret `{}` was sealed with the key {key}, which is not in the key file",
        row.at.key
    );
    Error::new(ErrorKind::Denied, "secrets_key_unusable", message)
        .hint("put `secrets.key` back from its backup, or remove the secret and set it again")
        .details(&serde_json::json!({ "key": key }))
}

/// Where the file is, is told to the log only.
fn unusable(err: KeyFileError) -> Error {
    tracing::error!(error = &err as &dyn std::error::Error, "the key file of secrets is unusable");
    let (message, hint) = match &err {
        KeyFileError::Open { .. } => {
            ("the key file of secrets is open to others", "`chmod 600` it; the log names it")
        }
        KeyFileError::ReadOnly { .. } => (
            "the key file of secrets was handed over by the service manager and cannot be changed",
            "docs/secrets.md tells how keys are handed over",
        ),
        KeyFileError::File { .. } | KeyFileError::Garbled { .. } => {
            ("the key file of secrets cannot be used", "the log of the server says why")
        }
    };
    Error::new(ErrorKind::Denied, "secrets_key_unusable", message).hint(hint).because(err)
}
