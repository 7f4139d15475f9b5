//! The server's end of a keeper's socket.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
    time::Duration,
};

use rustix::fs::{Mode, OFlags, open};
use tokio::net::UnixStream;

use super::{
    keeper::{KEEPER_SOCKET, Record, Reply, Request},
    wire,
};
use crate::SandboxDir;

/// LIMIT: how long a keeper may take for what it does at once; a freeze takes the longest.
const PATIENCE: Duration = Duration::from_secs(8);

/// Asks the keeper of `dir` and waits for its answer, `more` longer than for anything.
///
/// `NotConnected`: there is none. `UnexpectedEof`: it ended meanwhile.
pub(super) async fn ask(
    dir: &SandboxDir,
    request: Request,
    more: Duration,
) -> io::Result<(Reply, Vec<OwnedFd>)> {
    let answer = tokio::time::timeout(PATIENCE + more, ask_unbounded(dir, request)).await;
    answer.unwrap_or_else(|elapsed| Err(elapsed.into()))
}

/// As [`ask`], for as long as it takes.
pub(super) async fn ask_unbounded(
    dir: &SandboxDir,
    request: Request,
) -> io::Result<(Reply, Vec<OwnedFd>)> {
    let run =
        open_dir(&dir.0.join("run")).map_err(|_| io::Error::from(io::ErrorKind::NotConnected))?;
    // By the descriptor: a socket's path may have 107 bytes only.
    let path = format!("/proc/self/fd/{}/{KEEPER_SOCKET}", run.as_raw_fd());
    let stream = UnixStream::connect(path).await.map_err(|err| {
        let is_absent =
            matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        if is_absent { io::ErrorKind::NotConnected.into() } else { err }
    })?;
    let asked = async {
        wire::send_async(&stream, &request).await?;
        wire::receive_async::<Reply>(&stream).await
    };
    let (reply, fds) = asked.await.map_err(|err| {
        let is_end =
            matches!(err.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe);
        if is_end { io::ErrorKind::UnexpectedEof.into() } else { err }
    })?;
    if let Reply::Failed { errno, message } = reply {
        return Err(errno.map_or_else(|| io::Error::other(message), io::Error::from_raw_os_error));
    }
    Ok((reply, fds))
}

/// Whether an error says that no keeper is there, or not any more.
pub(super) fn is_gone(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::NotConnected | io::ErrorKind::UnexpectedEof)
}

/// What the keeper wrote down, if anything.
pub(super) fn record(dir: &SandboxDir) -> io::Result<Option<Record>> {
    match open_dir(&dir.0) {
        Ok(state) => Record::read(rustix::fd::AsFd::as_fd(&state)),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

/// Opens a directory of ours, whose last component is no link.
pub(super) fn open_dir(path: &std::path::Path) -> io::Result<OwnedFd> {
    Ok(open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// An answer to another question: a keeper of another version, or a fault of ours.
pub(super) fn unexpected() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the keeper answered something else")
}
