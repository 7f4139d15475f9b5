//! A `.env` file: one `NAME=VALUE` on a line. Nothing in it is looked up or carried out.

use sandbar_types::EnvName;

/// What is wrong with a line. It never shows a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadLine {
    line: usize,
    problem: &'static str,
}

impl std::fmt::Display for BadLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// Reads every variable; of one that is there twice, the later.
pub(super) fn parse(text: &str) -> Result<Vec<(EnvName, String)>, BadLine> {
    let mut found: Vec<(EnvName, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let bad = |problem| BadLine { line: index + 1, problem };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, rest) = line.split_once('=').ok_or_else(|| bad("there is no `=`"))?;
        let name: EnvName =
            name.trim().parse().map_err(|_| bad("not the name of an environment variable"))?;
        let value = value(rest.trim()).map_err(bad)?;
        found.retain(|(other, _)| *other != name);
        found.push((name, value));
    }
    Ok(found)
}

fn value(text: &str) -> Result<String, &'static str> {
    let (value, rest) = match text.chars().next() {
        Some('\'') => {
            let (value, rest) = text[1..].split_once('\'').ok_or("a quote is not closed")?;
            (value.to_owned(), rest)
        }
        Some('"') => double_quoted(&text[1..])?,
        Some(_) | None => {
            let end = if text.starts_with('#') { Some(0) } else { text.find(" #") };
            (text[..end.unwrap_or(text.len())].trim_end().to_owned(), "")
        }
    };
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(value)
    } else {
        Err("there is something after the quote")
    }
}

fn double_quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next().map(|(_, char)| char) {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(char @ ('"' | '\\' | '$' | '`')) => value.push(char),
                Some(_) | None => return Err("an escape that is none"),
            },
            char => value.push(char),
        }
    }
    Err("a quote is not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_is_read_and_nothing_is_looked_up() {
        let text = "# a comment\n\nA=1\nexport B = two words # comment\nC='$HOME # no'\nD=\"a\\n\\\"b\\\"\" # c\nE=\nF=x#y\r\nA=last\n";
        let found = parse(text).unwrap();
        let found: Vec<_> =
            found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let expected = [
            ("B", "two words"),
            ("C", "$HOME # no"),
            ("D", "a\n\"b\""),
            ("E", ""),
            ("F", "x#y"),
            ("A", "last"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_bad_line_is_named_without_its_value() {
        for (text, problem) in [
            ("A=1\nhunter2", "there is no `=`"),
            ("A=1\n1A=hunter2", "not the name of an environment variable"),
            ("A=1\nB=\"hunter2", "a quote is not closed"),
            ("A=1\nB='hunter2", "a quote is not closed"),
            ("A=1\nB=\"hunter2\\", "an escape that is none"),
            ("A=1\nB='x'hunter2", "there is something after the quote"),
        ] {
            let bad = parse(text).unwrap_err();
            assert_eq!(bad, BadLine { line: 2, problem });
            assert!(!bad.to_string().contains("hunter2"));
        }
    }
}
