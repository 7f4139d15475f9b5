//! What the server's answers make of the state.

use sandbar_types::{ApproveId, ChangeSet};

use crate::{
    output::units::counted,
    review::{
        choice::{Orders, Verdict, find},
        state::{DiffView, Effect, Notice, Screen, Sent, State, Trouble, path_text},
        update::{moves, reload},
        words,
    },
};

/// The changes were read, for the first time or again.
pub(super) fn changes(state: &mut State, answer: Result<ChangeSet, Trouble>) {
    state.busy = None;
    let set = match answer {
        Ok(set) => set,
        Err(trouble) => return state.notice = Some(Notice::Bad(trouble.lines)),
    };
    let before = std::mem::take(&mut state.set);
    let at = state.current_path(before.as_ref());
    let before = before.map_or_else(Vec::new, |set| set.changes);
    let dropped = state.choices.keep_valid(&before, &set.changes);
    state.resolutions.retain(|path, _take| find(&set.changes, path).is_some());
    if dropped > 0 && state.notice.is_none() {
        state.notice = Some(Notice::Info(format!(
            "{} dropped: what they were about is another by now",
            counted(dropped, "decision")
        )));
    }
    state.set = Some(set);
    state.texts.clear();
    state.list.shown = state.filtered();
    let row = at.and_then(|path| {
        state.list.shown.iter().position(|index| state.changes()[*index].path == path)
    });
    match row {
        Some(row) => state.list.at = row,
        None => state.diff = DiffView::default(),
    }
    state.diff.pick = None;
    moves::settle(state);
}

impl State {
    /// The path under the cursor, of the set that was shown until now.
    fn current_path(&self, set: Option<&ChangeSet>) -> Option<sandbar_types::WorkspacePath> {
        let index = self.list.shown.get(self.list.at)?;
        set?.changes.get(*index).map(|change| change.path.clone())
    }
}

/// The decisions were carried out, or not.
pub(super) fn sent(state: &mut State, sent: Sent, effects: &mut Vec<Effect>) {
    state.busy = None;
    let orders = match &state.screen {
        Screen::Summary(summary) => summary.orders.clone(),
        Screen::Review | Screen::Search | Screen::Every | Screen::Help => Orders::default(),
        Screen::Conflict { .. } | Screen::Undo(_) | Screen::Quit => Orders::default(),
    };
    let mut done = Vec::new();
    match sent.approved {
        None => {}
        Some(Ok(outcome)) => {
            done.push(format!(
                "{} written to {}",
                counted(outcome.applied.len(), "change"),
                state.source
            ));
            done.extend(outcome.skipped.iter().map(|skipped| {
                format!(
                    "left pending: {} ({})",
                    path_text(&skipped.path),
                    words::short(skipped.flag)
                )
            }));
            state.choices.forget(Verdict::Approve, &orders.approve);
        }
        Some(Err(trouble)) => return refused(state, trouble),
    }
    match sent.rejected {
        None => {}
        Some(Ok(paths)) => {
            done.push(format!("{} rejected", counted(paths.len(), "change")));
            state.choices.forget(Verdict::Reject, &orders.reject);
        }
        Some(Err(trouble)) => {
            done.push("the rejections failed; they are kept:".to_owned());
            done.extend(trouble.lines);
            state.notice = Some(Notice::Bad(done));
            state.screen = Screen::Review;
            return reload(state, effects);
        }
    }
    state.notice = Some(match <[String; 1]>::try_from(done) {
        Ok([line]) => Notice::Info(line),
        Err(lines) => Notice::Info(lines.join("; ")),
    });
    state.screen = Screen::Review;
    reload(state, effects);
}

/// An approve was refused: nothing was written. The summary stays, with the reason and what it asks for.
fn refused(state: &mut State, trouble: Trouble) {
    let Screen::Summary(summary) = &mut state.screen else {
        return state.notice = Some(Notice::Bad(trouble.lines));
    };
    for (path, flag) in trouble.flagged {
        let paths = summary.orders.needs_yes.entry(flag).or_default();
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    summary.trouble = trouble.lines;
    let is_stale = matches!(
        trouble.code,
        Some(sandbar_api::ErrorCode::DiffChanged | sandbar_api::ErrorCode::StaleGeneration)
    );
    if is_stale {
        summary.trouble.push(
            "r reads the changes again and keeps the decisions about what stayed the same"
                .to_owned(),
        );
    }
}

pub(super) fn latest_approve(state: &mut State, answer: Result<Option<ApproveId>, Trouble>) {
    state.busy = None;
    match answer {
        Ok(Some(id)) => state.screen = Screen::Undo(id),
        Ok(None) => {
            state.notice = Some(Notice::Info("there is no approve to take back".to_owned()));
        }
        Err(trouble) => state.notice = Some(Notice::Bad(trouble.lines)),
    }
}

pub(super) fn undone(state: &mut State, answer: Result<(), Trouble>, effects: &mut Vec<Effect>) {
    state.busy = None;
    match answer {
        Ok(()) => {
            state.notice = Some(Notice::Info("the last approve is taken back".to_owned()));
            reload(state, effects);
        }
        Err(trouble) => state.notice = Some(Notice::Bad(trouble.lines)),
    }
}
