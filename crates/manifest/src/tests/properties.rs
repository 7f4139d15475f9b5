//! What holds for every text.

use proptest::{collection::vec, prelude::*, sample::select};

use super::EVERY_FIELD;
use crate::{Severity, read, read_bytes, tests::schema::refused_by_schema};

/// Pieces that manifests and YAML are made of, good and bad.
const PIECES: &[&str] = &[
    "version: 1\n",
    "version",
    "web:",
    "web: {}\n",
    "workers:\n",
    "build:",
    "command: ",
    "port: ",
    "ports: ",
    "name: ",
    "after: ",
    "ready: ",
    "health: ",
    "http: ",
    "tcp: ",
    "notify: {fd: 3}",
    "env: ",
    "log: ",
    "stop: ",
    "deadline: ",
    "restart: ",
    "3000",
    "0",
    "-1",
    "99999999999999999999",
    "5s",
    "1MiB",
    "none",
    "true",
    "a",
    "..",
    "/",
    ": ",
    ":",
    "- ",
    "-",
    "\n",
    "\n  ",
    "\n    ",
    "  ",
    " ",
    "\t",
    "{",
    "}",
    "[",
    "]",
    ",",
    "'",
    "\"",
    "|",
    ">",
    "|2-\n",
    ">+\n",
    "&a ",
    "*a",
    "!!str ",
    "!",
    "%TAG",
    "---\n",
    "---",
    "...\n",
    "...",
    "# x\n",
    "#",
    "? ",
    "?",
    "~",
    "null",
    "\r\n",
    "\r",
    "\\0",
    "\\x",
    "\\",
    "@",
    "`",
    "é",
    "\u{2028}",
    "\u{85}",
    "\u{feff}",
    "\u{0}",
    "<<: ",
    "=",
    "\u{1F600}",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        vec(select(PIECES), 0..40).prop_map(|pieces| pieces.concat()),
        vec(any::<char>(), 0..60).prop_map(|chars| chars.into_iter().collect()),
        // A good manifest with a piece in the wrong place, and with one cut out.
        (0..EVERY_FIELD.len(), 0..20_usize, select(PIECES)).prop_map(|(at, cut, piece)| {
            let end = (at + cut).min(EVERY_FIELD.len());
            format!("{}{piece}{}", &EVERY_FIELD[..at], &EVERY_FIELD[end..])
        }),
    ]
}

/// Lines as an editor shows them.
fn widths(text: &str) -> Vec<usize> {
    text.replace("\r\n", "\n").split(['\n', '\r']).map(|line| line.chars().count()).collect()
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in text()) {
        let reading = read(&text);
        let errors = reading.of(Severity::Error).count();
        prop_assert_eq!(reading.spec.is_none(), errors > 0, "{:?}", reading);
        let widths = widths(&text);
        for finding in &reading.findings {
            let (line, column) = (finding.line as usize, finding.column as usize);
            prop_assert!((1..=widths.len()).contains(&line), "{:?}", finding);
            prop_assert!((1..=widths[line - 1] + 1).contains(&column), "{:?}", finding);
            prop_assert!(!finding.message.chars().any(char::is_control), "{:?}", finding);
        }
        prop_assert_eq!(read_bytes(text.as_bytes()), reading);
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in vec(any::<u8>(), 0..60)) {
        let reading = read_bytes(&bytes);
        prop_assert!(reading.is_valid() || !reading.findings.is_empty());
    }

    #[test]
    fn what_the_reader_takes_without_a_word_editors_take(text in text()) {
        if read(&text).findings.is_empty() {
            prop_assert_eq!(refused_by_schema(&text), None);
        }
    }

    #[test]
    fn editors_see_which_paths_lead_out(parts in vec(select(&["..", ".", "/", "a", "-"][..]), 1..8)) {
        let text = format!("version: 1\nweb: {{cwd: '{}'}}\n", parts.concat());
        prop_assert_eq!(refused_by_schema(&text).is_none(), read(&text).is_valid(), "{}", text);
    }
}
