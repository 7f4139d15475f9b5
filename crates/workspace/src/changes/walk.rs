//! The walk: which paths to look at, and what they are on both sides.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::fs::FileType;
use sandbar_types::{Change, ChangeFlag, ChangeKind, WorkspacePath};

use super::{
    ChangeLimits, ChangesError, Layer,
    compare::{self, Look, Side},
    flags,
    hint::{self, Hint, Names},
    orphans::Orphans,
};
use crate::{
    Base, Layers, OverlayMarks, beneath,
    entry::Stamp,
    tree::{self, Tree},
};

/// Names at the top of a source that are our own.
const OUR_PREFIX: &[u8] = b".sandbar-";

/// A directory that is still to be looked at.
struct Pending {
    path: Vec<u8>,
    names: Names,
    /// The host removed it, and the workspace still has its copy.
    is_orphan: bool,
}

pub(super) struct Walk<'a> {
    merged: Tree,
    upper: Tree,
    /// The writable layer of the old side, where that has one of its own.
    old_upper: Option<Tree>,
    lower: Option<Tree>,
    marks: OverlayMarks,
    base: &'a Base,
    limits: &'a ChangeLimits,
    root: BorrowedFd<'a>,
    budget_bytes: u64,
    found: Vec<Change>,
    orphans: Orphans,
    pending: Vec<Pending>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        layers: &'a Layers<'_>,
        base: &'a Base,
        limits: &'a ChangeLimits,
    ) -> Result<Self, ChangesError> {
        let top = |layer, dir| Tree::new(dir).map_err(|source| ChangesError::Top { layer, source });
        let lower = layers.lower.map(|dir| top(Layer::Lower, dir));
        Ok(Self {
            merged: top(Layer::Merged, layers.merged)?,
            upper: top(Layer::Upper, layers.upper)?,
            old_upper: None,
            lower: lower.transpose()?,
            marks: layers.marks,
            base,
            limits,
            root: layers.merged,
            budget_bytes: limits.display_total_bytes_max,
            found: Vec::new(),
            orphans: Orphans::default(),
            pending: Vec::new(),
        })
    }

    /// Looks where the writable layer of the old side says as well.
    pub(super) fn with_old_upper(mut self, upper: BorrowedFd<'_>) -> Result<Self, ChangesError> {
        let opened = Tree::new(upper);
        let failed = |source| ChangesError::Top { layer: Layer::Upper, source };
        self.old_upper = Some(opened.map_err(failed)?);
        Ok(self)
    }

    pub(super) fn run(mut self) -> Result<Vec<Change>, ChangesError> {
        self.pending.push(Pending { path: Vec::new(), names: Names::Upper, is_orphan: false });
        while let Some(directory) = self.pending.pop() {
            let names = self.names(&directory)?;
            // Last in, first out: the last pushed is looked at first, so that descriptors of the walk stay useful.
            for name in names.iter().rev() {
                if directory.path.is_empty() && name.starts_with(OUR_PREFIX) {
                    continue;
                }
                self.look(&directory, name)?;
            }
        }
        self.orphans.flag(&mut self.found);
        Ok(self.found)
    }

    /// The names to look at in one directory.
    fn names(&mut self, directory: &Pending) -> Result<Vec<Vec<u8>>, ChangesError> {
        let path = &directory.path;
        let from = |tree: &mut Tree, layer| {
            list(tree, path).map_err(|source| unreadable(path, layer, source))
        };
        let mut names = from(&mut self.upper, Layer::Upper)?;
        if let Some(upper) = &mut self.old_upper {
            names.extend(from(upper, Layer::Upper)?);
            names.sort_unstable();
            names.dedup();
        }
        if directory.names == Names::Upper {
            return Ok(names);
        }
        // The upper layer's as well: a merged directory whose source the host removed lists nothing any more.
        names.extend(from(&mut self.merged, Layer::Merged)?);
        if let Some(lower) = &mut self.lower {
            names.extend(from(lower, Layer::Lower)?);
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Looks at one name: reports what differs, and remembers what lies below.
    fn look(&mut self, directory: &Pending, name: &[u8]) -> Result<(), ChangesError> {
        let bytes = tree::join(&directory.path, name);
        let path = named(&directory.path, &bytes)?;
        let error = |layer| {
            let path = path.clone();
            move |source| ChangesError::Unreadable { path, layer, source }
        };
        let merged = self.merged.dir(&directory.path).map_err(error(Layer::Merged))?;
        let new = glance(merged, name).map_err(error(Layer::Merged))?;
        let lower = match &mut self.lower {
            Some(lower) => lower.dir(&directory.path).map_err(error(Layer::Lower))?,
            None => None,
        };
        let old = glance(lower, name).map_err(error(Layer::Lower))?;
        if new.is_none() && old.is_none() {
            return Ok(());
        }
        let upper = self.upper.dir(&directory.path).map_err(error(Layer::Upper))?;
        let mut hint = Hint::of(upper, name, self.marks).map_err(error(Layer::Upper))?;
        if let Some(old_upper) = &mut self.old_upper {
            let old_upper = old_upper.dir(&directory.path).map_err(error(Layer::Upper))?;
            if directory.names == Names::Upper
                && is_same_file(upper, old_upper, name).map_err(error(Layer::Upper))?
            {
                return Ok(());
            }
            let old = Hint::of(old_upper, name, self.marks).map_err(error(Layer::Upper))?;
            hint = hint.or(old);
        }
        if let Some(old) = &old {
            self.orphans.saw(&old.stamp);
        }
        let host_lacks_it = match (&old, lower) {
            (None, Some(dir)) => self.base.is_entered(dir).map_err(error(Layer::Lower))?,
            (None, None) => directory.is_orphan,
            (Some(_), _) => false,
        };
        let is_orphan = host_lacks_it && hint.origin.is_some();
        let is_dir = |look: &Option<Look<'_>>| {
            look.as_ref().is_some_and(|look| look.stamp.file_type() == FileType::Directory)
        };
        let (new_is_dir, old_is_dir) = (is_dir(&new), is_dir(&old));
        let mut reading = Reading {
            base: self.base,
            limits: self.limits,
            root: self.root,
            budget_bytes: &mut self.budget_bytes,
        };
        let outcome = reading.outcome(path, old, new)?;
        let settled = matches!(outcome, Outcome::Settled);
        if let Outcome::Differs(mut change) = outcome {
            let is_new_top = hint.is_opaque && new_is_dir && old_is_dir;
            let is_hidden = directory.names == Names::Opaque && change.kind == ChangeKind::Deleted;
            if is_new_top || is_hidden {
                change.flags.insert(ChangeFlag::Opaque);
            }
            self.report(*change, hint.origin.as_deref().filter(|_| is_orphan))?;
        }
        // What was approved to go is gone, whatever the host puts there later.
        if new_is_dir || (old_is_dir && !settled) {
            let names = hint::below(directory.names, &hint, new_is_dir && old_is_dir);
            self.pending.push(Pending { path: bytes, names, is_orphan });
        }
        Ok(())
    }

    /// Adds a change. `origin` is given where it may be a copy of what the host removed.
    fn report(&mut self, change: Change, origin: Option<&[u8]>) -> Result<(), ChangesError> {
        let limit = self.limits.changes_max;
        if self.found.len() == limit {
            return Err(ChangesError::TooMany { limit });
        }
        if let Some(origin) = origin
            && !self.base.approved.contains_key(&change.path)
        {
            self.orphans.suspect(self.found.len(), origin.to_vec());
        }
        self.found.push(change);
        Ok(())
    }
}

enum Outcome {
    Same,
    /// Approved as it is, or none of the workspace's doing.
    Settled,
    Differs(Box<Change>),
}

/// What reading one path needs besides the path.
struct Reading<'a> {
    base: &'a Base,
    limits: &'a ChangeLimits,
    root: BorrowedFd<'a>,
    budget_bytes: &'a mut u64,
}

impl Reading<'_> {
    fn outcome(
        &mut self,
        path: WorkspacePath,
        old: Option<Look<'_>>,
        new: Option<Look<'_>>,
    ) -> Result<Outcome, ChangesError> {
        let host = old.as_ref().map(|look| look.stamp);
        if let (None, Some(host)) = (&new, host)
            && self.base.is_hosts_own(&path, host.host())
        {
            return Ok(Outcome::Settled);
        }
        let new_side = self.read(&path, Layer::Merged, new.as_ref())?;
        let new_entry = new_side.as_ref().map(Side::entry);
        if self.base.is_settled(&path, new_entry) {
            return Ok(Outcome::Settled);
        }
        let has_new_xattrs = match &new {
            Some(new) => compare::xattrs_differ(old.as_ref(), new).map_err(|source| {
                let (path, layer) = (path.clone(), Layer::Merged);
                ChangesError::Unreadable { path, layer, source }
            })?,
            None => false,
        };
        if compare::is_same_directory(old.as_ref(), new.as_ref()) && !has_new_xattrs {
            return Ok(Outcome::Same);
        }
        let old_side = self.read(&path, Layer::Lower, old.as_ref())?;
        let old_entry = old_side.as_ref().map(Side::entry);
        let kind = match compare::kind(old_entry, new_entry) {
            Some(kind) => kind,
            None if has_new_xattrs => ChangeKind::XattrChanged,
            None => return Ok(Outcome::Same),
        };
        let mut flags = flags::of(self.root, &path, old_entry, new_entry);
        if has_new_xattrs {
            flags.insert(ChangeFlag::XattrDropped);
        }
        if self.base.is_drifted(&path, host.as_ref()) {
            flags.insert(ChangeFlag::BaseDrifted);
        }
        let sides = (old_side, new_side);
        let mut change = compare::change(path, kind, sides, self.limits, self.budget_bytes);
        change.flags.append(&mut flags);
        Ok(Outcome::Differs(Box::new(change)))
    }

    fn read(
        &self,
        path: &WorkspacePath,
        layer: Layer,
        look: Option<&Look<'_>>,
    ) -> Result<Option<Side>, ChangesError> {
        let Some(look) = look else {
            return Ok(None);
        };
        let size_bytes = look.stamp.size;
        if look.stamp.file_type() == FileType::RegularFile
            && size_bytes > self.limits.file_bytes_max
        {
            return Err(ChangesError::TooLarge {
                path: path.clone(),
                size_bytes,
                limit_bytes: self.limits.file_bytes_max,
            });
        }
        look.read(self.limits.display_bytes_max).map_err(|source| ChangesError::Unreadable {
            path: path.clone(),
            layer,
            source,
        })
    }
}

/// Whether two layers share one file, as two checkpoints do.
fn is_same_file(
    one: Option<BorrowedFd<'_>>,
    other: Option<BorrowedFd<'_>>,
    name: &[u8],
) -> io::Result<bool> {
    let (Some(one), Some(other)) = (one, other) else {
        return Ok(false);
    };
    let (Some(one), Some(other)) = (beneath::stat(one, name)?, beneath::stat(other, name)?) else {
        return Ok(false);
    };
    let is_file = beneath::file_type(&one) == FileType::RegularFile;
    Ok(is_file && (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn glance<'d>(dir: Option<BorrowedFd<'d>>, name: &'d [u8]) -> io::Result<Option<Look<'d>>> {
    let Some(dir) = dir else {
        return Ok(None);
    };
    Ok(beneath::stat(dir, name)?.map(|stat| Look { dir, name, stamp: Stamp::of(&stat) }))
}

fn list(tree: &mut Tree, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    match tree.dir(path)? {
        Some(dir) => beneath::list(dir.as_fd()),
        None => Ok(Vec::new()),
    }
}

/// The path as a value. The kernel's names are never `.` or `..`, so only its length can stand in the way.
fn named(parent: &[u8], bytes: &[u8]) -> Result<WorkspacePath, ChangesError> {
    WorkspacePath::parse(bytes).map_err(|_| {
        let parent = WorkspacePath::parse(parent);
        ChangesError::TooDeep {
            parent: parent.expect("a directory was named before what it holds"),
        }
    })
}

fn unreadable(path: &[u8], layer: Layer, source: io::Error) -> ChangesError {
    match WorkspacePath::parse(path) {
        Ok(path) => ChangesError::Unreadable { path, layer, source },
        Err(_) => ChangesError::Top { layer, source },
    }
}
