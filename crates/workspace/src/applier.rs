//! The role `sandbar __apply`: a short-lived process that can do one approve to one source and nothing else.
//!
//! Started by root, it becomes the owner of the source for good, and keeps one right: to read what a sandbox made with
//! bits that forbid it. Started by a user, it is that user. Either way it sees the source and the journal, reads the
//! merged view, and can open no socket and start no program.
//!
//! One JSON [`Request`] on standard input, one [`Reply`] on standard output; 3 is the source's directory, 4 the merged
//! view (of an undo the journal of what is undone; any directory where the request reads none), 5 the journal's directory.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    process::ExitCode,
};

use rustix::thread::CapabilitySet;
use sandbar_linux::{
    capabilities, inherited,
    landlock::{self, Access, PathRule},
    owner::become_owner,
    seccomp,
};
use sandbar_types::ApproveId;
use serde::{Deserialize, Serialize};

use crate::{
    apply::{self, ApplyError, ApplyPlan, ApplyReport, Forgotten, Recovered},
    journal::Journal,
};

const SOURCE: i32 = 3;
const MERGED: i32 = 4;
const JOURNAL: i32 = 5;
/// LIMIT: bytes of a request; a plan has some 300 bytes for each path.
const REQUEST_BYTES_MAX: u64 = 1 << 30;

/// What the process is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// [`apply::apply`].
    Apply {
        /// Names the approve.
        id: ApproveId,
        /// What to do.
        plan: ApplyPlan,
    },
    /// [`apply::undo`]; the journal of what is undone takes the place of the merged view.
    Undo {
        /// Names the undo.
        id: ApproveId,
    },
    /// [`apply::recover`].
    Recover,
    /// [`apply::forget`].
    Forget,
}

/// What became of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The answer to [`Request::Apply`] and [`Request::Undo`].
    Applied {
        /// What was done.
        report: ApplyReport,
    },
    /// The answer to [`Request::Recover`].
    Recovered {
        /// How it ended.
        recovered: Recovered,
    },
    /// The answer to [`Request::Forget`].
    Forgotten {
        /// What is left over.
        forgotten: Forgotten,
    },
    /// It did not happen.
    Failed {
        /// Why.
        error: ApplyError,
    },
}

/// Why the process could not begin. It then did nothing.
#[derive(Debug, thiserror::Error)]
enum BeginError {
    #[error("descriptor {number} is missing")]
    Descriptor {
        number: i32,
        #[source]
        source: io::Error,
    },
    #[error("the request cannot be read")]
    Request(#[source] io::Error),
    #[error("failed to become the owner of the source")]
    Owner(#[source] io::Error),
    #[error("failed to give up privileges")]
    Confine(#[source] io::Error),
}

struct Descriptors {
    source: OwnedFd,
    merged: OwnedFd,
    journal: OwnedFd,
}

/// Runs the role, and returns its exit code: 0 once it answered, 1 where it could not begin.
///
/// The process must have one thread: privileges belong to threads.
#[must_use]
pub fn main() -> ExitCode {
    let answered = serve();
    match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_default();
            // Nobody is left to tell when standard error is closed as well.
            drop(writeln!(io::stderr(), "{error}: {cause}"));
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), BeginError> {
    let take = |number| {
        inherited::take(number).map_err(|source| BeginError::Descriptor { number, source })
    };
    let fds = Descriptors { source: take(SOURCE)?, merged: take(MERGED)?, journal: take(JOURNAL)? };
    // INVARIANT: confined before the first byte of the request is read.
    become_owner(fds.source.as_fd(), CapabilitySet::DAC_READ_SEARCH).map_err(BeginError::Owner)?;
    confine().map_err(BeginError::Confine)?;
    let request = read_request().map_err(BeginError::Request)?;
    let reply = answer(fds.source.as_fd(), fds.merged, fds.journal, &request);
    let mut out = io::stdout().lock();
    let written = serde_json::to_writer(&mut out, &reply).map_err(io::Error::from);
    // The server is gone: the journal has the answer.
    drop(written.and_then(|()| out.flush()));
    Ok(())
}

fn read_request() -> io::Result<Request> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(REQUEST_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Carries `request` out. `other` is the merged view, or what the request has in its place.
///
/// For [`main`], and for a server that writes itself, as tests do.
#[must_use]
pub fn answer(
    source: BorrowedFd<'_>,
    other: OwnedFd,
    journal: OwnedFd,
    request: &Request,
) -> Reply {
    let journal = Journal::from_dir(journal);
    let answered = match request {
        Request::Apply { id, plan } => apply::apply(source, other.as_fd(), &journal, *id, plan)
            .map(|report| Reply::Applied { report }),
        Request::Undo { id } => apply::undo(source, &Journal::from_dir(other), &journal, *id)
            .map(|report| Reply::Applied { report }),
        Request::Recover => {
            apply::recover(source, &journal).map(|recovered| Reply::Recovered { recovered })
        }
        Request::Forget => {
            apply::forget(source, &journal).map(|forgotten| Reply::Forgotten { forgotten })
        }
    };
    answered.unwrap_or_else(|error| Reply::Failed { error })
}

fn confine() -> io::Result<()> {
    let rule = |number: i32, access| PathRule {
        path: PathBuf::from(format!("/proc/self/fd/{number}")),
        access,
    };
    capabilities::forbid_new_privileges()?;
    // A second wall: who we are is the first. A kernel without Landlock leaves that one.
    let _restricted = landlock::restrict(&[
        rule(SOURCE, Access::ReadWrite),
        rule(MERGED, Access::Read),
        rule(JOURNAL, Access::ReadWrite),
    ])?;
    let program = forbidden().compile().map_err(io::Error::other)?;
    program.install()
}

/// Everything but talking to somebody, starting something, and reaching into another process.
fn forbidden() -> seccomp::Policy {
    const CALLS: [libc::c_long; 12] = [
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
    ];
    let refused = seccomp::Rule::Always(seccomp::Action::Errno(1));
    let rule = |call: &libc::c_long| Some((u32::try_from(*call).ok()?, refused.clone()));
    seccomp::Policy {
        rules: CALLS.iter().filter_map(rule).collect::<BTreeMap<_, _>>(),
        default: seccomp::Action::Allow,
        // LIMIT: calls that a later kernel adds after these fail as unknown; nothing here uses one.
        newest: 511,
    }
}
