//! Who the person at the command line is, as their own git says it.

use std::process::{Command, Stdio};

use sandbar_types::GitIdentity;

/// Reads name and e-mail of the user from their global configuration, with what it includes for this directory.
///
/// Asks git, as the user and for these two values alone: `git config` runs no hook, no filter and no helper. Without
/// git, or where it does not know both, there is none, and that is no error.
pub(crate) fn read() -> Option<GitIdentity> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the user's own git, with the user's own environment, from a command line that has no server in it"
    )]
    let asked = Command::new("git")
        .args([
            "config",
            "--global",
            "--includes",
            "--null",
            "--get-regexp",
            r"^user\.(name|email)$",
        ])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    parse(&String::from_utf8(asked.stdout).ok()?)
}

/// Values as `git config --null --get-regexp` prints them; the last of each counts.
fn parse(printed: &str) -> Option<GitIdentity> {
    let last = |key: &str| {
        let values = printed.split('\0').filter_map(|entry| entry.split_once('\n'));
        values.filter(|(found, _)| *found == key).map(|(_, value)| value.trim()).next_back()
    };
    GitIdentity::new(last("user.name")?, last("user.email")?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_each_counts_and_both_are_needed() {
        let found = parse("user.name\nOld\0user.email\na@b\0user.name\nAnn B\0").unwrap();
        assert_eq!((found.name(), found.email()), ("Ann B", "a@b"));
        for nothing in ["", "user.name\nAnn\0", "user.email\na@b\0", "user.name\nA\0user.email\n\0"]
        {
            assert_eq!(parse(nothing), None, "{nothing:?}");
        }
    }
}
