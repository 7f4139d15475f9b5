//! Secrets at rest: values sealed under a key that is in a file of its own, so that the store alone is worth nothing.
//!
//! XChaCha20-Poly1305 with a random nonce for each value (192 bits: nothing to count, nothing to repeat), and with the
//! value's [`Place`] as associated data, so that what was sealed for one tenant, app, name and version opens nowhere else.
//! A [`Keyring`] has one key that seals and any number that only open; rotation adds a key, and whoever holds the sealed
//! values seals them again. Nothing here knows the store.

mod keyring;
mod place;
mod sealed;

pub use secrecy::{ExposeSecret, SecretString};

pub use crate::{
    keyring::{KeyFileError, Keyring},
    place::Place,
    sealed::{KeyId, Sealed, UnsealError},
};
