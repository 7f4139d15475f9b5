//! Drives the real `sandbar` binary on a real kernel, as root: promises, tested from outside.
//!
//! Nothing here knows how the product is built; it runs commands, speaks HTTP, and looks at the host.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

mod api;
mod app;
mod browser;
mod disk;
pub mod git;
mod inside;
mod leaks;
mod model;
mod planted;
mod preview;
mod project;
mod server;
mod service;
mod terminal;

use std::{
    fmt::Debug,
    thread,
    time::{Duration, Instant},
};

pub use crate::{
    api::{Reply, request as ask},
    app::App,
    browser::Browser,
    disk::Disk,
    leaks::Leaks,
    model::{MODEL_HOSTS, ServedModel},
    planted::{Planted, command_line},
    preview::{Page, visit},
    project::Project,
    server::Server,
    service::Service,
    terminal::Terminal,
};

/// Waits until `look` says yes, and fails with what it saw last when `deadline` is over.
///
/// # Panics
/// When the deadline is over.
pub fn eventually<T, E: Debug>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let end = Instant::now() + deadline;
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) if Instant::now() >= end => {
                panic!("not in {deadline:?}: {what}; last seen: {seen:?}")
            }
            // Not a wait for an effect, only the pace at which the condition is asked.
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// The directory of the tests' own programs and of `sandbar`: where cargo put this very test.
#[must_use]
pub fn bin_dir() -> std::path::PathBuf {
    let exe = std::env::current_exe().expect("a running program has a path");
    let deps = exe.parent().expect("a file has a directory");
    deps.parent().expect("tests run from target/<profile>/deps").to_owned()
}
