//! The log of a process: one file, run after run, sandbox after sandbox.

use std::{fs::File, io, os::unix::fs::FileExt};

use rustix::process::{Pid, Signal, kill_process};
use sandbar_runtime::client::{Body, ExecStream};

use crate::{
    harness::{Sandbox, eventually},
    rig::{Rig, name, process},
};

/// Reads on until `text` was seen.
fn read_until(rig: &Rig, stream: &mut ExecStream, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        match rig.wait(stream.next()).unwrap().expect("no end").body {
            Body::Output { bytes, .. } => seen.push_str(std::str::from_utf8(&bytes).unwrap()),
            Body::Note(note) => seen.push_str(&note),
            Body::Gap | Body::End(_) => panic!("nothing was dropped, and nothing ends"),
        }
    }
    seen
}

#[test]
fn a_follower_sees_run_after_run_and_can_come_back() {
    let Some(rig) = Rig::start() else {
        return;
    };
    rig.keep(&[process("web", "echo first; echo run $$; exec sleep 1000")]);
    let web = name("web");
    let mut stream = rig.wait(rig.client.follow(&web, 0)).unwrap();
    read_until(&rig, &mut stream, "run ");
    let offset = stream.offset();
    let first = rig.until_ready("web").pid;
    rig.wait(rig.client.process_restart(&web)).unwrap();
    let again = rig.until("web", |status| status.pid.is_some() && status.pid != first).pid.unwrap();
    let seen = read_until(&rig, &mut stream, &format!("run {again}"));
    drop(stream);
    let mut stream = rig.wait(rig.client.follow(&web, offset)).unwrap();
    assert_eq!(read_until(&rig, &mut stream, &format!("run {again}")), seen);
    assert!(seen.starts_with("ended as asked: killed by signal 15; starts again"), "{seen}");
    // When the app has it no more, its stream ends.
    rig.keep(&[]);
    let err = loop {
        match rig.wait(stream.next()) {
            Ok(record) => assert!(record.is_some()),
            Err(err) => break err,
        }
    };
    assert_eq!(err.kind(), io::ErrorKind::UnexpectedEof);
    let err = rig.wait(rig.client.follow(&web, 0)).unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a6_a_log_outlives_a_supervisor_that_was_killed() {
    let (Some(before), Some(after)) = (Rig::start(), Sandbox::start()) else {
        return;
    };
    let mut before = before;
    let flood = "echo first; while :; do echo and more of it; done";
    before.keep(&[process("web", flood)]);
    eventually("it is in the middle of it", || before.log("web").len() > 100_000);
    let supervisor = Pid::from_raw(before.sandbox.supervisor_pid()).unwrap();
    kill_process(supervisor, Signal::KILL).unwrap();
    before.sandbox.wait();
    // The next sandbox is given the same file, with half of a record at its end.
    let path = before.log_path("web");
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    let whole = before.log("web");
    file.write_all_at(&[1, 50, 0, 0, 0, 7, 7], length).unwrap();
    let after = Rig::on(after);
    std::fs::rename(&path, after.log_path("web")).unwrap();
    after.keep(&[process("web", "echo second; exec sleep 1000")]);
    let expected = format!("{whole}second\n");
    eventually("it goes on where it ended", || after.log("web") == expected);
    // Given again, as by the next server, it is the one that is open already.
    let pid = after.status("web").pid;
    after.keep(&[process("web", "echo second; exec sleep 1000")]);
    assert_eq!(after.status("web").pid, pid);
    assert_eq!(after.log("web"), expected);
}

#[test]
fn what_is_no_log_is_refused() {
    let Some(rig) = Rig::start() else {
        return;
    };
    let path = rig.log_path("web");
    std::fs::write(&path, "dear diary, this is not a log of anything at all").unwrap();
    let err = rig.try_keep(&[process("web", "true")]).unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::InvalidInput);
    let null = File::open("/dev/null").unwrap();
    let err = rig.wait(rig.client.process_log(&name("web"), null.into())).unwrap_err();
    assert_eq!(err.kind(), io::ErrorKind::InvalidInput);
}
