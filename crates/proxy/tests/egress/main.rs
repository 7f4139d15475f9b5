//! The egress proxy over real sockets.
#![expect(clippy::unwrap_used, reason = "a test whose harness may fail")]

mod doors;
mod fixture;
mod intercept;
mod limits;
mod plain;
mod policy;
mod tunnel;
mod upstream;
