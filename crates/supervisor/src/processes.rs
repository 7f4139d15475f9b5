//! Looking at the processes of the sandbox, as far as `/proc` shows them.
//!
//! `hidepid=invisible` may hide those of other users, so nothing that must be complete relies on this.

use std::{fs, io};

use rustix::process::{Pid, getsid};

/// The number of the newest process of the reader's namespace; see proc_loadavg(5).
const NEWEST_FIELD: usize = 4;
/// `PID_MAX_LIMIT` of linux/threads.h.
const NUMBERS_MAX: i32 = 4 << 20;

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
    all.filter(|&pid| getsid(Some(pid)) == Ok(session)).collect()
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
