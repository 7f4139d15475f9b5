//! An overlay that is in no mount table: it lives as long as its descriptor.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen,
    },
};
use sandbar_types::{Change, ChangeSet, WorkspacePath};
use sandbar_workspace::{
    Base, ChangeLimits, Layers, OverlayMarks, Point, changes,
    checkpoint::{Captured, Manifest, Paths, assemble, capture, write_out},
};

/// A source with a workspace on it.
pub(crate) struct Overlay {
    dir: tempfile::TempDir,
    merged: OwnedFd,
    upper: OwnedFd,
    lower: OwnedFd,
    marks: OverlayMarks,
    pub(crate) base: Base,
}

impl Overlay {
    /// Makes a source with `fill`, remembers it, and puts a workspace on it.
    pub(crate) fn new(fill: impl FnOnce(&Path)) -> Self {
        Self::with(OverlayMarks::Trusted, fill)
    }

    pub(crate) fn with(marks: OverlayMarks, fill: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["source", "upper", "work"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fill(&dir.path().join("source"));
        let (merged, created_ns) = mount(dir.path(), marks);
        let open = |name: &str| directory(&dir.path().join(name));
        Self {
            merged,
            upper: open("upper"),
            lower: open("source"),
            marks,
            base: Base { created_ns, ..Base::default() },
            dir,
        }
    }

    /// The source, for edits of the host.
    pub(crate) fn source(&self) -> PathBuf {
        self.dir.path().join("source")
    }

    /// A directory next to it, for copies.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The workspace, for edits of the sandbox.
    pub(crate) fn inside(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.merged.as_raw_fd()))
    }

    pub(crate) fn layers(&self) -> Layers<'_> {
        Layers {
            merged: self.merged.as_fd(),
            upper: self.upper.as_fd(),
            lower: Some(self.lower.as_fd()),
            marks: self.marks,
        }
    }

    /// Captures the workspace as it is, beside it, and puts the capture together.
    pub(crate) fn checkpoint(&self, name: &str, previous: Option<&Taken>) -> Taken {
        let dir = self.beside(name);
        fs::create_dir_all(dir.join("held")).unwrap();
        let own = directory(&dir.join("held"));
        let manifest = previous.map(|before| &before.captured.manifest);
        write_out(self.upper.as_fd(), manifest);
        let captured = capture(self.upper.as_fd(), own.as_fd(), manifest).unwrap();
        let mut held = vec![own];
        held.extend(
            previous.iter().flat_map(|before| &before.held).map(|held| held.try_clone().unwrap()),
        );
        let assembled = self.assembled(name, (&captured.manifest, None), &held);
        Taken { captured, held, assembled }
    }

    /// Puts a capture together, or what is wanted of it, of what it and those before it hold, in the directory `name`.
    pub(crate) fn assembled(
        &self,
        name: &str,
        (manifest, wanted): (&Manifest, Option<&Paths>),
        held: &[OwnedFd],
    ) -> Assembled {
        let dir = self.beside(name);
        for part in ["layer", "upper", "work"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        let layer = directory(&dir.join("layer"));
        let held: Vec<_> = held.iter().map(AsFd::as_fd).collect();
        assemble(manifest, wanted, &held, layer.as_fd()).unwrap();
        let lowers = format!("{}:{}", dir.join("layer").display(), self.source().display());
        let merged = stack(&lowers, &dir.join("upper"), self.marks);
        Assembled { layer, merged }
    }

    pub(crate) fn point(&self) -> Point<'_> {
        Point { merged: self.merged.as_fd(), upper: self.upper.as_fd() }
    }

    pub(crate) fn marks(&self) -> OverlayMarks {
        self.marks
    }

    pub(crate) fn changes(&self) -> ChangeSet {
        changes(&self.layers(), &self.base, &ChangeLimits::default()).unwrap()
    }
}

/// A checkpoint with a view of it.
pub(crate) struct Taken {
    pub(crate) captured: Captured,
    /// What it holds, and what those before it hold.
    pub(crate) held: Vec<OwnedFd>,
    assembled: Assembled,
}

impl std::ops::Deref for Taken {
    type Target = Assembled;

    fn deref(&self) -> &Assembled {
        &self.assembled
    }
}

/// A layer that was put together, with a view of it.
pub(crate) struct Assembled {
    pub(crate) layer: OwnedFd,
    merged: OwnedFd,
}

impl Assembled {
    pub(crate) fn point(&self) -> Point<'_> {
        Point { merged: self.merged.as_fd(), upper: self.layer.as_fd() }
    }

    pub(crate) fn inside(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.merged.as_raw_fd()))
    }
}

/// Mounts, and says when, by the clock of the file system.
fn mount(dir: &Path, marks: OverlayMarks) -> (OwnedFd, i64) {
    let top = stack(&dir.join("source").display().to_string(), &dir.join("upper"), marks);
    (top, clock(dir))
}

/// Mounts `upper`, with a work directory beside it, over `lowers`, which are separated by colons.
fn stack(lowers: &str, upper: &Path, marks: OverlayMarks) -> OwnedFd {
    let config = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    let work = upper.parent().unwrap().join("work");
    fsconfig_set_string(config.as_fd(), "lowerdir", lowers).unwrap();
    fsconfig_set_string(config.as_fd(), "upperdir", upper).unwrap();
    fsconfig_set_string(config.as_fd(), "workdir", work.as_path()).unwrap();
    for (key, value) in [("metacopy", "off"), ("index", "off"), ("xino", "auto")] {
        fsconfig_set_string(config.as_fd(), key, value).unwrap();
    }
    match marks {
        OverlayMarks::Trusted => {
            fsconfig_set_string(config.as_fd(), "redirect_dir", "on").unwrap();
        }
        OverlayMarks::User => fsconfig_set_flag(config.as_fd(), "userxattr").unwrap(),
    }
    fsconfig_create(config.as_fd()).unwrap();
    let mount =
        fsmount(config.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
    rustix::fs::openat(&mount, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap()
}

/// The time as the file system of `dir` stamps it, once it is sure to have moved on.
pub(crate) fn clock(dir: &Path) -> i64 {
    use std::os::unix::fs::MetadataExt;
    let file = tempfile::NamedTempFile::new_in(dir).unwrap();
    let now = |round: u32| {
        fs::write(file.path(), round.to_string()).unwrap();
        let meta = fs::metadata(file.path()).unwrap();
        meta.ctime() * 1_000_000_000 + meta.ctime_nsec()
    };
    let first = now(0);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
    for round in 1.. {
        let later = now(round);
        if later > first {
            return first;
        }
        assert!(std::time::Instant::now() < deadline, "the clock stands still");
    }
    unreachable!()
}

fn directory(path: &Path) -> OwnedFd {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .unwrap()
}

pub(crate) fn path(text: impl AsRef<[u8]>) -> WorkspacePath {
    WorkspacePath::parse(text).unwrap()
}

/// The change at `at`.
pub(crate) fn at<'a>(set: &'a ChangeSet, at: &str) -> &'a Change {
    let found = set.changes.iter().find(|change| change.path == path(at));
    found.unwrap_or_else(|| panic!("no change at {at}: {set:#?}"))
}

/// The paths that changed, as text.
pub(crate) fn paths(set: &ChangeSet) -> Vec<String> {
    set.changes.iter().map(|c| c.path.to_string()).collect()
}
