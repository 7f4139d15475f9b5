//! Typed wrappers of the kernel calls that rustix does not offer; the only `unsafe` of the workspace.
//!
//! Nothing here knows what a sandbox is.
#![expect(unsafe_code, reason = "system calls that no safe crate offers")]

pub mod btrfs;
pub mod capabilities;
pub mod child;
pub mod clone;
pub mod exec;
pub mod inherited;
pub mod landlock;
pub mod loopback;
pub mod mount;
pub mod namespace;
pub mod owner;
pub mod project_quota;
pub mod seccomp;
pub mod signals;
pub mod spawn;
pub mod writeback;
