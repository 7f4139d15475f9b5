//! `keeper.json`: what a keeper leaves on disk, for the time when nobody can ask it any more.

use std::{
    io::{self, Read, Write},
    os::fd::BorrowedFd,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{Mode, OFlags, openat, renameat},
    process::Pid,
};
use sandbar_types::ExitStatus;
use serde::{Deserialize, Serialize};

use crate::native::{launcher::Prepare, plan::Plan};

const NAME: &str = "keeper.json";
const NEW: &str = "keeper.json.new";

/// What a keeper knows of its sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::native) struct Record {
    pub(in crate::native) nonce: String,
    pub(in crate::native) instance: String,
    /// Names the control groups.
    pub(in crate::native) slot: String,
    /// First host id of the range.
    pub(in crate::native) uid_base: Option<u32>,
    /// For display.
    pub(in crate::native) pid: u32,
    pub(in crate::native) protocol: u32,
    /// How the supervisor ended; `None` while it runs.
    pub(in crate::native) end: Option<End>,
}

/// How and when a supervisor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::native) struct End {
    /// `None` where the kernel did not say.
    pub(in crate::native) status: Option<ExitStatus>,
    /// Seconds since 1970.
    pub(in crate::native) at: u64,
}

impl End {
    /// Ended just now.
    pub(in crate::native) fn now(status: Option<ExitStatus>) -> Self {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { status, at }
    }
}

impl Record {
    /// The record of a sandbox that is about to run.
    pub(in crate::native) fn running(
        plan: &Plan,
        prepare: &Prepare,
        pid: Pid,
        protocol: u32,
    ) -> Self {
        Self {
            nonce: plan.nonce.clone(),
            instance: prepare.instance.clone(),
            slot: prepare.slot.clone(),
            uid_base: plan.ids.base(),
            pid: pid.as_raw_nonzero().get().cast_unsigned(),
            protocol,
            end: None,
        }
    }

    /// Writes it beside and renames it into place: a reader sees the old one or the new one. Not synced: after a power
    /// cut nothing runs, whatever it said, and the server records ends of its own.
    pub(in crate::native) fn write(&self, state: BorrowedFd<'_>) -> io::Result<()> {
        let flags =
            OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mut file = std::fs::File::from(openat(state, NEW, flags, Mode::RUSR | Mode::WUSR)?);
        file.write_all(&serde_json::to_vec(self)?)?;
        renameat(state, NEW, state, NAME)?;
        Ok(())
    }

    /// Reads it; `None` where there is none.
    pub(in crate::native) fn read(state: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        let file = match openat(
            state,
            NAME,
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::empty(),
        ) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            other => other?,
        };
        let mut text = String::new();
        std::fs::File::from(file).read_to_string(&mut text)?;
        Ok(Some(serde_json::from_str(&text)?))
    }
}
