//! Guesses, and what they were read from.

use std::fmt;

use serde::Serialize;

/// LIMIT: characters of what a reason quotes.
const DETAIL_MAX: usize = 120;

/// Why something is believed of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The file that says so; `None` for what holds without one, such as a framework's own port.
    pub file: Option<String>,
    /// What is in it.
    pub detail: String,
}

impl Reason {
    /// `detail` is in `file`.
    pub(crate) fn in_file(file: &str, detail: impl AsRef<str>) -> Self {
        Self { file: Some(file.to_owned()), detail: one_line(detail.as_ref()) }
    }

    /// `file` is there, which says enough.
    pub(crate) fn file(file: &str) -> Self {
        Self { file: Some(file.to_owned()), detail: String::new() }
    }

    /// It is so unless somebody says otherwise.
    pub(crate) fn usual(detail: impl AsRef<str>) -> Self {
        Self { file: None, detail: one_line(detail.as_ref()) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.detail.as_str()) {
            (Some(file), "") => f.write_str(file),
            (Some(file), detail) => write!(f, "{file}: {detail}"),
            (None, detail) => f.write_str(detail),
        }
    }
}

/// A value, and why it is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Guess<T> {
    /// What is believed.
    pub value: T,
    /// Why.
    pub reason: Reason,
}

impl<T> Guess<T> {
    pub(crate) const fn new(value: T, reason: Reason) -> Self {
        Self { value, reason }
    }
}

/// Text of a project, as it can stand in a comment or on a terminal: one line, no control characters, not long.
fn one_line(text: &str) -> String {
    let is_odd = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    let mut line: String =
        text.chars().map(|c| if is_odd(c) { ' ' } else { c }).take(DETAIL_MAX).collect();
    if text.chars().nth(DETAIL_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_as_file_and_what_is_in_it() {
        assert_eq!(Reason::file("yarn.lock").to_string(), "yarn.lock");
        let reason = Reason::in_file("package.json", "dependencies.vite");
        assert_eq!(reason.to_string(), "package.json: dependencies.vite");
        assert_eq!(Reason::usual("Vite's own port").to_string(), "Vite's own port");
    }

    #[test]
    fn what_a_project_says_stays_on_its_line() {
        let reason = Reason::in_file("Procfile", "a\nb\x1b[2J\u{2028}c");
        assert_eq!(reason.to_string(), "Procfile: a b [2J c");
        assert!(Reason::usual("x".repeat(500)).detail.chars().count() <= DETAIL_MAX + 1);
    }
}
