//! What an agent said last, and what it said out of turn.

use sandbar_types::{AgentEvent, ExitStatus};

use crate::Step;

/// LIMIT: bytes of the last message that are kept for the result.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// LIMIT: bytes of what a tool gave, in an event.
const OUTPUT_BYTES_MAX: usize = 4 * 1024;
/// LIMIT: bytes of a title.
const TITLE_BYTES_MAX: usize = 200;
/// LIMIT: bytes of an error.
const ERROR_BYTES_MAX: usize = 2000;

/// Follows the messages of a talk.
#[derive(Debug, Default)]
pub(crate) struct Speech {
    message: String,
    /// Whether the next words begin another message.
    is_closed: bool,
    /// Whether it did anything at all.
    has_acted: bool,
    /// The last line that was none of the protocol's: where a program that does not start says why.
    stray: String,
}

impl Speech {
    /// Takes words that are said now.
    pub(crate) fn say(&mut self, text: &str) -> Step {
        self.note(text);
        Step::Event(AgentEvent::Message { text: text.to_owned() })
    }

    /// Takes words that were told as an event already.
    pub(crate) fn note(&mut self, text: &str) {
        if self.is_closed {
            self.message.clear();
            self.is_closed = false;
        }
        let room = MESSAGE_BYTES_MAX.saturating_sub(self.message.len());
        self.message.push_str(head(text, room));
    }

    /// The message is whole; what follows is another.
    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// It uses a tool, so it is not one that said and did nothing.
    pub(crate) fn act(&mut self) {
        self.has_acted = true;
        self.close();
    }

    /// Takes a line that means nothing.
    pub(crate) fn stray(&mut self, line: &str) {
        if !line.trim().is_empty() {
            self.stray = tail(line.trim(), ERROR_BYTES_MAX).to_owned();
        }
    }

    /// What comes of a talk that the agent calls done.
    pub(crate) fn outcome(&self) -> Result<String, String> {
        let message = self.message.trim();
        if message.is_empty() && !self.has_acted {
            return Err("the agent ended without a word".to_owned());
        }
        Ok(message.to_owned())
    }

    /// What went wrong with an agent that ended in the middle.
    pub(crate) fn broken_off(&self, status: ExitStatus, stderr: &str) -> String {
        let why = [stderr.trim(), self.stray.as_str()].into_iter().find(|text| !text.is_empty());
        why.map_or_else(
            || format!("the agent {status} before it was done"),
            |why| {
                let why = tail(why, ERROR_BYTES_MAX);
                format!("the agent {status} before it was done: {why}")
            },
        )
    }
}

/// What a tool gave, cut where it is long; `None` where it gave nothing.
pub(crate) fn output(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| clipped(text, OUTPUT_BYTES_MAX))
}

/// One line for people.
pub(crate) fn title(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    clipped(line, TITLE_BYTES_MAX)
}

/// An error, for people.
pub(crate) fn error(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        "the agent failed and said nothing".to_owned()
    } else {
        clipped(text, ERROR_BYTES_MAX)
    }
}

/// The end of a longer text, where the reason of a failure stands.
pub(crate) fn end(text: &str) -> &str {
    tail(text.trim(), ERROR_BYTES_MAX)
}

fn clipped(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    format!("{}…", head(text, bytes_max))
}

/// The first bytes, as many whole characters as fit.
fn head(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

/// The last bytes, as many whole characters as fit.
fn tail(text: &str, bytes_max: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(bytes_max))..]
}
