//! Where the files of checkpoints are.
//!
//! ```text
//! <data>/sandboxes/<id>/checkpoints/
//!   cp_…/held       what it has otherwise than the checkpoint that it was made after
//!   cp_…/manifest   what its layer consists of
//!   cp_…/after      a link that names that checkpoint; absent for one that holds its whole layer
//!   cp_….new/       being made, being removed, or torn
//!   views/…/        a layer put together, and what its mount needs, as long as somebody looks
//!   intent.json     a restore or a revert that is under way
//! ```

use std::{
    fs::{self, DirBuilder, File},
    io::{self, BufReader, Write},
    os::{fd::AsFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use sandbar_runtime::SandboxDir;
use sandbar_types::{CheckpointId, SandboxId};
use sandbar_workspace::checkpoint::{
    CaptureError, Captured, Log, Manifest, Paths, assemble, make_durable, save,
};

use super::{intent::Intent, lineage};
use crate::layout::{Layout, remove_tree};

const INTENT: &str = "intent.json";
const VIEWS: &str = "views";

/// The checkpoints of one sandbox.
#[derive(Debug, Clone)]
pub(super) struct Place {
    sandbox: PathBuf,
    dir: PathBuf,
}

impl Place {
    pub(super) fn of(layout: &Layout, id: SandboxId) -> Self {
        let sandbox = layout.sandbox(id).0;
        Self { dir: sandbox.join("checkpoints"), sandbox }
    }

    /// The living layer.
    pub(super) fn living(&self) -> PathBuf {
        self.sandbox.join("upper")
    }

    pub(super) fn checkpoint(&self, id: CheckpointId) -> PathBuf {
        self.dir.join(id.to_string())
    }

    pub(super) fn held(&self, id: CheckpointId) -> PathBuf {
        self.checkpoint(id).join("held")
    }

    /// Whether its files are there.
    pub(super) fn has(&self, id: CheckpointId) -> bool {
        self.held(id).is_dir()
    }

    pub(super) fn fresh(&self, id: CheckpointId) -> PathBuf {
        self.dir.join(format!("{id}.new"))
    }

    /// Makes the directory of a new checkpoint beside where it will be, and returns that of what it holds.
    pub(super) fn begin(
        &self,
        id: CheckpointId,
        after: Option<CheckpointId>,
    ) -> io::Result<PathBuf> {
        // By itself on btrfs: what is kept of the past does not count for what the sandbox holds now.
        match sandbar_runtime::native::disk::make_directory(&self.dir) {
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => return Err(err),
            Ok(()) | Err(_) => {}
        }
        let fresh = self.fresh(id);
        let held = fresh.join("held");
        DirBuilder::new().mode(0o700).recursive(true).create(&held)?;
        if let Some(after) = after {
            lineage::put_after(&fresh, after)?;
        }
        Ok(held)
    }

    /// Brings a checkpoint to the disk, and gives it its name; returns the bytes of its manifest.
    pub(super) fn finish(
        &self,
        id: CheckpointId,
        captured: &Captured,
    ) -> Result<u64, CaptureError> {
        let held = File::open(self.fresh(id).join("held")).map_err(failed)?;
        let log = Log::of(&held).map_err(failed)?;
        make_durable(held.as_fd(), captured, log)?;
        self.name(id, &captured.manifest, log).map_err(failed)
    }

    fn name(&self, id: CheckpointId, manifest: &Manifest, log: Log) -> io::Result<u64> {
        let fresh = self.fresh(id);
        let file = File::create_new(fresh.join("manifest"))?;
        save(manifest, &file, log)?;
        if log == Log::Each {
            File::open(&fresh)?.sync_all()?;
        }
        fs::rename(fresh, self.checkpoint(id))?;
        log.wait(&File::open(&self.dir)?)?;
        Ok(file.metadata()?.len())
    }

    /// Removes what was begun and will not be finished.
    pub(super) fn give_up(&self, id: CheckpointId) -> io::Result<()> {
        remove(&self.fresh(id))
    }

    /// What the layer of a checkpoint consists of.
    pub(super) fn manifest(&self, id: CheckpointId) -> io::Result<Manifest> {
        Manifest::read(BufReader::new(File::open(self.checkpoint(id).join("manifest"))?))
    }

    /// Puts the layer of a checkpoint, which consists of `manifest`, together in a directory of `view`, or what is
    /// `wanted` of it.
    pub(super) fn assemble(
        &self,
        (id, manifest): (CheckpointId, &Manifest),
        wanted: Option<&Paths>,
        view: &SandboxDir,
    ) -> Result<SandboxDir, CaptureError> {
        let before = self.lineage(id).map_err(failed)?;
        let opened = before.iter().map(|id| File::open(self.held(*id)));
        let held: Vec<_> = opened.collect::<io::Result<_>>().map_err(failed)?;
        let held: Vec<_> = held.iter().map(AsFd::as_fd).collect();
        let assembled = SandboxDir(view.0.join("layer"));
        let upper = assembled.0.join("upper");
        DirBuilder::new().mode(0o700).recursive(true).create(&upper).map_err(failed)?;
        let upper = File::open(upper).map_err(failed)?;
        assemble(manifest, wanted, &held, upper.as_fd())?;
        Ok(assembled)
    }

    /// A directory for one view.
    pub(super) fn view_dir(&self) -> io::Result<SandboxDir> {
        let views = self.dir.join(VIEWS);
        DirBuilder::new().mode(0o700).recursive(true).create(&views)?;
        Ok(SandboxDir(views.join(SandboxId::generate().to_string())))
    }

    /// Which checkpoints have files.
    pub(super) fn list(&self) -> io::Result<Vec<CheckpointId>> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(err) => return Err(err),
        };
        let mut found = Vec::new();
        for entry in entries {
            if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
                found.push(id);
            }
        }
        Ok(found)
    }

    /// Removes what a server that was killed left: what was being made or removed, views, and what is not among `known`.
    /// Says which are left.
    pub(super) fn sweep(&self, known: &[CheckpointId]) -> Result<Vec<CheckpointId>, CaptureError> {
        self.sweep_torn().map_err(failed)?;
        let (kept, unknown): (Vec<_>, Vec<_>) =
            self.list().map_err(failed)?.into_iter().partition(|id| known.contains(id));
        unknown.into_iter().try_for_each(|id| self.remove(id))?;
        Ok(kept)
    }

    fn sweep_torn(&self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(err) => return Err(err),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let is_kept = name == INTENT || name.parse::<CheckpointId>().is_ok();
            if !is_kept {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// What was under way; `None`: nothing.
    pub(super) fn intent(&self) -> io::Result<Option<Intent>> {
        match fs::read(self.dir.join(INTENT)) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// Writes what is about to be done, so that it is done whatever happens.
    pub(super) fn intend(&self, intent: &Intent) -> io::Result<()> {
        let fresh = self.dir.join("intent.new");
        let mut file = File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(intent)?)?;
        file.sync_all()?;
        fs::rename(fresh, self.dir.join(INTENT))?;
        File::open(&self.dir)?.sync_all()
    }

    /// It is done.
    pub(super) fn intended(&self) -> io::Result<()> {
        match fs::remove_file(self.dir.join(INTENT)) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
            Ok(()) | Err(_) => File::open(&self.dir)?.sync_all(),
        }
    }
}

/// What failed was no single path of a layer.
pub(super) fn failed(source: io::Error) -> CaptureError {
    CaptureError { path: ".".to_owned(), source }
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => remove_tree(path),
        Ok(_) => fs::remove_file(path),
        Err(err) => Err(err),
    };
    match removed {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_torn_goes_and_what_is_known_stays() {
        let data = tempfile::tempdir().unwrap();
        let id = SandboxId::generate();
        let place = Place::of(&Layout(data.path().to_owned()), id);
        assert_eq!(place.sweep(&[]).unwrap(), []);
        DirBuilder::new()
            .recursive(true)
            .create(data.path().join("sandboxes").join(id.to_string()))
            .unwrap();
        let [kept, stray, torn, gone] = std::array::from_fn(|_| CheckpointId::generate());
        for id in [kept, stray, torn, gone] {
            fs::write(place.begin(id, None).unwrap().join("file"), "x").unwrap();
        }
        for id in [kept, stray, gone] {
            place.finish(id, &Captured::default()).unwrap();
        }
        place.remove(gone).unwrap();
        place.remove(gone).unwrap();
        fs::create_dir_all(place.view_dir().unwrap().0.join("work")).unwrap();
        let intent = Intent::Restore { to: kept, kept };
        place.intend(&intent).unwrap();
        assert_eq!(place.sweep(&[kept]).unwrap(), [kept]);
        assert_eq!(place.list().unwrap(), [kept]);
        assert_eq!(fs::read_dir(&place.dir).unwrap().count(), 2);
        assert_eq!(place.manifest(kept).unwrap(), Manifest::default());
        assert_eq!(place.intent().unwrap(), Some(intent));
        place.intended().unwrap();
        place.intended().unwrap();
        assert_eq!(place.intent().unwrap(), None);
    }
}
