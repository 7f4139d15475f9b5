//! What an event makes of the state, and what it wants done. No clock, no terminal, no server.

mod answers;
mod decide;
mod dialog;
mod moves;
mod summary;

use crate::review::{
    key::Key,
    layout,
    state::{Busy, Effect, Event, FilterKind, Focus, Notice, Screen, State},
    text::Loaded,
};

/// The next state, and the effects in order.
pub(crate) fn update(mut state: State, event: Event) -> (State, Vec<Effect>) {
    let mut effects = Vec::new();
    match event {
        Event::Key(key) => {
            if matches!(state.notice, Some(Notice::Info(_))) {
                state.notice = None;
            }
            keys(&mut state, key, &mut effects);
        }
        Event::Size(size) => state.size = size,
        Event::Changes(answer) => answers::changes(&mut state, answer),
        Event::Hunks(path, answer) => {
            if state.asked.as_ref() == Some(&path) {
                state.asked = None;
            }
            let loaded = match answer {
                Ok(hunks) => Loaded::Text(Box::new(text_of(&mut state, hunks))),
                Err(trouble) => Loaded::Failed(trouble.lines),
            };
            state.texts.keep(path, loaded);
        }
        Event::Sent(sent) => answers::sent(&mut state, *sent, &mut effects),
        Event::LatestApprove(answer) => answers::latest_approve(&mut state, answer),
        Event::Undone(answer) => answers::undone(&mut state, answer, &mut effects),
    }
    moves::settle(&mut state);
    ask_for_hunks(&mut state, &mut effects);
    (state, effects)
}

fn text_of(state: &mut State, hunks: sandbar_api::FileHunks) -> super::text::Text {
    let text = super::text::Text::of(hunks);
    let is_of_another = state.set.as_ref().is_some_and(|set| set.diff_id != text.diff_id);
    if is_of_another && state.notice.is_none() {
        state.notice =
            Some(Notice::Info("the sandbox went on: r reads the changes again".to_owned()));
    }
    text
}

fn keys(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    match key {
        Key::Ctrl('z') => return effects.push(Effect::Suspend),
        Key::Ctrl('l') => return effects.push(Effect::Redraw),
        Key::Ctrl('c') => return dialog::quit(state, effects),
        Key::Char(_) | Key::Ctrl(_) | Key::Enter | Key::Esc | Key::Tab | Key::Backspace => {}
        Key::Up | Key::Down | Key::Left | Key::Right => {}
        Key::PageUp | Key::PageDown | Key::Home | Key::End => {}
    }
    match &state.screen {
        Screen::Review if state.diff.pick.is_some() => decide::picking(state, key),
        Screen::Review => review(state, key, effects),
        Screen::Search => dialog::search(state, key),
        Screen::Every => dialog::every(state, key),
        Screen::Help => state.screen = Screen::Review,
        Screen::Summary(_) => summary::keys(state, key, effects),
        Screen::Conflict { .. } => dialog::conflict(state, key),
        Screen::Undo(_) => dialog::undo(state, key, effects),
        Screen::Quit => dialog::quitting(state, key, effects),
    }
}

/// Keys in front of list and diff.
#[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing")]
fn review(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    match key {
        Key::Char('q') => dialog::quit(state, effects),
        Key::Char('?') => state.screen = Screen::Help,
        Key::Char('/') => state.screen = Screen::Search,
        Key::Char('e') if !state.changes().is_empty() => state.screen = Screen::Every,
        Key::Char('f') => next_filter(state),
        Key::Char('c') => dialog::open_conflict(state),
        Key::Char('r') => reload(state, effects),
        Key::Char('u') => {
            state.busy = Some(Busy::Loading);
            effects.push(Effect::AskLatestApprove);
        }
        Key::Char('w') | Key::Enter => summary::open(state),
        Key::Esc if state.notice.is_some() => state.notice = None,
        Key::Esc if state.focus == Focus::Diff => state.focus = Focus::Files,
        Key::Esc => clear_filter(state),
        key => {
            if !decide::keys(state, key) {
                moves::keys(state, key);
            }
        }
    }
}

pub(super) fn reload(state: &mut State, effects: &mut Vec<Effect>) {
    state.busy = Some(Busy::Loading);
    state.texts.clear();
    state.asked = None;
    effects.push(Effect::LoadChanges);
}

/// All, undecided, then each flag that some change has.
fn next_filter(state: &mut State) {
    let flags: std::collections::BTreeSet<_> =
        state.changes().iter().flat_map(|change| change.flags.iter().copied()).collect();
    let mut kinds = vec![FilterKind::All, FilterKind::Undecided];
    kinds.extend(flags.into_iter().map(FilterKind::Flag));
    let at = kinds.iter().position(|kind| *kind == state.filter.kind).unwrap_or(0);
    state.filter.kind = kinds[(at + 1) % kinds.len()];
    moves::refilter(state);
}

fn clear_filter(state: &mut State) {
    state.filter = super::state::Filter::default();
    moves::refilter(state);
}

/// Asks for the hunks of the path under the cursor, then for those of the next one: one at a time, so that a key that
/// is held down asks for what it ends at, not for everything that it passes.
fn ask_for_hunks(state: &mut State, effects: &mut Vec<Effect>) {
    if state.asked.is_some() || state.busy.is_some() {
        return;
    }
    let wanted = [state.list.at, state.list.at + 1]
        .into_iter()
        .filter_map(|row| state.shown(row))
        .find(|change| change.lines.is_some() && state.texts.of(&change.path).is_none())
        .map(|change| change.path.clone());
    if let Some(path) = wanted {
        state.asked = Some(path.clone());
        effects.push(Effect::LoadHunks(path));
    }
}

/// Rows of the diff that fit the screen.
pub(super) fn diff_rows(state: &State) -> usize {
    usize::from(layout::layout(state).diff.height).max(1)
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
