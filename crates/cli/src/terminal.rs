//! The user's terminal: raw while a command inside has it, and given back as it was, whatever happens.

mod filter;
mod full;

use std::{
    io::{self, IsTerminal, Write},
    panic,
    sync::{Mutex, Once, PoisonError},
};

pub(crate) use filter::Filter;
pub(crate) use full::FullScreen;
use rustix::termios::{self, OptionalActions, Termios};
use sandbar_types::TerminalSize;

/// How the terminal was before it became raw. Global, because a panic hook has no other way to know.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Whether a command can be given the user's terminal: they type on stdin and look at stdout.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The size of the terminal; 24 by 80 where it does not say.
pub(crate) fn size() -> TerminalSize {
    match termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
            TerminalSize { rows: size.ws_row, cols: size.ws_col }
        }
        Ok(_) | Err(_) => TerminalSize { rows: 24, cols: 80 },
    }
}

/// Raw mode: keys go to the command as they are, Ctrl-C included. Dropped, the terminal is as it was.
#[derive(Debug)]
pub(crate) struct RawMode(());

impl RawMode {
    /// Makes the terminal on stdin raw.
    ///
    /// # Errors
    /// stdin is no terminal, or went away.
    pub(crate) fn enter() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        restore_on_panic();
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let guard = Self(());
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(guard)
    }

    /// Makes it raw again, after a shell had it meanwhile.
    ///
    /// # Errors
    /// It went away.
    pub(crate) fn again(&self) -> io::Result<()> {
        let mut raw = termios::tcgetattr(io::stdin())?;
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(())
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // Nothing can be done about a terminal that went away. Drain, so that the last output is shown as raw meant it.
        termios::tcsetattr(io::stdin(), OptionalActions::Drain, &before).ok();
    }
}

/// The release build aborts on a panic, so drops do not run: the hook does what they would.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            full::leave();
            // The panicking thread may hold the lock; then the terminal stays raw, which beats a hang.
            if let Ok(mut before) = BEFORE.try_lock()
                && let Some(before) = before.take()
            {
                termios::tcsetattr(io::stdin(), OptionalActions::Now, &before).ok();
            }
            next(info);
        }));
    });
}

/// Writes output of a sandbox to one of our streams: filtered where a terminal is, byte by byte where not.
#[derive(Debug)]
pub(crate) struct Screen<W: Write> {
    stream: W,
    filter: Option<Filter>,
    buffer: Vec<u8>,
}

impl<W: Write + IsTerminal> Screen<W> {
    pub(crate) fn new(stream: W) -> Self {
        let filter = stream.is_terminal().then(Filter::default);
        Self { stream, filter, buffer: Vec::new() }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.filter {
            None => self.stream.write_all(bytes)?,
            Some(filter) => {
                self.buffer.clear();
                filter.write(bytes, &mut self.buffer);
                self.stream.write_all(&self.buffer)?;
            }
        }
        self.stream.flush()
    }

    /// Takes back what the command left switched on: colors, mouse, alternate screen, a hidden cursor.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        match &mut self.filter {
            None => Ok(()),
            Some(filter) => {
                let restore = filter.restore();
                self.stream.write_all(&restore)?;
                self.stream.flush()
            }
        }
    }
}
