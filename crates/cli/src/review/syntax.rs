//! Coloring of code by a few words, comments, strings and numbers.
//!
//! Not a parser: a hunk begins in the middle of a file, and its lines were written by a stranger, so every line is read
//! once from left to right, in linear time. A library with real grammars was refused: its regular expressions backtrack
//! over hostile lines, it adds 2.6 MB, and it knows neither TypeScript nor TOML.

use std::ops::Range;

/// LIMIT: bytes of a line that are colored.
const LINE_BYTES_MAX: usize = 4000;

/// What a piece of a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Keyword,
    Text,
    Number,
    Comment,
}

/// What a line begins inside of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Inside {
    #[default]
    Code,
    Comment,
}

/// How a language writes things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language {
    keywords: &'static [&'static str],
    line_comment: &'static [&'static str],
    block_comment: Option<(&'static str, &'static str)>,
    quotes: &'static [u8],
}

const PLAIN: Language =
    Language { keywords: &[], line_comment: &[], block_comment: None, quotes: b"" };
const SLASHES: &[&str] = &["//"];
const BLOCK: Option<(&str, &str)> = Some(("/*", "*/"));

/// Extensions, and how what has them is written.
const LANGUAGES: &[(&[&str], Language)] = &[
    (
        &["rs"],
        Language {
            keywords: &[
                "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else",
                "enum", "extern", "false", "fn", "for", "if", "impl", "in", "let", "loop", "match",
                "mod", "move", "mut", "pub", "ref", "return", "self", "Self", "static", "struct",
                "super", "trait", "true", "type", "unsafe", "use", "where", "while",
            ],
            line_comment: SLASHES,
            block_comment: BLOCK,
            // Not the single quote: lifetimes have only one.
            quotes: b"\"",
        },
    ),
    (
        &["ts", "tsx", "js", "jsx", "mjs", "cjs", "mts", "cts", "vue", "svelte"],
        Language {
            keywords: &[
                "abstract",
                "any",
                "as",
                "async",
                "await",
                "boolean",
                "break",
                "case",
                "catch",
                "class",
                "const",
                "continue",
                "default",
                "delete",
                "do",
                "else",
                "enum",
                "export",
                "extends",
                "false",
                "finally",
                "for",
                "from",
                "function",
                "if",
                "implements",
                "import",
                "in",
                "instanceof",
                "interface",
                "let",
                "new",
                "null",
                "number",
                "of",
                "private",
                "public",
                "readonly",
                "return",
                "static",
                "string",
                "super",
                "switch",
                "this",
                "throw",
                "true",
                "try",
                "type",
                "typeof",
                "undefined",
                "var",
                "void",
                "while",
                "yield",
            ],
            line_comment: SLASHES,
            block_comment: BLOCK,
            quotes: b"\"'`",
        },
    ),
    (
        &["py", "pyi"],
        Language {
            keywords: &[
                "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
                "del", "elif", "else", "except", "False", "finally", "for", "from", "global", "if",
                "import", "in", "is", "lambda", "match", "None", "nonlocal", "not", "or", "pass",
                "raise", "return", "self", "True", "try", "while", "with", "yield",
            ],
            line_comment: &["#"],
            block_comment: None,
            quotes: b"\"'",
        },
    ),
    (
        &["go"],
        Language {
            keywords: &[
                "break",
                "case",
                "chan",
                "const",
                "continue",
                "default",
                "defer",
                "else",
                "fallthrough",
                "false",
                "for",
                "func",
                "go",
                "goto",
                "if",
                "import",
                "interface",
                "map",
                "nil",
                "package",
                "range",
                "return",
                "select",
                "struct",
                "switch",
                "true",
                "type",
                "var",
            ],
            line_comment: SLASHES,
            block_comment: BLOCK,
            quotes: b"\"'`",
        },
    ),
    (
        &["c", "h", "cc", "cpp", "hpp", "cs", "java", "kt", "kts", "swift", "php", "scala", "dart"],
        Language {
            keywords: &[
                "abstract",
                "auto",
                "bool",
                "boolean",
                "break",
                "case",
                "catch",
                "char",
                "class",
                "const",
                "continue",
                "default",
                "delete",
                "do",
                "double",
                "else",
                "enum",
                "extends",
                "extern",
                "false",
                "final",
                "float",
                "for",
                "fun",
                "func",
                "function",
                "if",
                "implements",
                "import",
                "in",
                "include",
                "int",
                "interface",
                "let",
                "long",
                "namespace",
                "new",
                "nil",
                "null",
                "nullptr",
                "package",
                "private",
                "protected",
                "public",
                "return",
                "short",
                "signed",
                "sizeof",
                "static",
                "struct",
                "super",
                "switch",
                "template",
                "this",
                "throw",
                "true",
                "try",
                "typedef",
                "union",
                "unsigned",
                "using",
                "val",
                "var",
                "virtual",
                "void",
                "while",
            ],
            line_comment: SLASHES,
            block_comment: BLOCK,
            quotes: b"\"'",
        },
    ),
    (
        &["css", "scss", "less"],
        Language { line_comment: SLASHES, block_comment: BLOCK, quotes: b"\"'", ..PLAIN },
    ),
    (
        &["html", "htm", "xml", "svg"],
        Language { block_comment: Some(("<!--", "-->")), quotes: b"\"", ..PLAIN },
    ),
    (&["json"], Language { keywords: &["false", "null", "true"], quotes: b"\"", ..PLAIN }),
    (
        &["toml", "yaml", "yml", "ini", "cfg", "conf", "env", "properties"],
        Language {
            keywords: &["false", "no", "null", "true", "yes"],
            line_comment: &["#"],
            quotes: b"\"'",
            ..PLAIN
        },
    ),
    (
        &["sh", "bash", "zsh", "fish", "mk", "dockerfile", "makefile", "envrc"],
        Language {
            keywords: &[
                "case",
                "do",
                "done",
                "elif",
                "else",
                "esac",
                "exit",
                "export",
                "fi",
                "for",
                "function",
                "if",
                "in",
                "local",
                "return",
                "set",
                "then",
                "while",
                "ADD",
                "CMD",
                "COPY",
                "ENTRYPOINT",
                "ENV",
                "FROM",
                "RUN",
                "USER",
                "WORKDIR",
            ],
            line_comment: &["#"],
            block_comment: None,
            quotes: b"\"'",
        },
    ),
    (
        &["sql"],
        Language {
            keywords: &[
                "AND", "AS", "BY", "CREATE", "DELETE", "FROM", "GROUP", "INSERT", "INTO", "JOIN",
                "NOT", "NULL", "ON", "OR", "ORDER", "SELECT", "SET", "TABLE", "UPDATE", "VALUES",
                "WHERE", "and", "as", "by", "create", "delete", "from", "group", "insert", "into",
                "join", "not", "null", "on", "or", "order", "select", "set", "table", "update",
                "values", "where",
            ],
            line_comment: &["--"],
            block_comment: BLOCK,
            quotes: b"'\"",
        },
    ),
    (
        &["rb", "ex", "exs", "lua"],
        Language {
            keywords: &[
                "and", "begin", "case", "class", "def", "do", "else", "elsif", "end", "false",
                "fn", "for", "function", "if", "in", "local", "module", "nil", "not", "or",
                "require", "rescue", "return", "self", "then", "true", "unless", "when", "while",
                "yield",
            ],
            line_comment: &["#", "--"],
            block_comment: None,
            quotes: b"\"'",
        },
    ),
];

impl Language {
    /// By the extension of a path, or the whole name where that has none.
    pub(crate) fn of(path: &[u8]) -> Self {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        let extension = name.rsplit(|byte| *byte == b'.').next().unwrap_or(name);
        LANGUAGES
            .iter()
            .find(|(extensions, _language)| {
                extensions.iter().any(|known| extension.eq_ignore_ascii_case(known.as_bytes()))
            })
            .map_or(PLAIN, |(_extensions, language)| *language)
    }

    /// The pieces of a line that have a class, in order, and what the next line begins inside of.
    pub(crate) fn pieces(self, line: &str, inside: Inside) -> (Vec<(Range<usize>, Class)>, Inside) {
        let mut reader = Reader { language: self, line, at: 0, pieces: Vec::new() };
        let mut inside = inside;
        while reader.at < line.len().min(LINE_BYTES_MAX) {
            inside = reader.step(inside);
        }
        (reader.pieces, inside)
    }
}

struct Reader<'a> {
    language: Language,
    line: &'a str,
    at: usize,
    pieces: Vec<(Range<usize>, Class)>,
}

impl Reader<'_> {
    /// Reads one piece.
    fn step(&mut self, inside: Inside) -> Inside {
        let rest = &self.line[self.at..];
        if inside == Inside::Comment {
            return self.comment(rest);
        }
        if self.is_line_comment(rest) {
            self.piece(rest.len(), Some(Class::Comment));
            return Inside::Code;
        }
        if let Some((open, _close)) = self.language.block_comment
            && rest.starts_with(open)
        {
            self.piece(open.len(), Some(Class::Comment));
            return Inside::Comment;
        }
        let first = rest.as_bytes()[0];
        if self.language.quotes.contains(&first) {
            self.piece(quoted(rest, first), Some(Class::Text));
        } else if first.is_ascii_alphanumeric() || first == b'_' || !first.is_ascii() {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            // A character that is neither word nor anything we know is stepped over by itself.
            let length = length.max(rest.chars().next().map_or(1, char::len_utf8));
            let class = match first {
                b'0'..=b'9' if self.language != PLAIN => Some(Class::Number),
                _ if self.language.keywords.contains(&&rest[..length]) => Some(Class::Keyword),
                _ => None,
            };
            self.piece(length, class);
        } else {
            self.piece(1, None);
        }
        Inside::Code
    }

    fn comment(&mut self, rest: &str) -> Inside {
        let close = self.language.block_comment.map_or("", |(_open, close)| close);
        match rest.find(close) {
            Some(end) => {
                self.piece(end + close.len(), Some(Class::Comment));
                Inside::Code
            }
            None => {
                self.piece(rest.len(), Some(Class::Comment));
                Inside::Comment
            }
        }
    }

    /// `#` and `--` begin a comment only after a blank: `$#`, `a--`.
    fn is_line_comment(&self, rest: &str) -> bool {
        let is_free = self.line[..self.at].ends_with(char::is_whitespace) || self.at == 0;
        let begins = |mark: &&&str| rest.starts_with(**mark) && (is_free || **mark == "//");
        self.language.line_comment.iter().any(|mark| begins(&mark))
            // `http://` is no comment.
            && !(rest.starts_with("//") && self.line[..self.at].ends_with(':'))
    }

    fn piece(&mut self, length: usize, class: Option<Class>) {
        let range = self.at..self.at + length;
        self.at = range.end;
        let Some(class) = class else { return };
        match self.pieces.last_mut() {
            Some((last, same)) if *same == class && last.end == range.start => last.end = range.end,
            Some(_) | None => self.pieces.push((range, class)),
        }
    }
}

/// The length of a quoted text, to the end of the line if it is not closed.
fn quoted(rest: &str, quote: u8) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            byte if byte == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str, line: &str) -> Vec<(String, Class)> {
        let (pieces, _inside) = Language::of(path.as_bytes()).pieces(line, Inside::Code);
        pieces.into_iter().map(|(range, class)| (line[range].to_owned(), class)).collect()
    }

    #[test]
    fn lines_are_colored_by_the_rules_of_their_language() {
        for (path, line, pieces) in [
            (
                "src/a.rs",
                "let x = \"a // \\\" b\"; // c",
                &[
                    ("let", Class::Keyword),
                    ("\"a // \\\" b\"", Class::Text),
                    ("// c", Class::Comment),
                ][..],
            ),
            ("a.rs", "fn f<'a>(x: &'a str)", &[("fn", Class::Keyword)]),
            ("a.py", "x = 10 # ten", &[("10", Class::Number), ("# ten", Class::Comment)]),
            ("Makefile", "a$# # b", &[("# b", Class::Comment)]),
            ("a.ts", "const u = f(http://x)", &[("const", Class::Keyword)]),
            ("a.txt", "let 10 \"x\" # y", &[]),
            ("größe.go", "größe := nil", &[("nil", Class::Keyword)]),
        ] {
            let expected: Vec<_> =
                pieces.iter().map(|&(text, class)| (text.to_owned(), class)).collect();
            assert_eq!(read(path, line), expected, "{path}: {line}");
        }
    }

    #[test]
    fn a_comment_goes_on_in_the_next_line() {
        let rust = Language::of(b"a.rs");
        let (_pieces, inside) = rust.pieces("a /* b", Inside::Code);
        assert_eq!(inside, Inside::Comment);
        let (pieces, inside) = rust.pieces("c */ d", inside);
        assert_eq!((pieces, inside), (vec![(0..4, Class::Comment)], Inside::Code));
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_read_to_its_end(line in ".{0,200}", path in "(a.rs|a.ts|b.py|x.html|y.sh|z.sql|q)") {
            let (pieces, _inside) = Language::of(path.as_bytes()).pieces(&line, Inside::Code);
            let mut end = 0;
            for (range, _class) in pieces {
                proptest::prop_assert!(range.start >= end && line.get(range.clone()).is_some());
                end = range.end;
            }
        }
    }
}
