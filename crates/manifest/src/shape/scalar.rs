//! Single values.

use super::{Code, Content, Findings, Node, Text, Value, choices, nearest, quantity, quoted};
use crate::shape::wrong_type;

/// A value that should be no list and no map.
pub(super) struct Scalar<'a> {
    pub(super) name: &'a str,
    pub(super) node: &'a Node,
    pub(super) findings: &'a mut Findings,
}

impl<'a> Scalar<'a> {
    pub(super) fn version(&mut self) -> Option<Value> {
        match &self.node.content {
            Content::Plain(text) if text == "1" => Some(Value::Number(1)),
            Content::Plain(text) | Content::Quoted(text) => {
                let message = format!("version {} is not known here", quoted(text));
                self.findings
                    .add(Code::VersionUnsupported, self.node.at, message)
                    .hint("write `version: 1`");
                None
            }
            Content::Null | Content::List(_) | Content::Map(_) => self.mistyped("the number 1"),
        }
    }

    /// Numbers and truth values are texts too, as they are written: `true` is a command.
    pub(super) fn text(&mut self, rule: Text) -> Option<String> {
        let (Content::Plain(text) | Content::Quoted(text)) = &self.node.content else {
            return self.mistyped("text");
        };
        if text.contains('\0') {
            let message = format!("{} holds a NUL character", self.name);
            self.findings
                .add(Code::NulCharacter, self.node.at, message)
                .hint("no program can be given one: remove `\\0`");
            return None;
        }
        let wrong = match rule {
            Text::Command | Text::CommandOrNone => None,
            Text::Name => text.parse::<sandbar_types::ProcessName>().err().map(|_| {
                let message = format!("{} cannot be the name of a process", quoted(text));
                (Code::BadName, message, "1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`")
            }),
            Text::UrlPath => (!is_url_path(text)).then(|| {
                let message = format!("{} is {}, and no path of a URL", self.name, quoted(text));
                let hint =
                    "it begins with `/`, and what is not ASCII, or a space, is written as %XX";
                (Code::BadPath, message, hint)
            }),
            Text::Directory => leads_out(text).then(|| {
                let message = format!("{} leads out of the workspace", quoted(text));
                (Code::BadDirectory, message, "a path below the workspace, or an absolute one")
            }),
        };
        if let Some((code, message, hint)) = wrong {
            self.findings.add(code, self.node.at, message).hint(hint);
            return None;
        }
        Some(text.clone())
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.plain() {
            Some("true" | "True" | "TRUE") => Some(true),
            Some("false" | "False" | "FALSE") => Some(false),
            Some(_) | None => self.mistyped("`true` or `false`"),
        }
    }

    pub(super) fn whole(&mut self, min: u64, max: u64) -> Option<u64> {
        let Some(number) = self.plain().and_then(integer) else {
            return self.mistyped("a whole number, without quotes");
        };
        self.ranged(number, min, max, |bound| bound.to_string())
    }

    pub(super) fn port(&mut self) -> Option<u16> {
        let Some(number) = self.plain().and_then(integer) else {
            return self.mistyped("a port: a number, without quotes");
        };
        match u16::try_from(number) {
            Ok(port) if port > 0 => Some(port),
            Ok(_) | Err(_) => {
                let message = format!("{} is no port", self.shown());
                self.findings
                    .add(Code::PortOutOfRange, self.node.at, message)
                    .hint("ports are 1 to 65535");
                None
            }
        }
    }

    pub(super) fn word(&mut self, words: &[&'static str]) -> Option<&'static str> {
        let (Content::Plain(text) | Content::Quoted(text)) = &self.node.content else {
            return self.mistyped(&choices(words));
        };
        if let Some(word) = words.iter().find(|word| *word == text) {
            return Some(word);
        }
        let message = format!("{} cannot be {}", self.name, quoted(text));
        let hint = match nearest(text, words) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it can be {}", choices(words).replace(" and ", " or ")),
        };
        self.findings.add(Code::BadChoice, self.node.at, message).hint(hint);
        None
    }

    pub(super) fn duration(&mut self, min_ms: u64, max_ms: u64) -> Option<u64> {
        let (Content::Plain(text) | Content::Quoted(text)) = &self.node.content else {
            return self.mistyped("a duration, such as `5s`");
        };
        let Some(ms) = quantity::duration_ms(text) else {
            let message = format!("{} is no duration", quoted(text));
            self.findings
                .add(Code::BadDuration, self.node.at, message)
                .hint("write a number and `ms`, `s`, `m` or `h`: `500ms`, `5s`, `1m30s`");
            return None;
        };
        self.ranged(ms, min_ms, max_ms, quantity::show_ms)
    }

    pub(super) fn bytes(&mut self, min: u64, max: u64) -> Option<u64> {
        let (Content::Plain(text) | Content::Quoted(text)) = &self.node.content else {
            return self.mistyped("a size, such as `1MiB`");
        };
        let Some(bytes) = quantity::bytes(text) else {
            let message = format!("{} is no size", quoted(text));
            self.findings
                .add(Code::BadSize, self.node.at, message)
                .hint("write a number and `k`, `M` or `G` (or `KiB`, `MiB`, `GiB`): `64k`, `1MiB`");
            return None;
        };
        self.ranged(bytes, min, max, quantity::show_bytes)
    }

    fn ranged(&mut self, number: u64, min: u64, max: u64, show: fn(u64) -> String) -> Option<u64> {
        if (min..=max).contains(&number) {
            return Some(number);
        }
        let message = format!("{} is {}", self.name, self.shown());
        let hint = format!("from {} to {}", show(min), show(max));
        self.findings.add(Code::NumberOutOfRange, self.node.at, message).hint(hint);
        None
    }

    fn plain(&self) -> Option<&'a str> {
        if let Content::Plain(text) = &self.node.content { Some(text) } else { None }
    }

    fn shown(&self) -> String {
        match &self.node.content {
            Content::Plain(text) | Content::Quoted(text) => quoted(text),
            Content::Null | Content::List(_) | Content::Map(_) => self.name.to_owned(),
        }
    }

    fn mistyped<T>(&mut self, wanted: &str) -> Option<T> {
        wrong_type(self.name, wanted, self.node, self.findings);
        None
    }
}

/// A whole number as YAML writes it. One with a minus, or too large, is out of every range that a field has.
fn integer(text: &str) -> Option<u64> {
    if let Some(digits) = text.strip_prefix('-') {
        return match quantity::leading_number(digits)? {
            (_, "") => Some(u64::MAX),
            _ => None,
        };
    }
    match quantity::leading_number(text.strip_prefix('+').unwrap_or(text))? {
        (number, "") => Some(number),
        _ => None,
    }
}

fn is_url_path(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic())
}

fn leads_out(directory: &str) -> bool {
    !directory.starts_with('/') && directory.split('/').any(|part| part == "..")
}
