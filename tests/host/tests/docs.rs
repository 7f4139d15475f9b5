//! Do the documents say what is so? The lines of their sessions are run as they stand.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use sandbar_host_tests::Server;

/// One line that is typed, and what is printed then.
#[derive(Debug)]
struct Step {
    typed: String,
    printed: String,
}

/// The steps of the first session below a heading.
fn session(document: &str, heading: &str) -> Vec<Step> {
    let (_, below) = document.split_once(heading).expect("the heading is there");
    let (_, block) = below.split_once("```console\n").expect("a session is below it");
    let (block, _) = block.split_once("\n```").expect("the session ends");
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines().filter(|line| !line.is_empty()) {
        if let Some(typed) = line.strip_prefix("$ ") {
            steps.push(Step { typed: typed.to_owned(), printed: String::new() });
        } else {
            let step = steps.last_mut().expect("a session begins with what is typed");
            step.printed += line;
            step.printed += "\n";
        }
    }
    steps
}

/// Whether `text` is what `shown` says; `…` stands for anything.
fn fits(shown: &str, text: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// What each step prints, typed into one shell.
fn run(steps: &[Step], home: &Path) -> Vec<String> {
    const MARK: &str = "--8<--";
    let script: Vec<_> =
        steps.iter().map(|step| format!("{}\nprintf '%s' '{MARK}'\n", step.typed)).collect();
    let output = Command::new("bash")
        .args(["-c", &script.concat()])
        .env("HOME", home)
        .output()
        .expect("bash can be started");
    let printed = String::from_utf8(output.stdout).expect("a session prints text");
    let mut parts: Vec<_> = printed.split(MARK).map(str::to_owned).collect();
    parts.pop();
    parts
}

#[test]
fn the_session_of_the_api_is_what_the_document_shows() {
    let server = Server::start();
    // On the disk: a source cannot be in memory.
    let home = tempfile::Builder::new().prefix("sandbar-home.").tempdir().expect("a home");
    fs::create_dir_all(home.path().join(".local/share")).expect("a directory");
    symlink(server.data_dir(), home.path().join(".local/share/sandbar")).expect("a link");
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");
    let steps = session(&fs::read_to_string(document).expect("the document"), "## A session");
    assert!(steps.len() > 10, "{steps:?}");

    let printed = run(&steps, home.path());

    assert_eq!(printed.len(), steps.len(), "{printed:?}");
    for (step, printed) in steps.iter().zip(&printed) {
        // An answer of the API has no line end.
        let (shown, printed) = (step.printed.trim_end(), printed.trim_end());
        assert!(fits(shown, printed), "$ {}\nshown: {shown}\nprinted: {printed}", step.typed);
    }
}
