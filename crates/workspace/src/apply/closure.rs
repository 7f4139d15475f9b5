//! Which changes a selection stands for: what lies below, the parents it needs, less what is never applied.

use std::collections::{BTreeMap, BTreeSet};

use sandbar_types::{
    Change, ChangeFlag, ChangeKind, ChangeSet, Entry, Selection, Skipped, WorkspacePath,
};

use super::plan::Refused;
use crate::protected;

/// The changes of a set, by path.
pub(super) struct Table<'a>(BTreeMap<&'a WorkspacePath, &'a Change>);

/// The changes that a selection names, a directory standing for everything below it, and nothing more.
///
/// # Errors
/// [`Refused::Unchanged`] for a path without a change.
pub(crate) fn select<'a>(
    set: &'a ChangeSet,
    selection: &Selection,
) -> Result<BTreeMap<&'a WorkspacePath, &'a Change>, Refused> {
    let table = Table::of(set);
    let selected = table.select(selection)?;
    Ok(selected.into_iter().map(|path| (path, table.0[path])).collect())
}

/// What a selection comes down to.
pub(super) struct Chosen<'a> {
    /// The changes to apply, by path.
    pub(super) changes: BTreeMap<&'a WorkspacePath, &'a Change>,
    /// The changes that were selected and are never applied.
    pub(super) skipped: Vec<Skipped>,
}

impl<'a> Table<'a> {
    pub(super) fn of(set: &'a ChangeSet) -> Self {
        Self(set.changes.iter().map(|change| (&change.path, change)).collect())
    }

    /// Everything at or below `path`, ordered.
    pub(super) fn within(&self, path: &WorkspacePath) -> impl Iterator<Item = &'a Change> {
        let end = path.clone();
        self.0
            .range::<WorkspacePath, _>(path..)
            .map(|(_, change)| *change)
            .take_while(move |change| change.path.is_within(&end))
    }

    /// The changes above `path`, the nearest first.
    pub(super) fn above(&self, path: &WorkspacePath) -> impl Iterator<Item = &'a Change> {
        let parents = std::iter::successors(path.parent(), WorkspacePath::parent);
        parents.filter_map(|parent| self.0.get(&parent).copied())
    }

    /// Resolves `selection`.
    ///
    /// # Errors
    /// [`Refused::Unchanged`] for a path without a change; [`Refused::Requires`] where a directory that replaced
    /// something is not selected and something inside it is.
    pub(super) fn choose(&self, selection: &Selection) -> Result<Chosen<'a>, Refused> {
        let chosen = self.close(self.select(selection)?)?;
        let skipped = self.skip(&chosen);
        Ok(Chosen {
            changes: chosen
                .into_iter()
                .filter(|path| !skipped.contains_key(path))
                .map(|path| (path, self.0[path]))
                .collect(),
            skipped: skipped
                .into_iter()
                .map(|(path, flag)| Skipped { path: path.clone(), flag })
                .collect(),
        })
    }

    fn select(&self, selection: &Selection) -> Result<BTreeSet<&'a WorkspacePath>, Refused> {
        let Some(wanted) = selection.paths() else {
            return Ok(self.0.keys().copied().collect());
        };
        let mut selected = BTreeSet::new();
        let mut unchanged = Vec::new();
        for path in wanted {
            let before = selected.len();
            selected.extend(self.within(path).map(|change| &change.path));
            if selected.len() == before && self.within(path).next().is_none() {
                unchanged.push(path.clone());
            }
        }
        if unchanged.is_empty() {
            Ok(selected)
        } else {
            Err(Refused::Unchanged { paths: unchanged })
        }
    }

    /// Adds the new directories that hold what was selected, and asks for those that replaced something.
    fn close(
        &self,
        mut selected: BTreeSet<&'a WorkspacePath>,
    ) -> Result<BTreeSet<&'a WorkspacePath>, Refused> {
        let mut missing = BTreeSet::new();
        for path in selected.clone() {
            for above in self.above(path) {
                match above.kind {
                    ChangeKind::Added => {
                        selected.insert(&above.path);
                    }
                    ChangeKind::TypeChanged if is_directory(above.new.as_ref()) => {
                        if !selected.contains(&above.path) {
                            missing.insert(above.path.clone());
                        }
                    }
                    ChangeKind::TypeChanged
                    | ChangeKind::Modified
                    | ChangeKind::Deleted
                    | ChangeKind::ModeChanged
                    | ChangeKind::XattrChanged => {}
                }
            }
        }
        if missing.is_empty() {
            Ok(selected)
        } else {
            let missing = missing.into_iter().collect();
            Err(Refused::Requires { missing })
        }
    }

    /// Decides which of the chosen are never applied, and by which flag.
    fn skip(
        &self,
        chosen: &BTreeSet<&'a WorkspacePath>,
    ) -> BTreeMap<&'a WorkspacePath, ChangeFlag> {
        let mut skipped = BTreeMap::new();
        for path in chosen.iter().copied() {
            if let Some(flag) = never_applied(self.0[path]) {
                skipped.insert(path, flag);
            }
        }
        // What stays on the host keeps the directories that hold it.
        for (path, flag) in skipped.clone() {
            if self.0[path].old.is_some() {
                let above = self.above(path).filter(|above| removes_directory(above));
                skipped.extend(above.map(|above| (&above.path, flag)));
            }
        }
        // What is not replaced cannot be filled or emptied.
        let replaced: Vec<_> = skipped
            .iter()
            .filter(|(path, _)| {
                matches!(self.0[**path].kind, ChangeKind::Added | ChangeKind::TypeChanged)
            })
            .map(|(path, flag)| (*path, *flag))
            .collect();
        for (path, flag) in replaced {
            for below in self.within(path) {
                if chosen.contains(&below.path) {
                    skipped.entry(&below.path).or_insert(flag);
                }
            }
        }
        skipped
    }
}

/// Whether a change is never applied, whoever says yes to it: it is left pending.
#[must_use]
pub fn is_never_applied(change: &Change) -> bool {
    never_applied(change).is_some()
}

/// The flag that forbids a change for good. Judged here again: a set of changes is only as good as who made it.
fn never_applied(change: &Change) -> Option<ChangeFlag> {
    let is_special = |entry: &Option<Entry>| matches!(entry, Some(Entry::Special { .. }));
    if is_special(&change.old) || is_special(&change.new) {
        return Some(ChangeFlag::Special);
    }
    let flagged = change.flags.contains(&ChangeFlag::Protected)
        || flags_of(change).contains(&ChangeFlag::Protected);
    flagged.then_some(ChangeFlag::Protected)
}

/// What name and link target of a change say.
pub(super) fn flags_of(change: &Change) -> BTreeSet<ChangeFlag> {
    let mut flags = protected::flags(&change.path);
    if let Some(Entry::Symlink { target }) = &change.new {
        flags.extend(protected::link_flags(&change.path, target));
    }
    flags
}

fn removes_directory(change: &Change) -> bool {
    is_directory(change.old.as_ref()) && !is_directory(change.new.as_ref())
}

fn is_directory(entry: Option<&Entry>) -> bool {
    matches!(entry, Some(Entry::Directory { .. }))
}
