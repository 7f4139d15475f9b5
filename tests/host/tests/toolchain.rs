//! The toolchain of the host works inside, and the source is the same before and after.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::process::Command;

use sandbar_host_tests::{Project, Server};

fn is_on_path(command: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {command}")])
        .output()
        .expect("sh runs")
        .status
        .success()
}

/// What developers do, and the command that each of them needs.
const BATTERY: &[(&str, &str)] = &[
    (
        "git",
        "git status --porcelain; git mv sub/dir moved && git -c user.name=A -c user.email=a@example.org commit -qam second && git log --oneline | wc -l | grep -qx 2",
    ),
    ("cc", "make -s && ./main | grep -q hello"),
    ("make", "printf 'a:\\n\\t@true\\nb:\\n\\t@true\\n' >m && make -s -j4 -f m a b"),
    (
        "python3",
        "python3 -c 'import sqlite3, asyncio, multiprocessing as m; p = m.Pool(2); assert p.map(abs, [-1, -2]) == [1, 2]'",
    ),
    (
        "python3",
        "python3 -m venv --without-pip v && v/bin/python -c 'import sys; assert sys.prefix.endswith(\"v\")'",
    ),
    (
        "node",
        "node -e 'const {Worker} = require(\"worker_threads\"); new Worker(\"process.exit(0)\", {eval: true}); require(\"http\").createServer().listen(0, () => process.exit(0))'",
    ),
    ("npm", "npm test --silent | grep -qx installed && npx --no-install tool | grep -qx tool"),
    (
        "cargo",
        "cargo init -q --vcs none --name hello c && cd c && cargo build -q --offline && ./target/debug/hello | grep -q Hello",
    ),
    ("perl", "perl -e 'exit 0'"),
    (
        "tar",
        "tar cf - sub 2>/dev/null | tar tf - >/dev/null; tar cf - moved | xz | xz -d | tar tf - >/dev/null",
    ),
    ("openssl", "openssl rand -hex 8 >/dev/null"),
    ("ps", "ps aux >/dev/null && free >/dev/null && top -bn1 >/dev/null"),
    ("tmux", "tmux -S /tmp/t new-session -d true"),
    ("gdb", "gdb -q -batch -ex run ./main 2>&1 | grep -q 'exited normally'"),
    ("strace", "strace -f true 2>&1 | grep -q exited"),
    ("ping", "ping -c1 -W1 127.0.0.1 >/dev/null"),
];

/// Each is skipped, loudly, where the host lacks the command.
#[test]
fn everyday_tools_work_inside_and_the_source_is_untouched() {
    let server = Server::start();
    let project = Project::new()
        .file("main.c", "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n")
        .file("Makefile", "main: main.c\n\tcc -o $@ $<\n")
        .file("sub/dir/file", "x\n")
        .file("package.json", r#"{"name": "p", "version": "1.0.0", "scripts": {"test": "node -p \"require('dep')\""}}"#)
        .file("node_modules/dep/package.json", r#"{"name": "dep", "version": "1.0.0", "main": "i.js", "bin": {"tool": "t.js"}}"#)
        .file("node_modules/dep/i.js", "module.exports = 'installed';\n")
        .file("node_modules/dep/t.js", "#!/usr/bin/env node\nconsole.log('tool');\n");
    // As an install leaves it: an executable, and a link to it.
    let install = "chmod +x node_modules/dep/t.js; mkdir node_modules/.bin; ln -s ../dep/t.js node_modules/.bin/tool";
    let status = Command::new("sh").args(["-c", install]).current_dir(project.path()).status();
    assert!(status.expect("sh runs").success());
    let git = "git init -q && git add -A && git -c user.name=T -c user.email=t@example.org commit -qm first";
    assert!(
        Command::new("sh")
            .args(["-c", git])
            .current_dir(project.path())
            .status()
            .expect("sh runs")
            .success()
    );
    let before = project.witness();
    let sandbox = server.create(&project);
    for (command, script) in BATTERY {
        if !is_on_path(command) {
            eprintln!("SKIPPED: {command} is not on this host");
            continue;
        }
        let result = server.exec(&sandbox, &["sh", "-ec", script]);
        assert_eq!(result["exit_code"], 0, "{script}: {result}");
    }
    assert_eq!(project.witness(), before, "the source changed");
}

#[test]
fn a_repository_of_fifty_thousand_files_is_there_at_once() {
    let server = Server::start();
    let project = Project::new();
    let make = "for d in $(seq 500); do mkdir d$d; (cd d$d; for f in $(seq 100); do echo $d $f >f$f; done); done";
    assert!(
        Command::new("sh")
            .args(["-c", make])
            .current_dir(project.path())
            .status()
            .expect("sh runs")
            .success()
    );
    let before = project.witness();
    let sandbox = server.create(&project);
    assert_eq!(server.sh(&sandbox, "find . -type f | wc -l").trim(), "50000");
    server.sh(&sandbox, "for d in $(seq 100); do echo changed >d$d/f1; done");
    assert_eq!(server.changes(&sandbox)["items"].as_array().map(Vec::len), Some(100));
    assert_eq!(project.witness(), before, "the source changed");
}
