//! Places where a test may kill, fail or stop an approve. Nothing of it is in a release build.

use std::io;

/// Passes the step `name`.
///
/// `SANDBAR_FAILPOINT=<step>:<what>` makes the step of that number (from 1) `kill` the process, or `error` as a broken
/// disk does; a path there names a fifo, from which it reads to the end before it goes on.
/// `SANDBAR_FAILPOINT=<name>:<what>` does so at the first step of that name.
///
/// # Errors
/// Only the one that was asked for.
#[cfg(any(debug_assertions, feature = "failpoints"))]
pub(crate) fn failpoint(name: &str) -> io::Result<()> {
    armed::pass(name)
}

/// Nothing, in a release build.
#[cfg(not(any(debug_assertions, feature = "failpoints")))]
#[expect(clippy::unnecessary_wraps, reason = "the other build can fail")]
#[inline]
pub(crate) fn failpoint(_name: &str) -> io::Result<()> {
    Ok(())
}

#[cfg(any(debug_assertions, feature = "failpoints"))]
mod armed {
    use std::{
        io,
        sync::{
            Mutex, OnceLock, PoisonError,
            atomic::{AtomicBool, Ordering},
        },
    };

    use rustix::{
        io::Errno,
        process::{Signal, getpid, kill_process},
    };

    static PASSED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static ARMED: OnceLock<Option<(String, String)>> = OnceLock::new();
    /// Steps are told apart by name only once: the first match is the one.
    static FIRED: AtomicBool = AtomicBool::new(false);

    pub(super) fn pass(name: &str) -> io::Result<()> {
        let step = {
            let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
            passed.push(name.to_owned());
            passed.len()
        };
        let armed = ARMED.get_or_init(|| {
            let value = std::env::var("SANDBAR_FAILPOINT").ok()?;
            let (at, what) = value.split_once(':')?;
            Some((at.to_owned(), what.to_owned()))
        });
        let Some((at, what)) = armed else {
            return Ok(());
        };
        let is_here = at == name || at.parse() == Ok(step);
        if !is_here || FIRED.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        match what.as_str() {
            "kill" => kill_process(getpid(), Signal::KILL)?,
            fifo if fifo.starts_with('/') => {
                std::fs::read(fifo)?;
            }
            _ => return Err(Errno::IO.into()),
        }
        Ok(())
    }

    /// The steps that were passed.
    pub(super) fn passed() -> Vec<String> {
        PASSED.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The names of the steps that this process passed, for tests that go through all of them.
#[cfg(any(debug_assertions, feature = "failpoints"))]
#[doc(hidden)]
#[must_use]
pub fn failpoints_passed() -> Vec<String> {
    armed::passed()
}
