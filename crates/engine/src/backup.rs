//! A backup of the server's own state, while it runs.

use std::{
    fs::File,
    io::{self, Seek as _},
};

use sandbar_backup::{CreateError, Source, Staging};
use sandbar_store::SnapshotError;

use crate::{Engine, Error, ErrorKind, Result, workspace_view::blocking};

impl Engine {
    /// Writes a backup: the database as it is now, the keys, the configuration, the records beside sandboxes. Not their
    /// files. Everybody else goes on meanwhile; another backup waits. The file has no name, and is gone when it is closed.
    ///
    /// # Errors
    /// The store is backed up by tools of its own, is damaged, or there is no space.
    pub async fn backup(&self) -> Result<File> {
        let _turn = self.inner.backing_up.lock().await;
        let data_dir = self.inner.config.data_dir.clone();
        let staging = {
            let data_dir = data_dir.clone();
            blocking(move || Staging::make(&data_dir)).await?.map_err(unwritable)?
        };
        let database = staging.database();
        let contents = self.inner.store.snapshot(&database).await.map_err(not_copied)?;
        blocking(move || {
            let mut archive = staging.archive().map_err(unwritable)?;
            let source = Source { data_dir: &data_dir, database: &database, contents: &contents };
            sandbar_backup::create(source, &archive).map_err(|err| match err {
                CreateError::Write(source) => unwritable(source),
                CreateError::Read { .. } => Error::internal(err),
            })?;
            archive.rewind().map_err(Error::internal)?;
            Ok(archive)
        })
        .await?
    }
}

fn unwritable(source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::StorageFull {
        let message = "the disk of the data directory has no space for a backup";
        return Error::new(ErrorKind::Unavailable, "storage_full", message).because(source);
    }
    Error::internal(source)
}

fn not_copied(error: SnapshotError) -> Error {
    match error {
        SnapshotError::Unsupported { ref hint } => {
            let hint = hint.clone();
            Error::new(ErrorKind::Denied, "backup_unsupported", error.to_string()).hint(hint)
        }
        // Only who runs the server asks for a backup, and has to know.
        SnapshotError::Corrupt { ref finding } => {
            let message = format!("the copy of the database is damaged: {finding}");
            Error::new(ErrorKind::Internal, "internal", message).because(error)
        }
        SnapshotError::Failed(_) => Error::internal(error),
    }
}
