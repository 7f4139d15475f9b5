//! YAML with positions: text in, nodes out.
//!
//! The subset that a manifest needs: one document, no anchors, aliases or tags, no key twice. An alias is what makes a
//! small text large, and a tag what makes two readers disagree.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

use crate::{
    TEXT_BYTES_MAX,
    finding::{Code, Findings, Position, end_of, quoted},
};

/// LIMIT: levels of lists and maps; a manifest has six.
const DEPTH_MAX: usize = 16;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) at: Position,
    pub(crate) content: Content,
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing, `~` or `null`.
    Null,
    /// Text without quotes: it may be meant as a number or a truth value.
    Plain(String),
    /// Text that can only be meant as text.
    Quoted(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) at: Position,
    pub(crate) node: Node,
}

/// A finding was made after which nothing more can be read.
struct Stopped;

/// The root of the only document. `None` when there is a finding that says why.
pub(crate) fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    if text.len() > TEXT_BYTES_MAX {
        findings
            .add(Code::TooLarge, Position::START, format!("larger than {TEXT_BYTES_MAX} bytes"))
            .hint("move long scripts to files of the project, and name those");
        return None;
    }
    // A mark of the byte order is not part of the text.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some((place, c)) = text.char_indices().find(|(_, c)| !is_allowed(*c)) {
        findings
            .add(
                Code::ControlCharacter,
                end_of(&text[..place]),
                format!("the character U+{:04X} is not allowed", u32::from(c)),
            )
            .hint("in double quotes it can be written as an escape, such as `\"\\x1b\"`");
        return None;
    }
    let mut reader = Reader { parser: Parser::new_from_str(text), findings };
    reader.document().ok()
}

/// YAML's printable characters.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
        && c != '\u{feff}'
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    findings: &'a mut Findings,
}

impl<'a> Reader<'a> {
    fn document(&mut self) -> Result<Node, Stopped> {
        let root = loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd, span) => {
                    break Node { at: position(span.start), content: Content::Null };
                }
                (event, span) => break self.node(event, span, 1)?,
            }
        };
        if root.content == Content::Null {
            self.findings.add(Code::Empty, root.at, "nothing is in the manifest").hint(
                "at least `version: 1` and `web: {}`, or `workers:` with a name and a command",
            );
            return Err(Stopped);
        }
        loop {
            match self.parser.next() {
                None | Some(Ok((Event::StreamEnd, _))) => return Ok(root),
                Some(Ok((Event::DocumentStart(_), span))) => {
                    self.findings
                        .add(
                            Code::SecondDocument,
                            position(span.start),
                            "a second document begins here",
                        )
                        .hint("a manifest is one document: remove `---` and what follows it");
                    return Ok(root);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    self.syntax(*error.marker(), error.info());
                    return Ok(root);
                }
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Stopped> {
        let at = position(span.start);
        if depth > DEPTH_MAX {
            self.findings.add(Code::TooDeep, at, format!("nested deeper than {DEPTH_MAX} levels"));
            return Err(Stopped);
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => (*anchor, tag),
            Event::Alias(anchor) => (*anchor, &None),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => (0, &None),
        };
        if anchor != 0 {
            self.findings
                .add(Code::YamlAlias, at, "anchors and aliases are not read")
                .hint("write the value out where it is needed");
            return Err(Stopped);
        }
        if tag.is_some() {
            self.findings
                .add(Code::YamlTag, at, "tags are not read")
                .hint("remove it; for text, use quotes");
        }
        let content = match event {
            Event::Scalar(text, style, _, _) => scalar(&text, style),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            Event::Alias(_)
            | Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Content::Null,
        };
        Ok(Node { at, content })
    }

    fn list(&mut self, depth: usize) -> Result<Content, Stopped> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Content::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Content, Stopped> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = BTreeMap::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Content::Map(entries)),
                (event, span) => self.node(event, span, depth + 1)?,
            };
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            let text = match key.content {
                Content::Plain(text) | Content::Quoted(text) => text,
                Content::Null => "null".to_owned(),
                Content::List(_) | Content::Map(_) => {
                    self.findings.add(Code::KeyNotText, key.at, "a key must be a word");
                    continue;
                }
            };
            if let Some(first) = seen.get(&text) {
                self.findings
                    .add(
                        Code::DuplicateKey,
                        key.at,
                        format!("{} is there twice, first in line {first}", quoted(&text)),
                    )
                    .hint("keep one of the two");
                continue;
            }
            seen.insert(text.clone(), key.at.line);
            entries.push(Entry { key: text, at: key.at, node });
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Stopped> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                self.syntax(*error.marker(), error.info());
                Err(Stopped)
            }
            None => {
                self.syntax(Marker::default(), "the document has no end");
                Err(Stopped)
            }
        }
    }

    fn syntax(&mut self, at: Marker, why: &str) {
        self.findings.add(Code::YamlSyntax, position(at), format!("not YAML: {why}")).hint(
            "often the indentation of this line or the one above, or a `: ` in text without quotes",
        );
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Content {
    match style {
        ScalarStyle::Plain => match text {
            "" | "~" | "null" | "Null" | "NULL" => Content::Null,
            text => Content::Plain(text.to_owned()),
        },
        ScalarStyle::SingleQuoted
        | ScalarStyle::DoubleQuoted
        | ScalarStyle::Literal
        | ScalarStyle::Folded => Content::Quoted(text.to_owned()),
    }
}

fn position(marker: Marker) -> Position {
    Position { line: marker.line(), column: marker.col() + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<(&'static str, u32, u32)> {
        let mut findings = Findings::default();
        parse(text, &mut findings);
        let found = findings.finish(text);
        found.iter().map(|f| (f.code.as_str(), f.line, f.column)).collect()
    }

    #[test]
    fn what_makes_small_text_large_is_not_read() {
        assert_eq!(codes("a: &x [1]\nb: *x\n"), [("yaml_alias", 1, 4)]);
        assert_eq!(codes(&"[".repeat(100)), [("too_deep", 1, 17)]);
        // The parser has a limit of its own, as it reads ahead.
        assert_eq!(codes(&"[".repeat(60_000)), [("yaml_syntax", 1, 256)]);
        assert_eq!(codes(&"- ".repeat(30_000)), [("too_deep", 1, 33)]);
        assert_eq!(codes(&"x".repeat(70_000)), [("too_large", 1, 1)]);
    }

    #[test]
    fn what_two_readers_take_for_two_things_is_not_read() {
        assert_eq!(codes("a: 1\nb: 2\na: 3\n"), [("duplicate_key", 3, 1)]);
        assert_eq!(codes("a: !!str 1\n"), [("yaml_tag", 1, 4)]);
        assert_eq!(codes("a: 1\n---\nb: 1\n"), [("second_document", 2, 1)]);
        assert_eq!(codes("[a, b]: 1\n"), [("key_not_text", 1, 1)]);
        assert_eq!(codes("a: \u{1b}[2J\n"), [("control_character", 1, 4)]);
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        for text in ["", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "~", "\u{feff}"] {
            let found = codes(text);
            assert_eq!(
                found.iter().map(|found| found.0).collect::<Vec<_>>(),
                ["empty"],
                "{text:?}"
            );
        }
    }

    #[test]
    fn broken_text_says_where() {
        assert_eq!(codes("web:\n  command: a: b\n"), [("yaml_syntax", 2, 13)]);
        assert_eq!(codes("web:\n\tport: 1\n"), [("yaml_syntax", 2, 2)]);
        assert_eq!(codes("{---"), [("yaml_syntax", 1, 1)]);
    }
}
