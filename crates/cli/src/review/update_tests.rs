//! Tables of keys and what they make of the state.

use std::collections::BTreeSet;

use sandbar_api::{ErrorCode, MergeState};
use sandbar_types::{ApproveOutcome, ChangeFlag, ChangeSet, DiffId, PathFlags, Selection, Sha256};

use super::*;
use crate::review::{
    choice::Standing,
    sample,
    state::{Sending, Sent, Size, Trouble, path_text},
};

fn press(state: State, keys: &str) -> (State, Vec<Effect>) {
    let mut all = Vec::new();
    let mut state = state;
    for c in keys.chars() {
        let key = match c {
            '\n' => Key::Enter,
            '\t' => Key::Tab,
            '\x1b' => Key::Esc,
            c => Key::Char(c),
        };
        let (next, effects) = update(state, Event::Key(key));
        state = next;
        all.extend(effects);
    }
    (state, all)
}

/// One letter for each path: approved, rejected, in part, undecided.
fn standings(state: &State) -> String {
    let letter = |change: &sandbar_types::Change| match state.choices.standing(&change.path) {
        Standing::Approved => 'a',
        Standing::Rejected => 'x',
        Standing::Partly => '~',
        Standing::Undecided => '.',
    };
    state.changes().iter().map(letter).collect()
}

fn sending(effects: &[Effect]) -> Option<&Sending> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send(sending) => Some(sending.as_ref()),
        Effect::LoadChanges | Effect::LoadHunks(_) | Effect::AskLatestApprove => None,
        Effect::Undo(_) | Effect::Redraw | Effect::Suspend | Effect::Quit => None,
    })
}

#[test]
fn keys_decide_about_files() {
    // .envrc, d, d/a, d/b, pipe, src/cart.rs (two hunks)
    for (keys, standing, at) in [
        ("", "......", 0),
        ("a", "a.....", 1),
        ("x", "x.....", 1),
        ("aks", "......", 1),
        ("ja", ".aaa..", 4),
        ("jx", ".xxx..", 4),
        ("jjjja", "......", 4),
        ("jjjjx", "....x.", 5),
        ("Ga", ".....a", 5),
        ("ea", "aaaa.a", 0),
        ("ex", "xxxxxx", 0),
        ("eaes", "......", 0),
        ("e\x1b", "......", 0),
        ("/cart\nea", ".....a", 0),
        ("ffea", "a.....", 0),
        ("fffea", "......", 0),
    ] {
        let (state, _effects) = press(sample::loaded(), keys);
        assert_eq!((standings(&state).as_str(), state.list.at), (standing, at), "{keys:?}");
    }
}

#[test]
fn keys_decide_about_hunks_and_lines() {
    for (keys, standing, lines) in [
        ("G\ta", ".....~", None),
        ("G\taa", ".....a", None),
        ("G\tax", ".....~", None),
        ("G\tA", ".....a", None),
        ("G\tv a", ".....~", Some(vec![1])),
        ("G\tv  a", ".....~", Some(vec![1, 2])),
        ("G\tvVa", ".....~", None),
        ("G\tva", "......", None),
        ("G\tv \x1b", "......", None),
    ] {
        let (state, _effects) = press(sample::loaded(), keys);
        assert_eq!(standings(&state), standing, "{keys:?}");
        let orders = state.choices.orders(state.changes());
        let picked = orders.approve.first().and_then(|part| part.hunks.first()?.lines.clone());
        assert_eq!(picked, lines, "{keys:?}");
    }
}

#[test]
fn nothing_is_sent_before_every_flag_has_its_yes() {
    let (state, effects) = press(sample::loaded(), "aG\taxw\n");
    assert_eq!(sending(&effects), None);
    assert!(matches!(state.notice, Some(Notice::Info(_))));
    let (state, effects) = press(state, " itoo slow\n\n");
    let sending = sending(&effects).expect("sent");
    let approve = sending.approve.as_ref().expect("an approve");
    let flags = BTreeSet::from([ChangeFlag::ExecOnOpen]);
    assert_eq!(approve.confirm_paths, [PathFlags { path: state.changes()[0].path.clone(), flags }]);
    assert!(approve.confirm.is_empty(), "no other path is meant");
    assert!(matches!(&approve.selection, Selection::Parts(parts) if parts.len() == 2));
    let reject = sending.reject.as_ref().expect("a reject");
    assert_eq!(reject.reason.as_deref(), Some("too slow"));
    assert!(matches!(&reject.selection, Selection::Parts(parts) if parts[0].hunks.len() == 1));
    // Nothing goes out twice.
    assert_eq!(press(state, "\n\n").1, []);
}

#[test]
fn a_refusal_keeps_the_decisions_and_asks_for_what_is_missing() {
    let (state, _effects) = press(sample::loaded(), "Gaw\n");
    let path = state.changes()[5].path.clone();
    let trouble = Trouble {
        lines: vec!["error: needs a yes".to_owned()],
        code: Some(ErrorCode::ConfirmationRequired),
        flagged: vec![(path, ChangeFlag::ExecBit)],
    };
    let sent = Sent { approved: Some(Err(trouble)), rejected: None };
    let (state, effects) = update(state, Event::Sent(Box::new(sent)));
    assert_eq!((standings(&state).as_str(), effects.len()), (".....a", 0));
    let (_state, effects) = press(state, " \n");
    let confirmed = &sending(&effects).unwrap().approve.as_ref().unwrap().confirm_paths;
    assert_eq!(confirmed[0].flags, BTreeSet::from([ChangeFlag::ExecBit]));
}

#[test]
fn after_a_change_of_the_set_decisions_about_the_same_are_kept() {
    let (state, _effects) = press(sample::loaded(), "Gaw\n");
    let stale = Trouble { code: Some(ErrorCode::DiffChanged), ..Trouble::default() };
    let sent = Sent { approved: Some(Err(stale)), rejected: None };
    let (state, _effects) = update(state, Event::Sent(Box::new(sent)));
    let (state, effects) = press(state, "r");
    assert_eq!(effects, [Effect::LoadChanges]);
    let mut set = state.set.clone().unwrap();
    set.diff_id = DiffId(Sha256([9; 32]));
    set.changes.remove(0);
    let (state, _effects) = update(state, Event::Changes(Ok(set)));
    assert_eq!(standings(&state), "....a");
    assert_eq!(path_text(&state.current().unwrap().path), "src/cart.rs", "the cursor stays");
}

#[test]
fn what_can_never_be_approved_comes_last() {
    let mut set = sample::set();
    set.changes[0].flags.insert(sandbar_types::ChangeFlag::Protected);
    let (state, _effects) = update(sample::loaded(), Event::Changes(Ok(set)));
    assert_eq!(state.list.shown, [1, 2, 3, 4, 5, 0]);
}

#[test]
fn what_was_sent_is_forgotten_and_the_rest_is_kept() {
    let (state, _effects) = press(sample::loaded(), "G\taxw");
    let (state, _effects) = press(state, "\n");
    let outcome = ApproveOutcome {
        id: sandbar_types::ApproveId::generate(),
        applied: vec![state.changes()[5].path.clone()],
        skipped: Vec::new(),
        commit: None,
        commit_branch: None,
        commit_ignored: Vec::new(),
    };
    let failed = Trouble { lines: vec!["error: no".to_owned()], ..Trouble::default() };
    let sent = Sent { approved: Some(Ok(outcome)), rejected: Some(Err(failed)) };
    let (state, effects) = update(state, Event::Sent(Box::new(sent)));
    assert_eq!(effects, [Effect::LoadChanges]);
    assert!(
        matches!(&state.notice, Some(Notice::Bad(lines)) if lines.contains(&"error: no".to_owned()))
    );
    let orders = state.choices.orders(state.changes());
    assert_eq!((orders.approve.len(), orders.reject.len()), (0, 1));
    // An error stays until it is put away, whatever is pressed.
    let (state, _effects) = press(state, "jkn");
    assert!(matches!(state.notice, Some(Notice::Bad(_))));
    assert_eq!(press(state, "\x1b").0.notice, None);
}

#[test]
fn leaving_asks_only_when_decisions_are_lost() {
    for (keys, is_left) in [
        ("q", true),
        ("aq", false),
        ("aqy", true),
        ("aq\x1b", false),
        ("aqs", false),
        ("aasssq", false),
    ] {
        let (_state, effects) = press(sample::loaded(), keys);
        assert_eq!(effects.contains(&Effect::Quit), is_left, "{keys:?}");
    }
    let (state, _effects) = press(sample::loaded(), "a");
    let (state, effects) = update(state, Event::Key(Key::Ctrl('c')));
    assert!(!effects.contains(&Effect::Quit));
    assert_eq!(update(state, Event::Key(Key::Ctrl('c'))).1, [Effect::Quit]);
}

#[test]
fn a_collision_is_decided_before_it_is_approved() {
    let mut state = sample::loaded();
    sample::collide(&mut state);
    let (state, _effects) = press(state, "Ga");
    assert!(matches!(state.screen, Screen::Conflict { .. }));
    let (state, _effects) = press(state, "tw");
    let (state, effects) = press(state, "\n");
    let approve = sending(&effects).unwrap().approve.as_ref().unwrap();
    assert_eq!(approve.resolutions.len(), 1);
    assert_eq!(approve.resolutions[0].take, sandbar_types::Take::Theirs);
    assert_eq!(state.text().unwrap().merge, MergeState::Conflict);
}

#[test]
fn hunks_are_asked_for_one_file_at_a_time() {
    let state = State::new("x".to_owned(), "/x".to_owned(), Size { cols: 80, rows: 24 });
    let set: ChangeSet = sample::set();
    let (state, effects) = update(state, Event::Changes(Ok(set)));
    let first = state.changes()[0].path.clone();
    assert_eq!(effects, [Effect::LoadHunks(first.clone())]);
    let (state, effects) = press(state, "jjjjj");
    assert_eq!(effects, [], "one is under way");
    let answer = Event::Hunks(first, Err(Trouble::default()));
    let (state, effects) = update(state, answer);
    assert_eq!(effects, [Effect::LoadHunks(state.changes()[5].path.clone())]);
}

#[test]
fn undo_asks_first() {
    let id = sandbar_types::ApproveId::generate();
    let (state, effects) = press(sample::loaded(), "u");
    assert_eq!(effects, [Effect::AskLatestApprove]);
    let (state, _effects) = update(state, Event::LatestApprove(Ok(Some(id))));
    assert_eq!(press(state.clone(), "n").1, []);
    let (state, effects) = press(state, "y");
    assert_eq!(effects, [Effect::Undo(id)]);
    assert_eq!(update(state, Event::Undone(Ok(()))).1, [Effect::LoadChanges]);
}

proptest::proptest! {
    #[test]
    fn no_keys_make_it_panic(
        keys in "[a-zA-Z0-9 /?\\[\\]<>*\n\t\x1b]{0,60}",
        cols in 1_u16..140,
        rows in 1_u16..50,
    ) {
        let (state, _effects) = update(sample::loaded(), Event::Size(Size { cols, rows }));
        let (state, _effects) = press(state, &keys);
        let area = ratatui_core::layout::Rect::new(0, 0, cols, rows);
        let mut buffer = ratatui_core::buffer::Buffer::empty(area);
        crate::review::draw::draw(&state, crate::review::draw::Theme::Colored, &mut buffer);
    }
}

#[test]
fn what_is_ignored_is_approved_only_where_it_is_meant() {
    let mut set = sample::set();
    set.changes[3].flags.insert(ChangeFlag::Ignored);
    let state = State::new("calm-bay".to_owned(), "/code".to_owned(), Size { cols: 80, rows: 24 });
    let (state, _effects) = update(state, Event::Changes(Ok(set)));
    assert_eq!(state.list.shown, [0, 1, 2, 4, 5, 3], "it is listed last");
    assert_eq!(standings(&press(state.clone(), "ja").0), ".aa...", "not with its directory");
    assert_eq!(standings(&press(state.clone(), "jx").0), ".xxx..", "a reject is for all of it");
    assert_eq!(standings(&press(state, "Ga").0), "...a..", "by itself");
}
