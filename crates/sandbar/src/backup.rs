//! Backups, put together: archives know nothing of databases, and the command line of neither.

use std::{
    env,
    error::Error,
    fs::File,
    path::{Path, PathBuf},
};

use sandbar_backup::{
    CreateError, Existing, Manifest, RestoreError, RestoreParams, Source, Staging, VerifyError,
};
use sandbar_cli::{
    BackupRoles, BackupSummary, ExistingState, RestoreOptions, ServeFailure, ServeFailureKind,
};
use sandbar_store::{SnapshotContents, SnapshotError};

pub(crate) const ROLES: BackupRoles = BackupRoles { create, verify, restore };

/// Finishes a restore that was interrupted. Before anything else is read in a data directory.
pub(crate) fn recover(data_dir: &Path) -> Result<(), ServeFailure> {
    sandbar_backup::recover(data_dir).map_err(|error| {
        let hint =
            "free space or mend the disk, then start again; until then nothing of it is used";
        failure(ServeFailureKind::Unexpected, error).hinted(hint)
    })
}

fn create(data_dir: &Path, out: &File) -> Result<(), ServeFailure> {
    refuse_postgres()?;
    recover(data_dir)?;
    if !data_dir.join(sandbar_backup::DATABASE).exists() {
        let message = format!("there is no store in `{}`", data_dir.display());
        return Err(failure(ServeFailureKind::InUse, message)
            .hinted("say which data directory with --data-dir"));
    }
    let unusable = |error: std::io::Error| failure(ServeFailureKind::Unexpected, error);
    let staging = Staging::make(data_dir).map_err(unusable)?;
    let database = staging.database();
    let contents = block_on(sandbar_store_sqlite::snapshot_at_rest(data_dir, &database))?
        .map_err(|error| failure(ServeFailureKind::Unexpected, error))?;
    sandbar_backup::create(Source { data_dir, database: &database, contents: &contents }, out)
        .map(drop)
        .map_err(|error: CreateError| failure(ServeFailureKind::Unexpected, error))
}

fn verify(file: &Path) -> Result<BackupSummary, ServeFailure> {
    sandbar_backup::verify(file, &scratch(), &check)
        .map(|manifest| summary(manifest, None))
        .map_err(|error: VerifyError| failure(ServeFailureKind::Unexpected, error))
}

fn restore(options: RestoreOptions<'_>) -> Result<BackupSummary, ServeFailure> {
    refuse_postgres()?;
    let existing = match options.existing {
        ExistingState::Refuse => Existing::Refuse,
        ExistingState::MoveAside => Existing::MoveAside,
    };
    let params = RestoreParams {
        archive: options.file,
        data_dir: options.data_dir,
        existing,
        check: &check,
    };
    match sandbar_backup::restore(params) {
        Ok(restored) => Ok(summary(restored.manifest, restored.aside)),
        Err(error @ RestoreError::Existing { .. }) => {
            let hint = "`--replace` moves it to a directory beside it, and removes nothing";
            Err(failure(ServeFailureKind::InUse, error).hinted(hint))
        }
        Err(error @ RestoreError::Verify(_)) => Err(failure(ServeFailureKind::Unexpected, error)),
        Err(error @ RestoreError::DataDir { .. }) => {
            let hint = "the next start of the server finishes or undoes what was begun";
            Err(failure(ServeFailureKind::Unexpected, error).hinted(hint))
        }
    }
}

/// A directory that nobody can guess; whoever makes it refuses one that is there.
fn scratch() -> PathBuf {
    env::temp_dir().join(format!("sandbar-verify-{}", uuid::Uuid::new_v4().simple()))
}

fn check(database: &Path) -> Result<SnapshotContents, Box<dyn Error + Send + Sync>> {
    let looked =
        block_on(sandbar_store_sqlite::inspect(database)).map_err(|failed| failed.error)?;
    looked.map_err(|error: SnapshotError| error.into())
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, ServeFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failure(ServeFailureKind::Unexpected, error))?;
    Ok(runtime.block_on(work))
}

fn summary(manifest: Manifest, aside: Option<PathBuf>) -> BackupSummary {
    BackupSummary {
        version: manifest.version,
        schema: manifest.schema,
        rows: manifest.rows.values().sum(),
        files: manifest.entries.len(),
        aside,
    }
}

/// The file in the data directory is not what the server would use.
fn refuse_postgres() -> Result<(), ServeFailure> {
    if env::var_os("SANDBAR_STORE").is_none_or(|url| url.is_empty()) {
        return Ok(());
    }
    let error = "SANDBAR_STORE says that the store is in PostgreSQL, which has its own tools";
    Err(failure(ServeFailureKind::InUse, error).hinted(sandbar_store_postgres::BACKUP_HINT))
}

fn failure(kind: ServeFailureKind, error: impl Into<Box<dyn Error + Send + Sync>>) -> ServeFailure {
    ServeFailure { kind, error: error.into(), hint: None }
}

/// Adds what to do about it.
trait Hinted {
    fn hinted(self, hint: &str) -> Self;
}

impl Hinted for ServeFailure {
    fn hinted(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}
