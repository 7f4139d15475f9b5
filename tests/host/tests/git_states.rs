//! What an approve with a commit and a pull do over repositories that are not as usual.

use std::{fs, path::Path};

use sandbar_host_tests::{
    Project, Reply, Server,
    git::{committed, git, try_git},
};
use serde_json::{Value, json};

/// A sandbox over `source`, whose commits have a name.
fn create(server: &Server, source: &Path) {
    let body = json!({
        "source": { "kind": "directory", "path": source }, "name": "bay",
        "git_identity": { "name": "Bo", "email": "bo@example.org" },
    });
    drop(server.api("POST", "/v1/sandboxes", Some(&body)).expect(201));
}

/// Approves everything, with a commit where there is a message.
fn approve(server: &Server, message: Option<&str>) -> Reply {
    let diff_id = server.changes("bay")["diff_id"].clone();
    let mut body = json!({ "diff_id": diff_id, "selection": { "paths": ["f"] } });
    if let Some(message) = message {
        body["commit"] = json!({ "message": message });
    }
    server.api("POST", "/v1/sandboxes/bay/approve", Some(&body))
}

fn pull(server: &Server, body: &Value) -> Reply {
    server.api("POST", "/v1/sandboxes/bay/pull", Some(body))
}

/// The code and the reason of a refusal, which must have a hint.
fn refusal(reply: &Reply) -> (String, String) {
    let said = reply.json();
    assert!(said["hint"].is_string(), "{said}");
    (reply.code(), said["details"]["reason"].as_str().unwrap_or_default().to_owned())
}

fn pair(code: &str, reason: &str) -> (String, String) {
    (code.to_owned(), reason.to_owned())
}

/// A repository whose branches `main` and `side` say something else in `a`.
fn forked() -> Project {
    let project = committed(Project::new().file("a", "1\n").file("f", "1\n"));
    git(project.path(), &["checkout", "-q", "-b", "side"]);
    fs::write(project.path().join("a"), "side\n").expect("the host may write");
    git(project.path(), &["commit", "-qam", "side"]);
    git(project.path(), &["checkout", "-q", "main"]);
    fs::write(project.path().join("a"), "main\n").expect("the host may write");
    git(project.path(), &["commit", "-qam", "main"]);
    project
}

#[test]
fn in_the_middle_of_a_merge_or_rebase_only_what_would_disturb_it_is_refused() {
    for (begin, abort, what) in [
        (&["merge", "side"][..], &["merge", "--abort"], "merge"),
        (&["rebase", "side"], &["rebase", "--abort"], "rebase"),
        (&["rebase", "--apply", "side"], &["rebase", "--abort"], "rebase"),
    ] {
        let server = Server::start();
        let project = forked();
        let main = git(project.path(), &["rev-parse", "main"]);
        create(&server, project.path());
        server.sh("bay", "echo 2 >f; git commit -qm inside f");
        assert!(!try_git(project.path(), begin).status.success(), "{begin:?} must conflict");
        let state = git(project.path(), &["status", "--porcelain"]);
        let refused = approve(&server, Some("x"));
        assert_eq!(refusal(&refused), pair("repository_busy", what), "{begin:?}");
        assert_eq!(project.read("f").as_deref(), Some(&b"1\n"[..]), "{begin:?}");
        // The branch that is rebased gets its new commits at the end: until then it must stay where it is.
        let refused = pull(&server, &json!({ "branch": "main", "force": true }));
        assert_eq!(refusal(&refused), pair("branch_conflict", "checked_out"), "{begin:?}");
        // A branch of its own is nobody's business, and neither is the file.
        assert_eq!(pull(&server, &json!({})).expect(200)["total"], 1, "{begin:?}");
        assert_eq!(git(project.path(), &["status", "--porcelain"]), state, "{begin:?}");
        drop(approve(&server, None).expect(200));
        assert_eq!(project.read("f").as_deref(), Some(&b"2\n"[..]), "{begin:?}");
        git(project.path(), &["checkout", "-q", "f"]);
        git(project.path(), abort);
        assert_eq!(git(project.path(), &["rev-parse", "HEAD"]), main, "{begin:?}");
    }
}

#[test]
fn a_pull_leaves_a_branch_alone_that_another_worktree_rebases_or_bisects() {
    let server = Server::start();
    let project = forked();
    let linked = project.path().join("linked");
    let at = linked.to_str().expect("its name is text");
    git(project.path(), &["branch", "other", "main"]);
    git(project.path(), &["worktree", "add", "-q", at, "other"]);
    create(&server, project.path());
    server.sh("bay", "echo 2 >f; git commit -qm inside f");
    let force = json!({ "branch": "other", "force": true });
    for (begin, end) in [
        (&["rebase", "side"][..], &["rebase", "--abort"][..]),
        (&["bisect", "start", "other", "side~"], &["bisect", "reset"]),
    ] {
        drop(try_git(&linked, begin));
        drop(try_git(&linked, &["checkout", "-q", "--detach"]));
        assert_eq!(git(&linked, &["branch", "--show-current"]), "", "nothing is checked out");
        assert_eq!(refusal(&pull(&server, &force)), pair("branch_conflict", "checked_out"));
        git(&linked, end);
    }
    git(&linked, &["checkout", "-q", "--detach"]);
    drop(pull(&server, &force).expect(200));
}

#[test]
fn a_git_directory_is_no_source() {
    let server = Server::start();
    let origin = committed(Project::new().file("a", "1\n"));
    let place = Project::new();
    let from = origin.path().to_str().expect("its name is text");
    git(place.path(), &["clone", "-q", "--bare", from, "bare.git"]);
    let bare = place.path().join("bare.git");
    for dir in [bare.clone(), bare.join("refs"), origin.path().join(".git/hooks")] {
        let body = json!({ "source": { "kind": "directory", "path": dir } });
        let refused = server.api("POST", "/v1/sandboxes", Some(&body));
        assert_eq!(refusal(&refused), pair("source_forbidden", ""), "{}", dir.display());
    }
    // A worktree that lies in one is a directory of files as any other.
    git(&bare, &["worktree", "add", "-q", "files", "main"]);
    create(&server, &bare.join("files"));
    // One that a sandbox plants needs a yes: git would obey its configuration.
    server.sh(
        "bay",
        "git init -q --bare lib; mv lib/HEAD lib/config lib/objects lib/refs .; echo 2 >f",
    );
    let changes = server.changes("bay");
    let items = changes["items"].as_array().expect("a list");
    let head = items.iter().find(|item| item["path"] == "HEAD").expect("it is a change");
    assert!(head["flags"].to_string().contains("exec_on_open"), "{head}");
}

#[test]
fn without_its_source_a_sandbox_has_nowhere_to_bring_commits_and_can_be_removed() {
    let server = Server::start();
    let place = Project::new();
    let (source, away) = (place.path().join("source"), place.path().join("away"));
    git(place.path(), &["init", "-q", "-b", "main", "source"]);
    fs::write(source.join("f"), "1\n").expect("the host may write");
    git(&source, &["add", "f"]);
    git(&source, &["commit", "-qm", "first"]);
    create(&server, &source);
    server.sh("bay", "echo 2 >f; git commit -qm inside f");
    fs::rename(&source, &away).expect("the host may write");
    assert_eq!(refusal(&pull(&server, &json!({}))), pair("source_gone", ""));
    assert!(!source.exists(), "nothing was made in its place");
    fs::rename(&away, &source).expect("the host may write");
    assert_eq!(pull(&server, &json!({})).expect(200)["total"], 1);
    fs::remove_dir_all(&source).expect("the host may write");
    assert!(server.api("DELETE", "/v1/sandboxes/bay", None).status < 300);
}
