//! Changes as a unified diff that `git apply` takes, and as hunks.
//!
//! Written by our own hands: no git process, no configuration, no filter. Content is read again and must still be what
//! the change says. A git diff knows files, links and the executable bit; what it cannot say is named in the outcome.

mod binary;
mod blob;
mod name;

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use sandbar_types::{Change, ChangeSet, Entry, Hunk, HunkLine, Hunks, Selection, WorkspacePath};

use self::{blob::Blob, name::Quoted};
use crate::{
    ChangeLimits, Layers, lines,
    proposal::{Composed, Proposal},
};

/// Why a diff could not be written.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// A path is no longer what the change says: the list of changes is stale.
    #[error("{path:?} changed since the changes were listed")]
    Stale {
        /// The path.
        path: WorkspacePath,
    },
    /// A path cannot be read.
    #[error("cannot read {path:?}")]
    Unreadable {
        /// The path.
        path: WorkspacePath,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// The diff could not be written out.
    #[error("cannot write the diff")]
    Write(#[source] io::Error),
}

/// Where the content of changes is: in the trees, or composed of it.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The trees.
    pub layers: &'a Layers<'a>,
    /// Texts that no tree has.
    pub composed: &'a Composed,
}

/// What a written diff does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct DiffOutcome {
    /// Selected changes that a git diff has no words for: empty directories, modes other than the executable bit,
    /// extended attributes, fifos, sockets and devices.
    pub left_out: Vec<WorkspacePath>,
}

/// Writes the selected changes as a unified diff, in the order of paths.
///
/// Binary files, and texts beyond the limits of what is shown, are written whole as `GIT binary patch`, so that the
/// diff is always exact.
///
/// # Errors
/// A path that cannot be read, or is no longer what its change says.
pub fn write(
    layers: &Layers<'_>,
    proposal: &Proposal,
    selection: &Selection,
    limits: &ChangeLimits,
    out: &mut impl Write,
) -> Result<DiffOutcome, DiffError> {
    let contents = Contents { layers, composed: &proposal.composed };
    let changes = &proposal.set;
    let mut outcome = DiffOutcome::default();
    let mut selected: Vec<&Change> =
        changes.changes.iter().filter(|change| is_selected(&change.path, selection)).collect();
    selected.sort_by(|one, other| one.path.cmp(&other.path));
    for (index, change) in selected.iter().enumerate() {
        // A directory right before something that it holds is said by that.
        let next = selected.get(index + 1);
        let is_implied = next.is_some_and(|next| next.path.is_within(&change.path));
        if !write_change(contents, change, limits, out)? && !is_implied {
            outcome.left_out.push(change.path.clone());
        }
    }
    Ok(outcome)
}

/// The hunks of one change, for showing it.
///
/// # Errors
/// As [`write`].
pub fn hunks(
    contents: Contents<'_>,
    change: &Change,
    limits: &ChangeLimits,
) -> Result<Hunks, DiffError> {
    let (old, new) = blob::both(contents, change, limits)?;
    if old.is_none() && new.is_none() {
        return Ok(Hunks::NoText);
    }
    match (text(old.as_ref(), limits), text(new.as_ref(), limits)) {
        (Ok(old), Ok(new)) => Ok(Hunks::Text { hunks: lines::hunks(old, new) }),
        (Err(NoText::Binary), _) | (_, Err(NoText::Binary)) => Ok(Hunks::Binary),
        (Err(NoText::TooLarge), _) | (_, Err(NoText::TooLarge)) => Ok(Hunks::TooLarge),
        (Err(NoText::NoFile), _) | (_, Err(NoText::NoFile)) => Ok(Hunks::NoText),
    }
}

/// Both texts of a change, for picking of it and for merging it.
pub(crate) struct Texts {
    /// What the source has; nothing is the empty text.
    pub(crate) old: Vec<u8>,
    /// What the workspace has.
    pub(crate) new: Vec<u8>,
    /// Whether the change is one of permission bits as well.
    pub(crate) has_other_mode: bool,
}

/// Reads the texts of a change between regular files, or of one that comes or goes.
pub(crate) fn texts(
    contents: Contents<'_>,
    change: &Change,
    limits: &ChangeLimits,
) -> Result<Result<Texts, NoText>, DiffError> {
    let mode = |entry: Option<&Entry>| match entry {
        None => Some(None),
        Some(Entry::File { mode, .. }) => Some(Some(*mode)),
        Some(Entry::Directory { .. } | Entry::Symlink { .. } | Entry::Special { .. }) => None,
    };
    let modes = (mode(change.old.as_ref()), mode(change.new.as_ref()));
    let (Some(old_mode), Some(new_mode)) = modes else {
        return Ok(Err(NoText::NoFile));
    };
    let has_other_mode = old_mode.zip(new_mode).is_some_and(|(old, new)| old != new);
    let (old, new) = blob::both(contents, change, limits)?;
    let both = text(old.as_ref(), limits).and_then(|old| Ok((old, text(new.as_ref(), limits)?)));
    Ok(both.map(|(old, new)| Texts { old: old.to_vec(), new: new.to_vec(), has_other_mode }))
}

/// Whether a selection covers `path`: itself or a directory above it is named.
#[must_use]
pub fn is_selected(path: &WorkspacePath, selection: &Selection) -> bool {
    selection.paths().is_none_or(|paths| paths.into_iter().any(|selected| path.is_within(selected)))
}

/// One side of a section: what git calls its mode, and its content.
#[derive(Clone, Copy)]
struct Version<'a> {
    mode: &'static str,
    blob: &'a Blob,
}

impl<'a> Version<'a> {
    fn of(entry: Option<&Entry>, blob: Option<&'a Blob>) -> Option<Self> {
        let mode = match entry? {
            Entry::File { mode, .. } if mode & 0o100 != 0 => "100755",
            Entry::File { .. } => "100644",
            Entry::Symlink { .. } => "120000",
            Entry::Directory { .. } | Entry::Special { .. } => return None,
        };
        Some(Self { mode, blob: blob? })
    }

    fn is_link(&self) -> bool {
        self.mode == "120000"
    }
}

/// Writes the sections of one change; `false` where a git diff has no words for it.
fn write_change(
    contents: Contents<'_>,
    change: &Change,
    limits: &ChangeLimits,
    out: &mut impl Write,
) -> Result<bool, DiffError> {
    let (old_blob, new_blob) = blob::both(contents, change, limits)?;
    let old = Version::of(change.old.as_ref(), old_blob.as_ref());
    let new = Version::of(change.new.as_ref(), new_blob.as_ref());
    let mut section = Section { path: &change.path, limits, out };
    match (old, new) {
        (None, None) => return Ok(false),
        (Some(old), Some(new)) if old.is_link() != new.is_link() => {
            section.write(Some(old), None)?;
            section.write(None, Some(new))?;
        }
        (Some(old), Some(new))
            if old.mode == new.mode && old.blob.sha256() == new.blob.sha256() =>
        {
            return Ok(false);
        }
        (old, new) => section.write(old, new)?,
    }
    Ok(true)
}

struct Section<'a, W> {
    path: &'a WorkspacePath,
    limits: &'a ChangeLimits,
    out: &'a mut W,
}

impl<W: Write> Section<'_, W> {
    fn write(
        &mut self,
        old: Option<Version<'_>>,
        new: Option<Version<'_>>,
    ) -> Result<(), DiffError> {
        let ids = (self.id(old)?, self.id(new)?);
        self.header(old, new, &ids).map_err(DiffError::Write)?;
        if ids.0 == ids.1 {
            return Ok(());
        }
        let (old, new) = (old.map(|v| v.blob), new.map(|v| v.blob));
        match (text(old, self.limits), text(new, self.limits)) {
            (Ok(before), Ok(after)) => self
                .text(old.is_some().then_some(before), new.is_some().then_some(after))
                .map_err(DiffError::Write),
            (Err(_), _) | (_, Err(_)) => self.binary(old, new),
        }
    }

    fn id(&self, version: Option<Version<'_>>) -> Result<String, DiffError> {
        match version {
            Some(version) => version.blob.git_id(self.path),
            None => Ok("0".repeat(40)),
        }
    }

    fn header(
        &mut self,
        old: Option<Version<'_>>,
        new: Option<Version<'_>>,
        ids: &(String, String),
    ) -> io::Result<()> {
        let path = self.path.as_bytes();
        self.out.write_all(b"diff --git ")?;
        self.out.write_all(&Quoted::new("a/", path).bytes)?;
        self.out.write_all(b" ")?;
        self.out.write_all(&Quoted::new("b/", path).bytes)?;
        self.out.write_all(b"\n")?;
        let mut suffix = "";
        match (old, new) {
            (None, Some(new)) => writeln!(self.out, "new file mode {}", new.mode)?,
            (Some(old), None) => writeln!(self.out, "deleted file mode {}", old.mode)?,
            (Some(old), Some(new)) if old.mode != new.mode => {
                writeln!(self.out, "old mode {}\nnew mode {}", old.mode, new.mode)?;
            }
            (Some(old), Some(_)) => suffix = old.mode,
            (None, None) => {}
        }
        if ids.0 != ids.1 {
            let space = if suffix.is_empty() { "" } else { " " };
            writeln!(self.out, "index {}..{}{space}{suffix}", ids.0, ids.1)?;
        }
        Ok(())
    }

    fn text(&mut self, old: Option<&[u8]>, new: Option<&[u8]>) -> io::Result<()> {
        let hunks = lines::hunks(old.unwrap_or_default(), new.unwrap_or_default());
        if hunks.is_empty() {
            return Ok(());
        }
        let path = self.path.as_bytes();
        for (mark, prefix, side) in [("--- ", "a/", old), ("+++ ", "b/", new)] {
            self.out.write_all(mark.as_bytes())?;
            match side {
                Some(_) => {
                    let quoted = Quoted::new(prefix, path);
                    self.out.write_all(&quoted.bytes)?;
                    self.out.write_all(quoted.terminator())?;
                }
                None => self.out.write_all(b"/dev/null")?,
            }
            self.out.write_all(b"\n")?;
        }
        hunks.iter().try_for_each(|hunk| write_hunk(hunk, self.out))
    }

    fn binary(&mut self, old: Option<&Blob>, new: Option<&Blob>) -> Result<(), DiffError> {
        self.out.write_all(b"GIT binary patch\n").map_err(DiffError::Write)?;
        for side in [new, old] {
            binary::write_literal(side, self.path, self.out)?;
        }
        Ok(())
    }
}

fn write_hunk(hunk: &Hunk, out: &mut impl Write) -> io::Result<()> {
    let range = |start: u64, lines: u64| match lines {
        1 => start.to_string(),
        _ => format!("{start},{lines}"),
    };
    let old = range(hunk.old_start, hunk.old_lines);
    let new = range(hunk.new_start, hunk.new_lines);
    writeln!(out, "@@ -{old} +{new} @@")?;
    for line in &hunk.lines {
        let (mark, text) = match line {
            HunkLine::Context(text) => (b" ", text),
            HunkLine::Removed(text) => (b"-", text),
            HunkLine::Added(text) => (b"+", text),
        };
        out.write_all(mark)?;
        out.write_all(&text.0)?;
        if text.0.last() != Some(&b'\n') {
            out.write_all(b"\n\\ No newline at end of file\n")?;
        }
    }
    Ok(())
}

/// Why a change has no lines to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoText {
    /// One side is not text.
    #[error("it is not text")]
    Binary,
    /// One side is beyond the limits of what is compared by line.
    #[error("it is too large to be compared by line")]
    TooLarge,
    /// One side is a directory, a link or something special.
    #[error("it is not a regular file")]
    NoFile,
}

/// The text of one side; no object has the empty text.
fn text<'a>(blob: Option<&'a Blob>, limits: &ChangeLimits) -> Result<&'a [u8], NoText> {
    match blob {
        None => Ok(&[]),
        Some(Blob::Large { .. }) => Err(NoText::TooLarge),
        Some(Blob::Small { bytes, .. }) if !lines::is_text(bytes) => Err(NoText::Binary),
        Some(Blob::Small { bytes, .. }) if lines::count_lines(bytes) > limits.display_lines_max => {
            Err(NoText::TooLarge)
        }
        Some(Blob::Small { bytes, .. }) => Ok(bytes),
    }
}

/// The selected paths that no change matches: probably a mistake of who selected them.
#[must_use]
pub fn unmatched(changes: &ChangeSet, selection: &Selection) -> BTreeSet<WorkspacePath> {
    let is_unmatched = |selected: &&WorkspacePath| {
        !changes.changes.iter().any(|change| change.path.is_within(selected))
    };
    selection.paths().into_iter().flatten().filter(is_unmatched).cloned().collect()
}
