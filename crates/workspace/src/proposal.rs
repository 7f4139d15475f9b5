//! What an approve would write: the changes as they were found, or only the hunks that a person picked of them.

use std::collections::BTreeMap;

use sandbar_types::{
    ChangeKind, ChangeSet, Entry, HunkPick, Part, Selection, Sha256, WorkspacePath,
};
use sha2::Digest;

use crate::{
    ChangeLimits, Layers,
    diff::{self, Contents, DiffError, NoText, Texts},
    lines,
    pick::{self, Apply, PickError},
};

/// Texts that no tree has yet, by their hash.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Composed(BTreeMap<Sha256, Vec<u8>>);

impl Composed {
    /// Adds a text, and says what a file that has it is.
    pub fn add(&mut self, text: Vec<u8>, mode: u32) -> Entry {
        let sha256 = Sha256(sha2::Sha256::digest(&text).into());
        let size = text.len() as u64;
        self.0.insert(sha256, text);
        Entry::File { size, mode, sha256 }
    }

    /// The text with this hash, if it is one of these.
    #[must_use]
    pub fn text(&self, sha256: Sha256) -> Option<&[u8]> {
        self.0.get(&sha256).map(Vec::as_slice)
    }

    /// Every text, by hash.
    pub fn iter(&self) -> impl Iterator<Item = (Sha256, &[u8])> {
        self.0.iter().map(|(sha256, text)| (*sha256, text.as_slice()))
    }
}

/// Changes of which some are less than what the workspace has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The changes, each with what an approve of it writes. Its id is that of the changes as they were found.
    pub set: ChangeSet,
    /// The texts that only some hunks of a change make.
    pub composed: Composed,
}

impl Proposal {
    /// The changes as they were found.
    #[must_use]
    pub fn of(set: ChangeSet) -> Self {
        Self { set, composed: Composed::default() }
    }
}

/// Why parts of changes could not be picked. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum NarrowError {
    /// A path has no change.
    #[error("{path:?} has no change")]
    Unchanged {
        /// Which.
        path: WorkspacePath,
    },
    /// The change is not one of lines.
    #[error("{path:?} has no hunks: {reason}")]
    NoHunks {
        /// Which.
        path: WorkspacePath,
        /// Why not.
        reason: NoText,
    },
    /// The picks do not fit the hunks.
    #[error("of {path:?}, {source}")]
    Pick {
        /// Of which path.
        path: WorkspacePath,
        /// What does not fit.
        source: PickError,
    },
    /// The whole of the path is selected as well, by itself or by a directory above it.
    #[error("{path:?} is selected as a whole and by hunks")]
    Covered {
        /// Which.
        path: WorkspacePath,
    },
    /// The texts cannot be read.
    #[error(transparent)]
    Read(#[from] DiffError),
}

/// Narrows `proposal` to what `selection` picks. Without hunks in the selection, it is as it was.
///
/// # Errors
/// See [`NarrowError`].
pub fn narrow(
    layers: &Layers<'_>,
    proposal: &Proposal,
    selection: &Selection,
    limits: &ChangeLimits,
) -> Result<Proposal, NarrowError> {
    let contents = Contents { layers, composed: &proposal.composed };
    let mut narrowed = proposal.clone();
    for (path, picks) in picks(selection)? {
        let at = index(&proposal.set, path)?;
        let texts = texts(contents, &proposal.set, at, limits)?;
        let composed = compose(&texts, path, &picks, Apply::Picked)?;
        let Some(text) = composed else {
            continue;
        };
        let change = &mut narrowed.set.changes[at];
        let mode = file_mode(change.old.as_ref()).or_else(|| file_mode(change.new.as_ref()));
        change.new = Some(narrowed.composed.add(text, mode.unwrap_or(0o644)));
        if change.kind == ChangeKind::Deleted {
            change.kind = ChangeKind::Modified;
        }
    }
    Ok(narrowed)
}

/// What a workspace has at a path once picked hunks of it are dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// What the source has: everything was dropped.
    Source,
    /// This text. Where the workspace has no file, it gets one with these permission bits.
    Text {
        /// The text.
        text: Vec<u8>,
        /// The permission bits of a new file.
        mode: u32,
    },
}

/// What the workspace has at each path once the picked hunks are dropped; whole paths are not among them.
///
/// # Errors
/// See [`NarrowError`].
pub fn without(
    layers: &Layers<'_>,
    proposal: &Proposal,
    selection: &Selection,
    limits: &ChangeLimits,
) -> Result<BTreeMap<WorkspacePath, Left>, NarrowError> {
    let contents = Contents { layers, composed: &proposal.composed };
    let mut left = BTreeMap::new();
    for (path, picks) in picks(selection)? {
        let at = index(&proposal.set, path)?;
        let texts = texts(contents, &proposal.set, at, limits)?;
        let hunks = lines::hunks(&texts.old, &texts.new);
        let text = pick::compose(&texts.old, &hunks, &picks, Apply::Others)
            .map_err(|source| NarrowError::Pick { path: path.clone(), source })?;
        let change = &proposal.set.changes[at];
        let mode = file_mode(change.old.as_ref()).unwrap_or(0o644);
        let is_all = text == texts.old && !texts.has_other_mode;
        let text = if is_all { Left::Source } else { Left::Text { text, mode } };
        left.insert(path.clone(), text);
    }
    Ok(left)
}

/// The paths of which hunks are picked, with the picks.
fn picks(selection: &Selection) -> Result<BTreeMap<&WorkspacePath, Vec<HunkPick>>, NarrowError> {
    let parts: &[Part] = match selection {
        Selection::All | Selection::Paths(_) => &[],
        Selection::Parts(parts) => parts,
    };
    let mut picks: BTreeMap<&WorkspacePath, Vec<HunkPick>> = BTreeMap::new();
    for part in parts.iter().filter(|part| !part.hunks.is_empty()) {
        picks.entry(&part.path).or_default().extend(part.hunks.iter().cloned());
    }
    let mut whole = parts.iter().filter(|part| part.hunks.is_empty());
    let covered = whole.find_map(|whole| picks.keys().find(|path| path.is_within(&whole.path)));
    match covered {
        Some(path) => Err(NarrowError::Covered { path: (*path).clone() }),
        None => Ok(picks),
    }
}

fn index(set: &ChangeSet, path: &WorkspacePath) -> Result<usize, NarrowError> {
    set.changes
        .binary_search_by(|change| change.path.cmp(path))
        .map_err(|_| NarrowError::Unchanged { path: path.clone() })
}

fn texts(
    contents: Contents<'_>,
    set: &ChangeSet,
    at: usize,
    limits: &ChangeLimits,
) -> Result<Texts, NarrowError> {
    let change = &set.changes[at];
    diff::texts(contents, change, limits)?
        .map_err(|reason| NarrowError::NoHunks { path: change.path.clone(), reason })
}

/// The text that the picks make; `None` where they are the whole of a change that has nothing but its lines.
fn compose(
    texts: &Texts,
    path: &WorkspacePath,
    picks: &[HunkPick],
    apply: Apply,
) -> Result<Option<Vec<u8>>, NarrowError> {
    let hunks = lines::hunks(&texts.old, &texts.new);
    let text = pick::compose(&texts.old, &hunks, picks, apply)
        .map_err(|source| NarrowError::Pick { path: path.clone(), source })?;
    Ok((text != texts.new || texts.has_other_mode).then_some(text))
}

fn file_mode(entry: Option<&Entry>) -> Option<u32> {
    match entry? {
        Entry::File { mode, .. } => Some(*mode),
        Entry::Directory { .. } | Entry::Symlink { .. } | Entry::Special { .. } => None,
    }
}
