//! Files of a workspace, seen as the sandbox sees them. No path leaves it, whatever the sandbox swaps meanwhile.

mod archive;

use std::{
    fs::File,
    io::{self, Read},
    num::NonZeroU32,
    os::fd::AsFd,
};

use jiff::Timestamp;
use sandbar_types::{LinkTarget, SandboxId, WorkspacePath};
use sandbar_workspace::files::{
    self, Depth, FileStat, Files, FilesError, Parents, Replace, SearchLimits, SearchSpec,
    WriteParams,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::mpsc,
};

pub use self::archive::{Extracted, FileArchive};
use crate::{Engine, Error, ErrorKind, Result, workspace_view::blocking};

/// LIMIT: entries of one directory that are listed.
const ENTRIES_MAX: usize = 10_000;
/// LIMIT: pieces of an upload that wait for the disk.
const PIECES_MAX: usize = 4;
const PIECE_BYTES: usize = 256 << 10;

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A fifo, socket or device.
    Special,
}

/// A path and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// The path; `None` is the workspace itself.
    pub path: Option<WorkspacePath>,
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size_bytes: u64,
    /// Permission bits.
    pub mode: u32,
    /// When its content changed.
    pub modified_at: Timestamp,
    /// Where a link points.
    pub target: Option<LinkTarget>,
}

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileList {
    /// By name.
    pub items: Vec<FileEntry>,
    /// Whether there is more than is listed.
    pub is_truncated: bool,
}

/// A file that was opened for reading.
#[derive(Debug)]
pub struct FileContent {
    /// What it is.
    pub entry: FileEntry,
    /// Its content, from the first byte.
    pub file: File,
}

/// Whether a directory goes with what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recursion {
    /// Only an empty one.
    Shallow,
    /// With everything below.
    Deep,
}

/// Whether what is at the destination of a move may be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overwrite {
    /// It is an error.
    Refuse,
    /// It is replaced.
    Replace,
}

/// What a search looks for; both, where both are given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchParams {
    /// Below this directory; `None` is everything.
    pub path: Option<WorkspacePath>,
    /// A text within lines.
    pub text: Option<String>,
    /// A part of the name.
    pub name: Option<String>,
    /// At most this many.
    pub limit: NonZeroU32,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchMatch {
    /// Where.
    pub path: WorkspacePath,
    /// The line's number, from 1, where text was searched.
    pub line: Option<u64>,
    /// The line, cut where it is long.
    pub text: Option<String>,
}

/// Everything that a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchResult {
    /// In the order of paths.
    pub items: Vec<SearchMatch>,
    /// Whether there is more.
    pub is_truncated: bool,
}

impl Engine {
    /// What is at `path`; `None` is the workspace itself.
    ///
    /// # Errors
    /// `file_not_found`, `sandbox_not_found`, `state_conflict`.
    pub async fn file_stat(&self, id: SandboxId, path: Option<WorkspacePath>) -> Result<FileEntry> {
        self.files(id, move |files| Ok(entry(path.clone(), files.stat(path.as_ref())?))).await
    }

    /// What the directory at `path` holds.
    ///
    /// # Errors
    /// `file_not_found`, `file_type_conflict`.
    pub async fn file_list(&self, id: SandboxId, path: Option<WorkspacePath>) -> Result<FileList> {
        self.files(id, move |files| {
            let listing = files.list(path.as_ref(), ENTRIES_MAX)?;
            let items = listing.entries.into_iter().filter_map(|listed| {
                let below = match &path {
                    Some(dir) => dir.join(&listed.name),
                    None => WorkspacePath::parse(&listed.name),
                };
                // Too deep to be named from the top; it can be reached by listing from its own directory inside.
                Some(entry(Some(below.ok()?), listed.stat))
            });
            Ok(FileList { items: items.collect(), is_truncated: listing.is_truncated })
        })
        .await
    }

    /// Opens the regular file at `path`.
    ///
    /// # Errors
    /// `file_not_found`, `file_type_conflict`.
    pub async fn file_read(&self, id: SandboxId, path: WorkspacePath) -> Result<FileContent> {
        self.files(id, move |files| {
            let (file, stat) = files.open(&path)?;
            Ok(FileContent { entry: entry(Some(path), stat), file })
        })
        .await
    }

    /// Replaces the file at `path` at once, or makes it and the directories above it.
    ///
    /// # Errors
    /// `file_type_conflict`, `storage_full`, `state_conflict`.
    pub async fn file_write(
        &self,
        id: SandboxId,
        path: WorkspacePath,
        mode: Option<u32>,
        content: impl AsyncRead + Send + Unpin,
    ) -> Result<FileEntry> {
        let bytes_max = self.inner.actor(id)?.row().spec.limits.disk_bytes_max;
        let (pieces, received) = mpsc::channel(PIECES_MAX);
        let written = self.files(id, move |files| {
            let params = WriteParams { mode, bytes_max, parents: Parents::Create };
            let stat =
                files.write(&path, &mut Pieces { received, rest: Vec::new(), at: 0 }, &params)?;
            Ok(entry(Some(path), stat))
        });
        let (written, ()) = tokio::join!(written, send(content, pieces));
        written
    }

    /// Makes the directory at `path` and those above it; one that is there is fine.
    ///
    /// # Errors
    /// `file_type_conflict`, `state_conflict`.
    pub async fn directory_create(&self, id: SandboxId, path: WorkspacePath) -> Result<FileEntry> {
        self.files(id, move |files| {
            files.make_dir(&path, Parents::Create)?;
            let stat = files.stat(Some(&path))?;
            Ok(entry(Some(path), stat))
        })
        .await
    }

    /// Removes what is at `path`.
    ///
    /// # Errors
    /// `file_not_found`, `directory_not_empty`, `state_conflict`.
    pub async fn file_remove(
        &self,
        id: SandboxId,
        path: WorkspacePath,
        recursion: Recursion,
    ) -> Result<()> {
        let depth = match recursion {
            Recursion::Shallow => Depth::One,
            Recursion::Deep => Depth::Tree,
        };
        self.files(id, move |files| files.remove(&path, depth)).await
    }

    /// Moves what is at `from` to `to`.
    ///
    /// # Errors
    /// `file_not_found`, `file_exists`, `state_conflict`.
    pub async fn file_move(
        &self,
        id: SandboxId,
        from: WorkspacePath,
        to: WorkspacePath,
        overwrite: Overwrite,
    ) -> Result<FileEntry> {
        let replace = match overwrite {
            Overwrite::Refuse => Replace::Never,
            Overwrite::Replace => Replace::Existing,
        };
        self.files(id, move |files| {
            files.rename(&from, &to, replace)?;
            let stat = files.stat(Some(&to))?;
            Ok(entry(Some(to), stat))
        })
        .await
    }

    /// Searches names and lines.
    ///
    /// # Errors
    /// `file_not_found`, `state_conflict`.
    pub async fn file_search(&self, id: SandboxId, params: SearchParams) -> Result<SearchResult> {
        let limits =
            SearchLimits { matches_max: params.limit.get() as usize, ..SearchLimits::default() };
        let spec = SearchSpec {
            under: params.path,
            name: params.name.map(String::into_bytes),
            text: params.text.map(String::into_bytes),
        };
        self.files(id, move |files| {
            let found = files.search(&spec, &limits)?;
            let items = found.matches.into_iter().map(|found| {
                let (line, text) = found.line.map(|(line, text)| (line, text.0)).unzip();
                SearchMatch {
                    path: found.path,
                    line,
                    text: text.map(|text| String::from_utf8_lossy(&text).into_owned()),
                }
            });
            Ok(SearchResult { items: items.collect(), is_truncated: found.is_truncated })
        })
        .await
    }

    /// Does `work` with the files of `id`, where a slow disk holds nobody up.
    async fn files<T: Send + 'static>(
        &self,
        id: SandboxId,
        work: impl FnOnce(&Files<'_>) -> Result<T, FilesError> + Send + 'static,
    ) -> Result<T> {
        let view = self.inner.view(id).await?;
        blocking(move || work(&Files::new(view.merged.as_fd(), view.owner))).await?.map_err(refusal)
    }
}

fn entry(path: Option<WorkspacePath>, stat: FileStat) -> FileEntry {
    FileEntry {
        path,
        kind: match stat.kind {
            files::FileKind::File => FileKind::File,
            files::FileKind::Directory => FileKind::Directory,
            files::FileKind::Symlink => FileKind::Symlink,
            files::FileKind::Special => FileKind::Special,
        },
        size_bytes: stat.size_bytes,
        mode: stat.mode,
        // A sandbox can set any time; one that no calendar has is shown as the beginning of time.
        modified_at: Timestamp::from_nanosecond(stat.mtime_ns.into())
            .unwrap_or(Timestamp::UNIX_EPOCH),
        target: stat.target,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "kinds of I/O errors are not ours, and grow")]
fn refusal(err: FilesError) -> Error {
    let message = err.to_string();
    match &err {
        FilesError::NotFound { .. } => Error::new(ErrorKind::NotFound, "file_not_found", message),
        FilesError::WrongKind { .. } => {
            Error::new(ErrorKind::Conflict, "file_type_conflict", message)
        }
        FilesError::Exists { .. } => Error::new(ErrorKind::Conflict, "file_exists", message),
        FilesError::NotEmpty { .. } => {
            Error::new(ErrorKind::Conflict, "directory_not_empty", message)
        }
        FilesError::TooMuch { .. } => Error::new(ErrorKind::LimitReached, "limit_reached", message),
        FilesError::Refused { .. } => Error::new(ErrorKind::Invalid, "invalid_path", message),
        FilesError::Stream(_) => {
            Error::new(ErrorKind::Invalid, "invalid_request", "the content ended early")
                .because(err)
        }
        FilesError::Io { source, .. } => match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::new(ErrorKind::Unavailable, "storage_full", message)
            }
            io::ErrorKind::CrossesDevices => {
                Error::new(ErrorKind::Conflict, "file_type_conflict", message)
                    .hint("copy the directory inside the sandbox, then remove the old one")
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Error::new(ErrorKind::Denied, "state_conflict", message).because(err)
            }
            _other => Error::internal(err),
        },
    }
}

/// Content on its way from a client to the thread that writes it.
struct Pieces {
    received: mpsc::Receiver<io::Result<Option<Vec<u8>>>>,
    rest: Vec<u8>,
    at: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.rest.len() {
            match self.received.blocking_recv() {
                Some(Ok(Some(piece))) => (self.rest, self.at) = (piece, 0),
                Some(Ok(None)) => return Ok(0),
                Some(Err(err)) => return Err(err),
                // The client went away: what came is not the whole.
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = buffer.len().min(self.rest.len() - self.at);
        buffer[..count].copy_from_slice(&self.rest[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

async fn send(
    mut content: impl AsyncRead + Unpin,
    pieces: mpsc::Sender<io::Result<Option<Vec<u8>>>>,
) {
    loop {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let read = (&mut content).take(PIECE_BYTES as u64).read_to_end(&mut piece).await;
        let (piece, is_last) = match read {
            Ok(0) => (Ok(None), true),
            Ok(_) => (Ok(Some(piece)), false),
            Err(err) => (Err(err), true),
        };
        // A writer that failed wants no more.
        if pieces.send(piece).await.is_err() || is_last {
            return;
        }
    }
}
