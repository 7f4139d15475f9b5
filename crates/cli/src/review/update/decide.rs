//! Deciding: by file, by hunk, by line.

use std::collections::BTreeSet;

use sandbar_api::LineKind;
use sandbar_types::{Change, ChangeFlag, WorkspacePath};

use crate::review::{
    choice::{HunkChoice, Standing, Verdict, below, find, never_written},
    key::Key,
    state::{Focus, Notice, Pick, State},
    text::Row,
    update::{dialog, moves},
};

/// What a key decides; `None` inside is to take a decision back.
fn verdict(key: Key) -> Option<Option<Verdict>> {
    match key {
        Key::Char('a' | 'A') => Some(Some(Verdict::Approve)),
        Key::Char('x' | 'X') => Some(Some(Verdict::Reject)),
        Key::Char('s' | 'S' | ' ') => Some(None),
        Key::Char(_) | Key::Ctrl(_) | Key::Enter | Key::Esc | Key::Tab | Key::Backspace => None,
        Key::Up | Key::Down | Key::Left | Key::Right => None,
        Key::PageUp | Key::PageDown | Key::Home | Key::End => None,
    }
}

/// Keys that decide; whether this was one.
pub(super) fn keys(state: &mut State, key: Key) -> bool {
    if matches!(key, Key::Char('v' | 'l')) {
        pick(state);
        return true;
    }
    let Some(verdict) = verdict(key) else { return false };
    let is_told =
        state.current().is_some_and(|change| state.resolutions.contains_key(&change.path));
    if verdict == Some(Verdict::Approve) && state.is_colliding() && !is_told {
        // Whose version counts must be said first; the server would refuse it otherwise.
        dialog::open_conflict(state);
        return true;
    }
    let is_of_hunk = state.focus == Focus::Diff && matches!(key, Key::Char('a' | 'x' | 's' | ' '));
    if is_of_hunk && state.text().is_some_and(|text| !text.hunks.is_empty()) {
        hunk(state, verdict);
    } else {
        file(state, verdict);
    }
    true
}

/// Decides about the path under the cursor and everything below it, and goes to the next one.
fn file(state: &mut State, verdict: Option<Verdict>) {
    let Some(change) = state.current() else { return };
    if let (Some(Verdict::Approve), Some(why)) = (verdict, never_written(change)) {
        state.notice = Some(Notice::Info(format!("{why}: it stays pending")));
        return;
    }
    let path = change.path.clone();
    let count = paths(state, &path, verdict);
    if count > 1 {
        state.notice = Some(Notice::Info(format!("with the {} below it", count - 1)));
    }
    let next = (state.list.at + 1..state.list.shown.len()).find(|row| {
        state.shown(*row).is_some_and(|change| {
            verdict.is_none() || state.choices.standing(&change.path) == Standing::Undecided
        })
    });
    if let Some(row) = next {
        moves::to_file(state, row);
    }
}

/// Decides about a path and what is below it, and returns how many those are.
fn paths(state: &mut State, path: &WorkspacePath, verdict: Option<Verdict>) -> usize {
    let is_ignored = find(state.changes(), path).is_some_and(ignored);
    let paths: Vec<_> = std::iter::once(path.clone())
        .chain(
            below(state.changes(), path)
                .filter(|change| is_meant(change, verdict, is_ignored))
                .map(|change| change.path.clone()),
        )
        .collect();
    for path in &paths {
        state.choices.decide(path, verdict);
    }
    paths.len()
}

/// Decides about everything that is shown; about what is ignored only where nothing else is shown.
pub(super) fn every(state: &mut State, verdict: Option<Verdict>) {
    let shown = state.list.shown.iter().filter_map(|index| state.changes().get(*index));
    let are_ignored = shown.clone().all(ignored);
    let shown: Vec<_> = shown
        .filter(|change| is_meant(change, verdict, are_ignored))
        .map(|change| change.path.clone())
        .collect();
    for path in &shown {
        state.choices.decide(path, verdict);
    }
}

/// Whether a decision about many is one about this: what is never written, or ignored, is not approved by the way.
fn is_meant(change: &Change, verdict: Option<Verdict>, are_ignored: bool) -> bool {
    let can_be = never_written(change).is_none() && (are_ignored || !ignored(change));
    verdict != Some(Verdict::Approve) || can_be
}

fn ignored(change: &Change) -> bool {
    change.flags.contains(&ChangeFlag::Ignored)
}

/// Decides about the hunk under the cursor, and goes to the next one, or to the next path.
fn hunk(state: &mut State, verdict: Option<Verdict>) {
    decide_hunk(state, verdict.map(HunkChoice::whole));
}

fn decide_hunk(state: &mut State, choice: Option<HunkChoice>) {
    let Some(change) = state.current() else { return };
    if let (Some(HunkChoice { verdict: Verdict::Approve, .. }), Some(why)) =
        (&choice, never_written(change))
    {
        state.notice = Some(Notice::Info(format!("{why}: it stays pending")));
        return;
    }
    let path = change.path.clone();
    let Some(text) = state.text() else { return };
    let Some((index, hunk)) = text.hunk_at(state.diff.at) else { return };
    let (id, ids) = (hunk.id, text.ids());
    let is_skip = choice.is_none();
    state.choices.decide_hunk(&path, id, choice, &ids);
    let is_open = |index: &usize| is_skip || state.choices.hunk(&path, ids[*index]).is_none();
    let next = (index + 1..ids.len()).find(is_open);
    let next = next.or_else(|| (0..index).find(|index| !is_skip && is_open(index)));
    match next {
        Some(next) => {
            state.diff.at = state.text().map_or(0, |text| text.heading(next));
            moves::show_whole_hunk(state);
        }
        None => moves::to_undecided(state),
    }
}

/// Begins to pick lines of the hunk under the cursor.
fn pick(state: &mut State) {
    let Some(text) = state.text() else {
        state.notice = Some(Notice::Info("there are no lines to pick here".to_owned()));
        return;
    };
    let Some((index, hunk)) = text.hunk_at(state.diff.at) else { return };
    let path = state.current().map(|change| change.path.clone());
    let lines = path.and_then(|path| state.choices.hunk(&path, hunk.id)?.lines).unwrap_or_default();
    let id = hunk.id;
    // The first line that can be picked, unless the cursor is on one.
    let first = hunk.lines.iter().position(|line| line.kind != LineKind::Context).unwrap_or(0);
    if !is_pickable(state, state.diff.at) {
        state.diff.at = text.heading(index) + 1 + first;
    }
    state.focus = Focus::Diff;
    state.diff.pick = Some(Pick { hunk: id, lines });
}

fn is_pickable(state: &State, row: usize) -> bool {
    let Some(text) = state.text() else { return false };
    match text.rows.get(row) {
        Some(Row::Line { hunk, line, .. }) => {
            text.line(*hunk, *line).is_some_and(|line| line.kind != LineKind::Context)
        }
        Some(Row::Heading { .. }) | None => false,
    }
}

/// Keys while lines are picked.
#[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing")]
pub(super) fn picking(state: &mut State, key: Key) {
    match key {
        Key::Esc | Key::Char('q' | 'v' | 'l') => state.diff.pick = None,
        Key::Down | Key::Char('j') => by_line(state, 1),
        Key::Up | Key::Char('k') => by_line(state, -1),
        Key::Char(' ' | 's') => {
            toggle(state);
            by_line(state, 1);
        }
        Key::Char('V' | '*') => toggle_all(state),
        Key::Char('<') | Key::Left => state.diff.left = state.diff.left.saturating_sub(8),
        Key::Char('>') | Key::Right => state.diff.left += 8,
        Key::Char('a') | Key::Enter => finish(state, Verdict::Approve),
        Key::Char('x') => finish(state, Verdict::Reject),
        _ => {}
    }
}

/// To the next line of the hunk that can be picked.
fn by_line(state: &mut State, step: isize) {
    let Some(text) = state.text() else { return };
    let Some((index, hunk)) = text.hunk_at(state.diff.at) else { return };
    let begin = text.heading(index) + 1;
    let range = begin..begin + hunk.lines.len();
    let mut row = state.diff.at;
    loop {
        row = row.saturating_add_signed(step);
        if !range.contains(&row) {
            return;
        }
        if is_pickable(state, row) {
            state.diff.at = row;
            return;
        }
    }
}

fn line_at_cursor(state: &State) -> Option<u32> {
    match state.text()?.rows.get(state.diff.at)? {
        Row::Line { line, .. } if is_pickable(state, state.diff.at) => u32::try_from(*line).ok(),
        Row::Line { .. } | Row::Heading { .. } => None,
    }
}

fn toggle(state: &mut State) {
    let Some(line) = line_at_cursor(state) else { return };
    if let Some(pick) = &mut state.diff.pick
        && !pick.lines.remove(&line)
    {
        pick.lines.insert(line);
    }
}

/// Every line that can be picked.
fn all_lines(state: &State) -> BTreeSet<u32> {
    let Some((_index, hunk)) = state.text().and_then(|text| text.hunk_at(state.diff.at)) else {
        return BTreeSet::new();
    };
    (0_u32..)
        .zip(&hunk.lines)
        .filter(|(_number, line)| line.kind != LineKind::Context)
        .map(|(number, _line)| number)
        .collect()
}

fn toggle_all(state: &mut State) {
    let all = all_lines(state);
    if let Some(pick) = &mut state.diff.pick {
        pick.lines = if pick.lines == all { BTreeSet::new() } else { all };
    }
}

fn finish(state: &mut State, verdict: Verdict) {
    let all = all_lines(state);
    let Some(pick) = state.diff.pick.take() else { return };
    if pick.lines.is_empty() {
        state.diff.pick = Some(pick);
        state.notice = Some(Notice::Info("no line is picked: space picks one".to_owned()));
        return;
    }
    let lines = (pick.lines != all).then_some(pick.lines);
    decide_hunk(state, Some(HunkChoice { verdict, lines }));
}
