//! Questions, the filter, and the conflict screen.

use sandbar_types::{Side, WorkspacePath};

use crate::review::{
    choice::{Standing, Verdict},
    key::Key,
    state::{Busy, Effect, Focus, Notice, Screen, State},
    update::{decide, moves, summary},
};

/// Asks before decisions are lost; a second time it is meant.
pub(super) fn quit(state: &mut State, effects: &mut Vec<Effect>) {
    if state.choices.is_empty() || state.screen == Screen::Quit {
        effects.push(Effect::Quit);
    } else {
        state.screen = Screen::Quit;
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other key is no")]
pub(super) fn quitting(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    match key {
        Key::Char('y' | 'Y' | 'q') => effects.push(Effect::Quit),
        Key::Char('w') | Key::Enter => summary::open(state),
        _ => state.screen = Screen::Review,
    }
}

/// Typing the filter; the list follows each letter.
#[expect(clippy::wildcard_enum_match_arm, reason = "other keys do not type")]
pub(super) fn search(state: &mut State, key: Key) {
    match key {
        Key::Enter | Key::Tab => {
            state.screen = Screen::Review;
            state.focus = Focus::Files;
        }
        Key::Esc => {
            state.filter.text.clear();
            state.screen = Screen::Review;
        }
        Key::Backspace => drop(state.filter.text.pop()),
        Key::Ctrl('u') => state.filter.text.clear(),
        Key::Char(c) => state.filter.text.push(c),
        _ => {}
    }
    moves::refilter(state);
}

/// Deciding about everything that is shown.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other key is no")]
pub(super) fn every(state: &mut State, key: Key) {
    match key {
        Key::Char('a') => decide::every(state, Some(Verdict::Approve)),
        Key::Char('x') => decide::every(state, Some(Verdict::Reject)),
        Key::Char('s' | ' ') => decide::every(state, None),
        _ => {}
    }
    state.screen = Screen::Review;
}

/// Shows where the path under the cursor collides, if it does.
pub(super) fn open_conflict(state: &mut State) {
    match state.current().filter(|_change| state.is_colliding()).map(|change| change.path.clone()) {
        Some(path) => state.screen = Screen::Conflict { path, top: 0 },
        None => {
            state.notice =
                Some(Notice::Info("nothing here collides with your own edits".to_owned()));
        }
    }
}

/// The conflicts of a file: whose text stands where both changed it.
#[expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing")]
pub(super) fn conflict(state: &mut State, key: Key) {
    let Screen::Conflict { path, top } = &mut state.screen else { return };
    let path = path.clone();
    match key {
        Key::Down | Key::Char('j') => *top += 1,
        Key::Up | Key::Char('k') => *top = top.saturating_sub(1),
        Key::PageDown | Key::Ctrl('d') => *top += 10,
        Key::PageUp | Key::Ctrl('u') => *top = top.saturating_sub(10),
        Key::Char('o') => take(state, path, Side::Ours),
        Key::Char('t') => take(state, path, Side::Theirs),
        Key::Char('s' | ' ') => {
            state.resolutions.remove(&path);
            state.choices.decide(&path, None);
            state.screen = Screen::Review;
        }
        Key::Esc | Key::Char('q') => state.screen = Screen::Review,
        _ => {}
    }
}

fn take(state: &mut State, path: WorkspacePath, side: Side) {
    if matches!(state.choices.standing(&path), Standing::Undecided | Standing::Rejected) {
        state.choices.decide(&path, Some(Verdict::Approve));
    }
    state.resolutions.insert(path, side);
    state.screen = Screen::Review;
}

pub(super) fn undo(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let Screen::Undo(id) = state.screen else { return };
    state.screen = Screen::Review;
    if matches!(key, Key::Char('y' | 'Y')) {
        state.busy = Some(Busy::Undoing);
        effects.push(Effect::Undo(id));
    }
}
