//! A unified diff for a terminal: colored by line, and safe to look at.

use anstyle::{AnsiColor, Style};

use crate::output::visible::{self, Place};

const ADDED: Style = AnsiColor::Green.on_default();
const REMOVED: Style = AnsiColor::Red.on_default();
const HUNK: Style = AnsiColor::Cyan.on_default();
const HEADING: Style = Style::new().bold();
const PLAIN: Style = Style::new();

/// Paints a diff line by line. What a line means depends on where it stands: inside a hunk, `--- a` is a removed `-- a`.
#[derive(Debug, Default)]
pub(crate) struct Painter {
    old_left: u64,
    new_left: u64,
}

impl Painter {
    /// Returns one line, without its line feed, escaped and colored.
    pub(crate) fn line(&mut self, line: &[u8]) -> String {
        let style = self.style(line);
        // A carriage return at the end is a line ending that the reader should see, and `\r` says it.
        let text = visible::escape(line, Place::Text);
        format!("{style}{text}{style:#}")
    }

    fn style(&mut self, line: &[u8]) -> Style {
        if self.old_left > 0 || self.new_left > 0 {
            return self.style_in_hunk(line);
        }
        match line {
            [b'@', b'@', ..] => {
                (self.old_left, self.new_left) = hunk_lengths(line).unwrap_or((0, 0));
                HUNK
            }
            [b'\\' | b'z' | b'G' | b'l' | b'd', ..]
                if !line.starts_with(b"diff ") && !line.starts_with(b"deleted ") =>
            {
                PLAIN
            }
            _ => HEADING,
        }
    }

    fn style_in_hunk(&mut self, line: &[u8]) -> Style {
        match line.first() {
            Some(b'+') => {
                self.new_left = self.new_left.saturating_sub(1);
                ADDED
            }
            Some(b'-') => {
                self.old_left = self.old_left.saturating_sub(1);
                REMOVED
            }
            // `\ No newline at end of file` is nobody's line.
            Some(b'\\') => PLAIN,
            Some(_) | None => {
                self.old_left = self.old_left.saturating_sub(1);
                self.new_left = self.new_left.saturating_sub(1);
                PLAIN
            }
        }
    }
}

/// Reads `@@ -1,2 +3,4 @@`; a missing length is 1.
fn hunk_lengths(line: &[u8]) -> Option<(u64, u64)> {
    let text = str::from_utf8(line.split(|b| *b == b'@').nth(2)?).ok()?;
    let mut ranges = text.split_whitespace();
    let mut length = |sign| -> Option<u64> {
        let range = ranges.next()?.strip_prefix(sign)?;
        range.split_once(',').map_or(Some(1), |(_start, length)| length.parse().ok())
    };
    Some((length('-')?, length('+')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(diff: &str) -> String {
        let mut painter = Painter::default();
        diff.lines()
            .map(|line| painter.line(line.as_bytes()) + "\n")
            .collect::<String>()
            .replace('\x1b', "^")
    }

    #[test]
    fn lines_are_colored_by_where_they_stand() {
        let diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@ fn x\n same\n--- not a heading\n+++ nor this\n\\ No newline at end of file\ndiff --git a/y b/y\n";
        assert_eq!(
            painted(diff),
            "^[1mdiff --git a/x b/x^[0m\n^[1m--- a/x^[0m\n^[1m+++ b/x^[0m\n^[36m@@ -1,2 +1,2 @@ fn x^[0m\n same\n^[31m--- not a heading^[0m\n^[32m+++ nor this^[0m\n\\ No newline at end of file\n^[1mdiff --git a/y b/y^[0m\n"
        );
    }

    #[test]
    fn a_hostile_line_cannot_paint_itself() {
        let shown = painted("@@ -0,0 +1 @@\n+\x1b[2K\x1b]52;c;eA==\x07/* \u{202e} */\n");
        assert_eq!(
            shown,
            "^[36m@@ -0,0 +1 @@^[0m\n^[32m+\\x1b[2K\\x1b]52;c;eA==\\x07/* \\u{202e} */^[0m\n"
        );
    }
}
