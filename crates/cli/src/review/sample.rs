//! A review in the middle, for tests.

use sandbar_api::{FileHunks, Hunk, HunkLine, LineKind, MergeState};
use sandbar_types::{
    Change, ChangeFlag, ChangeKind, ChangeSet, DiffId, Entry, HunkId, LineText, MergeConflict,
    Sha256, WorkspacePath,
};

use crate::{
    review::{
        state::{Event, Size, State},
        update::update,
    },
    sample::change,
};

const SET: DiffId = DiffId(Sha256([1; 32]));

pub(crate) fn set() -> ChangeSet {
    let file = |size| Some(Entry::File { size, mode: 0o644, sha256: Sha256([7; 32]) });
    let with = |path: &str, kind, flags: &[ChangeFlag], new| {
        let mut change = change(path, kind);
        change.flags.extend(flags);
        change.new = new;
        change
    };
    let directory = Some(Entry::Directory { mode: 0o755 });
    let fifo = Some(Entry::Special { what: "fifo".to_owned() });
    let mut changes = vec![
        with(".envrc", ChangeKind::Added, &[ChangeFlag::ExecOnOpen], file(12)),
        with("d", ChangeKind::Added, &[], directory),
        with(
            "d/a\u{202e}b\x1b.md",
            ChangeKind::Added,
            &[ChangeFlag::NameBidi, ChangeFlag::NameControlChars],
            file(3),
        ),
        with("d/文字.md", ChangeKind::Added, &[], file(2000)),
        with("pipe", ChangeKind::Added, &[ChangeFlag::Special], fifo),
        with("src/cart.rs", ChangeKind::Modified, &[], file(900)),
    ];
    for index in [1, 4] {
        changes[index].lines = None;
    }
    ChangeSet { diff_id: SET, changes }
}

fn lines(all: &[&str]) -> Vec<HunkLine> {
    let line = |text: &&str| {
        let (sign, text) = text.split_at(1);
        let kind = match sign {
            "+" => LineKind::Added,
            "-" => LineKind::Removed,
            _ => LineKind::Context,
        };
        HunkLine { kind, text: text.to_owned(), has_newline: true }
    };
    all.iter().map(line).collect()
}

fn hunks(path: &WorkspacePath) -> FileHunks {
    let hunk = |id, start, all: &[&str]| {
        let lines = lines(all);
        let count = |not| lines.iter().filter(|line| line.kind != not).count() as u64;
        Hunk {
            id: HunkId(id),
            old_start: start,
            old_lines: count(LineKind::Added),
            new_start: start,
            new_lines: count(LineKind::Removed),
            lines,
        }
    };
    let hunks = if path.as_bytes() == b"src/cart.rs" {
        vec![
            hunk(
                1,
                12,
                &[
                    " impl Cart {",
                    "-    fn add(&mut self, name: &str) {",
                    "+    fn add(&mut self, name: &str, count: u32) { // more",
                    "+\tlet odd = \"\u{202e}\x1b[2J文字\";",
                    "     }",
                ],
            ),
            hunk(
                2,
                99,
                &["-    total", "+    total.min(1_000_000) /* capped", "+       here */", " }"],
            ),
        ]
    } else {
        vec![hunk(3, 1, &["+export X=1"])]
    };
    FileHunks {
        diff_id: SET,
        path: path.clone(),
        hunks,
        merge: MergeState::None,
        conflicts: Vec::new(),
    }
}

/// At 80 by 24, everything read.
pub(crate) fn loaded() -> State {
    let state =
        State::new("calm-bay".to_owned(), "/code/shop".to_owned(), Size { cols: 80, rows: 24 });
    let (mut state, _effects) = update(state, Event::Changes(Ok(set())));
    for Change { path, .. } in set().changes.iter().filter(|change| change.lines.is_some()) {
        state = update(state, Event::Hunks(path.clone(), Ok(hunks(path)))).0;
    }
    state
}

/// As if the host had changed the same lines of the last file.
pub(crate) fn collide(state: &mut State) {
    let path = WorkspacePath::parse("src/cart.rs").unwrap();
    let line = |text: &str| vec![LineText(text.as_bytes().to_vec())];
    let mut hunks = hunks(&path);
    hunks.merge = MergeState::Conflict;
    hunks.conflicts.push(MergeConflict {
        ours_start: 13,
        base: line("    fn add(&mut self, name: &str) {\n"),
        ours: line("    pub fn add(&mut self, name: &str) {\n"),
        theirs: line("    fn add(&mut self, name: &str, count: u32) {\n"),
    });
    *state = update(state.clone(), Event::Hunks(path, Ok(hunks))).0;
}
