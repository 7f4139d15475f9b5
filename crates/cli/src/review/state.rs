//! Everything the review knows, as one value.
//!
//! ```text
//!                     ┌──────── / ────────► Search ─┐
//!   Loading ──► Review ──────── e ────────► Every ──┤ each goes back to Review
//!                 ▲   ├──────── ? ────────► Help ───┤
//!                 │   ├──────── c ────────► Conflict┤
//!                 │   ├──────── u ────────► Undo ───┘
//!                 │   ├─── Enter, w ──────► Summary ──► sent, and the changes are read again
//!                 └───┴──────── q ────────► Quit ────► the end
//! ```
//!
//! [`update`](super::update::update) is the only one that changes it; [`draw`](super::draw::draw) only looks.

use std::collections::{BTreeMap, BTreeSet};

use sandbar_api::{ApproveRequest, ErrorCode, FileHunks, MergeState, RejectRequest};
use sandbar_types::{
    ApproveId, ApproveOutcome, Change, ChangeFlag, ChangeSet, HunkId, Side, WorkspacePath,
};

use crate::review::{
    choice::{Choices, Orders, Standing},
    key::Key,
    text::{Text, Texts},
};

/// The terminal's size in cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) cols: u16,
    pub(crate) rows: u16,
}

/// Which pane the keys go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Focus {
    Files,
    Diff,
}

/// What is shown, and how much of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Only paths that hold this, whatever the case.
    pub(crate) text: String,
    pub(crate) kind: FilterKind,
}

/// What the paths that are shown have in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum FilterKind {
    #[default]
    All,
    Undecided,
    Flag(ChangeFlag),
}

/// The list of paths: which are shown, the one under the cursor, and the first on the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) shown: Vec<usize>,
    pub(crate) at: usize,
    pub(crate) top: usize,
}

/// The diff of the path under the cursor: the row under the cursor, the first on the screen, columns to the left of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DiffView {
    pub(crate) at: usize,
    pub(crate) top: usize,
    pub(crate) left: usize,
    pub(crate) pick: Option<Pick>,
}

/// Lines of one hunk that are being picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pick {
    pub(crate) hunk: HunkId,
    pub(crate) lines: BTreeSet<u32>,
}

/// What stands in front of the list and the diff, if anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Screen {
    Review,
    Search,
    Every,
    Help,
    Summary(Box<Summary>),
    Conflict { path: WorkspacePath, top: usize },
    Undo(ApproveId),
    Quit,
}

/// What is about to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) orders: Orders,
    pub(crate) said_yes: BTreeSet<ChangeFlag>,
    /// The flag under the cursor.
    pub(crate) at: usize,
    pub(crate) top: usize,
    pub(crate) reason: String,
    pub(crate) is_typing: bool,
    /// What the server had against it.
    pub(crate) trouble: Vec<String>,
}

/// Something to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Goes with the next key.
    Info(String),
    /// Stays until Esc.
    Bad(Vec<String>),
}

/// What the review is doing besides waiting for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    Loading,
    Sending,
    Undoing,
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) size: Size,
    /// The sandbox and its source, safe to show.
    pub(crate) sandbox: String,
    pub(crate) source: String,
    pub(crate) set: Option<ChangeSet>,
    pub(crate) choices: Choices,
    pub(crate) resolutions: BTreeMap<WorkspacePath, Side>,
    pub(crate) filter: Filter,
    pub(crate) list: List,
    pub(crate) diff: DiffView,
    pub(crate) texts: Texts,
    /// The file whose hunks were asked for.
    pub(crate) asked: Option<WorkspacePath>,
    pub(crate) focus: Focus,
    pub(crate) screen: Screen,
    pub(crate) notice: Option<Notice>,
    pub(crate) busy: Option<Busy>,
}

impl State {
    /// At the beginning: nothing is known, and the changes are being asked for.
    pub(crate) fn new(sandbox: String, source: String, size: Size) -> Self {
        Self {
            size,
            sandbox,
            source,
            set: None,
            choices: Choices::default(),
            resolutions: BTreeMap::new(),
            filter: Filter::default(),
            list: List::default(),
            diff: DiffView::default(),
            texts: Texts::default(),
            asked: None,
            focus: Focus::Files,
            screen: Screen::Review,
            notice: None,
            busy: Some(Busy::Loading),
        }
    }

    pub(crate) fn changes(&self) -> &[Change] {
        self.set.as_ref().map_or(&[], |set| &set.changes)
    }

    /// The change in a row of the list.
    pub(crate) fn shown(&self, row: usize) -> Option<&Change> {
        self.changes().get(*self.list.shown.get(row)?)
    }

    /// The change under the cursor.
    pub(crate) fn current(&self) -> Option<&Change> {
        self.shown(self.list.at)
    }

    /// The text of the change under the cursor, if it has one and that is here.
    pub(crate) fn text(&self) -> Option<&Text> {
        self.texts.text(&self.current()?.path)
    }

    /// Whether the path under the cursor needs to be told whose version counts: the host changed it too, and that
    /// cannot be merged.
    pub(crate) fn is_colliding(&self) -> bool {
        let is_drifted = |change: &Change| {
            change.lines.is_none() && change.flags.contains(&ChangeFlag::BaseDrifted)
        };
        match self.text().map(|text| text.merge) {
            Some(MergeState::Conflict | MergeState::NoBase) => true,
            Some(MergeState::None | MergeState::Clean) => false,
            None => self.current().is_some_and(is_drifted),
        }
    }

    /// The rows of the list that pass the filter.
    pub(crate) fn filtered(&self) -> Vec<usize> {
        let wanted = self.filter.text.to_lowercase();
        let fits = |change: &Change| {
            let is_of_kind = match self.filter.kind {
                FilterKind::All => true,
                FilterKind::Undecided => {
                    matches!(
                        self.choices.standing(&change.path),
                        Standing::Undecided | Standing::Partly
                    )
                }
                FilterKind::Flag(flag) => change.flags.contains(&flag),
            };
            is_of_kind
                && (wanted.is_empty() || path_text(&change.path).to_lowercase().contains(&wanted))
        };
        let mut fitting: Vec<_> =
            self.changes().iter().enumerate().filter(|(_index, change)| fits(change)).collect();
        // What there is to decide about first: an install or a commit in the sandbox is any number of paths that are
        // ignored, or cannot be approved.
        fitting.sort_by_key(|(_index, change)| {
            let has = |flag| change.flags.contains(&flag);
            (has(ChangeFlag::Protected), has(ChangeFlag::Ignored))
        });
        fitting.into_iter().map(|(index, _change)| index).collect()
    }

    /// How many paths stand in each way: approved, rejected, in part, undecided.
    pub(crate) fn counts(&self) -> [usize; 4] {
        let mut counts = [0; 4];
        for change in self.changes() {
            counts[match self.choices.standing(&change.path) {
                Standing::Approved => 0,
                Standing::Rejected => 1,
                Standing::Partly => 2,
                Standing::Undecided => 3,
            }] += 1;
        }
        counts
    }
}

/// A path as it is shown.
pub(crate) fn path_text(path: &WorkspacePath) -> String {
    crate::output::visible::line(path.as_bytes())
}

/// What happens to the review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    Key(Key),
    Size(Size),
    Changes(Result<ChangeSet, Trouble>),
    Hunks(WorkspacePath, Result<FileHunks, Trouble>),
    Sent(Box<Sent>),
    LatestApprove(Result<Option<ApproveId>, Trouble>),
    Undone(Result<(), Trouble>),
}

/// What the review wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    LoadChanges,
    LoadHunks(WorkspacePath),
    Send(Box<Sending>),
    AskLatestApprove,
    Undo(ApproveId),
    /// Paint everything anew.
    Redraw,
    /// Give the terminal back and stop, until the shell lets us go on.
    Suspend,
    Quit,
}

/// The decisions, as requests. The approve goes first: it does not move what the names of hunks are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sending {
    pub(crate) approve: Option<ApproveRequest>,
    pub(crate) reject: Option<RejectRequest>,
    /// What was looked at, so that nothing unseen is rejected after the approve.
    pub(crate) seen: Vec<Change>,
}

/// What became of them; `None` where nothing was asked, or an approve that failed came first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) approved: Option<Result<ApproveOutcome, Trouble>>,
    pub(crate) rejected: Option<Result<Vec<WorkspacePath>, Trouble>>,
}

/// An error of the API, in lines safe to show, with what the review itself understands of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) lines: Vec<String>,
    pub(crate) code: Option<ErrorCode>,
    /// Changes that want an explicit yes.
    pub(crate) flagged: Vec<(WorkspacePath, ChangeFlag)>,
}
