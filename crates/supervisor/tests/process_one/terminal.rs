//! Execs with a terminal.

use sandbar_protocol::Input;
use sandbar_types::{ExecSpec, TerminalSize};

use crate::harness::{Sandbox, spec};

fn in_terminal(argv: &[&str]) -> ExecSpec {
    let terminal = Some(TerminalSize { rows: 24, cols: 80 });
    ExecSpec { terminal, stdin: true, ..spec(argv) }
}

#[test]
fn a_terminal_has_its_size_and_learns_a_new_one() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let script =
        "trap 'stty size; exit 6' WINCH; stty size; echo ready; while :; do sleep 0.02; done";
    let mut stream = sandbox.try_exec(in_terminal(&["bash", "-c", script])).unwrap();
    assert_eq!(stream.read_until("ready\r\n"), "24 80\r\nready\r\n");
    stream.send(Input::Resize(TerminalSize { rows: 50, cols: 132 }));
    let finished = stream.finish();
    finished.assert_exited(6);
    assert_eq!(finished.text(), "50 132\r\n");
}

#[test]
fn a_terminal_controls_its_session_and_belongs_to_the_agent() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let script = "test -t 0 && test -t 1 && test -t 2 && echo > /dev/tty && stat -c %u $(tty); ps -o pid=,sid=,tty= $$";
    let finished = sandbox.try_exec(in_terminal(&["sh", "-c", script])).unwrap().finish();
    finished.assert_exited(0);
    let words: Vec<&str> = finished.text().split_whitespace().collect();
    assert_eq!(words[0], "12345");
    assert_eq!(words[1], words[2], "it leads its session: {words:?}");
    assert!(words[3].starts_with("pts/"), "{words:?}");
}

#[test]
fn keys_arrive_as_signals_and_the_end_of_input_as_the_end() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let mut stream =
        sandbox.try_exec(in_terminal(&["sh", "-c", "echo ready; exec sleep 1000"])).unwrap();
    stream.read_until("ready\r\n");
    stream.send(Input::Stdin(vec![3]));
    assert_eq!(stream.finish().end.status.shell_code(), 130);

    let mut stream =
        sandbox.try_exec(in_terminal(&["sh", "-c", "echo ready; cat; exit 8"])).unwrap();
    stream.read_until("ready\r\n");
    stream.send(Input::StdinEnd);
    stream.finish().assert_exited(8);
}

#[test]
fn a_second_viewer_may_type_as_well() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let first = sandbox
        .try_exec(in_terminal(&[
            "sh",
            "-c",
            "stty -echo; echo ready; read line; echo \"got $line\"",
        ]))
        .unwrap();
    let mut second = sandbox.attach(first.id, 0).unwrap();
    second.read_until("ready\r\n");
    drop(first);
    second.send(Input::Stdin(b"this\n".to_vec()));
    let finished = second.finish();
    finished.assert_exited(0);
    assert_eq!(finished.text(), "got this\r\n");
}
