//! `sandbar review` as a person uses it: the real binary on a terminal of tmux.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::process::Command;

use sandbar_host_tests::{Project, Server, Terminal};
use serde_json::json;

/// A project in which a sandbox changed two places of a file, and added one.
fn project() -> Project {
    let lines: String = (1..60).map(|n| format!("line {n}\n")).collect();
    Project::new().file("text.txt", lines).file("README", "hello\n")
}

const EDIT: &str = "sed -i 's/^line 5$/five/; s/^line 50$/fifty/' text.txt; echo x >new.txt";

#[test]
fn a_person_reviews_by_hunk_and_file() {
    let server = Server::start();
    let project = project();
    let sandbox = server.create(&project);
    server.sh(&sandbox, EDIT);
    let Some(terminal) = Terminal::open(&server, project.path(), 80, 24) else { return };
    terminal.press(&[&format!("sandbar review {sandbox}"), "Enter"]);
    terminal.shows("2 changes, 2 undecided");
    terminal.shows("+x");
    // The new file is rejected, one hunk of the other is approved.
    terminal.press(&["x"]);
    terminal.shows("hunk 2/2");
    terminal.press(&["Tab", "a"]);
    terminal.shows("1 reject, 1 in part");
    terminal.press(&["Enter"]);
    let summary = terminal.shows("Left pending");
    assert!(summary.contains("text.txt  (1 hunk)") && summary.contains("new.txt"), "{summary}");
    let text = String::from_utf8(project.read("text.txt").expect("a file")).expect("text");
    assert!(text.contains("\nline 5\n"), "nothing is written before it is sent");
    terminal.press(&["Enter"]);
    terminal.shows("1 change, 1 undecided");
    let text = String::from_utf8(project.read("text.txt").expect("a file")).expect("text");
    assert!(text.contains("\nfive\n") && text.contains("\nline 50\n"), "{text}");
    assert_eq!(server.changes(&sandbox)["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(server.changes(&sandbox)["items"][0]["path"], json!("text.txt"));
    terminal.press(&["q"]);
    terminal.shows("ready>");
    assert!(terminal.is_sane());
}

#[test]
fn the_terminal_is_given_back() {
    let server = Server::start();
    let project = project();
    let sandbox = server.create(&project);
    server.sh(&sandbox, EDIT);
    let Some(terminal) = Terminal::open(&server, project.path(), 120, 40) else { return };
    let review = format!(
        "sandbar review {sandbox}; echo code=$?; stty -a | tr ' ' '\\n' | grep -e icanon -e echo$"
    );
    for (signal, code) in [("TERM", "code=143"), ("HUP", "code=129"), ("INT", "code=130")] {
        terminal.press(&["clear", "Enter"]);
        terminal.press(&[&review, "Enter"]);
        terminal.shows("2 changes");
        let pane = terminal.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let shell = String::from_utf8_lossy(&pane.stdout).trim().to_owned();
        let sent = Command::new("pkill")
            .args(["-x", &format!("-{signal}"), "-P", &shell, "sandbar"])
            .status()
            .expect("pkill runs");
        assert!(sent.success());
        terminal.shows(code);
        terminal.shows("\nicanon\necho\n");
        assert!(terminal.is_sane(), "{signal}");
    }
    // Ctrl-Z gives it back as well, and fg takes it again, decisions and all.
    terminal.press(&["clear", "Enter"]);
    terminal.press(&[&format!("sandbar review {sandbox}"), "Enter"]);
    terminal.shows("2 changes");
    terminal.press(&["a"]);
    terminal.shows("1 approve");
    terminal.press(&["C-z"]);
    terminal.shows("Stopped");
    assert!(terminal.is_sane());
    terminal.press(&["fg", "Enter"]);
    terminal.shows("1 approve");
    // Another size is drawn at once, and a tiny one says so.
    terminal.tmux(&["resize-window", "-x", "30", "-y", "8"]);
    terminal.shows("too small");
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    terminal.shows("1 approve");
    terminal.press(&["q"]);
    terminal.shows("y quit, forgetting 1 decision");
    terminal.press(&["y"]);
    terminal.shows("ready>");
    assert!(terminal.is_sane());
}

#[test]
fn a_pipe_is_refused_and_told_what_does_the_same() {
    let server = Server::start();
    let project = project();
    let sandbox = server.create(&project);
    let refused = server.sandbar(project.path(), &["review", &sandbox]);
    assert_eq!(refused.status.code(), Some(2));
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(text.contains("terminal") && text.contains("sandbar approve --hunk"), "{text}");
}

#[test]
fn a_script_decides_by_hunk_line_and_patch() {
    let server = Server::start();
    let project = project();
    let sandbox = server.create(&project);
    server.sh(&sandbox, EDIT);
    let sandbar = |args: &[&str]| {
        let done = server.sandbar(project.path(), args);
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    };
    let hunks = sandbar(&["changes", &sandbox, "--hunks"]);
    let rows: Vec<Vec<&str>> = hunks.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 3, "{hunks}");
    assert_eq!((rows[1][0], rows[1][3]), ("text.txt", "3-4"), "{hunks}");
    // Only the added line of the first hunk: the removed one stays.
    let added = format!("text.txt:{}:4", rows[1][1]);
    sandbar(&["approve", &sandbox, "--hunk", &added]);
    let text = String::from_utf8(project.read("text.txt").expect("a file")).expect("text");
    assert!(text.contains("line 5\nfive\nline 6"), "{text}");
    // The rest by a patch, as it comes from a pipe; then one that is no longer pending.
    let diff = sandbar(&["diff", &sandbox, "text.txt"]);
    std::fs::write(project.path().join("../patch"), &diff).expect("a file can be written");
    let file = project.path().join("../patch");
    let patch = file.to_str().expect("text");
    sandbar(&["approve", &sandbox, "--patch", patch]);
    let text = String::from_utf8(project.read("text.txt").expect("a file")).expect("text");
    assert!(text.contains("line 4\nfive\nline 6") && text.contains("fifty"), "{text}");
    let refused = server.sandbar(project.path(), &["approve", &sandbox, "--patch", patch]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("text.txt"), "{refused:?}");
    std::fs::remove_file(file).expect("ours");
    sandbar(&["reject", &sandbox, "--hunk", &format!("new.txt:{}", rows[0][1])]);
    assert_eq!(server.changes(&sandbox)["items"], json!([]));
}
