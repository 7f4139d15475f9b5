//! The role `__apply`: who it becomes, and what it can still do.

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, chown},
    process::{Child, Command, Stdio},
};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Uid};
use sandbar_types::Selection;
use sandbar_workspace::{
    applier::{Reply, Request},
    apply::Recovered,
};

use crate::{
    host::hold,
    scene::{APPROVE, Scene, approve_id, memory, sixteen, write},
};

/// Owner of the source, and of what the sandbox wrote.
const OWNER: u32 = 12345;
const SANDBOX: u32 = 234_567;

/// The process that becomes the role: this test program again, with this one test.
#[test]
#[ignore = "started by the tests of the role"]
fn actor() {
    if std::env::var_os("SANDBAR_TEST_ROLE").is_some() {
        // The test harness has a thread of its own; it does nothing, and nothing is asked of it.
        println!();
        let _answered = sandbar_workspace::applier::main();
        println!();
    }
}

fn start(scene: &Scene, failpoint: &str) -> Child {
    // A shell, because it opens directories at numbers of our choice.
    let script = r#"exec "$0" --exact role::actor --ignored --nocapture --test-threads=1 3<"$1/source" 4<"$1/merged" 5<"$1/journal/$2""#;
    Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(&scene.root)
        .arg(APPROVE)
        .env("SANDBAR_TEST_ROLE", "1")
        .env("SANDBAR_FAILPOINT", failpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn ask(child: &mut Child, request: &Request) {
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&serde_json::to_vec(request).unwrap()).unwrap();
}

fn answer(child: Child) -> Reply {
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let reply = stdout.lines().find(|line| line.starts_with(r#"{"reply""#));
    let reply = reply.unwrap_or_else(|| {
        panic!("no reply in {stdout}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    serde_json::from_str(reply).unwrap()
}

/// A scene whose source belongs to a user, and whose workspace to a sandbox that lets nobody in.
fn foreign(scene: &Scene) {
    for (side, id) in [("source", OWNER), ("merged", SANDBOX)] {
        chown(scene.root.join(side), Some(id), Some(id)).unwrap();
        for name in scene.snapshot(side).keys() {
            use std::os::unix::ffi::OsStrExt;
            let full = scene.root.join(side).join(std::ffi::OsStr::from_bytes(name));
            let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
            rustix::fs::chownat(CWD, full, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .unwrap();
        }
    }
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: only root can become somebody else");
    }
    is_root
}

#[test]
fn what_root_applies_belongs_to_the_owner_of_the_source() {
    if !is_root() {
        return;
    }
    let dir = memory();
    let scene = sixteen(dir.path());
    write(&scene.merged("secretive"), b"mine", 0o000);
    foreign(&scene);
    let plan = scene.plan(&Selection::All).unwrap();
    drop(scene.journal());
    let mut child = start(&scene, "");
    ask(&mut child, &Request::Apply { id: approve_id(), plan });
    let reply = answer(child);
    assert!(matches!(reply, Reply::Applied { .. }), "{reply:?}");
    assert_eq!(fs::read(scene.source("secretive")).unwrap(), b"mine");
    assert_eq!(fs::read(scene.source("file-to-dir/child/deep")).unwrap(), b"deep");
    for name in ["", "secretive", "new.txt", "file-to-dir/child", "link-to-dir", "modified.txt"] {
        let metadata = fs::symlink_metadata(scene.source(name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (OWNER, OWNER), "{name}");
    }
    let mut child = start(&scene, "");
    ask(&mut child, &Request::Recover);
    let reply = answer(child);
    let Reply::Recovered { recovered: Recovered::Applied { .. } } = reply else {
        panic!("{reply:?}");
    };
    let mut child = start(&scene, "");
    ask(&mut child, &Request::Forget);
    assert!(matches!(answer(child), Reply::Forgotten { .. }));
    assert!(!scene.stage_exists());
}

#[test]
fn the_role_is_nobody_special_and_talks_to_nobody() {
    if !is_root() {
        return;
    }
    let dir = memory();
    let scene = Scene::new(dir.path());
    write(&scene.merged("x"), b"x", 0o644);
    foreign(&scene);
    let plan = scene.plan(&Selection::All).unwrap();
    drop(scene.journal());
    // In the journal, which it may read.
    let fifo = scene.root.join("journal").join(APPROVE).join("fifo");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    let mut child = start(&scene, &format!("1:{}", fifo.display()));
    ask(&mut child, &Request::Apply { id: approve_id(), plan });
    let held = hold(&fifo);
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let statuses =
        tasks.map(|task| fs::read_to_string(task.unwrap().path().join("status")).unwrap());
    let confined = |status: &String| {
        status.contains("Seccomp:\t2") && status.contains(&format!("Uid:\t{OWNER}\t"))
    };
    let status = statuses.into_iter().find(confined).expect("one thread is the role");
    for line in [
        &*format!("Uid:\t{OWNER}\t{OWNER}\t{OWNER}\t{OWNER}"),
        &*format!("Gid:\t{OWNER}\t{OWNER}\t{OWNER}\t{OWNER}"),
        "CapPrm:\t0000000000000004",
        "CapEff:\t0000000000000004",
        "CapBnd:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
    ] {
        assert!(status.lines().any(|seen| seen == line), "{line} is missing in\n{status}");
    }
    drop(held);
    assert!(matches!(answer(child), Reply::Applied { .. }));
}

#[test]
fn a_source_of_somebody_else_is_refused_and_left_alone() {
    if !is_root() {
        return;
    }
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both("d/x", b"old", 0o644);
    write(&scene.merged("d/x"), b"new", 0o644);
    foreign(&scene);
    // The top is the owner's, the directory in it is root's: being root once does not help.
    chown(scene.source("d"), Some(0), Some(0)).unwrap();
    let plan = scene.plan(&Selection::All).unwrap();
    drop(scene.journal());
    let mut child = start(&scene, "");
    ask(&mut child, &Request::Apply { id: approve_id(), plan });
    let reply = answer(child);
    assert!(matches!(reply, Reply::Failed { .. }), "{reply:?}");
    assert_eq!(fs::read(scene.source("d/x")).unwrap(), b"old");
    assert!(!scene.stage_exists());
}
