//! The summary: what will be sent, what needs a yes, why something is rejected.

use std::collections::{BTreeMap, BTreeSet};

use sandbar_api::{ApproveRequest, RejectRequest};
use sandbar_types::{ChangeFlag, PathFlags, Resolution, Selection, Side, Take};

use crate::review::{
    choice::Orders,
    key::Key,
    state::{Busy, Effect, Notice, Screen, Sending, State, Summary},
};

/// LIMIT: characters of a reason.
const REASON_CHARS_MAX: usize = 500;

/// Shows what was decided, if anything was.
pub(super) fn open(state: &mut State) {
    let orders = state.choices.orders(state.changes());
    if orders.is_empty() {
        state.screen = Screen::Review;
        state.notice = Some(Notice::Info(if orders.held_back.is_empty() {
            "nothing is decided yet: a approves, x rejects".to_owned()
        } else {
            "a directory is decided by itself, and what is below it is not".to_owned()
        }));
        return;
    }
    state.screen = Screen::Summary(Box::new(Summary { orders, ..Summary::default() }));
}

pub(super) fn keys(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let Screen::Summary(summary) = &mut state.screen else { return };
    if state.busy.is_some() {
        return;
    }
    if summary.is_typing {
        return typing(summary, key);
    }
    match key {
        Key::Esc | Key::Char('q') => state.screen = Screen::Review,
        Key::Enter | Key::Char('w') => send(state, effects),
        Key::Char('r') if !summary.trouble.is_empty() => {
            state.screen = Screen::Review;
            super::reload(state, effects);
        }
        Key::Char('i' | 'm') if !summary.orders.reject.is_empty() => summary.is_typing = true,
        Key::Char(' ' | 'y') => say_yes(summary),
        Key::Down | Key::Char('j') => {
            summary.at = (summary.at + 1).min(summary.orders.needs_yes.len().saturating_sub(1));
        }
        Key::Up | Key::Char('k') => summary.at = summary.at.saturating_sub(1),
        Key::PageDown | Key::Ctrl(_) | Key::End => summary.top += 5,
        Key::PageUp | Key::Home => summary.top = summary.top.saturating_sub(5),
        Key::Char(_) | Key::Tab | Key::Backspace | Key::Left | Key::Right => {}
    }
}

/// Says yes to the flag under the cursor, or takes that back, and goes to the next.
fn say_yes(summary: &mut Summary) {
    let Some(flag) = summary.orders.needs_yes.keys().nth(summary.at).copied() else { return };
    if !summary.said_yes.remove(&flag) {
        summary.said_yes.insert(flag);
        summary.at = (summary.at + 1).min(summary.orders.needs_yes.len() - 1);
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other keys do not type")]
fn typing(summary: &mut Summary, key: Key) {
    match key {
        Key::Enter | Key::Tab => summary.is_typing = false,
        Key::Esc => {
            summary.is_typing = false;
            summary.reason.clear();
        }
        Key::Backspace => drop(summary.reason.pop()),
        Key::Ctrl('u') => summary.reason.clear(),
        Key::Char(c) if summary.reason.chars().count() < REASON_CHARS_MAX => summary.reason.push(c),
        _ => {}
    }
}

/// The flags that were said yes to, path by path.
fn confirmed(orders: &Orders, said_yes: &BTreeSet<ChangeFlag>) -> Vec<PathFlags> {
    let mut paths: BTreeMap<_, BTreeSet<ChangeFlag>> = BTreeMap::new();
    for (flag, at) in orders.needs_yes.iter().filter(|(flag, _at)| said_yes.contains(flag)) {
        for path in at {
            paths.entry(path.clone()).or_default().insert(*flag);
        }
    }
    paths.into_iter().map(|(path, flags)| PathFlags { path, flags }).collect()
}

/// Sends it all, once every flag has its yes.
fn send(state: &mut State, effects: &mut Vec<Effect>) {
    let Screen::Summary(summary) = &state.screen else { return };
    let unsaid: Vec<_> =
        summary.orders.needs_yes.keys().filter(|flag| !summary.said_yes.contains(flag)).collect();
    if !unsaid.is_empty() {
        state.notice = Some(Notice::Info("say yes to what is marked first: space".to_owned()));
        return;
    }
    let Some(set) = &state.set else { return };
    let Summary { orders, said_yes, reason, .. } = summary.as_ref();
    let resolutions = orders
        .approve
        .iter()
        .filter_map(|part| {
            let take = match state.resolutions.get(&part.path)? {
                Side::Ours => Take::Ours,
                Side::Theirs => Take::Theirs,
            };
            Some(Resolution { path: part.path.clone(), take })
        })
        .collect();
    let approve = (!orders.approve.is_empty()).then(|| ApproveRequest {
        diff_id: set.diff_id,
        selection: Selection::Parts(orders.approve.clone()),
        // Yes is said to the paths that were shown, and to no other.
        confirm: BTreeSet::new(),
        confirm_paths: confirmed(orders, said_yes),
        resolutions,
        otherwise: None,
        commit: None,
    });
    let reject = (!orders.reject.is_empty()).then(|| RejectRequest {
        diff_id: Some(set.diff_id),
        selection: Selection::Parts(orders.reject.clone()),
        reason: (!reason.trim().is_empty()).then(|| reason.trim().to_owned()),
    });
    state.busy = Some(Busy::Sending);
    effects.push(Effect::Send(Box::new(Sending { approve, reject, seen: set.changes.clone() })));
}
