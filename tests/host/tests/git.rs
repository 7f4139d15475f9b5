//! The source's git repository, through the real binary and the real git.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Stdio},
};

use sandbar_host_tests::{
    Project, Reply, Server, bin_dir,
    git::{committed, git},
};
use serde_json::{Value, json};

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

/// Approves everything with a commit.
fn approve(server: &Server, sandbox: &str, commit: &Value) -> Reply {
    let diff_id = server.changes(sandbox)["diff_id"].clone();
    // Everything, and what is ignored as well.
    let confirm = json!(["ignored"]);
    let body =
        json!({ "diff_id": diff_id, "selection": "all", "confirm": confirm, "commit": commit });
    server.api("POST", &format!("/v1/sandboxes/{sandbox}/approve"), Some(&body))
}

fn pull(server: &Server, sandbox: &str, body: &Value) -> Reply {
    server.api("POST", &format!("/v1/sandboxes/{sandbox}/pull"), Some(body))
}

fn reason(reply: &Reply) -> (String, String) {
    (reply.code(), reply.json()["details"]["reason"].as_str().unwrap_or_default().to_owned())
}

/// Makes a sandbox whose commits have a name.
fn create(server: &Server, source: &Path) -> String {
    let body = json!({
        "source": { "kind": "directory", "path": source }, "name": "bay",
        "git_identity": { "name": "Bo \"B\" C", "email": "bo@example.org" },
    });
    drop(server.api("POST", "/v1/sandboxes", Some(&body)).expect(201));
    "bay".to_owned()
}

#[test]
fn a_commit_inside_works_with_nothing_configured_and_arrives_as_a_branch() {
    let server = Server::start();
    let project = committed(Project::new().file("a", "1\n"));
    let sandbox = create(&server, project.path());
    fs::write(project.path().join("mine"), "staged\n").expect("the host may write");
    git(project.path(), &["add", "mine"]);
    let before = git(project.path(), &["rev-parse", "HEAD"]);
    let none = pull(&server, &sandbox, &json!({}));
    assert_eq!(none.code(), "nothing_to_pull", "{none:?}");
    server.sh(
        &sandbox,
        "echo 2 >a; git commit -qam two; git mv a b; git commit -qm three; echo x >c",
    );
    let reply = pull(&server, &sandbox, &json!({})).expect(200);
    assert_eq!((&reply["branch"], &reply["total"]), (&json!("sandbar/bay"), &json!(2)), "{reply}");
    assert_eq!(reply["commits"][0]["subject"], "three");
    assert_eq!(reply["commits"][0]["author"], "Bo \"B\" C");
    let log = git(project.path(), &["log", "--format=%s %ae", "sandbar/bay"]);
    assert_eq!(log, "three bo@example.org\ntwo bo@example.org\nfirst ann@example.org");
    git(project.path(), &["fsck", "--strict"]);
    assert_eq!(git(project.path(), &["rev-parse", "HEAD"]), before);
    assert_eq!(git(project.path(), &["status", "--porcelain"]), "A  mine");
    let left = fs::read_dir(project.path().join(".git/objects")).expect("it is there");
    assert!(left.flatten().all(|entry| !entry.file_name().to_string_lossy().starts_with("tmp_")));
    // Forward is fine; a rewritten history is not, unless it is asked for; and never below somebody's feet.
    server.sh(&sandbox, "git add c; git commit -qm four");
    assert_eq!(pull(&server, &sandbox, &json!({})).expect(200)["total"], 1);
    server.sh(&sandbox, "git commit -q --amend -m other");
    let refused = pull(&server, &sandbox, &json!({}));
    assert_eq!(reason(&refused), ("branch_conflict".to_owned(), "diverged".to_owned()));
    drop(pull(&server, &sandbox, &json!({ "force": true })).expect(200));
    for branch in ["main", "-x", "a..b", ""] {
        let refused = pull(&server, &sandbox, &json!({ "branch": branch, "force": true }));
        let code = if branch == "main" { "branch_conflict" } else { "invalid_value" };
        assert_eq!(refused.code(), code, "{branch}: {refused:?}");
    }
    drop(server.api("POST", &format!("/v1/sandboxes/{sandbox}/stop"), None).expect(200));
    assert_eq!(pull(&server, &sandbox, &json!({})).code(), "state_conflict");
}

#[test]
fn hostile_commits_are_refused_and_nothing_of_them_is_kept() {
    let server = Server::start();
    let project = committed(Project::new().file("a", "1\n"));
    let sandbox = create(&server, project.path());
    let refs = git(project.path(), &["for-each-ref"]);
    let objects = git(project.path(), &["count-objects", "-v"]);
    for name in [".git", ".GIT", "git~1", ".."] {
        server.sh(
            &sandbox,
            &format!(
                "blob=$(echo evil | git hash-object -w --stdin); \
             sub=$(printf '100644 blob %s\\tconfig\\n' $blob | git mktree); \
             tree=$(printf '040000 tree %s\\t{name}\\n' $sub | git mktree); \
             git update-ref HEAD $(git commit-tree $tree -p HEAD -m evil)"
            ),
        );
        let refused = pull(&server, &sandbox, &json!({}));
        assert_eq!(refused.code(), "commits_refused", "{name}: {refused:?}");
        server.sh(&sandbox, "git update-ref HEAD HEAD^");
    }
    // What is no bundle at all.
    let lie = json!({ "request": "pull", "branch": "x", "update": "force" });
    assert_eq!(role(project.path(), &lie)["error"]["error"], "bad_bundle");
    assert_eq!(git(project.path(), &["for-each-ref"]), refs);
    assert_eq!(git(project.path(), &["count-objects", "-v"]), objects);
}

#[test]
fn exactly_the_approved_paths_are_committed_and_staged_work_survives() {
    let server = Server::start();
    let project = committed(
        Project::new()
            .file("a", "1\n")
            .file("gone", "g\n")
            .file("mine", "m\n")
            .file("tree/x", "x\n"),
    );
    let sandbox = create(&server, project.path());
    server.sh(
        &sandbox,
        "echo 2 >a; rm -r gone tree; echo now a file >tree; mkdir -p new/dir; echo n >new/dir/n",
    );
    fs::write(project.path().join("mine"), "staged\n").expect("the host may write");
    git(project.path(), &["add", "mine"]);
    fs::write(project.path().join("mine"), "staged, and more\n").expect("the host may write");
    fs::write(project.path().join("untracked"), "u\n").expect("the host may write");
    let marker = project.path().join("hook-ran");
    for hook in ["pre-commit", "post-commit", "reference-transaction", "post-index-change"] {
        let path = project.path().join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().expect("it has one")).expect("it can be made");
        fs::write(&path, format!("#!/bin/sh\ntouch '{}'\n", marker.display())).expect("written");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("our own file");
    }
    let commit = json!({ "message": "Cart page", "author": "agent" });
    let outcome = approve(&server, &sandbox, &commit).expect(200);
    assert!(!marker.exists(), "a hook ran");
    assert_eq!(outcome["commit"], json!(git(project.path(), &["rev-parse", "HEAD"])));
    assert_eq!(outcome["commit_branch"], "main");
    let show = ["show", "--format=%an <%ae> %cn|%B", "--name-status", "--no-renames", "HEAD"];
    assert_eq!(
        git(project.path(), &show),
        "bay (sandbar) <bay@sandbar.invalid> Bo \"B\" C|Cart page\n\n\nM\ta\nD\tgone\nA\tnew/dir/n\nA\ttree\nD\ttree/x"
    );
    assert_eq!(git(project.path(), &["status", "--porcelain"]), "MM mine\n?? untracked");
    assert_eq!(git(project.path(), &["show", ":mine"]), "staged");
    git(project.path(), &["fsck", "--strict"]);
}

#[test]
fn b15_paths_are_right_when_the_source_is_below_the_top_of_the_repository() {
    let server = Server::start();
    let project = committed(Project::new().file("sub/deep/a", "1\n").file("deep/a", "top\n"));
    let sandbox = create(&server, &project.path().join("sub"));
    server.sh(&sandbox, "echo 2 >deep/a; echo n >deep/new");
    let commit = json!({
        "template": "{{sandbox}}: {{count}}\n\n{{files}}", "author": "co_authored",
        "reviewer": { "name": "Cy", "email": "cy@example.org" },
    });
    drop(approve(&server, &sandbox, &commit).expect(200));
    let show = ["show", "--format=%an %B", "--name-status", "HEAD"];
    assert_eq!(
        git(project.path(), &show),
        "Cy bay: 2\n\n- deep/a\n- deep/new\n\nCo-authored-by: bay (sandbar) <bay@sandbar.invalid>\n\n\nM\tsub/deep/a\nA\tsub/deep/new"
    );
    assert_eq!(git(project.path(), &["status", "--porcelain"]), "");
}

#[test]
fn b17_a_failed_commit_is_an_error_that_says_the_files_were_applied() {
    let server = Server::start();
    let project = committed(Project::new().file("a", "1\n"));
    let sandbox = create(&server, project.path());
    server.sh(&sandbox, "echo 2 >a");
    // Nothing that can be seen beforehand: the branch is locked, and only its move fails.
    fs::write(project.path().join(".git/refs/heads/main.lock"), "").expect("the host may write");
    let before = git(project.path(), &["rev-parse", "HEAD"]);
    let diff_id = server.changes(&sandbox)["diff_id"].clone();
    let body = json!({ "diff_id": diff_id, "selection": "all", "commit": { "message": "x" } });
    let path = format!("/v1/sandboxes/{sandbox}/approve");
    for _again in 0..2 {
        let failed = server.api("POST", &path, Some(&body));
        assert_eq!((failed.status, failed.code().as_str()), (409, "commit_failed"), "{failed:?}");
        assert_eq!(failed.json()["details"]["applied"], json!(["a"]), "{failed:?}");
    }
    assert_eq!(project.read("a").expect("applied"), b"2\n");
    assert_eq!(git(project.path(), &["rev-parse", "HEAD"]), before);
}

#[test]
fn a_commit_that_cannot_be_is_refused_by_name_before_anything_is_written() {
    let server = Server::start();
    let project = committed(Project::new().file("a", "1\n").file(".gitignore", "ignored\n"));
    let sandbox = create(&server, project.path());
    server.sh(&sandbox, "echo 2 >a");
    let dot_git = project.path().join(".git");
    let refused = |commit: &Value| {
        let reply = approve(&server, &sandbox, commit);
        assert_eq!(project.read("a").expect("there"), b"1\n", "something was written: {reply:?}");
        reason(&reply)
    };
    let pair = |code: &str, reason: &str| (code.to_owned(), reason.to_owned());
    let message = json!({ "message": "x" });
    for none in [json!({}), json!({ "message": " " }), json!({ "template": "{{message}}" })] {
        assert_eq!(refused(&none), pair("invalid_value", ""));
    }
    for (name, what) in [
        ("MERGE_HEAD", "merge"),
        ("CHERRY_PICK_HEAD", "cherry_pick"),
        ("REVERT_HEAD", "revert"),
        ("BISECT_LOG", "bisect"),
        ("index.lock", "index_locked"),
    ] {
        fs::write(dot_git.join(name), "").expect("the host may write");
        assert_eq!(refused(&message), pair("repository_busy", what));
        fs::remove_file(dot_git.join(name)).expect("it is there");
    }
    fs::create_dir(dot_git.join("rebase-merge")).expect("the host may write");
    assert_eq!(refused(&message), pair("repository_busy", "rebase"));
    fs::remove_dir(dot_git.join("rebase-merge")).expect("it is there");
    fs::write(dot_git.join("info/attributes"), "a filter=lfs\n").expect("the host may write");
    assert_eq!(refused(&message), pair("commit_refused", "filtered"));
    fs::remove_file(dot_git.join("info/attributes")).expect("it is there");
    git(project.path(), &["config", "core.bare", "true"]);
    assert_eq!(refused(&message), pair("repository_unsupported", "bare"));
    git(project.path(), &["config", "core.bare", "false"]);
    fs::rename(&dot_git, project.path().join("elsewhere")).expect("the host may write");
    assert_eq!(refused(&message), pair("repository_unsupported", "no_repository"));
    fs::rename(project.path().join("elsewhere"), &dot_git).expect("it is there");
    // A detached HEAD is fine, and what is ignored is written and left out.
    git(project.path(), &["checkout", "-q", "--detach"]);
    server.sh(&sandbox, "echo i >ignored");
    let outcome = approve(&server, &sandbox, &message).expect(200);
    assert!(outcome["commit_branch"].is_null(), "{outcome}");
    assert_eq!(outcome["commit_ignored"], json!(["ignored"]));
    assert_eq!(git(project.path(), &["show", "--format=", "--name-only", "HEAD"]), "a");
    server.sh(&sandbox, "echo 2 >ignored");
    let only_ignored = approve(&server, &sandbox, &message);
    assert_eq!(reason(&only_ignored), pair("commit_refused", "nothing_to_commit"));
    assert_eq!(project.read("ignored").expect("there"), b"i\n");
}

#[test]
fn submodules_shallow_clones_linked_worktrees_and_other_owners_work_or_are_refused() {
    let server = Server::start();
    let origin = committed(Project::new().file("a", "1\n"));
    fs::write(origin.path().join("a"), "2\n").expect("the host may write");
    git(origin.path(), &["commit", "-qam", "second"]);
    let place = Project::new();
    // A shallow clone of somebody else's.
    let shallow = place.path().join("shallow");
    let url = format!("file://{}", origin.path().display());
    git(place.path(), &["clone", "-q", "--depth=1", &url, "shallow"]);
    git(
        &shallow,
        &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "module"],
    );
    git(&shallow, &["commit", "-qm", "module"]);
    let chown = Command::new("chown").args(["-R", "54321:54321"]).arg(&shallow).status();
    assert!(chown.expect("chown runs").success());
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).expect("our own directory");
    let sandbox = create(&server, &shallow);
    server.sh(&sandbox, "echo 3 >a; git commit -qam three");
    assert_eq!(pull(&server, &sandbox, &json!({})).expect(200)["total"], 1);
    drop(approve(&server, &sandbox, &json!({ "message": "x" })).expect(200));
    let safe = format!("safe.directory={}", shallow.display());
    assert_eq!(git(&shallow, &["-c", &safe, "log", "-1", "--format=%cn %s"]), "Bo \"B\" C x");
    let foreign = Command::new("find").arg(&shallow).args(["!", "-user", "54321"]).output();
    assert_eq!(String::from_utf8_lossy(&foreign.expect("find runs").stdout), "");
    server.sh(&sandbox, "echo 4 >module/a");
    let refused = approve(&server, &sandbox, &json!({ "message": "x" }));
    assert_eq!(reason(&refused), ("commit_refused".to_owned(), "other_repository".to_owned()));
    drop(server.api("DELETE", "/v1/sandboxes/bay", None));
    // A linked worktree: its history is not inside, and a commit works.
    git(
        origin.path(),
        &[
            "worktree",
            "add",
            "-q",
            "-b",
            "side",
            place.path().join("linked").to_str().expect("text"),
        ],
    );
    let linked = place.path().join("linked");
    let sandbox = create(&server, &linked);
    server.sh(&sandbox, "echo 5 >a");
    assert_eq!(pull(&server, &sandbox, &json!({})).code(), "nothing_to_pull");
    let outcome = approve(&server, &sandbox, &json!({ "message": "x" })).expect(200);
    assert_eq!(outcome["commit_branch"], "side");
    assert_eq!(git(&linked, &["status", "--porcelain"]), "");
}

#[test]
fn k5_nothing_that_a_sandbox_plants_in_its_repository_runs_on_the_host() {
    let server = Server::start();
    let project = committed(Project::new().file("a", "1\n").file("b", "1\n").file("c", "1\n"));
    let sandbox = create(&server, project.path());
    let marker = tempfile::tempdir().expect("a directory can be made");
    let run = format!("touch {}/ran-", marker.path().display());
    // The marker is a path of the host: inside, there is no such directory.
    server.sh(&sandbox, &format!(
        "git config core.fsmonitor '{run}fsmonitor'; git config diff.external '{run}external'; \
         for f in clean smudge process; do git config filter.x.$f \"{run}$f; cat\"; done; \
         git config diff.x.textconv '{run}textconv'; git config core.pager '{run}pager'; \
         git config core.sshCommand '{run}ssh'; git config alias.status '!{run}alias'; \
         git config core.editor '{run}editor'; git config gpg.program '{run}gpg'; git config commit.gpgSign true; \
         git config credential.helper '!{run}credential'; git config core.hooksPath .planted; \
         git config extensions.worktreeConfig true; \
         printf '[core]\\n\\tfsmonitor = {run}worktree\\n' >.git/config.worktree; \
         printf '[core]\\n\\tfsmonitor = {run}include\\n' >.git/included; \
         git config includeIf.gitdir:/.path included; git config include.path included; \
         mkdir -p .planted; for h in pre-commit post-commit reference-transaction post-checkout post-merge; do \
         printf '#!/bin/sh\\n{run}hook\\n' >.planted/$h; cp .planted/$h .git/hooks/$h 2>/dev/null; chmod +x .planted/$h .git/hooks/$h; done; \
         printf '* filter=x diff=x\\n' >.gitattributes; echo 2 >a; echo 2 >b; echo 2 >c; \
         tree=$(git -c filter.x.clean=cat -c core.fsmonitor=false write-tree); \
         git -c core.hooksPath=/dev/null update-ref HEAD $(git commit-tree $tree -p HEAD -m x)"
    ));
    let base = format!("/v1/sandboxes/{sandbox}");
    let changes = server.changes(&sandbox);
    assert!(changes.to_string().contains(".gitattributes"), "{changes}");
    assert_eq!(server.api("GET", &format!("{base}/diff"), None).status, 200);
    let diff_id = &changes["diff_id"];
    let body = json!({ "diff_id": diff_id, "selection": { "paths": ["a"] }, "commit": { "message": "x" } });
    drop(server.api("POST", &format!("{base}/approve"), Some(&body)).expect(200));
    // Even after the attributes were approved, a filter is refused by name and not run.
    let all = |commit: Value| {
        let diff_id = server.changes(&sandbox)["diff_id"].clone();
        let body = json!({
            "diff_id": diff_id, "selection": { "paths": [".gitattributes", "b"] },
            "confirm": ["exec_on_open"], "commit": commit,
        });
        server.api("POST", &format!("{base}/approve"), Some(&body))
    };
    let failed = all(json!({ "message": "x" }));
    assert_eq!(failed.code(), "commit_failed", "{failed:?}");
    let reject = json!({ "selection": { "paths": ["c"] } });
    drop(server.api("POST", &format!("{base}/reject"), Some(&reject)).expect(200));
    drop(pull(&server, &sandbox, &json!({})).expect(200));
    drop(server.api("DELETE", &base, None));
    let ran: Vec<_> = fs::read_dir(marker.path()).expect("it is there").flatten().collect();
    assert!(ran.is_empty(), "{ran:?}");
    // The marker can be seen: a git that obeys leaves one.
    git(project.path(), &["-c", &format!("core.fsmonitor={run}control"), "status"]);
    assert_eq!(fs::read_dir(marker.path()).expect("it is there").count(), 1);
    assert_eq!(git(project.path(), &["log", "-1", "--format=%s", "HEAD"]), "x");
}

#[test]
fn b16_what_both_changed_is_merged_from_the_commit_of_the_beginning() {
    let server = Server::start();
    let text: String = (1..=30).map(|line| format!("{line}\n")).collect();
    let project = committed(Project::new().file("f", &text).file("g", &text));
    let sandbox = server.create(&project);
    server.sh(&sandbox, "sed -i s/^2$/two/ f g; git add f");
    git(project.path(), &["commit", "-q", "--allow-empty", "-m", "second"]);
    for (path, from, to) in [("f", "29\n", "host\n"), ("g", "2\n3\n", "host\n3\n")] {
        fs::write(project.path().join(path), text.replacen(from, to, 1)).expect("it is ours");
    }
    let run = |args: &[&str]| server.sandbar(project.path(), args);
    let patch = String::from_utf8(run(&["diff", &sandbox, "f"]).stdout).expect("it is text");
    assert!(patch.contains("+two") && !patch.contains("-host"), "{patch}");
    let refused = run(&["approve", &sandbox, "--all"]);
    assert_eq!(refused.status.code(), Some(4), "g overlaps: {refused:?}");
    assert_eq!(project.read("f").as_deref(), Some(text.replacen("29", "host", 1).as_bytes()));
    let resolved = run(&["approve", &sandbox, "--all", "--ours", "g"]);
    assert!(resolved.status.success(), "{resolved:?}");
    let merged = text.replacen("2\n", "two\n", 1).replacen("29\n", "host\n", 1);
    assert_eq!(project.read("f").as_deref(), Some(merged.as_bytes()));
    assert_eq!(
        project.read("g").as_deref(),
        Some(text.replacen("2\n3\n", "host\n3\n", 1).as_bytes())
    );
    let inside = server.sh(&sandbox, "cat f");
    assert!(format!("{inside:?}").contains("host"), "the merge is inside as well: {inside:?}");
}
