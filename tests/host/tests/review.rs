//! Changes and their approval, through the real binary on a real overlay.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::Command,
};

use sandbar_host_tests::{Project, Server};
use serde_json::json;

/// Bytes that are no text in any encoding.
fn binary(seed: u8) -> Vec<u8> {
    (0..10_000_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0] ^ seed)
        .collect()
}

#[test]
fn b13_new_binary_survives_approve() {
    let server = Server::start();
    let project =
        Project::new().file("old.bin", binary(1)).file("text", "a\n").file("gone.bin", binary(2));
    let sandbox = server.create(&project);
    server.sh(&sandbox, "head -c 100000 /dev/urandom >new.bin; head -c 5000 old.bin | tac | head -c 4000 >x; cat x >>old.bin; rm x gone.bin; echo b >>text; sha256sum new.bin old.bin >sums");
    let reply = server.approve_all(&sandbox);
    assert_eq!(reply.status, 200, "{reply:?}");
    let check = Command::new("sha256sum")
        .args(["--check", "sums"])
        .current_dir(project.path())
        .status()
        .expect("sha256sum runs");
    assert!(check.success(), "an approved binary is not what the sandbox had");
    assert!(project.read("gone.bin").is_none());
    assert_eq!(project.read("text").expect("approved"), b"a\nb\n");
    assert_eq!(server.changes(&sandbox)["items"], json!([]));
}

#[test]
fn b14_replaced_directories_modes_and_dangling_links_are_reported() {
    let server = Server::start();
    let project =
        Project::new().file("dir/one", "1").file("dir/two", "2").file("script", "#!/bin/sh\n");
    let sandbox = server.create(&project);
    server.sh(
        &sandbox,
        "rm -r dir; mkdir dir; echo 3 >dir/three; chmod +x script; ln -s nowhere dangling",
    );
    let changes = server.changes(&sandbox);
    let seen: Vec<(String, String)> = changes["items"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|change| {
            (
                change["path"].as_str().expect("text").to_owned(),
                change["kind"].as_str().expect("text").to_owned(),
            )
        })
        .collect();
    for expected in [
        ("dangling", "added"),
        ("dir/one", "deleted"),
        ("dir/three", "added"),
        ("dir/two", "deleted"),
        ("script", "mode_changed"),
    ] {
        assert!(
            seen.contains(&(expected.0.to_owned(), expected.1.to_owned())),
            "{expected:?} not in {seen:?}"
        );
    }
    let without = server.sandbar(project.path(), &["approve", &sandbox, "--all"]);
    assert_eq!(without.status.code(), Some(4), "an executable bit needs a yes");
    let at_another = ["approve", &sandbox, "--all", "--allow", "exec_bit:dir/three"];
    assert_eq!(server.sandbar(project.path(), &at_another).status.code(), Some(4));
    let at_it = ["approve", &sandbox, "--all", "--allow", "exec_bit:script"];
    let reply = server.sandbar(project.path(), &at_it);
    assert!(reply.status.success(), "{reply:?}");
    assert!(project.read("dir/one").is_none() && project.read("dir/three").is_some());
    let mode =
        fs::metadata(project.path().join("script")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o111, 0o111, "the exec bit is approved");
    assert_eq!(
        fs::read_link(project.path().join("dangling")).expect("a link").to_str(),
        Some("nowhere")
    );
}

#[test]
fn b16_uncommitted_host_change_is_protected() {
    let server = Server::start();
    let project = Project::new().file("both", "base\n").file("theirs", "base\n");
    let sandbox = server.create(&project);
    server.sh(&sandbox, "echo agent >both; echo agent >theirs");
    fs::write(project.path().join("both"), "mine, not committed\n").expect("the host may write");
    let reply = server.approve_all(&sandbox);
    assert_eq!(reply.status, 409, "{reply:?}");
    assert_eq!(project.read("both").expect("there"), b"mine, not committed\n");
    assert_eq!(
        project.read("theirs").expect("there"),
        b"base\n",
        "nothing of a refused approve is written"
    );
}

#[test]
fn b21_a_link_out_of_the_tree_is_shown_as_a_link_never_as_content() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    server.sh(&sandbox, "ln -s /etc/hostname leak; ln -s /etc/shadow shadow");
    let diff = server.sandbar(project.path(), &["diff", &sandbox]);
    let text = String::from_utf8_lossy(&diff.stdout).into_owned();
    let hostname = fs::read_to_string("/etc/hostname").expect("the host has a name");
    assert!(text.contains("/etc/hostname") && !text.contains(hostname.trim()), "{text}");
    let all = server.changes(&sandbox);
    assert_eq!(all["items"][0]["new"]["type"], "symlink", "{all}");
}

#[test]
fn v9_a_diff_is_of_one_instant_while_a_writer_runs() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    server.sh(
        &sandbox,
        "nohup sh -c 'i=0; while :; do i=$((i+1)); echo $i >a; echo $i >b; done' >/dev/null 2>&1 &",
    );
    for _ in 0..10 {
        let changes = server.changes(&sandbox);
        // The id is of the bytes that were hashed, so a second look at a moving tree has another one …
        assert!(changes["diff_id"].is_string(), "{changes}");
    }
    let stale = server.changes(&sandbox)["diff_id"].clone();
    sandbar_host_tests::eventually("the writer wrote", std::time::Duration::from_secs(5), || {
        if server.changes(&sandbox)["diff_id"] == stale { Err("same") } else { Ok(()) }
    });
    let body = json!({ "diff_id": stale, "selection": "all" });
    let reply = server.api("POST", &format!("/v1/sandboxes/{sandbox}/approve"), Some(&body));
    // … and what was not shown is not written.
    assert_eq!(reply.status, 409, "{reply:?}");
    assert!(project.read("a").is_none());
}

#[test]
fn approve_by_file_leaves_the_rest_pending_and_reject_drops_it() {
    let server = Server::start();
    let project = Project::new().file("a", "1\n").file("b", "1\n");
    let sandbox = server.create(&project);
    server.sh(&sandbox, "echo 2 >a; echo 2 >b; echo 2 >c");
    let approved = server.sandbar(project.path(), &["approve", &sandbox, "a"]);
    assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
    assert_eq!(
        (project.read("a"), project.read("b")),
        (Some(b"2\n".to_vec()), Some(b"1\n".to_vec()))
    );
    let rejected = server.sandbar(project.path(), &["reject", &sandbox, "--all"]);
    assert!(rejected.status.success(), "{}", String::from_utf8_lossy(&rejected.stderr));
    assert_eq!(server.changes(&sandbox)["items"], json!([]));
    assert_eq!(server.sh(&sandbox, "cat a b; ls"), "2\n1\na\nb\n");
}

#[test]
fn git_apply_takes_what_diff_prints() {
    let server = Server::start();
    let project = Project::new()
        .file("keep", "1\n2\n3\n")
        .file("no newline", "x")
        .file("bin", binary(3))
        .file("gone", "bye\n");
    symlink("keep", project.path().join("link")).expect("a link can be made");
    let copy = Project::new();
    let copied = Command::new("cp")
        .arg("-a")
        .arg(project.path().join("."))
        .arg(copy.path())
        .status()
        .expect("cp runs");
    assert!(copied.success());
    let sandbox = server.create(&project);
    server.sh(&sandbox, "sed -i s/2/two/ keep; printf y >'no newline'; head -c 3000 /dev/urandom >bin; rm gone; ln -sf gone link; chmod +x keep; : >empty; mkdir -p d; echo z >d/'odd \"name\"'");
    let diff = server.sandbar(project.path(), &["diff", &sandbox]).stdout;
    let patch = copy.path().join("../patch.of.review.test");
    fs::write(&patch, diff).expect("a file can be written");
    let applied = Command::new("git")
        .args(["apply", "--binary"])
        .arg(&patch)
        .current_dir(copy.path())
        .output()
        .expect("git runs");
    fs::remove_file(&patch).expect("what was written can be removed");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    assert_eq!(server.approve_all(&sandbox).status, 200);
    let same = Command::new("diff")
        .args(["-r", "--no-dereference"])
        .arg(project.path())
        .arg(copy.path())
        .output()
        .expect("diff runs");
    assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
}

#[test]
fn git_metadata_is_never_applied() {
    let server = Server::start();
    let project = Project::new().file(".git/config", "[core]\n").file("a", "1\n");
    let sandbox = server.create(&project);
    server.sh(&sandbox, "mkdir -p .git/hooks; echo 'touch /tmp/owned' >.git/hooks/post-checkout; echo '[core] fsmonitor = x' >.git/config; echo 2 >a");
    let reply = server.approve_all(&sandbox);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(project.read(".git/config").expect("there"), b"[core]\n");
    assert!(project.read(".git/hooks/post-checkout").is_none());
    assert_eq!(project.read("a").expect("there"), b"2\n");
}

#[test]
fn b2_a_stale_version_is_refused() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    server.sh(&sandbox, "echo 1 >a");
    let path = format!("/v1/sandboxes/{sandbox}/changes");
    let seen = server.api("GET", &path, None);
    let etag = seen
        .head
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .expect("changes have a version")
        .to_owned();
    // Somebody else decides meanwhile.
    server.sh(&sandbox, "echo 2 >b");
    assert_eq!(server.approve_all(&sandbox).status, 200);
    server.sh(&sandbox, "echo 3 >c");
    let body = json!({ "diff_id": server.changes(&sandbox)["diff_id"], "selection": "all" });
    let path = format!("/v1/sandboxes/{sandbox}/approve");
    let stale = server.api_with("POST", &path, &[("If-Match", &etag)], Some(&body));
    assert_eq!(stale.status, 412, "{stale:?}");
    assert!(project.read("c").is_none());
}

#[test]
fn v10_no_command_of_the_host_is_needed() {
    let mut server = Server::start();
    server.kill();
    server.set_env("PATH", "/nonexistent");
    server.restart();
    let project = Project::new().file("text", "a\n").file("gone", "b\n");
    let sandbox = server.create(&project);
    let script = "echo b >>text; rm gone; head -c 2000 /dev/urandom >bin";
    let result =
        server.exec(&sandbox, &["/bin/sh", "-c", &format!("PATH=/usr/bin:/bin; {script}")]);
    assert_eq!(result["exit_code"], 0, "{result}");
    let diff = server.api("GET", &format!("/v1/sandboxes/{sandbox}/diff"), None);
    assert!(diff.status == 200 && diff.body.starts_with(b"diff --git"), "{diff:?}");
    assert_eq!(server.approve_all(&sandbox).status, 200);
    assert_eq!(project.read("text").expect("approved"), b"a\nb\n");
    let doctor = server.api("GET", "/v1/doctor", None).expect(200);
    assert!(
        doctor["findings"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["code"] == "commands")),
        "{doctor}"
    );
}

#[test]
fn no_stage_directory_is_left_in_the_source() {
    let server = Server::start();
    let project = Project::new().file("a", "1\n").file("b", "1\n");
    let sandbox = server.create(&project);
    let names = || {
        let entries = fs::read_dir(project.path()).expect("a directory can be listed");
        let mut names: Vec<_> = entries
            .map(|e| e.expect("an entry").file_name().into_string().expect("text"))
            .collect();
        names.sort();
        names
    };
    server.sh(&sandbox, "echo 2 >a; rm b; mkdir -p d; echo 2 >d/c");
    assert_eq!(server.approve_all(&sandbox).status, 200);
    assert_eq!(names(), ["a", "d"]);
    server.sh(&sandbox, "echo 3 >a");
    fs::write(project.path().join("a"), "mine\n").expect("the host may write");
    assert_eq!(server.approve_all(&sandbox).status, 409);
    assert_eq!(names(), ["a", "d"]);
    let journals = fs::read_dir(server.data_dir().join("journal")).expect("there are journals");
    assert_eq!(journals.count(), 1, "of the one that wrote something, for an undo");
}

#[test]
fn names_of_any_bytes_are_listed_and_approved_exactly() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    // A newline, an escape sequence, bytes that are no UTF-8, a right-to-left override, a leading dash, quotes.
    let script = r#"printf 1 >"$(printf 'new\nline')"; printf 2 >"$(printf 'esc\033]52;c;x\007')"; printf 3 >"$(printf 'b\377\376')"
        printf 4 >"$(printf 'rtl\342\200\256txt')"; printf 5 >-dash; printf 6 >'quo"te'"'"; mkdir ' '; printf 7 >' / '"#;
    server.sh(&sandbox, script);
    let plain = server.sandbar(project.path(), &["changes", &sandbox]);
    assert!(
        plain.status.success() && !plain.stdout.contains(&0x1b),
        "{:?}",
        String::from_utf8_lossy(&plain.stdout)
    );
    let changes = server.changes(&sandbox);
    let flags = changes["items"].to_string();
    for flag in ["name_control_chars", "name_non_utf8", "name_bidi"] {
        assert!(flags.contains(flag), "{flag} is not in {flags}");
    }
    let diff_id = changes["diff_id"].clone();
    let confirm = ["name_control_chars", "name_non_utf8", "name_bidi"];
    let body = json!({ "diff_id": diff_id, "selection": "all", "confirm": confirm });
    let reply = server.api("POST", &format!("/v1/sandboxes/{sandbox}/approve"), Some(&body));
    assert_eq!(reply.status, 200, "{reply:?}");
    let sums = |dir: &str| {
        format!("cd {dir} && find . -type f -print0 | sort -z | xargs -0 sha256sum -z | base64 -w0")
    };
    let host = Command::new("sh")
        .args(["-c", &sums(&project.path().display().to_string())])
        .output()
        .expect("sh runs");
    let inside = server.exec(&sandbox, &["sh", "-c", &sums(".")]);
    assert_eq!(inside["stdout"]["text"].as_str().expect("base64 is text").as_bytes(), host.stdout);
}

#[test]
fn rules_approve_what_they_list_and_leave_the_rest_to_a_person() {
    let server = Server::start();
    let project = Project::new().file("docs/a.md", "a\n").file("main.rs", "1\n");
    let run = |args: &[&str]| server.sandbar(project.path(), args);
    let edit = "echo b >>docs/a.md; echo c >docs/c.md; echo 2 >main.rs; chmod +x docs/c.md";
    let rules = ["--name", "ruled", "--accept-files", "5", "--accept-path", "docs/**"];
    let ran = run(&[&["run"][..], &rules, &["--", "sh", "-c", edit]].concat());
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(project.read("docs/a.md").as_deref(), Some(&b"a\nb\n"[..]));
    assert_eq!(project.read("main.rs").as_deref(), Some(&b"1\n"[..]), "its path is not listed");
    assert_eq!(project.read("docs/c.md"), None, "an executable bit wants a person");
    let log = String::from_utf8(run(&["log"]).stdout).expect("it is text");
    assert!(log.contains("rules of the sandbox") && log.contains("docs/a.md"), "{log}");
    // Beyond a limit nothing goes, and the command's own success stays one.
    let many = "for i in 1 2 3 4 5 6; do echo x >docs/$i.md; done";
    let ran = run(&["run", "--accept-files", "5", "--", "sh", "-c", many]);
    assert!(ran.status.success() && project.read("docs/1.md").is_none(), "{ran:?}");
    let without = run(&["create", "--name", "plain"]);
    assert!(without.status.success(), "{without:?}");
    let refused = run(&["approve", "plain", "--by-rules"]);
    assert!(!refused.status.success(), "{refused:?}");
    let wrong = run(&["create", "--accept-files", "1", "--accept-path", "[a"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
}

#[test]
fn what_the_source_ignores_waits_until_it_is_meant_and_never_collides() {
    let server = Server::start();
    let project = Project::new()
        .file(".gitignore", "target/\n.env\n")
        .file("main.rs", "1\n")
        .file("target/debug/app", "built on the host\n");
    let run = |args: &[&str]| server.sandbar(project.path(), args);
    let work = "echo 2 >main.rs; echo built inside >target/debug/app; echo key >.env; \
                mkdir hidden; echo '*' >hidden/.gitignore; echo x >hidden/x";
    let ran = run(&["run", "--name", "built", "--", "sh", "-c", work]);
    assert!(ran.status.success(), "{ran:?}");
    // Both sides built: that is nothing anybody has to decide about.
    std::fs::write(project.path().join("target/debug/app"), "built again\n").expect("written");
    let listed = run(&["changes", "built"]);
    let text = String::from_utf8(listed.stdout).expect("it is text");
    assert!(text.contains("hidden/x") && !text.contains("target"), "{text}");
    let said = String::from_utf8(listed.stderr).expect("it is text");
    assert!(said.contains("ignored by your rules: .env, target/debug/app"), "{said}");
    let all = String::from_utf8(run(&["changes", "built", "--ignored"]).stdout).expect("text");
    assert!(all.contains("target/debug/app") && all.contains("ignored"), "{all}");
    let diff = String::from_utf8(run(&["diff", "built"]).stdout).expect("it is text");
    assert!(diff.contains("main.rs") && !diff.contains("target/debug"), "{diff}");

    let approved = run(&["approve", "built", "--all"]);
    assert!(approved.status.success(), "{approved:?}");
    assert_eq!(project.read("main.rs").as_deref(), Some(&b"2\n"[..]));
    assert_eq!(project.read("hidden/x").as_deref(), Some(&b"x\n"[..]));
    assert_eq!(project.read(".env"), None);
    assert_eq!(project.read("target/debug/app").as_deref(), Some(&b"built again\n"[..]));
    let named = run(&["approve", "built", ".env"]);
    assert!(named.status.success(), "{named:?}");
    assert_eq!(project.read(".env").as_deref(), Some(&b"key\n"[..]));
}
