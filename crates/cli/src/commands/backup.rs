//! `sandbar backup`: the server's own state in one file, and back.
//!
//! A server that runs is asked for it; the state of one that does not run is read, and changed, where it lies.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use http_body_util::BodyExt as _;
use hyper::Method;
use sandbar_api::paths;
use serde::Serialize;

use crate::{
    Global, Roles, ServeFailure,
    client::{Client, lost},
    commands::serve::{Claim, make_private},
    failure::{Code, Failure},
    output::{Output, units::counted},
    settings::{self, Endpoint},
};

/// Back up the server's own state into one file, verify such a file, or restore one.
///
/// In it are the database, the keys, the token, the configuration and the records of sandboxes; it is as secret as they are.
/// The files of sandboxes are not in it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar backup create state.sandbar-backup\n  sandbar backup verify state.sandbar-backup"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, clap::Subcommand)]
enum Chore {
    /// Write a backup, and verify it. The server may run, and nobody waits for it.
    #[command(after_help = "Example:\n  sandbar backup create /backups/sandbar-$(date +%F)")]
    Create {
        /// Where to; must not be there yet.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Check every hash of a backup, its database, and how many rows that has.
    #[command(after_help = "Example:\n  sandbar backup verify /backups/sandbar-2026-01-31")]
    Verify {
        /// The backup.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Verify a backup and put it into the data directory, all of it or nothing. The server must not run.
    #[command(
        after_help = "Example:\n  sandbar backup restore /backups/sandbar-2026-01-31 --replace"
    )]
    Restore {
        /// The backup.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Move the state that is there to a directory `replaced-N` of the data directory. Nothing is removed.
        #[arg(long)]
        replace: bool,
    },
}

/// What the binary does with backups, because this crate may not.
#[derive(Debug, Clone, Copy)]
pub struct BackupRoles {
    /// Writes a backup of a data directory that no server uses into an empty file.
    pub create: fn(&Path, &File) -> Result<(), ServeFailure>,
    /// Verifies a file.
    pub verify: fn(&Path) -> Result<BackupSummary, ServeFailure>,
    /// Restores a file into a data directory that no server uses.
    pub restore: fn(RestoreOptions<'_>) -> Result<BackupSummary, ServeFailure>,
}

/// What is restored, and where.
#[derive(Debug, Clone, Copy)]
pub struct RestoreOptions<'a> {
    /// The backup.
    pub file: &'a Path,
    /// The data directory.
    pub data_dir: &'a Path,
    /// What to do with the state that is there.
    pub existing: ExistingState,
}

/// What to do with the state that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingState {
    /// Refuse, and change nothing.
    Refuse,
    /// Move it aside.
    MoveAside,
}

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackupSummary {
    /// The version of Sandbar that wrote it.
    pub version: String,
    /// The last migration of the database.
    pub schema: i64,
    /// Rows of the database.
    pub rows: u64,
    /// Files, the database included.
    pub files: usize,
    /// Where what was there before a restore is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aside: Option<PathBuf>,
}

pub(crate) fn run(args: &Args, global: &Global, roles: Roles, out: Output) -> Result<u8, Failure> {
    let roles = roles.backup;
    let summary = match &args.chore {
        Chore::Create { file } => create(file, global, roles, out)?,
        Chore::Verify { file } => verified(roles, file)?,
        Chore::Restore { file, replace } => {
            let existing = if *replace { ExistingState::MoveAside } else { ExistingState::Refuse };
            restore(file, existing, global, roles)?
        }
    };
    if out.is_json() {
        out.json(&summary)?;
        return Ok(0);
    }
    let what = format!(
        "{}, {} rows, schema {}, written by sandbar {}",
        counted(summary.files, "file"),
        summary.rows,
        summary.schema,
        summary.version
    );
    match &args.chore {
        Chore::Create { file } => {
            out.say(&format!("wrote `{}`: {what}", file.display()));
            out.say(
                "the files of sandboxes are not in it; keep it as secret as the data directory",
            );
        }
        Chore::Verify { file } => out.say(&format!("`{}` is good: {what}", file.display())),
        Chore::Restore { .. } => {
            out.say(&format!("restored: {what}"));
            if let Some(aside) = &summary.aside {
                out.say(&format!("what was there before is in `{}`", aside.display()));
            }
        }
    }
    Ok(0)
}

fn verified(roles: BackupRoles, file: &Path) -> Result<BackupSummary, Failure> {
    (roles.verify)(file).map_err(|failed| failed.told(&format!("`{}` is not good", file.display())))
}

fn restore(
    file: &Path,
    existing: ExistingState,
    global: &Global,
    roles: BackupRoles,
) -> Result<BackupSummary, Failure> {
    if global.server.is_some() {
        return Err(Failure::usage("a backup is restored where it lies, not by a server")
            .hint("leave out --server and SANDBAR_SERVER, and say --data-dir"));
    }
    let data_dir = settings::resolve_data_dir(global.data_dir.as_deref())?;
    make_private(&data_dir)?;
    let claim = Claim::take(&data_dir).map_err(|failure| {
        failure.hint("stop the server first: a backup is restored without one")
    })?;
    let restored = (roles.restore)(RestoreOptions { file, data_dir: &data_dir, existing });
    claim.release();
    restored.map_err(|failed| failed.told("nothing was restored"))
}

fn create(
    file: &Path,
    global: &Global,
    roles: BackupRoles,
    out: Output,
) -> Result<BackupSummary, Failure> {
    if file.symlink_metadata().is_ok() {
        return Err(Failure::new(Code::Refused, format!("`{}` is there already", file.display()))
            .hint("a backup replaces nothing: choose another name"));
    }
    let beside = Beside::make(file)?;
    match claim(global)? {
        Some((data_dir, claim)) => {
            let written = (roles.create)(&data_dir, &beside.file);
            claim.release();
            written.map_err(|failed| failed.told("there is no backup"))?;
        }
        None => fetch(&beside, global, out)?,
    }
    beside.file.sync_all().map_err(|error| unwritable(file, &error))?;
    // What arrived, not what was sent.
    let summary = verified(roles, &beside.path)?;
    beside.keep(file)?;
    Ok(summary)
}

/// Keeps servers away from a data directory that none uses; `None`: one runs, or another one is meant.
fn claim(global: &Global) -> Result<Option<(PathBuf, Claim)>, Failure> {
    if global.server.is_some() {
        return Ok(None);
    }
    let data_dir = settings::resolve_data_dir(global.data_dir.as_deref())?;
    if !data_dir.is_dir() {
        let message = format!("there is no data directory `{}`", data_dir.display());
        return Err(Failure::not_found(message).hint("say which one with --data-dir"));
    }
    match Claim::take(&data_dir) {
        Ok(claim) => Ok(Some((data_dir, claim))),
        Err(failure) if failure.code() == Code::Refused => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn fetch(beside: &Beside, global: &Global, out: Output) -> Result<(), Failure> {
    let endpoint = Endpoint::parse(
        global.server.as_deref(),
        global.data_dir.as_deref(),
        settings::token_from_environment(),
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unexpected("cannot start").caused_by(&error))?;
    runtime.block_on(async {
        let mut client = Client::new(endpoint, out);
        let response =
            out.during("backing up", client.send(Method::POST, paths::BACKUP, None)).await?;
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| lost("the backup was cut off").caused_by(&error))?;
            if let Ok(data) = frame.into_data() {
                let written = (&beside.file).write_all(&data);
                written.map_err(|error| unwritable(&beside.path, &error))?;
            }
        }
        Ok(())
    })
}

/// A file beside the one that it becomes; removed, unless it does.
struct Beside {
    path: PathBuf,
    file: File,
}

impl Beside {
    fn make(target: &Path) -> Result<Self, Failure> {
        let Some(name) = target.file_name() else {
            return Err(Failure::usage(format!("`{}` names no file", target.display())));
        };
        let mut beside = OsString::from(".");
        beside.push(name);
        beside.push(format!(".{}.new", std::process::id()));
        let path = target.with_file_name(beside);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|error| unwritable(&path, &error))?;
        Ok(Self { path, file })
    }

    fn keep(self, target: &Path) -> Result<(), Failure> {
        let kept = || {
            fs::rename(&self.path, target)?;
            let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
        };
        kept().map_err(|error| unwritable(target, &error))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It is not there any more where it was kept.
        fs::remove_file(&self.path).ok();
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::unexpected(format!("cannot write `{}`", path.display())).caused_by(error)
}
