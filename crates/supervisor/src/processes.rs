//! Looking at the processes of the sandbox, as far as `/proc` shows them.
//!
//! `hidepid=invisible` may hide those of other users, so nothing that must be complete relies on this.

use std::{fs, io};

use rustix::process::{Pid, Signal};
use sandbar_linux::{
    child::session_of,
    signals::{Target, send},
};

/// The number of the newest process of the reader's namespace; see proc_loadavg(5).
const NEWEST_FIELD: usize = 4;
/// `PID_MAX_LIMIT` of linux/threads.h.
const NUMBERS_MAX: i32 = 4 << 20;

/// LIMIT: looks at numbers that came while we looked.
const ROUNDS_MAX: usize = 8;

/// Returns every process that is visible, except ourselves.
pub(crate) fn visible() -> io::Result<Vec<Pid>> {
    let entries = fs::read_dir("/proc")?.filter_map(Result::ok);
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(numbers.filter_map(Pid::from_raw).filter(|pid| !pid.is_init()).collect())
}

/// Returns every process of a session, which may have several groups (a shell with job control makes one for each job).
///
/// By asking for each number that may be one: a session's processes came after its leader, and `getsid(2)` answers for
/// processes that `/proc` hides. A tenth of a microsecond each, and only when a timeout has passed.
pub(crate) fn session_members(session: Pid) -> Vec<Pid> {
    let leader = session.as_raw_nonzero().get();
    let newest = number("/proc/loadavg", NEWEST_FIELD).unwrap_or(NUMBERS_MAX);
    // Numbers begin again when they have reached the largest.
    let (wrapped, last) = if newest >= leader {
        (0, newest)
    } else {
        (newest, number("/proc/sys/kernel/pid_max", 0).unwrap_or(NUMBERS_MAX))
    };
    let numbers = (2..=wrapped).chain(leader + 1..=last);
    let all = numbers.filter_map(Pid::from_raw);
    all.filter(|&pid| session_of(pid) == Some(session)).collect()
}

/// Kills the group of a child that was not reaped, and what else is of its session.
pub(crate) fn kill_session(leader: Pid) {
    // INVARIANT: look first: without its leader, a session is harder to tell.
    let session = session_members(leader);
    signal_group(leader, Signal::KILL.as_raw());
    kill_all(&session);
}

/// Kills what is left of the group and the session of a leader that has just been reaped.
///
/// Its number is not its own any more, but no group and no session gets it while anybody is in the old one.
pub(crate) fn kill_rest(leader: Pid) {
    let session = session_members(leader);
    let _gone = send(Target::Group(leader), Signal::KILL.as_raw());
    kill_all(&session);
}

fn kill_all(pids: &[Pid]) {
    for pid in pids {
        let _gone = send(Target::Process(*pid), Signal::KILL.as_raw());
    }
}

/// Signals the group of a child that leads one, and was not reaped.
pub(crate) fn signal_group(leader: Pid, number: i32) {
    // Between fork and setsid the child has no group of its own yet.
    if send(Target::Group(leader), number).is_err() {
        let _gone = send(Target::Process(leader), number);
    }
}

/// Whether anybody is left of the group of a leader that has just been reaped.
///
/// Somebody else's group can have the number only after all of these are gone and the numbers began again.
pub(crate) fn has_group(leader: Pid) -> bool {
    send(Target::Group(leader), 0).is_ok()
}

/// Signals every process that there is, except those of these sessions; numbers that come meanwhile are looked at, too.
pub(crate) fn signal_others(sessions: &[Pid], signal: Signal) {
    let mut last = 1;
    for _ in 0..ROUNDS_MAX {
        let newest = number("/proc/loadavg", NEWEST_FIELD).unwrap_or(NUMBERS_MAX);
        for pid in (last + 1..=newest).filter_map(Pid::from_raw) {
            // A child that we have just forked leads no session yet.
            let session = session_of(pid).unwrap_or(pid);
            if !sessions.contains(&session) {
                let _gone = send(Target::Process(pid), signal.as_raw());
            }
        }
        if newest <= last {
            return;
        }
        last = newest;
    }
}

fn number(path: &str, field: usize) -> Option<i32> {
    let text = fs::read_to_string(path).ok()?;
    text.split_whitespace().nth(field)?.parse().ok()
}

/// Whether every thread of the process is stopped, or has ended.
pub(crate) fn is_stopped(pid: Pid) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())) else {
        return true;
    };
    threads.filter_map(Result::ok).all(|thread| {
        // A thread that went away meanwhile does not run either.
        fs::read_to_string(thread.path().join("stat")).map_or(true, |stat| is_stopped_state(&stat))
    })
}

/// The name in parentheses may hold anything, so the state is what follows the last of them (proc_pid_stat(5)).
fn is_stopped_state(stat: &str) -> bool {
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.bytes().next());
    matches!(state, Some(b'T' | b't' | b'Z' | b'X') | None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_behind_any_name() {
        assert!(is_stopped_state("7 (sleep) T 1 7"));
        assert!(is_stopped_state("7 (a) R (b) Z 1 7"));
        assert!(!is_stopped_state("7 (a) T (b) S 1 7"));
    }
}
