//! A sealed value, as it is stored.
//!
//! ```text
//! 1 byte   format, 1
//! 8 bytes  the key that sealed it
//! 24 bytes nonce
//! rest     ciphertext and tag
//! ```

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The only format there is.
const FORMAT: u8 = 1;
const ID_LEN: usize = 8;
const NONCE_LEN: usize = 24;
const TAG_LEN: usize = 16;

/// Names a key, and tells nothing of it: the beginning of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; ID_LEN]);

impl KeyId {
    pub(crate) fn of(key: &[u8; 32]) -> Self {
        let hash = Sha256::new().chain_update("sandbar-key-id").chain_update(key).finalize();
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&hash[..ID_LEN]);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A value that nobody can read without its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

/// Why a sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// The key that sealed it is not in the key file.
    #[error("it was sealed with the key {key}, which is not in the key file")]
    KeyMissing {
        /// Which.
        key: KeyId,
    },
    /// It is not what was sealed, or was sealed for another place.
    #[error("it is damaged, or belongs elsewhere")]
    Damaged,
}

impl Sealed {
    pub(crate) fn new(key: KeyId, nonce: [u8; NONCE_LEN], ciphertext: &[u8]) -> Self {
        let mut bytes = vec![FORMAT];
        bytes.extend_from_slice(&key.0);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(ciphertext);
        Self(bytes)
    }

    /// Reads what [`Self::as_bytes`] gave.
    ///
    /// # Errors
    /// It is nothing of ours.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, UnsealError> {
        let is_long_enough = bytes.len() >= 1 + ID_LEN + NONCE_LEN + TAG_LEN;
        let is_ours = is_long_enough && bytes[0] == FORMAT;
        is_ours.then_some(Self(bytes)).ok_or(UnsealError::Damaged)
    }

    /// As it is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What is to be stored.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The key that opens it.
    #[must_use]
    pub fn key(&self) -> KeyId {
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&self.0[1..=ID_LEN]);
        KeyId(id)
    }

    pub(crate) fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&self.0[1 + ID_LEN..1 + ID_LEN + NONCE_LEN]);
        nonce
    }

    pub(crate) fn ciphertext(&self) -> &[u8] {
        &self.0[1 + ID_LEN + NONCE_LEN..]
    }
}
