//! What went wrong, for a person: `error:`, `caused by:`, `hint:`, and the exit code that a script reads.

use std::{error::Error, fmt::Write, io};

use sandbar_api::Problem;

use crate::output::visible;

/// The exit codes of `sandbar` itself. The commands that run something pass its own code through instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    /// Something that should not happen.
    Unexpected = 1,
    /// The command line, or a value in it, is wrong.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// The state of the thing does not allow it, or the server refuses.
    Refused = 4,
    /// A limit was reached.
    Limit = 5,
    /// The server cannot be reached or started.
    Unreachable = 6,
    /// A signal ended it before anything was done: 128 + SIGINT.
    Interrupted = 130,
    /// The reader of our output went away: 128 + SIGPIPE, as other tools end.
    BrokenPipe = 141,
}

/// The table of `sandbar --help` and of `docs/cli.md`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  unexpected failure
  2  wrong usage
  3  not found
  4  refused by the state of the sandbox, or a conflict
  5  a limit was reached
  6  the server cannot be reached
`run`, `exec` and `shell` pass on the code of the command:
  124  it ran into its timeout
  126  it cannot be executed
  127  it is not there
  128+n  signal n ended it";

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    message: String,
    causes: Vec<String>,
    hint: Option<String>,
    problem: Option<Box<Problem>>,
}

impl Failure {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), causes: Vec::new(), hint: None, problem: None }
    }

    /// As [`Failure::new`] for what only a bug or a broken host explains.
    pub(crate) fn unexpected(message: impl Into<String>) -> Self {
        Self::new(Code::Unexpected, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// Adds `error` and its own causes below the message.
    pub(crate) fn caused_by(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Some libraries repeat the source's text in their own; once is enough.
            if !self.causes.last().is_some_and(|last| last.contains(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds a fact to the message itself.
    pub(crate) fn with_note(mut self, note: impl AsRef<str>) -> Self {
        self.message = format!("{}, {}", self.message, note.as_ref());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps what the server said, for whoever can do more than show it.
    pub(crate) fn with_problem(mut self, problem: Problem) -> Self {
        self.problem = Some(Box::new(problem));
        self
    }

    /// What the server said, if it was the server that refused.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        self.problem.as_deref()
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The lines for stderr. Every text may hold names that a sandbox chose, so all of it is escaped.
    pub(crate) fn render(&self) -> String {
        let mut out = format!("error: {}\n", escape(&self.message));
        for cause in &self.causes {
            writeln!(out, "caused by: {}", escape(cause)).expect("a String takes every write");
        }
        if let Some(hint) = &self.hint {
            writeln!(out, "hint: {}", escape(hint)).expect("a String takes every write");
        }
        out
    }
}

fn escape(text: &str) -> String {
    visible::escape(text.trim_end().as_bytes(), visible::Place::Text)
}

/// Writing to stdout failed.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Code::BrokenPipe, "the reader of the output went away");
        }
        Self::unexpected("cannot write the output").caused_by(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_reads_from_what_to_why_to_what_now() {
        let failure = Failure::not_found("no sandbox `x\x1b[2J`")
            .caused_by(&io::Error::other("why"))
            .hint("list them: `sandbar ls`");
        assert_eq!(
            failure.render(),
            "error: no sandbox `x\\x1b[2J`\ncaused by: why\nhint: list them: `sandbar ls`\n"
        );
        assert_eq!(failure.code() as u8, 3);
    }

    #[test]
    fn the_table_names_every_code() {
        for code in [
            Code::Unexpected,
            Code::Usage,
            Code::NotFound,
            Code::Refused,
            Code::Limit,
            Code::Unreachable,
        ] {
            assert!(EXIT_CODES.contains(&format!("\n  {}  ", code as u8)), "{code:?}");
        }
    }
}
