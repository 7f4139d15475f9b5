//! The terminal while `top` has it.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;

use super::rows::{Row, table};
use crate::{
    failure::Failure,
    review::key::{self, Key},
    signals::{self, Stop, Stops},
    terminal::{self, FullScreen},
};

/// What a key or a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// To end with this code.
    End(u8),
    /// To paint again.
    Again,
    /// To give the terminal back for a while.
    Suspend,
    Nothing,
}

/// Dropped, the terminal is as it was.
pub(super) struct Screen {
    keys: EventStream,
    stops: Stops,
    full: FullScreen,
}

impl Screen {
    pub(super) fn open() -> Result<Self, Failure> {
        let stops = Stops::listen()?;
        let full = FullScreen::enter().map_err(|error| broken(&error))?;
        Ok(Self { keys: EventStream::new(), stops, full })
    }

    /// Waits for a key or a signal.
    pub(super) async fn next(&mut self) -> Result<Next, Failure> {
        let next = tokio::select! {
            stop = self.stops.next() => match stop {
                Stop::End(code) => Next::End(code),
                Stop::Suspend => Next::Suspend,
                Stop::Continue => {
                    self.full.again().map_err(|error| broken(&error))?;
                    Next::Again
                }
            },
            event = self.keys.next() => match event {
                Some(Ok(Event::Key(event))) => meant(key::read(event)),
                Some(Ok(Event::Resize(..))) => Next::Again,
                Some(Ok(Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_))) => {
                    Next::Nothing
                }
                // The terminal went away; nobody looks any more.
                Some(Err(_)) | None => Next::End(128 + signals::SIGHUP),
            },
        };
        Ok(next)
    }

    /// Waits for what ends it, whatever else is asked for.
    pub(super) async fn end(&mut self) -> Result<u8, Failure> {
        loop {
            if let Next::End(code) = self.next().await? {
                return Ok(code);
            }
        }
    }

    pub(super) fn paint(&self, rows: &[Row]) -> Result<(), Failure> {
        let size = terminal::size();
        let frame = frame(&table(rows).aligned(), size.cols.into(), size.rows.into());
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(frame.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|error| broken(&error))
    }

    /// Gives the terminal back and stops; returns when the shell lets us go on.
    pub(super) fn suspend(self) -> Result<Self, Failure> {
        drop(self);
        signals::stop_here();
        Self::open()
    }
}

fn meant(key: Option<Key>) -> Next {
    match key {
        Some(Key::Char('q') | Key::Esc) => Next::End(0),
        Some(Key::Ctrl('c')) => Next::End(130),
        Some(Key::Ctrl('z')) => Next::Suspend,
        Some(Key::Ctrl('l')) => Next::Again,
        _ => Next::Nothing,
    }
}

/// The lines that fit, each over what was there before.
fn frame(text: &str, cols: usize, rows: usize) -> String {
    let mut frame = "\x1b[H".to_owned();
    // The last line stays free, so that nothing scrolls.
    for line in text.lines().take(rows.saturating_sub(1)) {
        let line: String = line.chars().take(cols).collect();
        write!(frame, "{line}\x1b[K\r\n").expect("a String takes every write");
    }
    frame.push_str("\x1b[J");
    frame
}

fn broken(error: &io::Error) -> Failure {
    Failure::unexpected("the terminal cannot be used").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_cut_to_the_screen_and_clears_what_was_there() {
        assert_eq!(frame("abcdef\ngh\nij\n", 4, 3), "\x1b[Habcd\x1b[K\r\ngh\x1b[K\r\n\x1b[J");
        assert_eq!(frame("abc\n", 80, 0), "\x1b[H\x1b[J");
    }

    #[test]
    fn q_quits_and_interrupt_says_so() {
        assert_eq!(meant(Some(Key::Char('q'))), Next::End(0));
        assert_eq!(meant(Some(Key::Ctrl('c'))), Next::End(130));
        assert_eq!(meant(Some(Key::Char('x'))), Next::Nothing);
    }
}
