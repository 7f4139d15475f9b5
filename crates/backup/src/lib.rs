//! The state of a server in one file: written, verified, and put back whole or not at all.
//!
//! ```text
//! manifest.json                   what is in it, with a SHA-256 for each
//! sandbar.db                      a copy of the database
//! config.toml, secrets.key, token
//! sandboxes/<id>/record.json      what is enough to know a sandbox again
//! sandboxes/<id>/app.json
//! (after the end of the archive)  a SHA-256 of everything before
//! ```
//!
//! A tar archive, so that any tool can read it. It is as secret as the data directory.
//! The files of sandboxes are not in it: there may be very many of them, and they change while they are read.
//! What a database is, whoever calls says: this crate knows archives and directories.

mod create;
mod manifest;
mod name;
mod restore;
mod seal;
mod swap;
mod verify;

pub use create::{CreateError, Source, Staging, create};
pub use manifest::{Entry, Manifest};
pub use name::DATABASE;
pub use restore::{Existing, RestoreError, RestoreParams, Restored, restore};
pub use swap::{RecoverError, recover};
pub use verify::{Check, VerifyError, verify};

#[cfg(test)]
mod tests;
