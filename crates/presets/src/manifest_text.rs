//! A suggestion as a `sandbox.yaml`, with the reasons as comments.

use std::fmt::Write;

use crate::{Readiness, Suggestion, Worker};

/// The manifest that runs a project as `suggestion` says.
///
/// # Panics
///
/// Never: a `String` takes every write.
#[must_use]
pub fn manifest_text(suggestion: &Suggestion) -> String {
    let mut out = String::new();
    let framework = &suggestion.framework;
    line(&mut out, 0, &format!("# {}, by {}.", framework.value.label(), framework.reason));
    for note in &suggestion.notes {
        line(&mut out, 0, &format!("# Look at this: {note}."));
    }
    line(&mut out, 0, "version: 1");
    web(&mut out, suggestion);
    workers(&mut out, &suggestion.workers);
    line(&mut out, 0, "");
    line(&mut out, 0, "build:");
    line(&mut out, 1, &format!("# {}", suggestion.build.reason));
    let build = suggestion.build.value.as_deref();
    line(&mut out, 1, &format!("command: {}", quoted(build.unwrap_or_default())));
    out
}

fn web(out: &mut String, suggestion: &Suggestion) {
    let (Some(run), Some(command)) = (&suggestion.run, suggestion.command()) else {
        return;
    };
    line(out, 0, "");
    line(out, 0, "web:");
    if let Some(install) = &suggestion.install {
        line(
            out,
            1,
            &format!("# Packages: {}, by {}.", install.value.manager.label(), install.reason),
        );
        line(
            out,
            1,
            "# They are installed unless that was done to its end before: an install that was cut off,",
        );
        line(out, 1, "# and one of other packages, is done again.");
    }
    line(out, 1, &format!("# Command: {}", run.reason));
    block(out, 1, "command", &command);
    line(out, 1, &format!("# Port: {}", suggestion.port.reason));
    line(out, 1, &format!("port: {}", suggestion.port.value));
    ready(out, suggestion);
    if !suggestion.env.is_empty() {
        line(out, 1, "env:");
        for (name, value) in &suggestion.env {
            line(out, 2, &format!("# {}", value.reason));
            line(out, 2, &format!("{name}: {}", quoted(&value.value)));
        }
    }
}

fn ready(out: &mut String, suggestion: &Suggestion) {
    let reason = &suggestion.ready.reason;
    let installs = suggestion.install.is_some() || suggestion.framework.value.compiles();
    line(out, 1, &format!("# Ready: {reason}"));
    let is_port = match &suggestion.ready.value {
        Readiness::Path(path) => {
            line(out, 1, &format!("health_path: {}", quoted(path)));
            false
        }
        Readiness::Port => true,
    };
    if is_port || installs {
        line(out, 1, "ready:");
    }
    if is_port {
        line(out, 2, "tcp: {}");
    }
    if installs {
        line(
            out,
            2,
            "# The first start fetches packages, which takes as long as the network does.",
        );
        line(out, 2, "deadline: 10m");
    }
}

fn workers(out: &mut String, workers: &[Worker]) {
    if workers.is_empty() {
        return;
    }
    line(out, 0, "");
    line(out, 0, "workers:");
    for worker in workers {
        line(out, 1, &format!("- name: {}", quoted(&worker.name)));
        line(out, 2, &format!("# {}", worker.command.reason));
        block(out, 2, "command", &worker.command.value);
    }
}

/// A text over several lines, or on one.
fn block(out: &mut String, depth: usize, key: &str, text: &str) {
    if !text.contains('\n') {
        line(out, depth, &format!("{key}: {}", quoted(text)));
        return;
    }
    line(out, depth, &format!("{key}: |"));
    for text in text.lines() {
        line(out, depth + 1, text);
    }
}

/// A text of YAML that reads back as itself, whatever is in it.
fn quoted(text: &str) -> String {
    // What stands plain is what cannot be taken for a number, a mapping, a comment or an indicator.
    let is_plain_byte = |b: u8| b.is_ascii_alphanumeric() || b"/ ._-=+@".contains(&b);
    let is_word = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'/');
    let is_reserved = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    if is_word && !is_reserved && !text.ends_with(' ') && text.bytes().all(is_plain_byte) {
        return text.to_owned();
    }
    // Double quotes of YAML take the escapes of JSON, and need more of them.
    let mut quoted = String::new();
    for c in serde_json::Value::from(text).to_string().chars() {
        if matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        ) {
            write!(quoted, "\\u{:04x}", u32::from(c)).expect("a String takes every write");
        } else {
            quoted.push(c);
        }
    }
    quoted
}

fn line(out: &mut String, depth: usize, text: &str) {
    if text.is_empty() {
        out.push('\n');
        return;
    }
    writeln!(out, "{:indent$}{text}", "", indent = depth * 2).expect("a String takes every write");
}
