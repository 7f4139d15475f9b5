//! The whole terminal for a review: raw, on the screen beside the normal one, with the cursor hidden.

use std::{
    io::{self, Write},
    sync::atomic::{AtomicBool, Ordering},
};

use super::RawMode;

const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";

/// Whether the terminal shows the other screen. Global, because a panic hook has no other way to know.
static IS_FULL: AtomicBool = AtomicBool::new(false);

/// Dropped, the terminal shows what it showed before.
#[derive(Debug)]
pub(crate) struct FullScreen {
    /// Dropped after the screen was left.
    raw: RawMode,
}

impl FullScreen {
    /// # Errors
    /// stdin is no terminal, or went away.
    pub(crate) fn enter() -> io::Result<Self> {
        let raw = RawMode::enter()?;
        IS_FULL.store(true, Ordering::SeqCst);
        let full = Self { raw };
        write(ENTER)?;
        Ok(full)
    }

    /// Takes the terminal again, after something else had it.
    ///
    /// # Errors
    /// It went away.
    pub(crate) fn again(&self) -> io::Result<()> {
        self.raw.again()?;
        write(ENTER)
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        leave();
    }
}

/// Goes back to the normal screen, if the other one is shown.
pub(super) fn leave() {
    if IS_FULL.swap(false, Ordering::SeqCst) {
        // Nothing can be done about a terminal that went away.
        write(LEAVE).ok();
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}
