//! The user's own git, beside `sandbar`.

use std::{
    path::Path,
    process::{Command, Output},
};

use crate::Project;

/// Runs git as a user with a name does, and returns what it printed.
///
/// # Panics
/// If it fails.
pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = try_git(dir, args);
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// As [`git`], whatever comes of it.
///
/// # Panics
/// If there is no git.
#[must_use]
pub fn try_git(dir: &Path, args: &[&str]) -> Output {
    Command::new("git")
        .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .current_dir(dir)
        .output()
        .expect("git is installed")
}

/// A repository with one commit of everything that is there.
#[must_use]
pub fn committed(project: Project) -> Project {
    git(project.path(), &["init", "-q", "-b", "main"]);
    git(project.path(), &["add", "-A"]);
    git(project.path(), &["commit", "-q", "-m", "first"]);
    project
}
