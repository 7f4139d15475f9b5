//! User namespaces that only map ids, for idmapped mounts.

use std::{
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    process::exit,
};

use rustix::{
    fs::{Mode, OFlags, open},
    process::{Pid, WaitIdOptions, pidfd_send_signal},
};
use sandbar_linux::{
    clone::{CloneSpec, Cloned, clone_process},
    namespace::Namespace,
};

use crate::native::plan::{AGENT, Ids};

/// The maps of a user namespace, as user_namespaces(7) wants them written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Maps {
    pub(super) uid: String,
    pub(super) gid: String,
}

impl Maps {
    /// Shows what `owner` owns on disk as the agent's, what root owns as the sandbox's root's, and nothing else.
    pub(super) fn owner_as_agent(owner: (u32, u32), base: u32) -> Self {
        let line = |id: u32| match id {
            0 => format!("0 {} 1\n", base + AGENT),
            id => format!("{id} {} 1\n0 {base} 1\n", base + AGENT),
        };
        Self { uid: line(owner.0), gid: line(owner.1) }
    }
}

/// Ends a process that was cloned, without running what its creator would run at its end.
#[expect(
    clippy::exit,
    reason = "a cloned child has no main to return to: the stack below is its creator's"
)]
pub(super) fn end(code: i32) -> ! {
    exit(code)
}

/// Writes the maps of the user namespace of `pid`, a child of ours that was not reaped.
pub(super) fn write_maps(pid: Pid, maps: &Maps, ids: Ids) -> io::Result<()> {
    let file = |name: &str| format!("/proc/{}/{name}", pid.as_raw_nonzero());
    let write = |name: &str, text: &str| {
        std::fs::OpenOptions::new().write(true).open(file(name))?.write_all(text.as_bytes())
    };
    match ids {
        Ids::Range { .. } => {}
        // Without privileges the kernel takes a gid_map only where groups cannot be dropped any more.
        Ids::Single { .. } => write("setgroups", "deny")?,
    }
    write("gid_map", &maps.gid)?;
    write("uid_map", &maps.uid)
}

/// Opens the user namespace of `pid`, a child of ours that was not reaped.
pub(super) fn open_userns(pid: Pid) -> io::Result<OwnedFd> {
    Ok(open(
        format!("/proc/{}/ns/user", pid.as_raw_nonzero()),
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Makes a user namespace with `maps` that nobody is in; needs to be root.
pub(super) fn mapping(maps: &Maps, ids: Ids) -> io::Result<OwnedFd> {
    let (mut wait, hold) = io::pipe()?;
    let spec = CloneSpec { flags: Namespace::User.flag(), cgroup: None };
    let (pid, pidfd) = match clone_process(spec)? {
        Cloned::Child => {
            drop(hold);
            // Nobody writes: this returns when the creator lets go.
            let _end = wait.read(&mut [0]);
            end(0)
        }
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    let userns = write_maps(pid, maps, ids).and_then(|()| open_userns(pid));
    drop(hold);
    pidfd_send_signal(&pidfd, rustix::process::Signal::KILL)?;
    reap(pidfd.as_fd())?;
    userns
}

/// Waits for a child and forgets how it ended.
pub(super) fn reap(pidfd: rustix::fd::BorrowedFd<'_>) -> io::Result<()> {
    loop {
        match rustix::process::waitid(rustix::process::WaitId::PidFd(pidfd), WaitIdOptions::EXITED)
        {
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::CHILD) => return Ok(()),
            other => return Ok(other.map(|_status| ())?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_root_is_the_agents_and_nobody_elses() {
        assert_eq!(Maps::owner_as_agent((0, 0), 7_000_000).uid, "0 7001000 1\n");
    }

    #[test]
    fn a_source_of_a_user_leaves_root_to_the_sandboxes_root() {
        let maps = Maps::owner_as_agent((501, 20), 7_000_000);
        assert_eq!(
            (maps.uid.as_str(), maps.gid.as_str()),
            ("501 7001000 1\n0 7000000 1\n", "20 7001000 1\n0 7000000 1\n")
        );
    }
}
