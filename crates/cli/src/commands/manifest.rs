//! `sandbar manifest`: what is wrong with a `sandbox.yaml`, without a server and without starting anything.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anstyle::{AnsiColor, Style};
use sandbar_manifest::{FILE_NAME, Finding, Reading, Severity, TEXT_BYTES_MAX};
use sandbar_types::{AppSpec, ProcessKind};
use serde::Serialize;

use crate::{
    failure::{Code, Failure},
    output::{Output, units::counted, visible},
};

/// Check a manifest of an app (`sandbox.yaml`), or print its schema.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar manifest check\n  sandbar manifest schema > sandbox.schema.json"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, clap::Subcommand)]
enum Chore {
    /// Say everything that is wrong with a manifest.
    ///
    /// One line each, as compilers write them: FILE:LINE:COLUMN, error or warning, what, [code]; then a hint.
    /// Exits with 1 when there is an error: such an app is not started. Warnings exit with 0.
    #[command(
        after_help = "Examples:\n  sandbar manifest check\n  sandbar manifest check app/sandbox.yaml --json\n  git show HEAD:sandbox.yaml | sandbar manifest check -"
    )]
    Check {
        /// Which file; `-` is stdin.
        #[arg(default_value = FILE_NAME)]
        file: PathBuf,
    },
    /// Print the JSON Schema of manifests, for editors.
    #[command(after_help = "Example:\n  sandbar manifest schema > sandbox.schema.json")]
    Schema,
}

/// What `check --json` prints.
#[derive(Debug, Serialize)]
struct Checked<'a> {
    file: String,
    is_valid: bool,
    findings: &'a [Finding],
    /// The app with every default filled in; `null` when there is an error.
    spec: Option<&'a AppSpec>,
}

pub(crate) fn run(args: Args, out: Output) -> Result<u8, Failure> {
    match args.chore {
        Chore::Check { file } => check(&file, out),
        Chore::Schema => {
            out.raw(sandbar_manifest::json_schema().as_bytes())?;
            Ok(0)
        }
    }
}

fn check(file: &Path, out: Output) -> Result<u8, Failure> {
    let reading = sandbar_manifest::read_bytes(&bytes(file)?);
    let name = if is_stdin(file) { "<stdin>".to_owned() } else { file.display().to_string() };
    let code = if reading.is_valid() { 0 } else { Code::Unexpected as u8 };
    if out.is_json() {
        out.json(&Checked {
            file: name,
            is_valid: reading.is_valid(),
            findings: &reading.findings,
            spec: reading.spec.as_ref(),
        })?;
        return Ok(code);
    }
    let name = visible::line(&name);
    for finding in &reading.findings {
        out.line(&shown(&name, finding, out.is_colored()))?;
    }
    out.say(&format!("{name}: {}", summary(&reading)));
    Ok(code)
}

/// Says what is wrong with the manifest of a directory whose app is about to be started, or odd about it; nothing where
/// there is none.
pub(super) fn remark(dir: &Path, out: Output) {
    let Ok(bytes) = bytes(&dir.join(sandbar_manifest::FILE_NAME)) else {
        return;
    };
    let reading = sandbar_manifest::read_bytes(&bytes);
    for finding in &reading.findings {
        out.say(&shown(sandbar_manifest::FILE_NAME, finding, out.is_colored()));
    }
    if !reading.is_valid() {
        let name = sandbar_manifest::FILE_NAME;
        out.say(&format!("{name} cannot be used: the app is not started"));
    }
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// One byte more than a manifest may have is enough to see that it has too many.
fn bytes(file: &Path) -> Result<Vec<u8>, Failure> {
    let read = |source: &mut dyn Read| {
        let mut bytes = Vec::new();
        source.take(TEXT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let result = if is_stdin(file) {
        read(&mut io::stdin().lock())
    } else {
        File::open(file).and_then(|mut file| read(&mut file))
    };
    result.map_err(|error: io::Error| {
        let code = if error.kind() == io::ErrorKind::NotFound {
            Code::NotFound
        } else if error.kind() == io::ErrorKind::IsADirectory {
            Code::Usage
        } else {
            Code::Unexpected
        };
        Failure::new(code, format!("cannot read `{}`", file.display())).caused_by(&error)
    })
}

fn shown(file: &str, finding: &Finding, is_colored: bool) -> String {
    let word = finding.severity.as_str();
    let color = match finding.severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
    };
    let style = if is_colored { color.on_default().bold() } else { Style::new() };
    let mut line = format!(
        "{file}:{}:{}: {style}{word}{style:#}: {} [{}]",
        finding.line,
        finding.column,
        visible::line(&finding.message),
        finding.code.as_str(),
    );
    if let Some(hint) = &finding.hint {
        line.push_str("\n  hint: ");
        line.push_str(&visible::line(hint));
    }
    line
}

fn summary(reading: &Reading) -> String {
    let warnings = reading.of(Severity::Warning).count();
    let Some(app) = &reading.spec else {
        let errors = counted(reading.of(Severity::Error).count(), "error");
        return match warnings {
            0 => format!("{errors}, nothing would be started"),
            _ => format!("{errors} and {}, nothing would be started", counted(warnings, "warning")),
        };
    };
    let processes: Vec<String> = app
        .processes
        .iter()
        .map(|process| match (process.kind, process.ports.first()) {
            (ProcessKind::Web, Some(port)) => format!("{} on port {port}", process.name),
            (ProcessKind::Web, None) | (ProcessKind::Worker, _) => process.name.to_string(),
        })
        .collect();
    let good = format!("good: {}", processes.join(", "));
    match warnings {
        0 => good,
        _ => format!("{good}; {}", counted(warnings, "warning")),
    }
}

#[cfg(test)]
mod tests {
    use sandbar_manifest::read;

    use super::*;

    fn lines(text: &str) -> String {
        let reading = read(text);
        let mut lines: Vec<String> =
            reading.findings.iter().map(|finding| shown("sandbox.yaml", finding, false)).collect();
        lines.push(summary(&reading));
        lines.join("\n")
    }

    #[test]
    fn findings_read_as_a_compiler_writes_them() {
        let text = "version: 1\nweb:\n  command: vite --port 5173\n  port: 3000\nworkers:\n  - name: a\u{202e}b/..\n    command: x\n  - name: c\n";
        assert_eq!(
            lines(text),
            "\
sandbox.yaml:3:12: warning: the command says port 5173, `web.port` says 3000 [command_port_differs]
  hint: if it serves 5173, write `port: 5173`
sandbox.yaml:6:11: error: `a\\u{202e}b/..` cannot be the name of a process [bad_name]
  hint: 1 to 64 of `A-Z`, `a-z`, `0-9`, `_`, `-`
sandbox.yaml:8:5: error: the worker has no `command` [command_missing]
  hint: say what it runs: `command: node worker.js`
2 errors and 1 warning, nothing would be started"
        );
        let text = "version: 1\nweb: {port: 0}\nworkers: [{name: w, command: x}]\n";
        assert_eq!(
            lines(text),
            "\
sandbox.yaml:2:7: warning: `port` is 0, and counts as left out [no_value]
  hint: left out, it is: 3000; with a `command` it must be there
good: web on port 3000, w; 1 warning"
        );
        assert_eq!(lines("version: 1\nweb: {}\n"), "good: web on port 3000");
    }

    #[test]
    fn colors_are_for_terminals() {
        let reading = read("web: {}\n");
        assert!(shown("x", &reading.findings[0], true).contains("\u{1b}["));
    }
}
