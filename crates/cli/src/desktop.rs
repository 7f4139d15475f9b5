//! A notification on a person's desktop, where there is one. By `notify-send`, which every desktop has or can have: a
//! library of our own would speak to the session bus, and bring a runtime for it.

use std::{env, path::PathBuf, process::Stdio};

use tokio::process::Command;

/// LIMIT: characters of a text.
const TEXT_CHARS_MAX: usize = 200;

/// Shows a notification, and waits for nothing; where there is no desktop nothing happens.
pub(crate) fn notify(text: &str) {
    let has_display = ["WAYLAND_DISPLAY", "DISPLAY"]
        .iter()
        .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    let Some(program) = has_display.then(program).flatten() else { return };
    // It is left to itself, for we may end at once; a runtime that goes on collects it.
    let shown = Command::new(program)
        .args(["--app-name=sandbar", "--", "sandbar", &body(text)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    // The bell was rung all the same.
    drop(shown);
}

fn program() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let dirs = env::split_paths(&path).filter(|dir| dir.is_absolute());
    dirs.map(|dir| dir.join("notify-send")).find(|path| path.is_file())
}

/// The first line of a text, short, and without anything that a desktop takes for markup or a link.
fn body(text: &str) -> String {
    let first = text.trim().lines().next().unwrap_or_default();
    let mut short: String = first.chars().take(TEXT_CHARS_MAX).map(plain).collect();
    if first.chars().nth(TEXT_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// Desktops differ in whether they read markup, so that an escape would be seen on some of them.
const fn plain(c: char) -> char {
    match c {
        '<' => '‹',
        '>' => '›',
        '&' => '＆',
        // What `notify-send` reads in its own way.
        '\\' => '/',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_one_short_line_without_markup() {
        assert_eq!(body("may I <b>run</b>\n<img src=x>?"), "may I ‹b›run‹/b›");
        assert_eq!(body("a & b \\n c"), "a ＆ b /n c");
        assert_eq!(body(&"x".repeat(500)).chars().count(), TEXT_CHARS_MAX + 1);
        assert_eq!(body("\n\n"), "");
    }
}
