//! The source's git repository, through the real binary and the real git.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use sandbar_host_tests::{Project, bin_dir};
use serde_json::{Value, json};

/// Runs git as a user with a name does, and returns what it printed.
fn git(dir: &Path, args: &[&str]) -> String {
    let output = try_git(dir, args);
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn try_git(dir: &Path, args: &[&str]) -> Output {
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
fn committed(project: Project) -> Project {
    git(project.path(), &["init", "-q", "-b", "main"]);
    git(project.path(), &["add", "-A"]);
    git(project.path(), &["commit", "-q", "-m", "first"]);
    project
}

/// Asks the role itself, as the server does.
fn role(source: &Path, request: &Value) -> Value {
    let mut child = Command::new("sh")
        .args(["-c", "exec \"$1\" __git 3<\"$2\" 4</dev/null", "sh"])
        .arg(bin_dir().join("sandbar"))
        .arg(source)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh is there");
    let mut stdin = child.stdin.take().expect("it is a pipe");
    stdin.write_all(request.to_string().as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("our own child can be waited for");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("it answers in JSON")
}

#[test]
fn files_of_the_beginning_are_read_from_below_the_top_of_the_repository() {
    let project = committed(
        Project::new().file("sub/a", "old\n").file("sub/d/b", "\0\u{1}").file("a", "top\n"),
    );
    std::os::unix::fs::symlink("a", project.path().join("sub/link")).expect("a link can be made");
    fs::write(project.path().join("sub/big"), vec![b'x'; (4 << 20) + 1]).expect("it is written");
    git(project.path(), &["add", "-A"]);
    git(project.path(), &["commit", "-q", "-m", "second"]);
    let commit = git(project.path(), &["rev-parse", "HEAD"]);
    fs::write(project.path().join("sub/a"), "new\n").expect("the host may write");
    let paths = ["a", "d/b", "link", "big", "none", "d", ":(top)a"];
    let request = json!({ "request": "read_blobs", "commit": commit, "paths": paths });
    let reply = role(&project.path().join("sub"), &request);
    let blobs = reply["blobs"].as_array().expect("a list").clone();
    let found: Vec<_> =
        blobs.iter().map(|blob| (blob["path"].as_str(), blob["content"].as_str())).collect();
    assert_eq!(found, [(Some("a"), Some("b2xkCg==")), (Some("d/b"), Some("AAE="))], "{reply}");
    let lost = json!({ "request": "read_blobs", "commit": "0".repeat(40), "paths": ["a"] });
    assert_eq!(role(project.path(), &lost)["error"]["error"], "failed");
    assert_eq!(role(Project::new().path(), &lost)["error"]["error"], "no_repository");
}
