//! What the person decided so far, and what is to be sent for it. Nothing here asks anybody.

use std::collections::{BTreeMap, BTreeSet};

use sandbar_types::{Change, ChangeFlag, ChangeKind, HunkId, HunkPick, Part, WorkspacePath};

/// Flags that an approve wants an explicit yes for. The server decides; this is to ask before it does.
const NEEDS_YES: [ChangeFlag; 9] = [
    ChangeFlag::ExecOnOpen,
    ChangeFlag::ExecBit,
    ChangeFlag::SymlinkAbsolute,
    ChangeFlag::SymlinkExternal,
    ChangeFlag::NameControlChars,
    ChangeFlag::NameBidi,
    ChangeFlag::NameNonUtf8,
    ChangeFlag::CaseCollision,
    ChangeFlag::ContentBidi,
];

/// To write to the source, or to drop from the workspace. What has neither stays pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approve,
    Reject,
}

/// A decision about one hunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HunkChoice {
    pub(crate) verdict: Verdict,
    /// Only these of its lines; `None` for the whole hunk.
    pub(crate) lines: Option<BTreeSet<u32>>,
}

impl HunkChoice {
    pub(crate) fn whole(verdict: Verdict) -> Self {
        Self { verdict, lines: None }
    }
}

/// A decision about one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    Whole(Verdict),
    Hunks(BTreeMap<HunkId, HunkChoice>),
}

/// How a path stands, for a mark beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Undecided,
    Approved,
    Rejected,
    /// Some hunks or lines are decided, not all of them alike.
    Partly,
}

/// The decisions by path; a path without one is undecided.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Choices(BTreeMap<WorkspacePath, Choice>);

impl Choices {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn standing(&self, path: &WorkspacePath) -> Standing {
        match self.0.get(path) {
            None => Standing::Undecided,
            Some(Choice::Whole(Verdict::Approve)) => Standing::Approved,
            Some(Choice::Whole(Verdict::Reject)) => Standing::Rejected,
            Some(Choice::Hunks(_)) => Standing::Partly,
        }
    }

    /// The decision about a hunk, be it its own or that of its file.
    pub(crate) fn hunk(&self, path: &WorkspacePath, id: HunkId) -> Option<HunkChoice> {
        match self.0.get(path)? {
            Choice::Whole(verdict) => Some(HunkChoice::whole(*verdict)),
            Choice::Hunks(hunks) => hunks.get(&id).cloned(),
        }
    }

    /// Decides about a whole path; `None` takes the decision back.
    pub(crate) fn decide(&mut self, path: &WorkspacePath, verdict: Option<Verdict>) {
        match verdict {
            Some(verdict) => drop(self.0.insert(path.clone(), Choice::Whole(verdict))),
            None => drop(self.0.remove(path)),
        }
    }

    /// Decides about one of `all` hunks of a file. Hunks that are all decided alike are the whole file.
    pub(crate) fn decide_hunk(
        &mut self,
        path: &WorkspacePath,
        id: HunkId,
        choice: Option<HunkChoice>,
        all: &[HunkId],
    ) {
        let mut hunks = match self.0.remove(path) {
            None => BTreeMap::new(),
            Some(Choice::Hunks(hunks)) => hunks,
            Some(Choice::Whole(verdict)) => {
                all.iter().map(|&id| (id, HunkChoice::whole(verdict))).collect()
            }
        };
        match choice {
            Some(choice) => drop(hunks.insert(id, choice)),
            None => drop(hunks.remove(&id)),
        }
        let is_all = |verdict| {
            let whole = HunkChoice::whole(verdict);
            all.iter().all(|id| hunks.get(id) == Some(&whole))
        };
        let choice = match [Verdict::Approve, Verdict::Reject].into_iter().find(|v| is_all(*v)) {
            Some(verdict) => Choice::Whole(verdict),
            None if hunks.is_empty() => return,
            None => Choice::Hunks(hunks),
        };
        self.0.insert(path.clone(), choice);
    }

    /// Drops decisions about what is no longer as it was seen, and returns how many those were.
    ///
    /// The name of a hunk outlives a change of the source, so there only the workspace must be the same.
    pub(crate) fn keep_valid(&mut self, before: &[Change], now: &[Change]) -> usize {
        let count = self.0.len();
        self.0.retain(|path, choice| match (find(before, path), find(now, path), choice) {
            (Some(before), Some(now), Choice::Whole(_)) => before == now,
            (Some(before), Some(now), Choice::Hunks(_)) => before.new == now.new,
            (None | Some(_), None | Some(_), _) => false,
        });
        count - self.0.len()
    }

    /// Forgets what was sent with this verdict and carried out.
    pub(crate) fn forget(&mut self, sent: Verdict, parts: &[Part]) {
        for part in parts {
            match self.0.get_mut(&part.path) {
                None => continue,
                Some(Choice::Whole(verdict)) if *verdict != sent => continue,
                Some(Choice::Whole(_)) => {}
                Some(Choice::Hunks(hunks)) => {
                    hunks.retain(|_id, choice| choice.verdict != sent);
                    if !hunks.is_empty() {
                        continue;
                    }
                }
            }
            self.0.remove(&part.path);
        }
    }

    /// What to send.
    pub(crate) fn orders(&self, changes: &[Change]) -> Orders {
        let mut orders = Orders::default();
        for change in changes {
            match self.0.get(&change.path) {
                None => orders.pending += 1,
                Some(Choice::Whole(verdict)) => {
                    self.order_whole(*verdict, change, changes, &mut orders);
                }
                Some(Choice::Hunks(hunks)) => order_hunks(change, hunks, &mut orders),
            }
        }
        orders
    }

    /// A path stands for everything below it, so one above differing decisions cannot be sent by itself.
    fn order_whole(&self, verdict: Verdict, change: &Change, all: &[Change], orders: &mut Orders) {
        let mine = Some(&Choice::Whole(verdict));
        let is_mixed = below(all, &change.path).any(|other| {
            self.0.get(&other.path) != mine
                && !(verdict == Verdict::Approve && never_written(other).is_some())
        });
        if is_mixed {
            orders.held_back.push(change.path.clone());
            return;
        }
        if verdict == Verdict::Approve && change.new.is_some() {
            for flag in NEEDS_YES.into_iter().filter(|flag| change.flags.contains(flag)) {
                orders.needs_yes.entry(flag).or_default().push(change.path.clone());
            }
        }
        orders.list(verdict).push(Part { path: change.path.clone(), hunks: Vec::new() });
    }
}

fn order_hunks(change: &Change, hunks: &BTreeMap<HunkId, HunkChoice>, orders: &mut Orders) {
    for verdict in [Verdict::Approve, Verdict::Reject] {
        let picks: Vec<_> = hunks
            .iter()
            .filter(|(_id, choice)| choice.verdict == verdict)
            .map(|(id, choice)| HunkPick {
                id: *id,
                lines: choice.lines.as_ref().map(|lines| lines.iter().copied().collect()),
            })
            .collect();
        if picks.is_empty() {
            continue;
        }
        if verdict == Verdict::Approve {
            for flag in NEEDS_YES.into_iter().filter(|flag| change.flags.contains(flag)) {
                orders.needs_yes.entry(flag).or_default().push(change.path.clone());
            }
        }
        orders.list(verdict).push(Part { path: change.path.clone(), hunks: picks });
    }
    orders.partly += 1;
}

/// Everything decided, as it will be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    pub(crate) approve: Vec<Part>,
    pub(crate) reject: Vec<Part>,
    /// Paths without a decision.
    pub(crate) pending: usize,
    /// Paths of which only a part is decided.
    pub(crate) partly: usize,
    /// Directories that cannot be sent, because what is below them is decided otherwise.
    pub(crate) held_back: Vec<WorkspacePath>,
    /// Flags that want an explicit yes, with the paths that carry them.
    pub(crate) needs_yes: BTreeMap<ChangeFlag, Vec<WorkspacePath>>,
}

impl Orders {
    pub(crate) fn is_empty(&self) -> bool {
        self.approve.is_empty() && self.reject.is_empty()
    }

    fn list(&mut self, verdict: Verdict) -> &mut Vec<Part> {
        match verdict {
            Verdict::Approve => &mut self.approve,
            Verdict::Reject => &mut self.reject,
        }
    }
}

/// Why a change is never written, whatever is approved.
pub(crate) fn never_written(change: &Change) -> Option<&'static str> {
    if change.flags.contains(&ChangeFlag::Protected) {
        return Some("a protected name is never written");
    }
    if change.flags.contains(&ChangeFlag::Special) {
        return Some("a fifo, socket or device is never written");
    }
    (change.kind == ChangeKind::XattrChanged).then_some("extended attributes are never written")
}

/// The changes below `path`, without itself.
pub(crate) fn below<'a>(
    changes: &'a [Change],
    path: &'a WorkspacePath,
) -> impl Iterator<Item = &'a Change> {
    changes.iter().filter(move |other| other.path != *path && other.path.is_within(path))
}

pub(crate) fn find<'a>(changes: &'a [Change], path: &WorkspacePath) -> Option<&'a Change> {
    changes.iter().find(|change| change.path == *path)
}

/// Whether everything that is to be rejected still is what was looked at: the path that has another content in the
/// workspace by now, if there is one. What the source has may differ; an approve may just have written it.
pub(crate) fn moved_on<'a>(
    seen: &[Change],
    now: &[Change],
    reject: &'a [Part],
) -> Option<&'a WorkspacePath> {
    reject.iter().map(|part| &part.path).find(|path| {
        let news = |changes: &[Change]| -> BTreeMap<WorkspacePath, Option<sandbar_types::Entry>> {
            changes
                .iter()
                .filter(|change| change.path.is_within(path))
                .map(|change| (change.path.clone(), change.new.clone()))
                .collect()
        };
        let seen = news(seen);
        news(now).iter().any(|(path, new)| seen.get(path) != Some(new))
    })
}

#[cfg(test)]
#[path = "choice_tests.rs"]
mod tests;
