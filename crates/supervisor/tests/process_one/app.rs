//! The processes of an app: started, ended, restarted, and by whom.

use rustix::process::{Pid, Signal, kill_process};
use sandbar_protocol::{Control, ControlReply};
use sandbar_runtime::client::refusal;
use sandbar_types::{ExitStatus, ProcessSpec, ProcessState, RestartPolicy, StopPolicy};

use crate::{
    harness::eventually,
    rig::{Rig, health, http, name, process, ready, server},
};

#[test]
fn a_web_server_is_ready_when_it_answers() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let mut web = server("web", 3000);
    web.command = format!("read < gate; {}", web.command);
    rig.sandbox.sh("mkfifo gate").assert_exited(0);
    rig.keep(&[web]);
    let status = rig.status("web");
    assert_eq!(status.state, ProcessState::Starting);
    assert!(status.pid.is_some() && status.started_us.is_some(), "{status:?}");
    rig.sandbox.sh("echo > gate").assert_exited(0);
    rig.until_ready("web");
    let answer = rig.sandbox.sh("python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:3000').status)\"");
    assert_eq!(answer.text(), "200\n");
}

#[test]
fn one_starts_after_those_that_it_waits_for() {
    let Some(rig) = Rig::start() else {
        return;
    };
    rig.sandbox.sh("mkfifo gate").assert_exited(0);
    let mut db = server("db", 5001);
    db.command = format!("read < gate; touch db-ran; {}", db.command);
    let after = vec![name("db")];
    let web = ProcessSpec {
        after: after.clone(),
        ..process("web", "test -e db-ran && touch in-order; exec sleep 1000")
    };
    let last = ProcessSpec { after: vec![name("web")], ..process("last", "exec sleep 1000") };
    rig.keep(&[last, web, db]);
    assert_eq!(rig.status("web").state, ProcessState::Waiting { after });
    assert_eq!(rig.status("last").state, ProcessState::Waiting { after: vec![name("web")] });
    rig.sandbox.sh("echo > gate").assert_exited(0);
    rig.until_ready("last");
    eventually("web saw that db ran", || rig.sandbox.workspace().join("in-order").exists());
}

#[test]
fn work_that_is_done_lets_others_start_and_is_not_done_again() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let migrate = ProcessSpec {
        restart: RestartPolicy::OnFailure,
        ..process("migrate", "echo migrated >> done")
    };
    let web = ProcessSpec { after: vec![name("migrate")], ..process("web", "exec sleep 1000") };
    rig.keep(&[migrate, web]);
    rig.until("migrate", |status| status.state == ProcessState::Exited);
    let first = rig.until_ready("web").pid;
    rig.kill("KILL", first);
    rig.until("web", |status| status.state.is_ready() && status.pid != first);
    assert_eq!(std::fs::read(rig.sandbox.workspace().join("done")).unwrap(), b"migrated\n");
}

#[test]
fn a7_given_up_is_a_state_with_a_reason() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let command = "for i in $(seq 30); do echo line $i; done; echo cannot find it >&2; exit 3";
    rig.keep(&[process("web", command), process("other", "exec sleep 1000")]);
    // It waits 1, 2, 4 and 8 seconds before that.
    let status = rig.until("web", |status| matches!(status.state, ProcessState::GivenUp { .. }));
    let ProcessState::GivenUp { reason, last_lines } = status.state else { panic!() };
    assert!(reason.starts_with("exited with code 3; "), "{reason}");
    assert_eq!(last_lines.len(), 20);
    assert!(last_lines.contains(&"cannot find it".to_owned()), "{last_lines:?}");
    assert_eq!(status.last_exit, Some(ExitStatus::Exited { code: 3 }));
    assert_eq!((status.restarts, status.pid), (4, None));
    let log = rig.log("web");
    assert_eq!(log.matches("cannot find it\n").count(), 5, "every run is in the log");
    assert_eq!(log.matches("-- exited with code 3; starts again in ").count(), 4, "{log}");
    assert!(log.ends_with(": given up\n"), "{log}");
    assert!(rig.status("other").state.is_ready());
    // Until somebody says so.
    rig.wait(rig.client.process_start(&name("web"))).unwrap();
    assert_eq!(rig.until_backing_off("web"), "exited with code 3");
    assert_eq!(rig.status("web").restarts, 0);
}

#[test]
fn a6_the_lines_before_a_crash_are_kept() {
    let Some(rig) = Rig::start() else {
        return;
    };
    rig.keep(&[process("web", "echo run $$; echo before the crash; exec sleep 1000")]);
    eventually("it speaks", || rig.log("web").contains("crash"));
    let first = rig.until_ready("web").pid;
    rig.kill("KILL", first);
    let again = rig.until("web", |status| status.pid.is_some() && status.pid != first);
    assert_eq!(again.last_exit, Some(ExitStatus::Signaled { signal: 9 }));
    assert_eq!(again.restarts, 1);
    let runs = [first, again.pid].map(|pid| format!("run {}\nbefore the crash\n", pid.unwrap()));
    let expected = format!("{}-- killed by signal 9; starts again in 1 s\n{}", runs[0], runs[1]);
    eventually("the second run is in the same log", || rig.log("web") == expected);
}

#[test]
fn what_a_process_leaves_behind_is_ended_with_it() {
    let Some(rig) = Rig::start() else {
        return;
    };
    // Job control gives the background job a group of its own, in the same session.
    let command = "set -m; sleep 7654331 & set +m; sleep 7654331 & exec sleep 1000";
    rig.keep(&[process("web", command)]);
    let count = || rig.sandbox.sh("pgrep -fc 'sleep 765433[1]'").text().trim().to_owned();
    eventually("both run", || count() == "2");
    rig.kill("KILL", rig.status("web").pid);
    rig.until("web", |status| status.pid.is_none());
    eventually("none is left", || count() == "0");
}

#[test]
fn a_stop_asks_the_group_and_kills_what_is_deaf() {
    let Some(rig) = Rig::start() else {
        return;
    };
    // The shell ends at once; its child takes its time, and is given it.
    let polite = "sh -c 'trap \"sleep 0.2; echo bye; exit 0\" TERM; echo up; while :; do sleep 0.02; done' & wait";
    let deaf = "trap '' TERM; echo up; while :; do sleep 0.02; done";
    let stop = StopPolicy { signal: 15, grace_ms: 300 };
    let by_int = StopPolicy { signal: 2, ..StopPolicy::default() };
    let interrupted = "trap 'echo int; exit 0' INT; trap 'echo term; exit 0' TERM; echo up; while :; do sleep 0.02; done";
    rig.keep(&[
        process("polite", polite),
        ProcessSpec { stop, ..process("deaf", deaf) },
        ProcessSpec { stop: by_int, ..process("interrupted", interrupted) },
    ]);
    for process in ["polite", "deaf", "interrupted"] {
        eventually("it is up", || rig.log(process).starts_with("up"));
        rig.wait(rig.client.process_stop(&name(process))).unwrap();
        rig.until(process, |status| status.state == ProcessState::Stopped);
    }
    assert!(rig.log("polite").contains("\nbye\n"), "{}", rig.log("polite"));
    assert_eq!(rig.status("deaf").last_exit, Some(ExitStatus::Signaled { signal: 9 }));
    assert!(rig.log("interrupted").contains("\nint\n"), "{}", rig.log("interrupted"));
    rig.wait(rig.client.process_start(&name("deaf"))).unwrap();
    assert_eq!(rig.until_ready("deaf").restarts, 0);
}

#[test]
fn applying_changes_only_what_changed() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let sleep = |name: &str| process(name, "exec sleep 1000");
    rig.keep(&[sleep("same"), sleep("changed"), sleep("gone")]);
    let (same, changed) = (rig.until_ready("same").pid, rig.until_ready("changed").pid);
    let gone = rig.until_ready("gone").pid.unwrap();
    let unseen = ProcessSpec { restart_after_task: true, log_bytes_max: 2 << 20, ..sleep("same") };
    rig.keep(&[sleep("new"), unseen, process("changed", "exec sleep 2000")]);
    rig.until_ready("new");
    let after = rig.until("changed", |status| status.state.is_ready() && status.pid != changed);
    assert_eq!(after.restarts, 1);
    assert_eq!(rig.status("same").pid, same);
    eventually("the one that is gone has ended", || {
        rig.sandbox.sh(&format!("kill -0 {gone}")).end.status != (ExitStatus::Exited { code: 0 })
    });
    let names: Vec<String> = rig
        .wait(rig.client.processes())
        .unwrap()
        .into_iter()
        .map(|status| status.name.to_string())
        .collect();
    assert_eq!(names, ["new", "same", "changed"]);
    // One that comes back while it still ends waits for its own end.
    let deaf = ProcessSpec {
        stop: StopPolicy { signal: 15, grace_ms: 300 },
        ..process("deaf", "trap '' TERM; echo up; while :; do sleep 0.02; done")
    };
    rig.keep(std::slice::from_ref(&deaf));
    eventually("it is up", || rig.log("deaf").starts_with("up"));
    let first = rig.status("deaf").pid;
    rig.keep(&[]);
    rig.keep(&[deaf]);
    assert!(matches!(rig.status("deaf").state, ProcessState::Waiting { .. }));
    rig.until("deaf", |status| status.state.is_ready() && status.pid != first);
}

#[test]
fn what_cannot_be_kept_is_refused_and_changes_nothing() {
    let Some(rig) = Rig::start() else {
        return;
    };
    rig.keep(&[process("web", "exec sleep 1000")]);
    let pid = rig.until_ready("web").pid;
    let waiting = |name: &str, after: &str| ProcessSpec {
        after: vec![after.parse().unwrap()],
        ..process(name, "exec sleep 1000")
    };
    let no_path = ProcessSpec {
        ready: Some(ready(sandbar_types::Probe::Http {
            port: 3000,
            path: "/ HTTP/1.1\r\nX: y".to_owned(),
        })),
        ..process("web", "exec sleep 1000")
    };
    let no_signal =
        ProcessSpec { stop: StopPolicy { signal: 0, grace_ms: 1 }, ..process("web", "true") };
    for bad in [
        vec![waiting("a", "b"), waiting("b", "a")],
        vec![waiting("a", "nobody")],
        vec![process("a", "true"), process("a", "true")],
        vec![no_path],
        vec![no_signal],
    ] {
        let err = rig.try_keep(&bad).unwrap_err();
        assert_eq!(err.kind(), std::io::ErrorKind::InvalidInput, "{err}");
    }
    let unlogged = sandbar_types::AppSpec {
        processes: vec![process("unlogged", "true")],
        build: sandbar_types::BuildCheck::Default,
    };
    let err = rig.wait(rig.client.apply(&unlogged)).unwrap_err();
    assert!(refusal(&err).is_some_and(|why| why.to_string().contains("no log")), "{err}");
    let err = rig.wait(rig.client.process_start(&name("nobody"))).unwrap_err();
    assert_eq!(err.kind(), std::io::ErrorKind::NotFound);
    assert_eq!(rig.status("web").pid, pid);
}

#[test]
fn a_sandbox_that_stops_ends_its_processes_each_by_its_signal() {
    let Some(mut rig) = Rig::start() else {
        return;
    };
    let traps = |name: &str, signal| ProcessSpec {
        stop: StopPolicy { signal, grace_ms: 20_000 },
        ..process(
            name,
            "trap 'echo int; exit 0' INT; trap 'echo term; exit 0' TERM; echo up; while :; do sleep 0.02; done",
        )
    };
    rig.keep(&[traps("one", 2), traps("two", 15)]);
    let exec = rig.sandbox.exec(&["sleep", "1000"]);
    for name in ["one", "two"] {
        eventually("it is up", || rig.log(name).starts_with("up"));
    }
    kill_process(Pid::from_raw(rig.sandbox.supervisor_pid()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(exec.finish().end.status, ExitStatus::Signaled { signal: 15 });
    assert_eq!(rig.sandbox.wait(), Some(0));
    // The shell may say how its own child ended, too.
    for (name, signal) in [("one", "int"), ("two", "term")] {
        let log = rig.log(name);
        assert!(log.contains(&format!("\n{signal}\n")), "{log}");
        assert!(log.contains("-- ended as asked: exited with code 0"), "{log}");
    }
    assert!(!rig.log("one").contains("term"), "{}", rig.log("one"));
}

#[test]
fn time_in_which_all_is_frozen_makes_nobody_unhealthy() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let mut check = health(http(3000));
    (check.timeout_ms, check.failures) = (1000, 1);
    rig.keep(&[ProcessSpec { health: Some(check), ..server("web", 3000) }]);
    rig.until_ready("web");
    assert_eq!(rig.sandbox.control(Control::Freeze), ControlReply::Done);
    let begun = std::time::Instant::now();
    eventually("longer than an answer may take", || {
        assert_eq!(rig.status("web").state, ProcessState::Ready);
        begun.elapsed().as_millis() > 1500
    });
    let err = rig.wait(rig.client.process_restart(&name("web"))).unwrap_err();
    assert_eq!(err.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(rig.sandbox.control(Control::Thaw), ControlReply::Done);
    assert_eq!(rig.status("web").state, ProcessState::Ready);
    assert!(!rig.log("web").contains("unhealthy"), "{}", rig.log("web"));
}

#[test]
fn a_watcher_is_told_at_once_and_after_each_change() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let mut watch = rig.wait(rig.client.watch()).unwrap();
    assert!(rig.wait(watch.next()).unwrap().processes.is_empty());
    rig.keep(&[process("web", "exec sleep 1000")]);
    let until = |watch: &mut sandbar_runtime::client::AppWatch,
                 is_so: &dyn Fn(&ProcessState) -> bool| loop {
        let status = rig.wait(watch.next()).unwrap();
        if status.processes.first().is_some_and(|web| is_so(&web.state)) {
            break;
        }
    };
    until(&mut watch, &|state| *state == ProcessState::Running);
    // Another one, that does not read meanwhile.
    let mut slow = rig.wait(rig.client.watch()).unwrap();
    rig.kill("KILL", rig.status("web").pid);
    until(&mut watch, &|state| matches!(state, ProcessState::BackingOff { .. }));
    until(&mut watch, &|state| *state == ProcessState::Running);
    rig.wait(rig.client.process_stop(&name("web"))).unwrap();
    until(&mut watch, &|state| *state == ProcessState::Stopped);
    until(&mut slow, &|state| *state == ProcessState::Stopped);
}

#[test]
fn d11_a_process_that_ended_is_never_shown_as_running() {
    let Some(rig) = Rig::start() else {
        return;
    };
    rig.keep(&[process("web", "exec sleep 1000")]);
    rig.until_ready("web");
    rig.kill("KILL", rig.status("web").pid);
    eventually("its end is known", || {
        let status = rig.status("web");
        assert_eq!(status.pid.is_some(), status.state.is_ready(), "{status:?}");
        status.last_exit.is_some()
    });
    rig.wait(rig.client.process_stop(&name("web"))).unwrap();
    let status = rig.status("web");
    assert_eq!((status.state, status.pid), (ProcessState::Stopped, None));
}

#[test]
fn a_directory_that_is_not_there_is_said() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let nowhere = Some("nowhere".to_owned());
    rig.keep(&[ProcessSpec { cwd: nowhere, ..process("web", "exec sleep 1000") }]);
    assert_eq!(rig.until_backing_off("web"), "could not be started (errno 2)");
    let status = rig.status("web");
    assert_eq!(status.last_exit, Some(ExitStatus::NotStarted { errno: 2 }));
    let hint = "the directory in which it should start cannot be entered";
    assert_eq!(status.hint.as_deref(), Some(hint));
}
