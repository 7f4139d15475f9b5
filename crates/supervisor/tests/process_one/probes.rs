//! How it is seen that a process serves.

use sandbar_types::{ExitStatus, Probe, ProcessKind, ProcessSpec, ProcessState, ReadyCheck};

use crate::{
    harness::eventually,
    rig::{Rig, health, http, name, process, ready, server},
};

#[test]
fn one_that_stops_answering_is_unhealthy_until_it_answers_again() {
    let Some(rig) = Rig::start() else {
        return;
    };
    rig.keep(&[ProcessSpec { health: Some(health(http(3000))), ..server("web", 3000) }]);
    let pid = rig.until_ready("web").pid;
    rig.kill("STOP", pid);
    let status = rig.until("web", |status| !status.state.is_ready());
    let reason = "no answer within 0.2 s".to_owned();
    assert_eq!(status.state, ProcessState::Unhealthy { reason });
    assert_eq!(status.pid, pid, "it is left running");
    rig.kill("CONT", pid);
    rig.until_ready("web");
    let log = rig.log("web");
    let (at, again) = (log.find("-- unhealthy: "), log.find("-- healthy again"));
    assert!(at.is_some() && at < again, "{log}");
}

#[test]
fn an_unhealthy_one_is_restarted_where_its_check_says_so() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let mut check = health(Probe::Tcp { port: 3000 });
    check.restart = true;
    // It ends its server and stays.
    let command = "python3 -m http.server 3000 --bind 127.0.0.1 & read < gate; kill $!; sleep 1000";
    rig.sandbox.sh("mkfifo gate").assert_exited(0);
    rig.keep(&[ProcessSpec {
        ready: Some(ready(http(3000))),
        health: Some(check),
        ..process("web", command)
    }]);
    let first = rig.until_ready("web").pid;
    rig.sandbox.sh("echo > gate").assert_exited(0);
    let again = rig.until("web", |status| status.state.is_ready() && status.pid != first);
    assert_eq!(again.restarts, 1);
    assert!(rig.log("web").contains("-- unhealthy: nobody listens on port 3000"));
}

#[test]
fn i6_a_killed_health_command_is_a_no_and_the_process_fails_in_time() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let with_check = |name: &str, command: &str, timeout_ms: u64| ProcessSpec {
        ready: Some(ReadyCheck {
            probe: Probe::Command { command: command.to_owned() },
            interval_ms: 50,
            timeout_ms,
            deadline_ms: 3000,
        }),
        ..process(name, "exec sleep 1000")
    };
    rig.keep(&[
        with_check("killed", "kill -9 $$", 2500),
        with_check("hangs", "sleep 7654341 | cat", 200),
        with_check("says-no", "exit 7", 2500),
        with_check("says-yes", "exit 0", 2500),
    ]);
    let expected = [
        ("killed", "the check killed by signal 9"),
        ("hangs", "no answer within 0.2 s"),
        ("says-no", "the check exited with code 7"),
    ];
    for (name, why) in expected {
        assert_eq!(rig.until_backing_off(name), format!("not ready within 3 s; {why}"));
        let last = rig.status(name).last_exit;
        assert_eq!(last, Some(ExitStatus::Signaled { signal: 15 }), "{name}");
    }
    rig.until_ready("says-yes");
    rig.keep(&[]);
    eventually("no check is left", || {
        rig.sandbox.sh("pgrep -fc 'sleep 765434[1]'").text() == "0\n"
    });
}

#[test]
fn a_server_on_another_port_is_said_to_be() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let wrong = ProcessSpec {
        ports: vec![3000],
        ready: Some(ReadyCheck { deadline_ms: 4000, ..ready(http(3000)) }),
        ..server("web", 5173)
    };
    // The port of another process is no hint.
    let other = ProcessSpec { kind: ProcessKind::Worker, ..server("other", 4000) };
    rig.keep(&[wrong, other]);
    let hint = "listening on 5173, the manifest says 3000";
    let status = rig.until("web", |status| status.hint.is_some());
    assert_eq!(status.hint.as_deref(), Some(hint));
    assert_eq!(status.state, ProcessState::Starting);
    assert_eq!(rig.until_backing_off("web"), format!("not ready within 4 s; {hint}"));
}

#[test]
fn an_answer_that_is_an_error_is_a_no() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let probe = Probe::Http { port: 3000, path: "/missing".to_owned() };
    let failing = ReadyCheck { deadline_ms: 3000, ..ready(probe) };
    rig.keep(&[ProcessSpec { ready: Some(failing), ..server("web", 3000) }]);
    let reason = rig.until_backing_off("web");
    assert!(reason.ends_with("; GET /missing on port 3000 answered 404"), "{reason}");
}

#[test]
fn one_says_by_itself_that_it_is_ready() {
    let Some(rig) = Rig::start() else {
        return;
    };
    rig.sandbox.sh("mkfifo gate").assert_exited(0);
    let says = |name: &str, fd, command: &str| ProcessSpec {
        ready: Some(ready(Probe::Notify { fd })),
        ..process(name, command)
    };
    let fds = "for fd in /proc/$$/fd/*; do test -e $fd && printf '%s ' ${fd##*/}; done; echo;";
    let by_line = format!("{fds} read < gate; echo ready >&$NOTIFY_FD; exec sleep 1000");
    rig.keep(&[
        says("line", 4, &by_line),
        says("closed", 3, "printf up >&3; exec 3>&-; exec sleep 1000"),
        says("silent", 9, "exec 9>&-; exec sleep 1000"),
    ]);
    rig.until_ready("closed");
    eventually("it has its descriptors", || rig.log("line").ends_with(" \n"));
    assert_eq!(rig.log("line"), "0 1 2 4 \n");
    assert_eq!(rig.status("line").state, ProcessState::Starting);
    rig.sandbox.sh("echo > gate").assert_exited(0);
    rig.until_ready("line");
    assert_eq!(rig.status("silent").state, ProcessState::Starting);
}

#[test]
fn i5_a_flood_is_bounded_and_does_not_keep_another_from_being_seen_ready() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let flood = ProcessSpec { log_bytes_max: 256 << 10, ..process("flood", "exec yes") };
    rig.keep(std::slice::from_ref(&flood));
    let header = || {
        let file = std::fs::File::open(rig.log_path("flood")).unwrap();
        sandbar_runtime::client::LogReader::open(file, 0).unwrap().header()
    };
    let dropped = || header().dropped_bytes;
    eventually("it floods", || dropped() > 0);
    rig.keep(&[flood, ProcessSpec { health: Some(health(http(3000))), ..server("web", 3000) }]);
    rig.until_ready("web");
    let before = dropped();
    eventually("much more is written", || dropped() > before + (20 << 20));
    assert_eq!(rig.status("web").state, ProcessState::Ready);
    assert!(!rig.log("web").contains("unhealthy"), "{}", rig.log("web"));
    rig.wait(rig.client.process_stop(&name("flood"))).unwrap();
    rig.until("flood", |status| status.state == ProcessState::Stopped);
    let length = std::fs::metadata(rig.log_path("flood")).unwrap().len();
    assert!(length - header().start <= 256 << 10, "{length} {:?}", header());
}
