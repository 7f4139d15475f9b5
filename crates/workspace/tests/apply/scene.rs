//! A source, a workspace and a journal in a directory, and an independent comparison of two trees.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File, Permissions},
    os::{
        fd::AsFd,
        unix::{
            ffi::OsStrExt,
            fs::{MetadataExt, PermissionsExt, symlink},
        },
    },
    path::{Path, PathBuf},
};

use sandbar_types::{
    ApproveId, Change, ChangeKind, ChangeSet, Confirmed, DiffId, Entry, LinkTarget, Selection,
    Sha256, WorkspacePath,
};
use sandbar_workspace::{
    apply::{
        ApplyError, ApplyLimits, ApplyPlan, ApplyReport, Forgotten, Recovered, Refused, apply,
        forget, plan, recover,
    },
    journal::{Journal, State},
};
use sha2::Digest;

/// One approve always, so that a process started over a scene finds its journal.
pub(crate) const APPROVE: &str = "ap_00000000000070008000000000000001";

pub(crate) type Snapshot = BTreeMap<Vec<u8>, Seen>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    File(u32, Vec<u8>),
    Directory(u32),
    Link(Vec<u8>),
    Special,
}

#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) root: PathBuf,
}

impl Scene {
    /// An empty scene in `root`, which exists.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        for name in ["source", "merged", "journal"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        Self { root }
    }

    pub(crate) fn source(&self, path: &str) -> PathBuf {
        self.root.join("source").join(path)
    }

    pub(crate) fn merged(&self, path: &str) -> PathBuf {
        self.root.join("merged").join(path)
    }

    /// Writes to both sides: what the workspace began with.
    pub(crate) fn both(&self, path: impl AsRef<[u8]>, content: &[u8], mode: u32) {
        for side in ["source", "merged"] {
            let full = self.root.join(side).join(OsStr::from_bytes(path.as_ref()));
            write(&full, content, mode);
        }
    }

    pub(crate) fn both_link(&self, path: &str, target: &str) {
        for side in ["source", "merged"] {
            let full = self.root.join(side).join(path);
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            symlink(target, full).unwrap();
        }
    }

    pub(crate) fn snapshot(&self, side: &str) -> Snapshot {
        let mut seen = Snapshot::new();
        walk(&self.root.join(side), b"", &mut seen);
        seen
    }

    pub(crate) fn stage_exists(&self) -> bool {
        self.source(&format!(".sandbar-stage-{APPROVE}")).exists()
    }

    pub(crate) fn changes(&self) -> ChangeSet {
        compare(&self.snapshot("source"), &self.snapshot("merged"))
    }

    pub(crate) fn plan(&self, selection: &Selection) -> Result<ApplyPlan, Refused> {
        plan(&self.changes(), selection, &all_flags(), limits())
    }

    pub(crate) fn journal(&self) -> Journal {
        let parent = File::open(self.root.join("journal")).unwrap();
        let owner = fs::metadata(self.source("")).unwrap();
        Journal::create(&parent, approve_id(), (owner.uid(), owner.gid())).unwrap()
    }

    pub(crate) fn apply_plan(&self, plan: &ApplyPlan) -> Result<ApplyReport, ApplyError> {
        let source = File::open(self.source("")).unwrap();
        let merged = File::open(self.merged("")).unwrap();
        apply(source.as_fd(), merged.as_fd(), &self.journal(), approve_id(), plan)
    }

    pub(crate) fn approve_all(&self) -> ApplyReport {
        self.apply_plan(&self.plan(&Selection::All).unwrap()).unwrap()
    }

    pub(crate) fn recover(&self) -> Result<Recovered, ApplyError> {
        let source = File::open(self.source("")).unwrap();
        recover(source.as_fd(), &self.journal())
    }

    pub(crate) fn forget(&self) -> Forgotten {
        let source = File::open(self.source("")).unwrap();
        forget(source.as_fd(), &self.journal()).unwrap()
    }

    pub(crate) fn try_forget(&self) -> Result<Forgotten, ApplyError> {
        let source = File::open(self.source("")).unwrap();
        forget(source.as_fd(), &self.journal())
    }

    pub(crate) fn state(&self) -> Option<State> {
        self.journal().state().unwrap()
    }

    /// The same scene elsewhere, to the byte.
    pub(crate) fn copy_to(&self, root: &Path) -> Self {
        copy_tree(&self.root, root);
        Self { root: root.to_owned() }
    }
}

pub(crate) fn approve_id() -> ApproveId {
    APPROVE.parse().unwrap()
}

pub(crate) fn limits() -> ApplyLimits {
    ApplyLimits { free_bytes_min: 0, ..ApplyLimits::default() }
}

pub(crate) fn all_flags() -> Confirmed {
    sandbar_workspace::apply::NEEDS_CONFIRMATION.into()
}

pub(crate) fn path(bytes: impl AsRef<[u8]>) -> WorkspacePath {
    WorkspacePath::parse(bytes).unwrap()
}

pub(crate) fn paths(paths: &[&str]) -> Selection {
    Selection::Paths(paths.iter().map(path).collect())
}

/// A temporary directory in memory, where a kill costs nothing.
pub(crate) fn memory() -> tempfile::TempDir {
    let shm = Path::new("/dev/shm");
    if shm.is_dir() { tempfile::tempdir_in(shm).unwrap() } else { tempfile::tempdir().unwrap() }
}

pub(crate) fn write(full: &Path, content: &[u8], mode: u32) {
    fs::create_dir_all(full.parent().unwrap()).unwrap();
    fs::write(full, content).unwrap();
    fs::set_permissions(full, Permissions::from_mode(mode)).unwrap();
}

/// The change set of SECURITY: every kind of change once, with names that break what quotes badly.
pub(crate) fn sixteen(root: &Path) -> Scene {
    let scene = Scene::new(root);
    scene.both("modified.txt", b"one\n", 0o644);
    scene.both("mode.sh", b"#!/bin/sh\n", 0o644);
    scene.both("kept.txt", b"kept\n", 0o600);
    scene.both_link("link", "kept.txt");
    scene.both_link("link-to-file", "kept.txt");
    scene.both_link("link-to-dir", "nowhere");
    scene.both("dir-to-file/a", b"a", 0o644);
    scene.both("dir-to-file/b/c", b"c", 0o755);
    scene.both("file-to-dir", b"file", 0o644);
    scene.both("replaced/old", b"old", 0o644);
    scene.both("replaced/same", b"same", 0o644);
    scene.both("gone/a", b"a", 0o644);
    scene.both("gone/deep/er/b", b"b", 0o644);
    scene.both("partly/stay", b"stay", 0o644);
    scene.both("partly/go", b"go", 0o644);
    scene.both(b"odd \xff\n\"'$(x)", b"odd", 0o644);
    scene.both("binary.bin", &[0, 1, 2, 255, 254], 0o644);

    let merged = |path: &str| scene.merged(path);
    write(&merged("new.txt"), b"new\n", 0o644);
    write(&merged("modified.txt"), b"two\n", 0o644);
    fs::set_permissions(merged("mode.sh"), Permissions::from_mode(0o755)).unwrap();
    for name in ["link", "link-to-file", "link-to-dir", "file-to-dir", "partly/go", "replaced/old"]
    {
        fs::remove_file(merged(name)).unwrap();
    }
    symlink("modified.txt", merged("link")).unwrap();
    write(&merged("link-to-file"), b"now a file", 0o644);
    write(&merged("link-to-dir/child"), b"child", 0o644);
    fs::remove_dir_all(merged("dir-to-file")).unwrap();
    write(&merged("dir-to-file"), b"now a file", 0o644);
    write(&merged("file-to-dir/child/deep"), b"deep", 0o755);
    write(&merged("replaced/new"), b"new", 0o644);
    fs::remove_dir_all(merged("gone")).unwrap();
    write(&merged("made/empty/.keep"), b"", 0o644);
    fs::create_dir_all(merged("made/nothing")).unwrap();
    let odd = scene.root.join("merged").join(OsStr::from_bytes(b"odd \xff\n\"'$(x)"));
    write(&odd, b"odder", 0o644);
    write(&merged("binary.bin"), &[9, 0, 255, 254, 10, 13], 0o644);
    scene
}

/// Compares two snapshots, with nothing of the code under test.
pub(crate) fn compare(old: &Snapshot, new: &Snapshot) -> ChangeSet {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let mut changes: Vec<_> = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| {
            let (old, new) = (old.get(name).map(entry), new.get(name).map(entry));
            Change {
                path: path(name),
                kind: kind(old.as_ref(), new.as_ref()),
                old,
                new,
                binary: false,
                lines: None,
                renamed_from: None,
                flags: BTreeSet::new(),
            }
        })
        .collect();
    changes.sort_by(|a, b| a.path.cmp(&b.path));
    ChangeSet { diff_id: DiffId(Sha256([0; 32])), changes }
}

fn kind(old: Option<&Entry>, new: Option<&Entry>) -> ChangeKind {
    match (old, new) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Deleted,
        (Some(Entry::Directory { .. }), Some(Entry::Directory { .. })) => ChangeKind::ModeChanged,
        (Some(Entry::File { sha256: a, .. }), Some(Entry::File { sha256: b, .. })) if a == b => {
            ChangeKind::ModeChanged
        }
        (Some(a), Some(b)) if std::mem::discriminant(a) == std::mem::discriminant(b) => {
            ChangeKind::Modified
        }
        _ => ChangeKind::TypeChanged,
    }
}

fn entry(seen: &Seen) -> Entry {
    match seen {
        Seen::File(mode, content) => Entry::File {
            size: content.len() as u64,
            mode: *mode,
            sha256: Sha256(sha2::Sha256::digest(content).into()),
        },
        Seen::Directory(mode) => Entry::Directory { mode: *mode },
        Seen::Link(target) => Entry::Symlink { target: LinkTarget(target.clone()) },
        Seen::Special => Entry::Special { what: "fifo".to_owned() },
    }
}

fn walk(dir: &Path, at: &[u8], into: &mut Snapshot) {
    for child in fs::read_dir(dir).unwrap() {
        let child = child.unwrap();
        let name = child.file_name();
        if name.as_bytes().starts_with(b".sandbar-stage") {
            continue;
        }
        let mut full = at.to_vec();
        if !full.is_empty() {
            full.push(b'/');
        }
        full.extend_from_slice(name.as_bytes());
        let metadata = fs::symlink_metadata(child.path()).unwrap();
        let mode = metadata.mode() & 0o7777;
        let seen = if metadata.is_dir() {
            walk(&child.path(), &full, into);
            Seen::Directory(mode)
        } else if metadata.is_file() {
            Seen::File(mode, fs::read(child.path()).unwrap())
        } else if metadata.is_symlink() {
            Seen::Link(fs::read_link(child.path()).unwrap().as_os_str().as_bytes().to_vec())
        } else {
            Seen::Special
        };
        into.insert(full, seen);
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for child in fs::read_dir(from).unwrap() {
        let child = child.unwrap();
        let target = to.join(child.file_name());
        let metadata = fs::symlink_metadata(child.path()).unwrap();
        if metadata.is_dir() {
            copy_tree(&child.path(), &target);
            fs::set_permissions(&target, metadata.permissions()).unwrap();
        } else if metadata.is_symlink() {
            symlink(fs::read_link(child.path()).unwrap(), target).unwrap();
        } else {
            fs::copy(child.path(), target).unwrap();
        }
    }
}
