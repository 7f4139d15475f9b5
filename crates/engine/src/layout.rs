//! Where things are below the data directory, and how they are made and removed.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use sandbar_runtime::SandboxDir;
use sandbar_types::{ExecId, ProcessName, SandboxId, TaskId};
use serde::{Serialize, de::DeserializeOwned};

/// What one sandbox has below its directory; the runtime gives `upper`, `work` and `home` their owner.
const PARTS: [&str; 5] = ["upper", "work", "home", "logs", "run"];

/// The data directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout(pub(crate) PathBuf);

impl Layout {
    /// Makes what every server needs.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        let own = [self.sandboxes(), self.trash(), self.journal(), self.forks(), self.tasks()];
        for dir in std::iter::once(self.0.clone()).chain(own) {
            make_dir(&dir)?;
        }
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700))
    }

    /// Takes the data directory for this process until the file is closed, even by a crash; `None`: another one has it.
    pub(crate) fn lock(&self) -> io::Result<Option<File>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(err)) => Err(err),
        }
    }

    pub(crate) fn sandboxes(&self) -> PathBuf {
        self.0.join("sandboxes")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.0.join("trash")
    }

    fn tasks(&self) -> PathBuf {
        self.0.join("tasks")
    }

    /// The directory of a task. Not in that of its sandbox, which it outlives.
    pub(crate) fn task(&self, id: TaskId) -> PathBuf {
        self.tasks().join(id.to_string())
    }

    /// Tasks that have a directory, those that are recorded nowhere included.
    pub(crate) fn task_list(&self) -> io::Result<Vec<TaskId>> {
        list(&self.tasks())
    }

    fn forks(&self) -> PathBuf {
        self.0.join("checks")
    }

    /// The directory of a throw-away copy of a sandbox; never among those of sandboxes.
    pub(crate) fn fork(&self, id: SandboxId) -> SandboxDir {
        SandboxDir(self.forks().join(id.to_string()))
    }

    pub(crate) fn sandbox(&self, id: SandboxId) -> SandboxDir {
        SandboxDir(self.sandboxes().join(id.to_string()))
    }

    /// Makes the directories of a sandbox; those that are there stay as they are.
    pub(crate) fn sandbox_prepare(&self, id: SandboxId) -> io::Result<()> {
        prepare(&self.sandbox(id))
    }

    /// As [`Self::sandbox_prepare`], for a copy.
    pub(crate) fn fork_prepare(&self, id: SandboxId) -> io::Result<()> {
        prepare(&self.fork(id))
    }

    pub(crate) fn fork_list(&self) -> io::Result<Vec<SandboxId>> {
        list(&self.forks())
    }

    /// Moves the directory of a copy out of sight at once.
    pub(crate) fn fork_discard(&self, id: SandboxId) -> io::Result<()> {
        self.discard(&self.fork(id), id).map(drop)
    }

    pub(crate) fn fork_log(&self, id: SandboxId, exec: ExecId) -> PathBuf {
        log(&self.fork(id), exec)
    }

    /// As [`Self::log_create`], in a copy.
    pub(crate) fn fork_log_create(&self, id: SandboxId, exec: ExecId) -> io::Result<File> {
        create_log(&self.fork_log(id, exec))
    }

    /// Writes what is enough to know a sandbox again when the database is lost.
    pub(crate) fn record_write(&self, id: SandboxId, record: &impl Serialize) -> io::Result<()> {
        write_whole(&self.sandbox(id).0, "record.json", record)
    }

    /// Makes the log of an exec. It must be new: a link or a file that is there is somebody else's.
    pub(crate) fn log_create(&self, id: SandboxId, exec: ExecId) -> io::Result<File> {
        create_log(&self.log(id, exec))
    }

    /// Opens the log of an exec for reading.
    pub(crate) fn log_open(&self, id: SandboxId, exec: ExecId) -> io::Result<File> {
        File::open(self.log(id, exec))
    }

    /// What the log of an exec holds on disk; `None` where there is none.
    pub(crate) fn log_bytes(&self, id: SandboxId, exec: ExecId) -> Option<u64> {
        use std::os::unix::fs::MetadataExt;
        Some(fs::metadata(self.log(id, exec)).ok()?.blocks() * 512)
    }

    pub(crate) fn log_remove(&self, id: SandboxId, exec: ExecId) -> io::Result<()> {
        fs::remove_file(self.log(id, exec))
    }

    /// Opens the log of a process for going on with it, an empty one where there is none.
    pub(crate) fn process_log_open(&self, id: SandboxId, name: &ProcessName) -> io::Result<File> {
        let path = self.process_log(id, name);
        if let Some(parent) = path.parent() {
            make_dir(parent)?;
        }
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    }

    /// Opens the log of a process for reading.
    pub(crate) fn process_log_read(&self, id: SandboxId, name: &ProcessName) -> io::Result<File> {
        File::open(self.process_log(id, name))
    }

    fn process_log(&self, id: SandboxId, name: &ProcessName) -> PathBuf {
        self.sandbox(id).0.join("logs").join("processes").join(format!("{name}.log"))
    }

    /// Keeps what the app of a sandbox is, for the next server.
    pub(crate) fn app_write(&self, id: SandboxId, app: &impl Serialize) -> io::Result<()> {
        write_whole(&self.sandbox(id).0, "app.json", app)
    }

    /// What was kept of the app of a sandbox; `None`: nothing, or nothing that this version reads.
    pub(crate) fn app_read<T: DeserializeOwned>(&self, id: SandboxId) -> Option<T> {
        let text = fs::read(self.sandbox(id).0.join("app.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn log(&self, id: SandboxId, exec: ExecId) -> PathBuf {
        log(&self.sandbox(id), exec)
    }

    /// Moves the directory of a sandbox out of sight at once; `None` when there is none.
    pub(crate) fn sandbox_discard(&self, id: SandboxId) -> io::Result<Option<PathBuf>> {
        self.discard(&self.sandbox(id), id)
    }

    fn discard(&self, SandboxDir(dir): &SandboxDir, id: SandboxId) -> io::Result<Option<PathBuf>> {
        for number in 0_u32.. {
            let target = self.trash().join(format!("{id}-{number}"));
            if target.try_exists()? {
                continue;
            }
            return match fs::rename(dir, &target) {
                Ok(()) => Ok(Some(target)),
                Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(err) => Err(err),
            };
        }
        Ok(None)
    }

    /// Lists what lies in the trash.
    pub(crate) fn trash_list(&self) -> io::Result<Vec<PathBuf>> {
        fs::read_dir(self.trash())?.map(|entry| Ok(entry?.path())).collect()
    }

    /// Lists directories of sandboxes, whether or not they are recorded.
    pub(crate) fn sandbox_list(&self) -> io::Result<Vec<SandboxId>> {
        list(&self.sandboxes())
    }
}

fn prepare(SandboxDir(dir): &SandboxDir) -> io::Result<()> {
    make_limited_dir(dir)?;
    // What the server writes for a sandbox does not count for it.
    make_limited_dir(&dir.join("logs"))?;
    PARTS.iter().try_for_each(|part| make_dir(&dir.join(part)))
}

/// Makes a directory that the file system can limit by itself, where it can.
fn make_limited_dir(path: &Path) -> io::Result<()> {
    match sandbar_runtime::native::disk::make_directory(path) {
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        made => made,
    }
}

fn list<T: std::str::FromStr + Ord>(dir: &Path) -> io::Result<Vec<T>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.push(id);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn log(SandboxDir(dir): &SandboxDir, exec: ExecId) -> PathBuf {
    dir.join("logs").join(format!("{exec}.log"))
}

fn create_log(path: &Path) -> io::Result<File> {
    // `O_EXCL` follows no link, see open(2).
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Writes a file beside the one that it replaces.
fn write_whole(dir: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    let fresh = dir.join(format!("{name}.new"));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&serde_json::to_vec_pretty(value)?)?;
    // Not synced: the database is what counts, and it is.
    fs::rename(fresh, dir.join(name))
}

fn make_dir(path: &Path) -> io::Result<()> {
    let parents = path.parent().filter(|parent| !parent.exists());
    if let Some(parent) = parents {
        make_dir(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(err) if err.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(err) => Err(err),
    }
}

/// Removes a tree of the trash. The standard library walks by descriptors and follows no link; directories without
/// permissions, which a sandbox can leave, are opened up on the way.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        done => done,
    }
}

fn open_up(path: &Path) -> io::Result<()> {
    let mut pending = vec![path.to_owned()];
    while let Some(dir) = pending.pop() {
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Names this boot of the host; another one means that nothing of before runs.
pub(crate) fn boot_id() -> io::Result<String> {
    let mut text = String::new();
    File::open("/proc/sys/kernel/random/boot_id")?.read_to_string(&mut text)?;
    Ok(text.trim().to_owned())
}
