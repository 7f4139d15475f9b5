//! The hunks of one file, flat as they are shown, and the few files whose hunks are kept.

use sandbar_api::{FileHunks, Hunk, HunkLine, MergeState};
use sandbar_types::{DiffId, HunkId, MergeConflict, WorkspacePath};

use crate::review::syntax::Language;

/// LIMIT: files whose hunks are kept; asking again costs one request.
const KEPT_MAX: usize = 12;

/// A row of the diff. Numbers are indices into the hunks, and the lines of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// The heading of a hunk.
    Heading { hunk: usize },
    /// A line of one, with its number in the source or the workspace.
    Line { hunk: usize, line: usize, number: u64 },
}

impl Row {
    pub(crate) fn hunk(self) -> usize {
        match self {
            Self::Heading { hunk } | Self::Line { hunk, .. } => hunk,
        }
    }
}

/// What is known about the text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) diff_id: DiffId,
    pub(crate) hunks: Vec<Hunk>,
    pub(crate) rows: Vec<Row>,
    pub(crate) merge: MergeState,
    pub(crate) conflicts: Vec<MergeConflict>,
    pub(crate) language: Language,
}

impl Text {
    pub(crate) fn of(given: FileHunks) -> Self {
        let FileHunks { diff_id, path, hunks, merge, conflicts } = given;
        let rows = rows(&hunks);
        let language = Language::of(path.as_bytes());
        Self { diff_id, hunks, rows, merge, conflicts, language }
    }

    pub(crate) fn ids(&self) -> Vec<HunkId> {
        self.hunks.iter().map(|hunk| hunk.id).collect()
    }

    /// The row of the heading of a hunk.
    pub(crate) fn heading(&self, hunk: usize) -> usize {
        let before: usize = self.hunks.iter().take(hunk).map(|hunk| hunk.lines.len() + 1).sum();
        before.min(self.rows.len().saturating_sub(1))
    }

    /// The hunk at a row, and its index.
    pub(crate) fn hunk_at(&self, row: usize) -> Option<(usize, &Hunk)> {
        let index = self.rows.get(row)?.hunk();
        self.hunks.get(index).map(|hunk| (index, hunk))
    }

    pub(crate) fn line(&self, hunk: usize, line: usize) -> Option<&HunkLine> {
        self.hunks.get(hunk)?.lines.get(line)
    }
}

fn rows(hunks: &[Hunk]) -> Vec<Row> {
    use sandbar_api::LineKind;

    let mut rows = Vec::with_capacity(hunks.iter().map(|hunk| hunk.lines.len() + 1).sum());
    for (index, hunk) in hunks.iter().enumerate() {
        rows.push(Row::Heading { hunk: index });
        let (mut old, mut new) = (hunk.old_start, hunk.new_start);
        for (line, content) in hunk.lines.iter().enumerate() {
            let number = match content.kind {
                LineKind::Removed => old,
                LineKind::Context | LineKind::Added => new,
            };
            rows.push(Row::Line { hunk: index, line, number });
            old += u64::from(content.kind != LineKind::Added);
            new += u64::from(content.kind != LineKind::Removed);
        }
    }
    rows
}

/// What came of asking for the hunks of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Loaded {
    Text(Box<Text>),
    /// Why there is none, in lines.
    Failed(Vec<String>),
}

/// The files that were looked at last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Texts(Vec<(WorkspacePath, Loaded)>);

impl Texts {
    pub(crate) fn of(&self, path: &WorkspacePath) -> Option<&Loaded> {
        self.0.iter().find(|(kept, _loaded)| kept == path).map(|(_path, loaded)| loaded)
    }

    pub(crate) fn text(&self, path: &WorkspacePath) -> Option<&Text> {
        match self.of(path)? {
            Loaded::Text(text) => Some(text),
            Loaded::Failed(_) => None,
        }
    }

    /// Keeps one more, and lets go of the oldest.
    pub(crate) fn keep(&mut self, path: WorkspacePath, loaded: Loaded) {
        self.0.retain(|(kept, _loaded)| *kept != path);
        if self.0.len() >= KEPT_MAX {
            self.0.remove(0);
        }
        self.0.push((path, loaded));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
