//! Writes a first manifest, with the reasons for what it says.

use std::fmt::Write;

/// A value, and why it is this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reasoned<T> {
    /// The value.
    pub value: T,
    /// A sentence for a comment above it.
    pub reason: Option<String>,
}

impl<T> Reasoned<T> {
    /// A value with a reason.
    pub fn because(value: T, reason: impl Into<String>) -> Self {
        Self { value, reason: Some(reason.into()) }
    }
}

impl<T> From<T> for Reasoned<T> {
    fn from(value: T) -> Self {
        Self { value, reason: None }
    }
}

/// What a new manifest is to say. Without a web process and without workers it is no manifest that can be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft {
    /// Sentences for the comment at the top.
    pub about: Vec<String>,
    /// The web process.
    pub web: Option<WebDraft>,
    /// The workers.
    pub workers: Vec<WorkerDraft>,
    /// The check of the build.
    pub build: Option<BuildDraft>,
}

/// What a web process is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebDraft {
    /// Not blank.
    pub command: Reasoned<String>,
    /// Not 0.
    pub port: Reasoned<u16>,
    /// Begins with `/`; `None` is `/`.
    pub health_path: Option<Reasoned<String>>,
    /// `false` is not written.
    pub restart_after_task: Reasoned<bool>,
}

/// What a worker is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerDraft {
    /// The name of a process.
    pub name: Reasoned<String>,
    /// Not blank.
    pub command: Reasoned<String>,
    /// `false` is not written.
    pub restart_after_task: Reasoned<bool>,
}

/// What is said about the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildDraft {
    /// Empty is none.
    pub command: Reasoned<String>,
    /// `None` is the default.
    pub timeout_seconds: Option<Reasoned<u32>>,
}

/// The text of a manifest.
#[must_use]
pub fn write(draft: &Draft) -> String {
    let mut page = Page::default();
    for sentence in &draft.about {
        page.comment("", sentence);
    }
    page.line("", "version: 1");
    if let Some(web) = &draft.web {
        page.line("", "\nweb:");
        page.text("  ", "command", &web.command);
        page.field("  ", "port", &web.port.reason, &web.port.value.to_string());
        if let Some(path) = &web.health_path {
            page.text("  ", "health_path", path);
        }
        page.flag("  ", "restart_after_task", &web.restart_after_task);
    }
    if !draft.workers.is_empty() {
        page.line("", "\nworkers:");
    }
    for worker in &draft.workers {
        // The comment of the name stands above the item, whose first line the name is.
        if let Some(reason) = &worker.name.reason {
            page.comment("  ", reason);
        }
        page.line("  ", &format!("- name: {}", scalar(&worker.name.value)));
        page.text("    ", "command", &worker.command);
        page.flag("    ", "restart_after_task", &worker.restart_after_task);
    }
    if let Some(build) = &draft.build {
        page.line("", "\nbuild:");
        page.text("  ", "command", &build.command);
        if let Some(timeout) = &build.timeout_seconds {
            page.field("  ", "timeout_seconds", &timeout.reason, &timeout.value.to_string());
        }
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, indent: &str, text: &str) {
        writeln!(self.0, "{indent}{text}").expect("a String takes every write");
    }

    fn comment(&mut self, indent: &str, sentence: &str) {
        // One line each, whatever is in it: what follows a line end would be no comment.
        let clean: String =
            sentence.chars().map(|c| if needs_escape(c) { ' ' } else { c }).collect();
        self.line(indent, format!("# {clean}").trim_end());
    }

    #[expect(clippy::ref_option, reason = "it is the field of a `Reasoned`, as it is")]
    fn field(&mut self, indent: &str, key: &str, reason: &Option<String>, value: &str) {
        if let Some(reason) = reason {
            self.comment(indent, reason);
        }
        self.line(indent, &format!("{key}: {value}"));
    }

    fn text(&mut self, indent: &str, key: &str, text: &Reasoned<String>) {
        self.field(indent, key, &text.reason, &scalar(&text.value));
    }

    fn flag(&mut self, indent: &str, key: &str, flag: &Reasoned<bool>) {
        if flag.value {
            self.field(indent, key, &flag.reason, "true");
        }
    }
}

/// A text as YAML: without quotes where every reader takes it for the same text, else in double quotes.
fn scalar(text: &str) -> String {
    let is_simple = text
        .starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '.' | '_'))
        && !text.ends_with([' ', ':', '.'])
        && text.chars().all(|c| c.is_ascii_graphic() || c == ' ')
        && !text.contains(": ")
        && !text.contains(" #")
        && !is_word_of_yaml(text);
    if is_simple {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if needs_escape(c) => {
                write!(out, "\\U{:08X}", u32::from(c)).expect("a String takes every write");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// What is not printable in YAML, or ends a line for some readers.
fn needs_escape(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Words that are no text without quotes, to some reader at least.
fn is_word_of_yaml(text: &str) -> bool {
    ["true", "false", "null", "yes", "no", "on", "off", "y", "n", ".nan", ".inf"]
        .contains(&text.to_ascii_lowercase().as_str())
        // A number with a point first.
        || text.starts_with('.') && text[1..].starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_reads_like_written_by_hand() {
        let draft = Draft {
            about: vec!["What this app is made of; see docs/manifest.md.".to_owned()],
            web: Some(WebDraft {
                command: Reasoned::because(
                    "pnpm dev --port 3000".to_owned(),
                    "package.json has a `dev` script.\nAnd more",
                ),
                port: 3000.into(),
                health_path: Some("/health".to_owned().into()),
                restart_after_task: Reasoned::because(true, "next.config.js is read at the start."),
            }),
            workers: vec![WorkerDraft {
                name: Reasoned::because("mailer".to_owned(), "Procfile names it."),
                command: "sh -c \"echo 'a: b'\"".to_owned().into(),
                restart_after_task: false.into(),
            }],
            build: Some(BuildDraft {
                command: Reasoned::because(String::new(), "package.json has no `build` script."),
                timeout_seconds: Some(300.into()),
            }),
        };
        let text = write(&draft);
        assert_eq!(
            text,
            r#"# What this app is made of; see docs/manifest.md.
version: 1

web:
  # package.json has a `dev` script. And more
  command: pnpm dev --port 3000
  port: 3000
  health_path: /health
  # next.config.js is read at the start.
  restart_after_task: true

workers:
  # Procfile names it.
  - name: mailer
    command: "sh -c \"echo 'a: b'\""

build:
  # package.json has no `build` script.
  command: ""
  timeout_seconds: 300
"#
        );
        assert_eq!(crate::read(&text).findings, []);
    }
}
