//! What an exec has of its supervisor: nothing.

use crate::harness::{AGENT, Sandbox};

#[test]
fn a_hundred_execs_at_once_have_exactly_three_descriptors_each() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    // The shell's own listing of /proc/self/fd would open one more; the names are expanded by the shell itself.
    let script =
        "for fd in /proc/$$/fd/*; do test -e $fd -o -L $fd && printf '%s ' ${fd##*/}; done";
    let streams: Vec<_> = (0..100).map(|_| sandbox.exec(&["bash", "-c", script])).collect();
    for stream in streams {
        let finished = stream.finish();
        let mut fds: Vec<&str> = finished.text().split_whitespace().collect();
        // bash keeps its script's descriptor at 255 only when it reads one from a file; here it has none.
        fds.sort_unstable();
        assert_eq!(fds, ["0", "1", "2"], "{}", String::from_utf8_lossy(&finished.stderr));
    }
}

#[test]
fn an_exec_is_the_agent_without_privileges_signals_or_groups() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let finished = sandbox.sh(
        "cat /proc/self/status; umask; echo \"score $(cat /proc/self/oom_score_adj)\"; ulimit -n",
    );
    let text = finished.text();
    let line = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{name} in {text}"));
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let four = |id: u32| [id; 4].map(|id| id.to_string()).join(" ");
    assert_eq!(line("Uid:"), four(AGENT.uid));
    assert_eq!(line("Gid:"), four(AGENT.gid));
    assert_eq!(line("Groups:"), "");
    for none in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "SigBlk:", "SigIgn:"] {
        assert_eq!(line(none), "0000000000000000", "{none}");
    }
    assert_eq!(line("score "), "500");
    assert!(text.contains("0022\n"), "{text}");
    assert!(text.ends_with("4096\n"), "{text}");
}

#[test]
fn the_supervisor_can_be_neither_traced_nor_looked_into() {
    let Some(sandbox) = Sandbox::start() else {
        return;
    };
    let finished = sandbox
        .sh("cat /proc/1/environ /proc/1/maps; ls /proc/1/fd /proc/1/cwd/; readlink /proc/1/exe");
    assert_eq!(finished.text(), "");
    let killed = sandbox.sh("kill -TERM 1 || echo refused");
    assert_eq!(killed.text(), "refused\n");
}
