//! Process 1: orphans, stops, and the end.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sandbar_protocol::{Control, ControlReply, Refusal};
use sandbar_types::{ExecSpec, ExitStatus, TerminalSize};

use crate::harness::{Sandbox, eventually, spec};

/// Counts what the namespace holds, by what a process inside sees: all but itself and process 1.
fn others(sandbox: &Sandbox, state: &str) -> usize {
    let finished = sandbox.exec(&["ps", "-e", "-o", "pid=,stat=,comm="]).finish();
    let lines = finished.text().lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let others = lines.filter(|words| words[0] != "1" && words[2] != "ps");
    others.filter(|words| words[1].starts_with(state)).count()
}

#[test]
fn b8_background_children_are_reaped() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    // Each is orphaned at once, and ends by itself.
    let script =
        "for i in $(seq 50); do (sleep 0.05 &) ; done; (setsid sh -c 'sleep 0.05 & exit' &)";
    sandbox.sh(script).assert_exited(0);
    eventually("no process is left, dead or alive", || others(&sandbox, "") == 0);
}

#[test]
fn b8_ten_thousand_zombies_are_reaped_when_their_parent_ends() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let script =
        "import os\nfor i in range(10000):\n if os.fork() == 0: os._exit(0)\nprint('made')";
    let finished = sandbox.exec(&["python3", "-c", script]).finish();
    finished.assert_exited(0);
    assert_eq!(finished.text(), "made\n");
    eventually("all zombies are reaped", || others(&sandbox, "Z") == 0);
}

#[test]
fn a_background_child_keeps_no_exec_open_and_lives_on() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let begun = Instant::now();
    let finished = sandbox.sh("(while sleep 0.02; do echo tick; done) & echo $!");
    finished.assert_exited(0);
    assert!(begun.elapsed() < Duration::from_secs(5));
    let child = finished.text().lines().next().unwrap();
    // It writes into nothing now, and is not killed for it.
    sandbox.sh(&format!("sleep 0.3; kill -0 {child}")).assert_exited(0);
}

#[test]
fn v5_background_processes_do_not_outlive_a_stop() {
    let Some(mut sandbox) = Sandbox::start() else {
        return;
    };
    sandbox.sh("for i in $(seq 100); do (setsid sleep 7654321 &) ; done").assert_exited(0);
    let running = sandbox.exec(&["sleep", "7654321"]);
    let terminal = Some(TerminalSize { rows: 24, cols: 80 });
    let mut shell = sandbox
        .try_exec(ExecSpec { terminal, stdin: true, ..spec(&["bash", "--norc", "-i"]) })
        .unwrap();
    shell.read_until("$ ");
    let stopped = sandbox.exec(&["sh", "-c", "kill -STOP $$"]);
    stop(&sandbox);
    assert_eq!(running.finish().end.status, ExitStatus::Signaled { signal: 15 });
    assert_eq!(stopped.finish().end.status, ExitStatus::Signaled { signal: 15 });
    drop(shell);
    assert_eq!(sandbox.wait(), Some(0));
    assert!(!host_has("7654321"), "nothing is left on the host");
}

#[test]
fn during_a_stop_nothing_new_starts() {
    let Some(mut sandbox) = Sandbox::start() else {
        return;
    };
    let mut deaf =
        sandbox.exec(&["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]);
    deaf.read_until("ready\n");
    stop(&sandbox);
    eventually("it refuses", || sandbox.try_exec(spec(&["true"])).err() == Some(Refusal::Stopping));
    // It would wait for ever; the keeper decides how long.
    sandbox.abandon();
    assert_eq!(deaf.finish().end.status, ExitStatus::Signaled { signal: 9 });
    assert_eq!(sandbox.wait(), Some(0));
}

#[test]
fn without_its_keeper_a_supervisor_kills_everything_and_ends() {
    let Some(mut sandbox) = Sandbox::start() else {
        return;
    };
    sandbox.sh("(trap '' TERM; setsid sleep 7654322 &)").assert_exited(0);
    sandbox.abandon();
    assert_eq!(sandbox.wait(), Some(0));
    assert!(!host_has("7654322"), "nothing is left on the host");
}

#[test]
fn everything_stops_and_goes_on_by_signal() {
    let Some(sandbox) = Sandbox::start_with(|config| config.agent = None) else {
        return;
    };
    let file = sandbox.workspace().join("count");
    let _counter =
        sandbox.exec(&["sh", "-c", "i=0; while :; do i=$((i+1)); echo $i > count; done"]);
    let count = || std::fs::read_to_string(&file).unwrap_or_default();
    eventually("it counts", || !count().is_empty());
    assert_eq!(sandbox.control(Control::Freeze), ControlReply::Done);
    let frozen = count();
    assert!(matches!(sandbox.try_exec(spec(&["true"])).err(), Some(Refusal::Invalid { .. })));
    assert_eq!(sandbox.control(Control::Freeze), ControlReply::Done);
    assert_eq!(count(), frozen);
    assert_eq!(sandbox.control(Control::Thaw), ControlReply::Done);
    eventually("it goes on", || !count().is_empty() && count() != frozen);
    assert_eq!(sandbox.control(Control::Thaw), ControlReply::Done);
}

#[test]
fn an_idle_supervisor_takes_less_than_a_mebibyte_of_its_own() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    sandbox.sh("seq 1000").assert_exited(0);
    let path = format!("/proc/{}/smaps_rollup", sandbox.supervisor_pid());
    let rollup = std::fs::read_to_string(path).unwrap();
    let private = rollup.lines().filter(|line| line.starts_with("Private_Dirty:"));
    let kib: u64 =
        private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum();
    assert!(kib < 1024, "{rollup}");
}

fn stop(sandbox: &Sandbox) {
    kill_process(Pid::from_raw(sandbox.supervisor_pid()).unwrap(), Signal::TERM).unwrap();
}

fn host_has(argument: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().filter_map(Result::ok).any(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| line.split(|&byte| byte == 0).any(|word| word == argument.as_bytes()))
    })
}

#[test]
fn in_user_mode_nobody_inside_can_end_or_stop_process_one() {
    let Some(sandbox) = Sandbox::start_with(|config| config.agent = None) else {
        return;
    };
    // They have the same user id, so the kernel lets them send it.
    let finished = sandbox
        .sh("kill -TERM 1; kill -KILL 1; kill -STOP 1; kill -SEGV 1; kill -CHLD 1; echo sent");
    assert_eq!(finished.text(), "sent\n");
    let finished = sandbox.sh("cat /proc/1/environ || echo hidden");
    assert_eq!(finished.text(), "hidden\n");
    sandbox.sh("exit 5").assert_exited(5);
}
