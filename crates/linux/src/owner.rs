//! From root to the owner of what is worked on, for good.

use std::{io, os::fd::BorrowedFd};

use rustix::{
    process::{Gid, Uid, geteuid},
    thread::CapabilitySet,
};

use crate::capabilities::{self, AtExec};

/// Makes this process the owner of `file`, with `kept` of its capabilities until the next exec; started by a user, it
/// stays that user, who has none.
///
/// The process must have one thread: privileges belong to threads. In the order that the kernel asks for, see
/// capabilities(7).
///
/// # Errors
/// The kernel refused; the process must not go on.
pub fn become_owner(file: BorrowedFd<'_>, kept: CapabilitySet) -> io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let stat = rustix::fs::fstat(file)?;
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_keep_capabilities(true)?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    // The change of user emptied the effective set, and what follows needs CAP_SETPCAP.
    let mut sets = rustix::thread::capabilities(None)?;
    sets.effective = sets.permitted;
    rustix::thread::set_capabilities(None, sets)?;
    capabilities::settle(kept, AtExec::Lost)
}
