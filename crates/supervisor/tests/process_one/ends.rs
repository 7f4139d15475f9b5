//! How an exec ends, and what is said about it.

use std::time::{Duration, Instant};

use sandbar_protocol::{Control, ControlReply, Refusal};
use sandbar_types::{ExecId, ExecSpec, ExitStatus};

use crate::harness::{Sandbox, eventually, spec};

const ENOENT: i32 = 2;
const EACCES: i32 = 13;

#[test]
fn exit_codes_are_exact() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    for code in [0, 1, 7, 126, 127, 255] {
        sandbox.sh(&format!("exit {code}")).assert_exited(code);
    }
    for signal in [9, 11, 15] {
        let finished = sandbox.sh(&format!("kill -{signal} $$"));
        assert_eq!(finished.end.status, ExitStatus::Signaled { signal });
    }
}

#[test]
fn a_command_that_is_not_there_is_127_and_one_that_is_no_program_126() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    std::fs::write(sandbox.workspace().join("text"), "no program").unwrap();
    let cases = [
        ("no-such-command", ENOENT, 127),
        ("./no-such-file", ENOENT, 127),
        ("./text", EACCES, 126),
        ("/etc", EACCES, 126),
        ("/etc/passwd", EACCES, 126),
    ];
    for (command, errno, code) in cases {
        let status = sandbox.exec(&[command]).finish().end.status;
        assert_eq!(status, ExitStatus::NotStarted { errno }, "{command}");
        assert_eq!(status.shell_code(), code, "{command}");
    }
}

#[test]
fn a_timeout_kills_the_whole_group_and_no_other_exec() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let bystander = sandbox.exec(&["sleep", "1000"]);
    let begun = Instant::now();
    // Job control gives the background job a process group of its own, in the same session.
    let script = "set -m; sleep 4321 & sleep 4321 | cat";
    let finished = sandbox
        .try_exec(ExecSpec { timeout_ms: Some(300), ..spec(&["bash", "-c", script]) })
        .unwrap()
        .finish();
    assert_eq!(finished.end.status, ExitStatus::TimedOut);
    assert_eq!(finished.end.status.shell_code(), 124);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    eventually("nothing of it is left", || {
        sandbox.sh("pgrep -f 'sleep 4321' | grep -v $$ || true").stdout.is_empty()
    });
    let ControlReply::Execs { execs } = sandbox.control(Control::List) else { panic!("no list") };
    assert_eq!(execs.iter().map(|exec| exec.id).collect::<Vec<_>>(), [bystander.id]);
}

#[test]
fn arguments_of_70000_bytes_arrive_and_more_than_the_kernel_takes_is_said() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let long = "x".repeat(70_000);
    let finished = sandbox.exec(&["sh", "-c", "printf %s \"$1\"", "sh", &long]).finish();
    finished.assert_exited(0);
    assert_eq!(finished.text(), long);
    let longer = "x".repeat(200_000);
    let status = sandbox.exec(&["true", &longer]).finish().end.status;
    assert_eq!(status, ExitStatus::NotStarted { errno: 7 });
}

#[test]
fn odd_working_directories_are_refused_or_lead_inside() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let in_directory = |cwd: &str| {
        let spec = ExecSpec { cwd: Some(cwd.to_owned()), ..spec(&["pwd", "-P"]) };
        sandbox.try_exec(spec).map(|stream| stream.finish().text().trim().to_owned())
    };
    let long = format!("/{}", "x/".repeat(4000));
    for cwd in [
        "/proc/self/fd/7",
        "/proc/self/fd/3",
        "/proc/1/cwd",
        "/proc/1/root",
        "/proc",
        "missing",
        "/etc/passwd",
        &long,
    ] {
        let refused = in_directory(cwd);
        assert!(matches!(refused, Err(Refusal::Cwd { .. })), "{cwd}: {refused:?}");
    }
    std::os::unix::fs::symlink("/", sandbox.workspace().join("link")).unwrap();
    assert_eq!(in_directory("link").as_deref(), Ok("/"));
    assert_eq!(in_directory("/usr/../tmp").as_deref(), Ok("/tmp"));
    assert_eq!(in_directory("").as_deref(), Ok(sandbox.workspace().to_str().unwrap()));
}

#[test]
fn one_exec_more_than_allowed_is_refused_and_takes_no_place() {
    let Some(sandbox) = Sandbox::start_with(|config| config.execs_max = 2) else {
        return;
    };
    let first = sandbox.exec(&["sleep", "1000"]);
    let _second = sandbox.exec(&["sleep", "1000"]);
    for _ in 0..3 {
        let refused = sandbox.try_exec(spec(&["true"])).err();
        assert_eq!(refused, Some(Refusal::LimitReached { limit: 2 }));
    }
    assert_eq!(sandbox.control(Control::Signal { id: first.id, signal: 15 }), ControlReply::Done);
    assert_eq!(first.finish().end.status, ExitStatus::Signaled { signal: 15 });
    sandbox.exec(&["true"]).finish().assert_exited(0);
}

#[test]
fn what_cannot_be_met_is_refused() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    assert!(matches!(sandbox.try_exec(spec(&[])).err(), Some(Refusal::Invalid { .. })));
    assert!(matches!(sandbox.try_exec(spec(&["a\0b"])).err(), Some(Refusal::Invalid { .. })));
    assert_eq!(sandbox.attach(ExecId::generate(), 0).err(), Some(Refusal::NotFound));
    let unknown = Control::Signal { id: ExecId::generate(), signal: 9 };
    assert_eq!(sandbox.control(unknown), ControlReply::Refused { refusal: Refusal::NotFound });
}
