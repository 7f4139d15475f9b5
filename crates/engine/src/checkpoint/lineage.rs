//! Which checkpoint each was made after: what it needs of those before it, and what they leave it when they go.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, fs::symlink},
    },
    path::Path,
};

use sandbar_types::CheckpointId;
use sandbar_workspace::checkpoint::{CaptureError, hand_over, settle};

use super::place::{Place, failed, remove};

const AFTER: &str = "after";

impl Place {
    /// A checkpoint and those that it was made after, the newest first.
    pub(super) fn lineage(&self, id: CheckpointId) -> io::Result<Vec<CheckpointId>> {
        let mut found = vec![id];
        while let Some(last) = found.last()
            && let Some(after) = after(&self.checkpoint(*last))?
        {
            if found.contains(&after) {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "checkpoints in a circle"));
            }
            found.push(after);
        }
        Ok(found)
    }

    /// Removes a checkpoint: those that were made after it get what they need of it, then it goes out of sight, so that
    /// a crash leaves no half of one.
    pub(super) fn remove(&self, id: CheckpointId) -> Result<(), CaptureError> {
        if self.has(id) {
            for next in self.list().map_err(failed)? {
                if after(&self.checkpoint(next)).map_err(failed)? == Some(id) {
                    self.leave(id, next)?;
                }
            }
        }
        let gone = self.fresh(id);
        match fs::rename(self.checkpoint(id), &gone) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(failed(err)),
            Ok(()) | Err(_) => {}
        }
        remove(&gone).map_err(failed)
    }

    /// Gives `heir`, which was made after `id`, what it needs of it.
    fn leave(&self, id: CheckpointId, heir: CheckpointId) -> Result<(), CaptureError> {
        let open = |path| File::open(path).map_err(failed);
        let (from, to) = (open(self.held(id))?, open(self.held(heir))?);
        let manifest = self.manifest(heir).map_err(failed)?;
        hand_over(from.as_fd(), (to.as_fd(), &manifest))?;
        // INVARIANT: it is on the disk before the heir says that it needs the other one no longer.
        settle(&to).map_err(failed)?;
        let dir = self.checkpoint(heir);
        let moved = match after(&self.checkpoint(id)).map_err(failed)? {
            Some(before) => put_after(&dir, before),
            None => fs::remove_file(dir.join(AFTER)),
        };
        moved.and_then(|()| File::open(&dir)?.sync_all()).map_err(failed)
    }
}

/// Which checkpoint the one in `dir` was made after.
fn after(dir: &Path) -> io::Result<Option<CheckpointId>> {
    match fs::read_link(dir.join(AFTER)) {
        Ok(id) => {
            let id =
                std::str::from_utf8(id.as_os_str().as_bytes()).ok().and_then(|id| id.parse().ok());
            id.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(err) => Err(err),
    }
}

/// Says so of the checkpoint in `dir`: a link is one record of the file system, there or not, with nothing to write out.
pub(super) fn put_after(dir: &Path, after: CheckpointId) -> io::Result<()> {
    let fresh = dir.join("after.new");
    match fs::remove_file(&fresh) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
        Ok(()) | Err(_) => {}
    }
    symlink(after.to_string(), &fresh)?;
    fs::rename(fresh, dir.join(AFTER))
}

#[cfg(test)]
mod tests {
    use sandbar_runtime::SandboxDir;
    use sandbar_types::SandboxId;
    use sandbar_workspace::checkpoint::{Manifest, capture};

    use super::*;
    use crate::layout::Layout;

    /// Makes a checkpoint of the living layer after `last`.
    fn make(place: &Place, last: Option<CheckpointId>) -> CheckpointId {
        let id = CheckpointId::generate();
        let upper = File::open(place.living()).unwrap();
        let into = File::open(place.begin(id, last).unwrap()).unwrap();
        let manifest: Option<Manifest> = last.map(|last| place.manifest(last).unwrap());
        let captured = capture(upper.as_fd(), into.as_fd(), manifest.as_ref()).unwrap();
        place.finish(id, &captured).unwrap();
        id
    }

    fn text(place: &Place, id: CheckpointId) -> String {
        let view = place.view_dir().unwrap();
        let manifest = place.manifest(id).unwrap();
        let SandboxDir(assembled) = place.assemble((id, &manifest), None, &view).unwrap();
        let names = fs::read_dir(assembled.join("upper")).unwrap();
        let mut found: Vec<_> = names
            .map(|name| name.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                format!("{name}={}", fs::read_to_string(&path).unwrap())
            })
            .collect();
        found.sort_unstable();
        found.join(" ")
    }

    #[test]
    fn what_a_checkpoint_needs_of_one_that_goes_stays() {
        let data = tempfile::tempdir().unwrap();
        let place = Place::of(&Layout(data.path().to_owned()), SandboxId::generate());
        let living = place.living();
        fs::create_dir_all(&living).unwrap();
        fs::write(living.join("a"), "1").unwrap();
        fs::write(living.join("b"), "1").unwrap();
        let first = make(&place, None);
        fs::write(living.join("a"), "2").unwrap();
        let second = make(&place, Some(first));
        // Two after one, as when they are made at the same time.
        fs::remove_file(living.join("b")).unwrap();
        let [third, fourth] = [make(&place, Some(second)), make(&place, Some(second))];
        assert_eq!(place.lineage(third).unwrap(), [third, second, first]);
        place.remove(second).unwrap();
        place.remove(second).unwrap();
        assert_eq!(place.lineage(third).unwrap(), [third, first]);
        // Without a record the first one goes as well.
        place.sweep(&[third, fourth]).unwrap();
        for id in [third, fourth] {
            assert_eq!(place.lineage(id).unwrap(), [id]);
            assert_eq!(text(&place, id), "a=2");
        }
        let fifth = make(&place, Some(fourth));
        fs::rename(place.checkpoint(fourth), data.path().join("lost")).unwrap();
        let manifest = place.manifest(fifth).unwrap();
        let view = place.view_dir().unwrap();
        assert!(place.assemble((fifth, &manifest), None, &view).is_err());
    }
}
