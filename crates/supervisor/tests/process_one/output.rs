//! Output, the log, viewers, and input.

use std::{fs::File, io::Write, os::unix::fs::FileExt};

use sandbar_protocol::{
    Control, ControlReply, Input, Refusal,
    log::{Body, HEADER_BYTES, Header, LogDecoder},
};
use sandbar_types::ExecSpec;

use crate::harness::{Sandbox, eventually, spec};

#[test]
fn stdout_and_stderr_are_kept_apart_and_can_be_opened_by_name() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let finished =
        sandbox.sh("echo out; echo err >&2; echo again > /dev/stdout; echo also > /dev/stderr");
    finished.assert_exited(0);
    assert_eq!(finished.stdout, b"out\nagain\n");
    assert_eq!(finished.stderr, b"err\nalso\n");
}

#[test]
fn the_log_holds_what_the_stream_said() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let stream = sandbox.exec(&["sh", "-c", "seq 100000; exit 3"]);
    let id = stream.id;
    let finished = stream.finish();
    let (_, output, end) = read_log(&sandbox.log(id));
    assert_eq!(output, finished.stdout);
    assert_eq!(end, Some(finished.end));
    assert_eq!(sandbox.attach(id, 0).err(), Some(Refusal::NotFound));
}

#[test]
fn a_reader_that_comes_back_at_an_offset_gets_the_identical_bytes() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let mut first = sandbox
        .try_exec(ExecSpec {
            stdin: true,
            ..spec(&["sh", "-c", "seq 200000; read line; seq 1000; exit 9"])
        })
        .unwrap();
    let mut before = Vec::new();
    let mut offset = HEADER_BYTES;
    while before.len() < 300_000 {
        let record = first.next().unwrap();
        offset = record.next_offset;
        let Body::Output { bytes, .. } = record.body else { panic!("{record:?}") };
        before.extend(bytes);
    }
    let id = first.id;
    // As when the server dies: the exec goes on.
    drop(first);
    let mut again = sandbox.attach(id, offset).unwrap();
    again.send(Input::Stdin(b"go\n".to_vec()));
    let finished = again.finish();
    finished.assert_exited(9);
    before.extend(&finished.stdout);
    let expected: String = (1..=200_000).chain(1..=1000).map(|n| format!("{n}\n")).collect();
    assert!(before == expected.as_bytes(), "{} bytes, {} expected", before.len(), expected.len());
}

#[test]
fn two_viewers_see_the_same() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let mut first = sandbox
        .try_exec(ExecSpec {
            stdin: true,
            ..spec(&["sh", "-c", "echo one; read line; echo two; exit 4"])
        })
        .unwrap();
    let second = sandbox.attach(first.id, 0).unwrap();
    first.send(Input::StdinEnd);
    let (first, second) = (first.finish(), second.finish());
    first.assert_exited(4);
    assert_eq!(first, second);
    assert_eq!(first.text(), "one\ntwo\n");
}

#[test]
fn a_viewer_that_does_not_read_slows_nobody_and_loses_only_what_the_log_lost() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let total: u64 = 100 << 20;
    let stalled = sandbox.exec(&["sh", "-c", &format!("head -c {total} /dev/zero; exit 5")]);
    let log = sandbox.log(stalled.id);
    // It ends although nobody reads.
    eventually(
        "the log has its end",
        || matches!(sandbox.control(Control::List), ControlReply::Execs { execs } if execs.is_empty()),
    );
    let (header, output, end) = read_log(&log);
    let end = end.unwrap();
    assert!(end.dropped_bytes > 0);
    assert_eq!(end.dropped_bytes, header.dropped_bytes);
    assert_eq!(output.len() as u64 + end.dropped_bytes, total);
    assert!(output.len() > 7 << 20, "{} of 8 MiB are kept", output.len());
    let on_disk = std::os::unix::fs::MetadataExt::blocks(&log.metadata().unwrap()) * 512;
    // The file system may hold some more in advance.
    assert!(on_disk < 16 << 20, "{on_disk} bytes on disk");
    // What it had not read when it was dropped it is told about, and all the rest it gets.
    let finished = stalled.finish();
    finished.assert_exited(5);
    assert_eq!(finished.gaps, 1);
    assert!(finished.stdout.len() >= output.len());
}

#[test]
fn standard_input_goes_through_and_ends() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let mut stream = sandbox.try_exec(ExecSpec { stdin: true, ..spec(&["cat"]) }).unwrap();
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251).to_le_bytes()[0]).collect();
    let mut input = stream.socket.try_clone().unwrap();
    let expected = bytes.clone();
    let writer = std::thread::spawn(move || {
        for piece in bytes.chunks(sandbar_protocol::STDIN_BYTES_MAX) {
            input.write_all(&Input::Stdin(piece.to_vec()).to_frame().unwrap()).unwrap();
        }
        input.write_all(&Input::StdinEnd.to_frame().unwrap()).unwrap();
    });
    let mut echoed = Vec::new();
    while let Some(record) = stream.next() {
        match record.body {
            Body::Output { bytes, .. } => echoed.extend(bytes),
            Body::Gap | Body::Note(_) => panic!("nothing was dropped, and it is an exec"),
            Body::End(end) => assert_eq!(end.status.shell_code(), 0),
        }
    }
    writer.join().unwrap();
    assert!(echoed == expected, "{} of {} bytes", echoed.len(), expected.len());
}

#[test]
fn without_standard_input_a_command_finds_it_empty() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    assert_eq!(sandbox.exec(&["cat"]).finish().text(), "");
}

#[test]
fn garbage_on_the_socket_harms_nobody() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let witness = sandbox.exec(&["sleep", "1000"]);
    let garbage: Vec<u8> =
        (0..1_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    for piece in garbage.chunks(50_000) {
        // It hangs up as soon as it cannot be a frame.
        let _refused = sandbox.connect().write_all(piece);
    }
    let silent: Vec<_> = (0..200).map(|_| sandbox.connect()).collect();
    assert!(matches!(sandbox.control(Control::Ping), ControlReply::Pong { .. }));
    drop(silent);
    assert_eq!(sandbox.control(Control::Signal { id: witness.id, signal: 9 }), ControlReply::Done);
    assert_eq!(witness.finish().end.status.shell_code(), 137);
}

fn read_log(log: &File) -> (Header, Vec<u8>, Option<sandbar_types::ExecEnd>) {
    let mut first = [0; Header::ENCODED_BYTES];
    log.read_exact_at(&mut first, 0).unwrap();
    let header = Header::decode(&first).unwrap();
    let length = usize::try_from(log.metadata().unwrap().len() - header.start).unwrap();
    let mut bytes = vec![0; length];
    log.read_exact_at(&mut bytes, header.start).unwrap();
    let mut decoder = LogDecoder::new(header.start);
    decoder.push(&bytes);
    let (mut output, mut last) = (Vec::new(), None);
    while let Some(record) = decoder.next_record().unwrap() {
        match record.body {
            Body::Output { bytes, .. } => output.extend(bytes),
            Body::Gap | Body::Note(_) => panic!("neither is in the log of an exec"),
            Body::End(end) => last = Some(end),
        }
    }
    (header, output, last)
}
