//! What is wrong with a manifest, and where.

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The app is not started.
    Error,
    /// The app is started, probably not as meant.
    Warning,
}

impl Severity {
    /// The word as it is on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = EventFinding))]
pub struct Finding {
    /// How bad it is; each code has one severity.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub severity: Severity,
    /// What it is, for programs.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub code: Code,
    /// Where, counted from 1.
    pub line: u32,
    /// Where, in characters, counted from 1.
    pub column: u32,
    /// What it is, for people. Parts of the manifest in it are cut short and have no control characters.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

macro_rules! codes {
    ($($code:ident $severity:ident $text:literal $meaning:literal)*) => {
        /// What a finding is about. Codes are only ever added.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Code {
            $(#[doc = $meaning] #[serde(rename = $text)] $code,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// The code as text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$code => $text),* }
            }

            /// How bad a finding of this code is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$code => Severity::$severity),* }
            }

            /// What it means, as the documentation says it.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$code => $meaning),* }
            }
        }
    };
}

codes! {
    TooLarge Error "too_large" "The file is larger than 64 KiB."
    NotUtf8 Error "not_utf8" "The file is not UTF-8 text."
    ControlCharacter Error "control_character" "A character that YAML does not allow as it is."
    YamlSyntax Error "yaml_syntax" "It is not YAML; nothing after this place was read."
    YamlAlias Error "yaml_alias" "An anchor (`&x`) or an alias (`*x`); nothing after this place was read."
    YamlTag Error "yaml_tag" "A tag (`!x`)."
    TooDeep Error "too_deep" "Nested deeper than 16 levels; nothing after this place was read."
    SecondDocument Error "second_document" "A second document after `---`."
    Empty Error "empty" "Nothing is in the file."
    DuplicateKey Error "duplicate_key" "A key is in the same map twice."
    KeyNotText Error "key_not_text" "A key is a list or a map."
    UnknownKey Error "unknown_key" "No such field exists here."
    MisplacedKey Error "misplaced_key" "The field exists, but belongs elsewhere."
    ForeignKey Error "foreign_key" "A field of another tool's file (Docker Compose, Procfile)."
    WrongType Error "wrong_type" "Text where a map is wanted, a quoted number where a number is wanted, and so on."
    VersionMissing Error "version_missing" "`version` is missing."
    VersionUnsupported Error "version_unsupported" "`version` is not 1."
    NothingToRun Error "nothing_to_run" "There is neither `web` nor a worker."
    NameMissing Error "name_missing" "A worker has no `name`."
    BadName Error "bad_name" "Not the name of a process: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`."
    DuplicateName Error "duplicate_name" "Two processes have the same name; `web` is taken by the web process."
    CommandMissing Error "command_missing" "A worker has no `command`."
    NulCharacter Error "nul_character" "A text holds a NUL character, which no program can be given."
    TooManyProcesses Error "too_many_processes" "More than 32 processes, `web` among them."
    PortMissing Error "port_missing" "`web.command` without `web.port`, or a probe of a process that has no port."
    PortOutOfRange Error "port_out_of_range" "A port is not from 1 to 65535."
    PortTwice Error "port_twice" "The same port is served twice."
    NumberOutOfRange Error "number_out_of_range" "A number, a duration or a size is too small or too large."
    BadDuration Error "bad_duration" "Not a duration such as `500ms`, `5s`, `2m`, `1h30m`."
    BadSize Error "bad_size" "Not a size such as `64k`, `1MiB`."
    BadChoice Error "bad_choice" "Not one of the words that the field knows."
    BadPath Error "bad_path" "A path of a URL does not begin with `/`, or has spaces or control characters."
    BadDirectory Error "bad_directory" "`cwd` leads out of the workspace with `..`."
    BadEnvName Error "bad_env_name" "Not the name of an environment variable."
    ProbeMissing Error "probe_missing" "A check does not say what is asked, and there is no default for it."
    ProbeTwice Error "probe_twice" "A check says more than one thing to ask."
    AfterUnknown Error "after_unknown" "`after` names a process that is not there."
    AfterTwice Error "after_twice" "`after` names the same process twice."
    AfterCycle Error "after_cycle" "Processes wait for each other in a circle."
    NoValue Warning "no_value" "A field has no value, an empty one or 0, and counts as left out."
    CommandPortDiffers Warning "command_port_differs" "The command, or `PORT` in `env`, names another port than `web.port`."
    HealthPathUnused Warning "health_path_unused" "`web.health_path` has no effect, as `web.ready` says otherwise."
}

/// A place in the text, counted from 1, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Position {
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// LIMIT: findings of one manifest. Whoever has so many reads the first ones.
const FINDINGS_MAX: usize = 100;

/// Collects findings.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<(Position, Finding)>);

impl Findings {
    pub(crate) fn add(
        &mut self,
        code: Code,
        at: Position,
        message: impl Into<String>,
    ) -> &mut Finding {
        let finding = Finding {
            severity: code.severity(),
            code,
            line: 0,
            column: 0,
            message: message.into(),
            hint: None,
        };
        let (_, finding) = self.0.push_mut((at, finding));
        finding
    }

    /// Adds a hint to the last finding, if it is one about a type.
    pub(crate) fn hint_type(&mut self, hint: impl FnOnce() -> String) {
        if let Some((_, last)) = self.0.last_mut()
            && last.code == Code::WrongType
        {
            last.hint.get_or_insert_with(hint);
        }
    }

    /// The findings in the order of the text.
    pub(crate) fn finish(self, text: &str) -> Vec<Finding> {
        let widths: Vec<usize> = lines(text).map(|line| line.chars().count()).collect();
        let mut all = self.0;
        // Stable: findings of one place stay in the order in which they were made.
        all.sort_by_key(|(at, _)| *at);
        if all.len() > FINDINGS_MAX {
            // Never an error for the sake of a warning: without errors the manifest would be good.
            all.sort_by_key(|(_, finding)| finding.severity != Severity::Error);
            all.truncate(FINDINGS_MAX);
            all.sort_by_key(|(at, _)| *at);
        }
        all.into_iter()
            .map(|(at, finding)| {
                // The end of the text, as the parser counts it, can be one past what an editor shows.
                let line = at.line.clamp(1, widths.len());
                let column = at.column.clamp(1, widths[line - 1] + 1);
                let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
                Finding { line: small(line), column: small(column), ..finding }
            })
            .collect()
    }
}

impl Finding {
    /// Says what to do about it.
    pub(crate) fn hint(&mut self, hint: impl Into<String>) {
        self.hint = Some(hint.into());
    }
}

/// The lines of a text as YAML counts them: ended by LF, CR LF, or CR.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// Where a text ends.
pub(crate) fn end_of(text: &str) -> Position {
    let (mut line, mut column) = (0, 1);
    for text in lines(text) {
        line += 1;
        column = text.chars().count() + 1;
    }
    Position { line, column }
}

/// A part of the manifest for a message: in backquotes, escaped, cut short.
pub(crate) fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut shown: String = text.chars().take(CHARS_MAX).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    let mut out = String::with_capacity(shown.len() + 2);
    out.push('`');
    for c in shown.chars() {
        if c.is_control() || is_invisible(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.push('`');
    out
}

/// Characters that turn text around or are not seen, and would make a message read as what it is not.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_written_as_it_is_named() {
        for code in Code::ALL {
            let json = serde_json::to_value(code).unwrap();
            assert_eq!(json, code.as_str());
            assert_eq!(serde_json::from_value::<Code>(json).unwrap(), *code);
        }
    }

    #[test]
    fn places_are_counted_as_editors_do() {
        for (text, line, column) in
            [("", 1, 1), ("ab", 1, 3), ("ab\n", 2, 1), ("a\r\nbü", 2, 3), ("a\rb", 2, 2)]
        {
            assert_eq!(end_of(text), Position { line, column }, "{text:?}");
        }
    }

    #[test]
    fn what_is_quoted_is_short_and_shows_what_it_hides() {
        assert_eq!(quoted("a\u{202e}b\n"), "`a\\u{202e}b\\n`");
        assert_eq!(quoted(&"x".repeat(200)).chars().count(), 63);
    }
}
