//! Text that a sandbox chose, made safe for a person's terminal.
//!
//! A file name, a diff or a log line may hold escape sequences that move the cursor, set the clipboard or
//! hide what follows, and characters that reorder or vanish. A person approves what they see, so what they see
//! must be what is there: such characters are written out, never sent.

use std::fmt::Write;

/// Where escaped text is going to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A single line, such as a name in a table: line breaks and tabs are written out too.
    Line,
    /// A text of many lines, such as a diff: line feeds and tabs stand.
    Text,
}

/// Returns `bytes` with everything that a terminal would obey, reorder or hide written as `\x1b`, `\u{202e}`, `\xff`.
pub(crate) fn escape(bytes: &[u8], place: Place) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut out, c, place);
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("a String takes every write");
        }
    }
    out
}

/// As [`escape`] for a name or another single line.
pub(crate) fn line(text: impl AsRef<[u8]>) -> String {
    escape(text.as_ref(), Place::Line)
}

/// Whether a terminal obeys, reorders or hides `c`, so that it must not be sent as it is.
pub(crate) fn is_deceptive(c: char) -> bool {
    c.is_control() || is_bidi(c) || is_invisible(c)
}

fn push(out: &mut String, c: char, place: Place) {
    match (c, place) {
        ('\n' | '\t', Place::Text) => out.push(c),
        ('\n', Place::Line) => out.push_str("\\n"),
        ('\t', Place::Line) => out.push_str("\\t"),
        ('\r', _) => out.push_str("\\r"),
        (c, _) if !is_deceptive(c) => out.push(c),
        (c, _) if c.is_ascii() => {
            write!(out, "\\x{:02x}", u32::from(c)).expect("a String takes every write");
        }
        (c, _) => {
            write!(out, "\\u{{{:x}}}", u32::from(c)).expect("a String takes every write");
        }
    }
}

/// Characters that reorder text (Unicode Standard Annex 9, and CVE-2021-42574).
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters with no glyph: zero-width ones, fillers, tags, most variation selectors, odd line separators.
/// U+FE0F stands, because every colored emoji has one.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200d}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0e}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_written_out() {
        for (name, shown) in [
            (&b"a\x1b[2Jb"[..], "a\\x1b[2Jb"),
            (b"\x1b]52;c;cm0=\x07", "\\x1b]52;c;cm0=\\x07"),
            ("exe\u{202e}cod.txt".as_bytes(), "exe\\u{202e}cod.txt"),
            ("a\u{200b}b".as_bytes(), "a\\u{200b}b"),
            ("c1\u{9b}31m".as_bytes(), "c1\\u{9b}31m"),
            (b"two\nlines\tand\rmore", "two\\nlines\\tand\\rmore"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("größe ✓ ❤\u{fe0f}".as_bytes(), "größe ✓ ❤\u{fe0f}"),
        ] {
            assert_eq!(line(name), shown);
        }
    }

    #[test]
    fn a_text_keeps_its_lines() {
        assert_eq!(escape(b"+a\tb\n+\x1b[1m\n", Place::Text), "+a\tb\n+\\x1b[1m\n");
    }

    proptest::proptest! {
        #[test]
        fn nothing_deceptive_survives(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            proptest::prop_assert!(!line(&bytes).chars().any(is_deceptive));
        }
    }
}
