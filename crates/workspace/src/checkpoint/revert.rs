//! Taking back what differs between two points, and nothing that came later. Decides; writes nothing.
//!
//! | Now | Then |
//! |---|---|
//! | what `after` has | what `before` has |
//! | what `before` has | nothing to do |
//! | a text, as on both sides | the edits of both laid side by side |
//! | anything else | a conflict |

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd},
};

use sandbar_types::{Change, ChangeKind, ChangeSet, Entry, Side, WorkspacePath};

use super::bring::Deed;
use crate::{ChangeLimits, beneath, entry, lines, merge};

/// What a revert would write.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RevertPlan {
    /// What to do, by path; [`Deed::Take`] is from `before`.
    pub deeds: BTreeMap<WorkspacePath, Deed>,
    /// Of these, the texts into which later edits were merged.
    pub merged: Vec<WorkspacePath>,
}

/// Why nothing is reverted.
#[derive(Debug, thiserror::Error)]
pub enum RevertError {
    /// Later work overlaps with what would be taken back.
    #[error("later work overlaps with what would be taken back")]
    Conflict {
        /// Where.
        paths: Vec<WorkspacePath>,
    },
    /// A path cannot be read.
    #[error("cannot read {path:?}")]
    Unreadable {
        /// Which.
        path: WorkspacePath,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

/// The merged views of three points of one workspace.
#[derive(Debug, Clone, Copy)]
struct Points<'a> {
    before: BorrowedFd<'a>,
    after: BorrowedFd<'a>,
    now: BorrowedFd<'a>,
}

/// Decides how `set`, which is what differs between `before` and `after`, is taken back from `now`.
///
/// # Errors
/// See [`RevertError`].
pub fn revert(
    (before, after): (BorrowedFd<'_>, BorrowedFd<'_>),
    now: BorrowedFd<'_>,
    set: &ChangeSet,
    limits: &ChangeLimits,
) -> Result<RevertPlan, RevertError> {
    let points = Points { before, after, now };
    let mut plan = RevertPlan::default();
    let mut conflicts = BTreeSet::new();
    for change in &set.changes {
        let path = &change.path;
        let unreadable = |source| RevertError::Unreadable { path: path.clone(), source };
        match points.decide(change, limits).map_err(unreadable)? {
            Decision::Nothing => {}
            Decision::Do(deed) => {
                if deed != Deed::Take {
                    plan.merged.push(path.clone());
                }
                plan.deeds.insert(path.clone(), deed);
            }
            Decision::Conflict => {
                conflicts.insert(path.clone());
            }
        }
    }
    for change in set.changes.iter().filter(|change| plan.deeds.contains_key(&change.path)) {
        let path = &change.path;
        let unreadable = |source| RevertError::Unreadable { path: path.clone(), source };
        if !points.fits(change, &plan.deeds, set).map_err(unreadable)? {
            conflicts.insert(path.clone());
        }
    }
    if conflicts.is_empty() {
        return Ok(plan);
    }
    Err(RevertError::Conflict { paths: conflicts.into_iter().collect() })
}

enum Decision {
    Nothing,
    Do(Deed),
    Conflict,
}

impl Points<'_> {
    fn decide(self, change: &Change, limits: &ChangeLimits) -> io::Result<Decision> {
        let now = entry::read_below(self.now, &change.path)?;
        if is_socket(now.as_ref()) {
            return Ok(Decision::Nothing);
        }
        if now == change.new {
            return Ok(Decision::Do(Deed::Take));
        }
        if now == change.old && change.kind != ChangeKind::XattrChanged {
            return Ok(Decision::Nothing);
        }
        match (&change.old, &change.new, &now) {
            (
                Some(Entry::File { mode: before, .. }),
                Some(Entry::File { mode: after, .. }),
                Some(Entry::File { mode: now, .. }),
            ) => {
                let mode = match (now == after, before == after || now == before) {
                    (true, _) => *before,
                    (false, true) => *now,
                    (false, false) => return Ok(Decision::Conflict),
                };
                self.merge(&change.path, (*now, mode), limits)
            }
            // Its bits were changed twice; what is in it is judged by itself.
            _ => Ok(Decision::Conflict),
        }
    }

    /// Lays the later edits and the way back side by side.
    fn merge(
        self,
        path: &WorkspacePath,
        (now_mode, mode): (u32, u32),
        limits: &ChangeLimits,
    ) -> io::Result<Decision> {
        let read = |root| text(root, path, limits.display_bytes_max);
        let (Some(before), Some(after), Some(now)) =
            (read(self.before)?, read(self.after)?, read(self.now)?)
        else {
            return Ok(Decision::Conflict);
        };
        let merged = merge::merge(&after, &now, &before, Side::Ours);
        if !merged.conflicts.is_empty() {
            return Ok(Decision::Conflict);
        }
        // It was taken back before.
        if merged.text == now && mode == now_mode {
            return Ok(Decision::Nothing);
        }
        Ok(Decision::Do(Deed::Text { text: merged.text, mode }))
    }

    /// Whether what is put at a path has a directory to be in, and what it replaces goes as a whole.
    fn fits(
        self,
        change: &Change,
        deeds: &BTreeMap<WorkspacePath, Deed>,
        set: &ChangeSet,
    ) -> io::Result<bool> {
        let Some(old) = &change.old else {
            return Ok(true);
        };
        if let Some(parent) = change.path.parent() {
            // They are ordered by path, and a whole tree may be among them.
            let above = set.changes.binary_search_by(|above| above.path.cmp(&parent));
            let is_made = deeds.contains_key(&parent)
                && above.is_ok_and(|at| is_directory(set.changes[at].old.as_ref()));
            if !is_made && !is_directory(entry::read_below(self.now, &parent)?.as_ref()) {
                return Ok(false);
            }
        }
        if is_directory(change.new.as_ref()) && !is_directory(Some(old)) {
            return self.goes_whole(&change.path, deeds);
        }
        Ok(true)
    }

    /// Whether everything in a directory of `now` is taken away.
    fn goes_whole(
        self,
        path: &WorkspacePath,
        deeds: &BTreeMap<WorkspacePath, Deed>,
    ) -> io::Result<bool> {
        let mut pending = vec![path.clone()];
        while let Some(path) = pending.pop() {
            for name in beneath::list(beneath::open_dir(self.now, path.as_bytes())?)? {
                let child = crate::tree::join(path.as_bytes(), &name);
                let Ok(child) = WorkspacePath::parse(child) else {
                    return Ok(false);
                };
                if !deeds.contains_key(&child) {
                    return Ok(false);
                }
                let now = entry::stamp_below(self.now, &child)?;
                if now.is_some_and(|now| now.file_type() == rustix::fs::FileType::Directory) {
                    pending.push(child);
                }
            }
        }
        Ok(true)
    }
}

/// The text at `path`; `None` where it is none, or too large to be merged.
fn text(root: BorrowedFd<'_>, path: &WorkspacePath, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let (dir, name) = beneath::open_parent(root, path)?;
    let (file, stat) = beneath::open_file(dir.as_fd(), name)?;
    if u64::try_from(stat.st_size).is_ok_and(|size| size > bytes_max) {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut text)?;
    Ok((text.len() as u64 <= bytes_max && lines::is_text(&text)).then_some(text))
}

fn is_directory(entry: Option<&Entry>) -> bool {
    matches!(entry, Some(Entry::Directory { .. }))
}

fn is_socket(entry: Option<&Entry>) -> bool {
    matches!(entry, Some(Entry::Special { what }) if what == "socket")
}
