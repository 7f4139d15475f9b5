//! `sandbar __launch`: a fresh process with one thread that builds one sandbox and stays as its keeper.

mod below;
mod binds;
mod claim;
mod filesystems;
mod init;
mod layers;
mod rootfs;
mod step;
mod userns;
mod view;
mod warm;

use std::{
    ffi::OsString,
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    process::ExitCode,
};

use rustix::process::{PidfdFlags, pidfd_open};
use sandbar_linux::clone::{CloneSpec, Cloned, clone_process};
use sandbar_types::IsolationReport;
use serde::{Deserialize, Serialize};

pub(in crate::native) use self::{
    claim::{Running, remove},
    init::KEPT,
    step::Failure,
    view::ViewOrder,
    warm::{Ground, Prepare, chain, release_cgroup},
};
use super::{keeper, plan::Plan, wire};

/// What the server says to a launcher that is ready. Beside it comes the descriptor of the certificates.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::native) struct Claim {
    pub(in crate::native) plan: Plan,
    pub(in crate::native) failpoint: Option<String>,
}

/// What a launcher answers, first to [`Prepare`], then to [`Claim`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::native) enum Answer {
    /// It waits for a claim. Comes with a pidfd of the launcher.
    Ready,
    /// The sandbox runs.
    Launched { pid: u32, isolation: Box<IsolationReport>, protocol: u32 },
    /// It does not, and nothing of it is left.
    Failed(Failure),
}

/// The hidden role `sandbar __launch`: `args` are what follows the role's name.
///
/// Must be called first thing in `main`, before any thread exists. The socket to the server is descriptor 3.
#[must_use]
pub fn launcher_main(args: &[OsString]) -> ExitCode {
    if let [role, name, data] = args
        && role == "probe"
    {
        return crate::doctor::probe_main(&name.to_string_lossy(), Path::new(data));
    }
    let Ok(server) = inherited_socket() else {
        return ExitCode::FAILURE;
    };
    match args.first().and_then(|role| role.to_str()) {
        Some("keep") => detach(server),
        Some("view") => view::view_main(&server),
        Some(_) | None => ExitCode::FAILURE,
    }
}

/// The socket at descriptor 3, as the one who started us left it there.
fn inherited_socket() -> std::io::Result<UnixStream> {
    let fd = sandbar_linux::inherited::take(3)?;
    sandbar_linux::exec::close_on_exec_from(3)?;
    Ok(UnixStream::from(fd))
}

/// Lets the one who started us reap us at once: the keeper is nobody's child, and outlives whom it will.
fn detach(server: UnixStream) -> ExitCode {
    match clone_process(CloneSpec::default()) {
        Ok(Cloned::Parent { .. }) => ExitCode::SUCCESS,
        Ok(Cloned::Child) => keep(server),
        Err(_) => ExitCode::FAILURE,
    }
}

fn keep(server: UnixStream) -> ExitCode {
    let Ok((prepare, _)) = wire::receive::<Prepare>(&server) else {
        return ExitCode::FAILURE;
    };
    let warm = match warm::Warm::make(prepare) {
        Ok(warm) => warm,
        Err(failure) => return tell(&server, &Answer::Failed(failure)),
    };
    settle_down();
    let claim = say_ready(&server).and_then(|()| wire::receive::<Claim>(&server));
    let claim = claim.ok().and_then(|(claim, fds)| Some((claim, fds.into_iter().next()?)));
    let Some((claim, certificates)) = claim else {
        // The server is gone, or has enough of us.
        warm.abandon();
        return ExitCode::SUCCESS;
    };
    match claim::launch(warm, claim, certificates) {
        Ok(running) => {
            let pid = running.warm.init.as_raw_nonzero().get().cast_unsigned();
            let answer = Answer::Launched {
                pid,
                isolation: Box::new(running.isolation.clone()),
                protocol: running.record.protocol,
            };
            // A server that died meanwhile finds the sandbox by its socket.
            let _told = wire::send(&server, &answer, &[]);
            drop(server);
            keeper::keep(running)
        }
        Err(failure) => tell(&server, &Answer::Failed(failure)),
    }
}

/// Pins no directory of whoever started us, and is not what the kernel kills first. Not before init was cloned, who would inherit it.
fn settle_down() {
    // Both help where they can: the second needs privileges that a user's server lacks.
    let _moved = rustix::process::chdir("/");
    let _scored = std::fs::write("/proc/self/oom_score_adj", "-800");
}

/// With a descriptor of this process, so that a server that lost patience can end it without trusting a number.
fn say_ready(server: &UnixStream) -> std::io::Result<()> {
    let own = pidfd_open(rustix::process::getpid(), PidfdFlags::empty())?;
    wire::send(server, &Answer::Ready, &[own.as_fd()])
}

fn tell(server: &UnixStream, answer: &Answer) -> ExitCode {
    // Whoever is gone needs no answer.
    let _told = wire::send(server, answer, &[]);
    ExitCode::FAILURE
}
