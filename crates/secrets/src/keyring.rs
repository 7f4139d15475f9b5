//! The keys, and their file.
//!
//! ```text
//! # Keys of Sandbar's secrets. Without this file they are lost: keep a copy apart from that of the store.
//! <base64 of 32 bytes>      the key that seals
//! <base64 of 32 bytes>      keys that only open, newest first
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305,
    aead::{Aead as _, Generate as _, Payload},
};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::{KeyId, Place, Sealed, UnsealError};

/// LIMIT: bytes of a key file; hundreds of keys.
const FILE_MAX: u64 = 64 << 10;
const HEAD: &str = "# Keys of Sandbar's secrets. Without this file they are lost: keep a copy apart from that of the store.\n";

type Key = Zeroizing<[u8; 32]>;

/// The keys of a server. Nothing of them is ever printed.
pub struct Keyring {
    path: PathBuf,
    /// The first one seals, all open. Never empty.
    keys: Vec<Key>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why a key file cannot be used. It is never replaced by a new one.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("the key file `{path}` cannot be used", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Others than its owner can read it, or somebody else owns it.
    #[error("the key file `{path}` is open to others; `chmod 600` it, and own it", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else than keys.
    #[error("line {line} of the key file `{path}` is no key", path = path.display())]
    Garbled {
        /// The file.
        path: PathBuf,
        /// The first line that is none; the one after the last where there is no key at all.
        line: usize,
    },
    /// It was handed over read-only, as a credential.
    #[error("the key file `{path}` was handed over by the service manager and cannot be written", path = path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
}

impl Keyring {
    /// Reads the file at `path`; `None` where there is none.
    ///
    /// # Errors
    /// See [`KeyFileError`].
    pub fn load(path: &Path) -> Result<Option<Self>, KeyFileError> {
        let failed = |source| KeyFileError::File { path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        let ours = rustix::process::geteuid().as_raw();
        if metadata.mode() & 0o077 != 0 || ![ours, 0].contains(&metadata.uid()) {
            return Err(KeyFileError::Open { path: path.to_owned() });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_MAX).read_to_string(&mut text).map_err(failed)?;
        let keys =
            parse(&text).map_err(|line| KeyFileError::Garbled { path: path.to_owned(), line })?;
        Ok(Some(Self { path: path.to_owned(), keys }))
    }

    /// Makes the file at `path`, with one new key.
    ///
    /// # Errors
    /// See [`KeyFileError`]; one that is there is left as it is.
    pub fn create(path: &Path) -> Result<Self, KeyFileError> {
        let exists = || KeyFileError::File {
            path: path.to_owned(),
            source: io::ErrorKind::AlreadyExists.into(),
        };
        if path.try_exists().unwrap_or(true) {
            return Err(exists());
        }
        let keyring = Self { path: path.to_owned(), keys: vec![generate()] };
        keyring.write(&keyring.keys)?;
        Ok(keyring)
    }

    /// The key that seals.
    #[must_use]
    pub fn active(&self) -> KeyId {
        KeyId::of(&self.keys[0])
    }

    /// Whether it has keys that only open: a rotation has not ended.
    #[must_use]
    pub fn has_old(&self) -> bool {
        self.keys.len() > 1
    }

    /// Whether it can open what was sealed with `key`.
    #[must_use]
    pub fn has(&self, key: KeyId) -> bool {
        self.find(key).is_some()
    }

    /// Seals a value for its place.
    ///
    /// # Panics
    /// The system has no randomness.
    #[must_use]
    pub fn seal(&self, place: &Place<'_>, value: &SecretString) -> Sealed {
        let nonce = chacha20poly1305::XNonce::generate();
        let payload = Payload { msg: value.expose_secret().as_bytes(), aad: &place.bytes() };
        let ciphertext = cipher(&self.keys[0])
            .encrypt(&nonce, payload)
            .expect("a value is far smaller than what the cipher takes");
        Sealed::new(self.active(), nonce.into(), &ciphertext)
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// See [`UnsealError`].
    pub fn unseal(&self, place: &Place<'_>, sealed: &Sealed) -> Result<SecretString, UnsealError> {
        let key = sealed.key();
        let key = self.find(key).ok_or(UnsealError::KeyMissing { key })?;
        let payload = Payload { msg: sealed.ciphertext(), aad: &place.bytes() };
        let opened = cipher(key)
            .decrypt(&sealed.nonce().into(), payload)
            .map(Zeroizing::new)
            .map_err(|_| UnsealError::Damaged)?;
        let text = str::from_utf8(&opened).map_err(|_| UnsealError::Damaged)?;
        Ok(SecretString::from(text))
    }

    /// Adds a key, which seals from now on. The file has it when this returns; what was sealed before still opens.
    ///
    /// # Errors
    /// See [`KeyFileError`]; nothing has changed then.
    pub fn rotate(&mut self) -> Result<KeyId, KeyFileError> {
        let mut keys = vec![generate()];
        keys.extend(self.keys.iter().cloned());
        self.write(&keys)?;
        self.keys = keys;
        Ok(self.active())
    }

    /// Removes every key but the one that seals: nothing may be sealed with them any more.
    ///
    /// # Errors
    /// See [`KeyFileError`]; nothing has changed then.
    pub fn retire_old(&mut self) -> Result<(), KeyFileError> {
        self.write(&self.keys[..1])?;
        self.keys.truncate(1);
        Ok(())
    }

    fn find(&self, id: KeyId) -> Option<&Key> {
        self.keys.iter().find(|key| KeyId::of(key) == id)
    }

    /// Beside, then renamed: a crash leaves the old file or the new one.
    fn write(&self, keys: &[Key]) -> Result<(), KeyFileError> {
        let failed = |source: io::Error| {
            let path = self.path.clone();
            if source.kind() == io::ErrorKind::ReadOnlyFilesystem {
                KeyFileError::ReadOnly { path }
            } else {
                KeyFileError::File { path, source }
            }
        };
        let mut text = Zeroizing::new(HEAD.to_owned());
        for key in keys {
            text.push_str(&Zeroizing::new(BASE64_STANDARD.encode(key.as_slice())));
            text.push('\n');
        }
        let beside = self.path.with_extension("new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&beside, &self.path).map_err(failed)?;
        let dir = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or_else(|| Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
    }
}

/// Reads the keys, or says which line is none.
fn parse(text: &str) -> Result<Vec<Key>, usize> {
    let mut keys = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bytes = BASE64_STANDARD.decode(line).map(Zeroizing::new).map_err(|_| index + 1)?;
        let mut key = Key::default();
        if bytes.len() != key.len() {
            return Err(index + 1);
        }
        key.copy_from_slice(&bytes);
        keys.push(key);
    }
    if keys.is_empty() { Err(text.lines().count() + 1) } else { Ok(keys) }
}

fn generate() -> Key {
    let mut key = Key::default();
    key.copy_from_slice(&chacha20poly1305::Key::generate());
    key
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&**key).into())
}

#[cfg(test)]
mod tests;
