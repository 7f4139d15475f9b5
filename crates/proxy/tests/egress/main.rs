//! The egress proxy over real sockets.
#![expect(clippy::unwrap_used, reason = "a test whose harness may fail")]

mod doors;
mod fixture;
mod flood;
mod intercept;
mod limits;
mod matrix;
mod plain;
mod policy;
mod tunnel;
mod upstream;
