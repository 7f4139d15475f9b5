//! A password that is typed unseen, or read from a pipe: never an argument, which every user of the host can see.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};

use crate::failure::Failure;

/// LIMIT: bytes that are read.
const LENGTH_MAX: u64 = 4096;

/// Asks for a new password, twice on a terminal.
pub(crate) fn new_password(what: &str) -> Result<String, Failure> {
    let first = read(&format!("{what}: "))?;
    if io::stdin().is_terminal() && read(&format!("{what}, again: "))? != first {
        return Err(Failure::usage("the two are not the same"));
    }
    Ok(first)
}

fn read(prompt: &str) -> Result<String, Failure> {
    let failed = |error: io::Error| Failure::usage("cannot read the password").caused_by(&error);
    let mut line = String::new();
    let hidden = if io::stdin().is_terminal() {
        let mut out = io::stderr().lock();
        out.write_all(prompt.as_bytes()).map_err(failed)?;
        out.flush().map_err(failed)?;
        Some(Hidden::begin().map_err(failed)?)
    } else {
        None
    };
    io::stdin().lock().take(LENGTH_MAX).read_line(&mut line).map_err(failed)?;
    if hidden.is_some() {
        drop(hidden);
        io::stderr().lock().write_all(b"\n").map_err(failed)?;
    }
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() || line.contains('\u{3}') {
        return Err(
            Failure::usage("there is no password").hint("type it, or pipe it in: `… < FILE`")
        );
    }
    Ok(line.to_owned())
}

/// What is typed is not shown. Keys that would end us do not, or the terminal would stay that way.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes &= !(LocalModes::ECHO | LocalModes::ISIG);
        termios::tcsetattr(io::stdin(), OptionalActions::Flush, &hidden)?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing better can be done with a terminal that is gone.
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &self.0).ok();
    }
}
