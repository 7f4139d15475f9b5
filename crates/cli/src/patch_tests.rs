use std::fmt::Write;

use proptest::prelude::*;
use sandbar_api::{FileHunks, Hunk, HunkLine, LineKind, MergeState};
use sandbar_types::{Change, ChangeKind, DiffId, HunkId, HunkPick, Part, Sha256};

use super::*;
use crate::sample::change;

fn pending(hunks: Vec<Hunk>) -> FileHunks {
    let diff_id = DiffId(Sha256([0; 32]));
    let path = modified().path;
    FileHunks { diff_id, path, hunks, merge: MergeState::None, conflicts: Vec::new() }
}

fn modified() -> Change {
    change("a", ChangeKind::Modified)
}

/// Hunks from runs of lines; gaps lie between them.
fn hunks(all: &[Vec<(LineKind, String)>]) -> Vec<Hunk> {
    let (mut old, mut new) = (1, 1);
    all.iter()
        .zip(1_u64..)
        .map(|(lines, id)| {
            let count = |not| lines.iter().filter(|(kind, _text)| *kind != not).count() as u64;
            let (old_lines, new_lines) = (count(LineKind::Added), count(LineKind::Removed));
            let start = |at: u64, lines: u64| if lines == 0 { at - 1 } else { at };
            let hunk = Hunk {
                id: HunkId(id),
                old_start: start(old, old_lines),
                old_lines,
                new_start: start(new, new_lines),
                new_lines,
                lines: lines
                    .iter()
                    .map(|(kind, text)| HunkLine {
                        kind: *kind,
                        text: text.clone(),
                        has_newline: true,
                    })
                    .collect(),
            };
            old += old_lines + 10;
            new += new_lines + 10;
            hunk
        })
        .collect()
}

/// The patch that has only the picked lines, as a person would cut one down: a removed line that is not picked is context.
fn cut_down(hunks: &[Hunk], is_picked: impl Fn(usize, usize) -> bool) -> String {
    let mut out = "diff --git a/a b/a\n--- a/a\n+++ b/a\n".to_owned();
    for (index, hunk) in hunks.iter().enumerate() {
        let mut body = String::new();
        let (mut new, mut has_change) = (0, false);
        for (number, line) in hunk.lines.iter().enumerate() {
            let sign = match (line.kind, is_picked(index, number)) {
                (LineKind::Context, _) | (LineKind::Removed, false) => ' ',
                (LineKind::Added, false) => continue,
                (LineKind::Added, true) => '+',
                (LineKind::Removed, true) => '-',
            };
            new += usize::from(sign != '-');
            has_change |= sign != ' ';
            writeln!(body, "{sign}{}", line.text).unwrap();
        }
        if has_change {
            let Hunk { old_start, old_lines, .. } = hunk;
            write!(out, "@@ -{old_start},{old_lines} +1,{new} @@ fn x()\n{body}").unwrap();
        }
    }
    out
}

fn line() -> impl Strategy<Value = (LineKind, String)> {
    let kind = prop_oneof![Just(LineKind::Context), Just(LineKind::Added), Just(LineKind::Removed)];
    // Few texts, so that the same line comes often; some that look like headings.
    (kind, prop_oneof![Just("x"), Just("y"), Just(""), Just("-- a/b"), Just("@@ -1 +1 @@")])
        .prop_map(|(kind, text)| (kind, text.to_owned()))
}

proptest! {
    #[test]
    fn a_patch_means_exactly_the_lines_that_it_has(
        runs in proptest::collection::vec(proptest::collection::vec(line(), 1..8), 1..4),
        picks in proptest::collection::vec(any::<bool>(), 32),
    ) {
        let hunks = hunks(&runs);
        let is_picked = |hunk: usize, line: usize| picks[(hunk * 8 + line) % 32];
        let patch = parse(cut_down(&hunks, is_picked).as_bytes()).expect("well formed");
        let wanted: Vec<Vec<String>> = hunks.iter().enumerate().map(|(index, hunk)| {
            hunk.lines.iter().enumerate()
                .filter(|(number, line)| line.kind != LineKind::Context && is_picked(index, *number))
                .map(|(_number, line)| format!("{:?} {}", line.kind, line.text))
                .collect()
        }).collect();
        let part = match parts_of(&patch[0], &modified(), &pending(hunks.clone())) {
            Ok(part) => part,
            Err(unmatched) => {
                prop_assert!(unmatched == Unmatched::Nothing && wanted.iter().all(Vec::is_empty), "{:?}", unmatched);
                return Ok(());
            }
        };
        let found: Vec<Vec<String>> = hunks.iter().map(|hunk| {
            let pick = part.hunks.iter().find(|pick| pick.id == hunk.id);
            let is_meant = |number: usize| match pick {
                None => part.hunks.is_empty(),
                Some(HunkPick { lines: None, .. }) => true,
                Some(HunkPick { lines: Some(lines), .. }) => lines.contains(&u32::try_from(number).unwrap()),
            };
            hunk.lines.iter().enumerate()
                .filter(|(number, line)| line.kind != LineKind::Context && is_meant(*number))
                .map(|(_number, line)| format!("{:?} {}", line.kind, line.text))
                .collect()
        }).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(parse(&bytes));
        drop(parse(&[b"--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n", &bytes[..]].concat()));
    }
}

#[test]
fn what_is_not_pending_is_named() {
    let lines = vec![(LineKind::Removed, "x".to_owned()), (LineKind::Added, "y".to_owned())];
    let pending = pending(hunks(&[lines]));
    for (patch, kind, place) in [
        ("@@ -1 +1 @@\n-x\n+z\n", PatchKind::Added, 1),
        ("@@ -2 +2 @@\n-x\n+y\n", PatchKind::Removed, 2),
        ("@@ -1 +1 @@\n-x\n+y\n\\ No newline at end of file\n", PatchKind::Added, 1),
    ] {
        let patch = parse(format!("--- a/a\n+++ b/a\n{patch}").as_bytes()).unwrap();
        match parts_of(&patch[0], &modified(), &pending) {
            Err(Unmatched::Line(line)) => assert_eq!((line.kind, line.place), (kind, place)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_file_that_comes_is_meant_as_a_whole_or_not_at_all() {
    let lines = vec![(LineKind::Added, "x".to_owned()), (LineKind::Added, "y".to_owned())];
    let (added, pending) = (change("a", ChangeKind::Added), pending(hunks(&[lines])));
    let of = |body: &str| {
        let text =
            format!("diff --git a/a b/a\nnew file mode 100644\n--- /dev/null\n+++ b/a\n{body}");
        parts_of(&parse(text.as_bytes()).unwrap()[0], &added, &pending)
    };
    assert_eq!(
        of("@@ -0,0 +1,2 @@\n+x\n+y\n"),
        Ok(Part { path: added.path.clone(), hunks: Vec::new() })
    );
    assert_eq!(of("@@ -0,0 +1 @@\n+x\n"), Err(Unmatched::ModeOfPart));
}

#[test]
fn what_cannot_be_read_is_refused_at_its_line() {
    for (patch, line) in [
        ("hello\n", 1),
        ("@@ -1 +1 @@\n", 1),
        ("--- a/x\n+++ b/y\n", 2),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1 @@\n-x\n", 5),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n*x\n", 4),
        ("--- a/x\n+++ b/x\n@@ -0 +1 @@\n", 3),
        ("diff --git a/x b/y\nrename from x\n", 2),
        ("diff --git a/x b/x\nGIT binary patch\n", 2),
    ] {
        assert_eq!(parse(patch.as_bytes()).map_err(|error| error.line), Err(line), "{patch}");
    }
    assert_eq!(parse(b""), Ok(Vec::new()));
}
