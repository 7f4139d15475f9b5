//! Directories of a workspace as tar archives, in both directions, never whole in memory.

use std::{
    io::{self, BufWriter, Write},
    os::fd::AsFd,
};

use sandbar_types::{SandboxId, WorkspacePath};
use sandbar_workspace::files::{ArchiveLimits, ExtractLimits, Files};
use tokio::{io::AsyncRead, sync::mpsc};

use super::{PIECE_BYTES, PIECES_MAX, Pieces, send};
use crate::{Engine, Result, workspace_view::blocking};

/// LIMIT: entries of one archive.
const ENTRIES_MAX: u64 = 1_000_000;
/// LIMIT: bytes of content of an archive that is read out of a workspace, holes included.
const BYTES_MAX: u64 = 64 << 30;
/// LIMIT: bytes that headers and long names of an archive add to its content.
const HEADERS_MAX: u64 = 2 << 30;

/// A tar archive that is being made.
#[derive(Debug)]
pub struct FileArchive {
    /// Its bytes, in order. An error is the last: what came before it is no whole archive.
    pub pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
}

/// What an archive made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extracted {
    /// Files, directories and links.
    pub entries: u64,
    /// Bytes of content.
    pub bytes: u64,
}

impl Engine {
    /// Reads what is at `path`, the whole workspace where it is `None`, as a tar archive: links as links, without
    /// owners, fifos, sockets and devices. Dropping it ends the work.
    ///
    /// # Errors
    /// `file_not_found`, `state_conflict`, `sandbox_not_found`; what fails later ends the pieces with an error.
    pub async fn file_archive(
        &self,
        id: SandboxId,
        path: Option<WorkspacePath>,
    ) -> Result<FileArchive> {
        let looked = path.clone();
        self.files(id, move |files| files.stat(looked.as_ref())).await?;
        let view = self.inner.view(id).await?;
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        self.inner.tasks.spawn(async move {
            let made = blocking(move || {
                let mut out = BufWriter::with_capacity(PIECE_BYTES, PieceWriter(sender.clone()));
                let limits = ArchiveLimits { entries_max: ENTRIES_MAX, bytes_max: BYTES_MAX };
                let files = Files::new(view.merged.as_fd(), view.owner);
                let made = files.archive(path.as_ref(), &mut out, &limits);
                let made = made.map(drop).map_err(io::Error::other).and_then(|()| out.flush());
                if let Err(error) = made {
                    // A reader that is gone is why it failed, and wants to hear nothing.
                    drop(sender.blocking_send(Err(error)));
                }
            });
            drop(made.await);
        });
        Ok(FileArchive { pieces })
    }

    /// Unpacks a tar archive into the directory `path`, which is made if it is missing. Each file appears whole; what
    /// came before a refused entry stays. Setuid bits and owners are dropped.
    ///
    /// # Errors
    /// `invalid_path` for an entry that would leave the directory, `limit_reached`, `file_type_conflict`,
    /// `storage_full`, `invalid_request` for an archive that ends early, `state_conflict`.
    pub async fn file_extract(
        &self,
        id: SandboxId,
        path: Option<WorkspacePath>,
        archive: impl AsyncRead + Send + Unpin,
    ) -> Result<Extracted> {
        let bytes_max = self.inner.actor(id)?.row().spec.limits.disk_bytes_max;
        let limits = ExtractLimits {
            entries_max: ENTRIES_MAX,
            bytes_max,
            archive_bytes_max: bytes_max.saturating_add(HEADERS_MAX),
        };
        let (pieces, received) = mpsc::channel(PIECES_MAX);
        let made = self.files(id, move |files| {
            let mut input = Pieces { received, rest: Vec::new(), at: 0 };
            files.extract(path.as_ref(), &mut input, &limits)
        });
        let (made, ()) = tokio::join!(made, send(archive, pieces));
        made.map(|made| Extracted { entries: made.entries, bytes: made.bytes })
    }
}

/// The thread that makes an archive waits here for whoever reads it.
struct PieceWriter(mpsc::Sender<io::Result<Vec<u8>>>);

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(bytes.to_vec()));
        sent.map_err(|_gone| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
