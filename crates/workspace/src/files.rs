//! The files of a workspace, for whoever works with it from outside.
//!
//! A path is resolved by the kernel as if the workspace were the root of everything (`RESOLVE_IN_ROOT`, openat2(2)):
//! a link inside leads somewhere inside, `..` stops at the top, and no link that is swapped meanwhile leads out.
//! Fifos are never waited for, devices never opened. Everything that is made belongs to the sandbox's own id.

mod archive;
mod extract;
mod read;
mod remove;
mod resolve;
mod search;
mod write;

use std::{io, os::fd::BorrowedFd};

use rustix::{
    fs::{FileType, Stat},
    io::Errno,
};
use sandbar_types::{LinkTarget, WorkspacePath};
use serde::{Deserialize, Serialize};

pub use self::{
    archive::{ArchiveLimits, ArchiveOutcome},
    extract::{ExtractLimits, ExtractOutcome},
    read::{Listed, Listing},
    remove::{Depth, Replace},
    search::{SearchLimits, SearchMatch, SearchOutcome, SearchSpec},
    write::{Parents, WriteParams},
};

/// The files of one workspace.
#[derive(Debug, Clone, Copy)]
pub struct Files<'fd> {
    root: BorrowedFd<'fd>,
    owner: (u32, u32),
}

impl<'fd> Files<'fd> {
    /// Works on the merged tree `root`; what is made belongs to `owner`, uid and gid as the host sees them.
    #[must_use]
    pub fn new(root: BorrowedFd<'fd>, owner: (u32, u32)) -> Self {
        Self { root, owner }
    }
}

/// What something in a workspace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A fifo, a socket or a device: can be listed and removed, nothing else.
    Special,
}

/// What is known of a path without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Where a link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<LinkTarget>,
}

impl FileStat {
    fn of(stat: &Stat) -> Self {
        let stamp = crate::entry::Stamp::of(stat);
        Self {
            kind: kind(stat),
            size_bytes: stamp.size,
            mode: stamp.permissions(),
            mtime_ns: stamp.mtime_ns,
            target: None,
        }
    }
}

fn kind(stat: &Stat) -> FileKind {
    match crate::beneath::file_type(stat) {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => FileKind::Special,
    }
}

/// Why something could not be done with a path of a workspace.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Nothing is there, or something on the way is no directory.
    #[error("{path} does not exist")]
    NotFound {
        /// The path, as it is shown.
        path: String,
    },
    /// It is something else than this can be done with.
    #[error("{path} is not {expected}")]
    WrongKind {
        /// The path.
        path: String,
        /// What it would have to be.
        expected: &'static str,
    },
    /// Something is there already.
    #[error("{path} already exists")]
    Exists {
        /// The path.
        path: String,
    },
    /// A directory holds something.
    #[error("{path} is not empty")]
    NotEmpty {
        /// The path.
        path: String,
    },
    /// More than allowed.
    #[error("{what} are limited to {limit}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// An archive holds what would leave the workspace, or cannot be in one.
    #[error("the archive holds {path}, which is refused: {why}")]
    Refused {
        /// The name in the archive.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// What is read from, or written to, the other side failed: the archive or the body.
    #[error("the other side failed")]
    Stream(#[source] io::Error),
    /// The kernel refused.
    #[error("cannot work with {path}")]
    Io {
        /// The path.
        path: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// Turns what the kernel says about `path` into an error.
fn failed(path: Option<&WorkspacePath>) -> impl Fn(io::Error) -> FilesError + '_ {
    move |source| {
        let path = shown(path);
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT | Errno::NOTDIR) => FilesError::NotFound { path },
            Some(Errno::LOOP) => {
                FilesError::WrongKind { path, expected: "reachable without a loop of links" }
            }
            Some(Errno::EXIST) => FilesError::Exists { path },
            Some(Errno::NOTEMPTY) => FilesError::NotEmpty { path },
            Some(Errno::ISDIR) => FilesError::WrongKind { path, expected: "a file" },
            _ => FilesError::Io { path, source },
        }
    }
}

/// A path for a message: bytes that are not text, and control characters, are escaped.
fn shown(path: Option<&WorkspacePath>) -> String {
    path.map_or_else(|| ".".to_owned(), |path| format!("{path:?}"))
}
