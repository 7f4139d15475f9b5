use sandbar_types::{Entry, Sha256};

use super::*;
use crate::sample::change;

fn path(text: &str) -> WorkspacePath {
    WorkspacePath::parse(text).unwrap()
}

fn id(number: u64) -> HunkId {
    HunkId(number)
}

fn whole(text: &str) -> Part {
    Part { path: path(text), hunks: Vec::new() }
}

fn file(text: &str, content: u8) -> Change {
    let mut change = change(text, ChangeKind::Added);
    change.new = Some(Entry::File { size: 1, mode: 0o644, sha256: Sha256([content; 32]) });
    change
}

#[test]
fn hunks_decided_alike_are_the_whole_file() {
    let mut choices = Choices::default();
    let (a, all) = (path("a"), [id(1), id(2)]);
    let approve = || Some(HunkChoice::whole(Verdict::Approve));
    choices.decide_hunk(&a, id(1), approve(), &all);
    assert_eq!(choices.standing(&a), Standing::Partly);
    choices.decide_hunk(&a, id(2), approve(), &all);
    assert_eq!(choices.standing(&a), Standing::Approved);
    choices.decide_hunk(&a, id(1), Some(HunkChoice::whole(Verdict::Reject)), &all);
    assert_eq!(choices.standing(&a), Standing::Partly);
    assert_eq!(choices.hunk(&a, id(2)), approve());
    choices.decide_hunk(&a, id(1), None, &all);
    choices.decide_hunk(&a, id(2), None, &all);
    assert_eq!(choices.standing(&a), Standing::Undecided);
    assert!(choices.is_empty());
}

#[test]
fn picked_lines_are_not_the_whole_hunk() {
    let mut choices = Choices::default();
    let lines = Some(BTreeSet::from([3, 1]));
    choices.decide_hunk(
        &path("a"),
        id(1),
        Some(HunkChoice { verdict: Verdict::Approve, lines }),
        &[id(1)],
    );
    assert_eq!(choices.standing(&path("a")), Standing::Partly);
    let orders = choices.orders(&[file("a", 1)]);
    let pick = HunkPick { id: id(1), lines: Some(vec![1, 3]) };
    assert_eq!(orders.approve, [Part { path: path("a"), hunks: vec![pick] }]);
}

#[test]
fn one_file_can_be_written_in_part_and_dropped_in_part() {
    let mut choices = Choices::default();
    let all = [id(1), id(2), id(3)];
    for (hunk, verdict) in [(1, Verdict::Approve), (2, Verdict::Reject)] {
        choices.decide_hunk(&path("a"), id(hunk), Some(HunkChoice::whole(verdict)), &all);
    }
    let orders = choices.orders(&[file("a", 1), file("b", 1)]);
    let part = |hunk| Part { path: path("a"), hunks: vec![HunkPick { id: id(hunk), lines: None }] };
    assert_eq!(orders.approve, [part(1)]);
    assert_eq!(orders.reject, [part(2)]);
    assert_eq!((orders.pending, orders.partly), (1, 1));
}

#[test]
fn a_directory_is_not_sent_over_the_head_of_what_is_below() {
    let changes = [file("d", 0), file("d/a", 1), file("d/b", 2)];
    let mut choices = Choices::default();
    choices.decide(&path("d"), Some(Verdict::Approve));
    choices.decide(&path("d/a"), Some(Verdict::Approve));
    let orders = choices.orders(&changes);
    assert_eq!(orders.held_back, [path("d")]);
    assert_eq!(orders.approve, [whole("d/a")]);
    choices.decide(&path("d/b"), Some(Verdict::Approve));
    let orders = choices.orders(&changes);
    assert_eq!(orders.held_back, []);
    assert_eq!(orders.approve, ["d", "d/a", "d/b"].map(whole));
}

#[test]
fn flags_that_need_a_yes_are_collected_from_what_is_approved() {
    let mut hook = file(".envrc", 1);
    hook.flags.insert(ChangeFlag::ExecOnOpen);
    let mut gone = file("Makefile", 1);
    gone.flags.insert(ChangeFlag::ExecOnOpen);
    gone.new = None;
    let changes = [hook, gone];
    let mut choices = Choices::default();
    choices.decide(&path(".envrc"), Some(Verdict::Reject));
    assert!(choices.orders(&changes).needs_yes.is_empty());
    choices.decide(&path(".envrc"), Some(Verdict::Approve));
    choices.decide(&path("Makefile"), Some(Verdict::Approve));
    let expected = BTreeMap::from([(ChangeFlag::ExecOnOpen, vec![path(".envrc")])]);
    assert_eq!(choices.orders(&changes).needs_yes, expected);
}

#[test]
fn decisions_outlive_a_reload_only_where_nothing_moved() {
    let mut choices = Choices::default();
    for name in ["same", "other", "gone"] {
        choices.decide(&path(name), Some(Verdict::Approve));
    }
    let before = [file("same", 1), file("other", 1), file("gone", 1)];
    let now = [file("new", 1), file("other", 2), file("same", 1)];
    assert_eq!(choices.keep_valid(&before, &now), 2);
    assert_eq!(choices.standing(&path("same")), Standing::Approved);
    assert_eq!(choices.len(), 1);
}

#[test]
fn nothing_unseen_is_rejected() {
    let seen = [file("d", 0), file("d/a", 1), file("x", 1)];
    let reject = [whole("d"), whole("x")];
    assert_eq!(moved_on(&seen, &seen, &reject), None);
    assert_eq!(moved_on(&seen, &seen[1..], &reject), None, "less is no surprise");
    let more = [file("d", 0), file("d/a", 1), file("d/new", 1), file("x", 1)];
    assert_eq!(moved_on(&seen, &more, &reject), Some(&path("d")));
    let other = [file("d", 0), file("d/a", 1), file("x", 9)];
    assert_eq!(moved_on(&seen, &other, &reject), Some(&path("x")));
}
