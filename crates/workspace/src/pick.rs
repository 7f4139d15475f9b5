//! Some hunks of a text, or some of their lines: what a text is when only these are applied, or all but these.

use std::collections::{BTreeMap, BTreeSet};

use sandbar_types::{Hunk, HunkId, HunkLine, HunkPick};

use crate::lines;

/// Which of the edits end up in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apply {
    /// Those that are picked: what an approve writes.
    Picked,
    /// Those that are not: what a reject leaves.
    Others,
}

/// Why picks do not fit a text. Nothing was composed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PickError {
    /// No hunk of the text has this id, now.
    #[error("there is no hunk {id}")]
    UnknownHunk {
        /// Which.
        id: HunkId,
    },
    /// The line is none of the hunk's, or one that does not change.
    #[error("line {line} of hunk {id} is not one that changes")]
    NoEdit {
        /// Of which hunk.
        id: HunkId,
        /// Which line, from 0.
        line: u32,
    },
}

/// What is picked of one hunk.
enum Picked<'a> {
    Nothing,
    Everything,
    Lines(BTreeSet<&'a u32>),
}

impl Picked<'_> {
    fn has(&self, line: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Lines(lines) => u32::try_from(line).is_ok_and(|line| lines.contains(&line)),
        }
    }
}

/// Composes a text from `old` and those edits of `hunks`, its hunks, that `apply` and `picks` say.
///
/// Picks of the same hunk add up. As with `git add -p`, an added line that is not applied is not there, and a removed
/// one that is not applied stays.
///
/// # Errors
/// See [`PickError`].
pub fn compose(
    old: &[u8],
    hunks: &[Hunk],
    picks: &[HunkPick],
    apply: Apply,
) -> Result<Vec<u8>, PickError> {
    let picked = resolve(hunks, picks)?;
    let old_lines: Vec<&[u8]> = old.split_inclusive(|byte| *byte == b'\n').collect();
    let mut out = Vec::with_capacity(old.len());
    let mut push = |line: &[u8]| lines::push_line(&mut out, line);
    let mut at = 0;
    for hunk in hunks {
        let first = first_line(hunk).min(old_lines.len());
        old_lines[at.min(first)..first].iter().for_each(|line| push(line));
        let picked = picked.get(&hunk.id).unwrap_or(&Picked::Nothing);
        for (index, line) in hunk.lines.iter().enumerate() {
            let is_applied = picked.has(index) == (apply == Apply::Picked);
            match line {
                HunkLine::Context(text) => push(&text.0),
                HunkLine::Removed(text) if !is_applied => push(&text.0),
                HunkLine::Added(text) if is_applied => push(&text.0),
                HunkLine::Removed(_) | HunkLine::Added(_) => {}
            }
        }
        at = first + usize::try_from(hunk.old_lines).unwrap_or(usize::MAX);
    }
    old_lines[at.min(old_lines.len())..].iter().for_each(|line| push(line));
    Ok(out)
}

/// Whether everything of every hunk is picked.
#[must_use]
pub fn is_everything(hunks: &[Hunk], picks: &[HunkPick]) -> bool {
    let Ok(picked) = resolve(hunks, picks) else {
        return false;
    };
    hunks.iter().all(|hunk| {
        let edits = hunk.lines.iter().enumerate().filter(|(_, line)| is_edit(line));
        picked.get(&hunk.id).is_some_and(|picked| edits.into_iter().all(|(at, _)| picked.has(at)))
    })
}

fn resolve<'a>(
    hunks: &[Hunk],
    picks: &'a [HunkPick],
) -> Result<BTreeMap<HunkId, Picked<'a>>, PickError> {
    let by_id: BTreeMap<HunkId, &Hunk> = hunks.iter().map(|hunk| (hunk.id, hunk)).collect();
    let mut picked = BTreeMap::new();
    for pick in picks {
        let hunk = by_id.get(&pick.id).ok_or(PickError::UnknownHunk { id: pick.id })?;
        let entry = picked.entry(pick.id).or_insert(Picked::Nothing);
        let Some(lines) = &pick.lines else {
            *entry = Picked::Everything;
            continue;
        };
        for line in lines {
            let found = usize::try_from(*line).ok().and_then(|line| hunk.lines.get(line));
            if !found.is_some_and(is_edit) {
                return Err(PickError::NoEdit { id: pick.id, line: *line });
            }
            match entry {
                Picked::Everything => {}
                Picked::Lines(lines) => {
                    lines.insert(line);
                }
                Picked::Nothing => *entry = Picked::Lines(BTreeSet::from([line])),
            }
        }
    }
    Ok(picked)
}

fn is_edit(line: &HunkLine) -> bool {
    match line {
        HunkLine::Added(_) | HunkLine::Removed(_) => true,
        HunkLine::Context(_) => false,
    }
}

/// The index of the first line that a hunk covers; one that covers none names the line before.
fn first_line(hunk: &Hunk) -> usize {
    let start = if hunk.old_lines == 0 { hunk.old_start } else { hunk.old_start.max(1) - 1 };
    usize::try_from(start).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pick(id: HunkId) -> HunkPick {
        HunkPick { id, lines: None }
    }

    const OLD: &[u8] = b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n20\n";

    /// Line 2 changed, a line after 10 added, line 20 removed.
    fn new() -> Vec<u8> {
        let text = String::from_utf8(OLD.to_vec()).unwrap();
        text.replacen("2\n", "two\n", 1)
            .replacen("10\n", "10\nten\n", 1)
            .replacen("20\n", "", 1)
            .into()
    }

    #[test]
    fn one_hunk_leaves_the_others_and_their_names() {
        let hunks = lines::hunks(OLD, &new());
        assert_eq!(hunks.len(), 3);
        let composed = compose(OLD, &hunks, &[pick(hunks[1].id)], Apply::Picked).unwrap();
        let rest = lines::hunks(&composed, &new());
        let ids = |hunks: &[Hunk]| hunks.iter().map(|hunk| hunk.id).collect::<Vec<_>>();
        assert_eq!(ids(&rest), [hunks[0].id, hunks[2].id]);
        let rejected = compose(OLD, &hunks, &[pick(hunks[1].id)], Apply::Others).unwrap();
        assert_eq!(lines::hunks(OLD, &rejected).len(), 2);
    }

    #[test]
    fn lines_are_picked_as_git_does() {
        let old = b"keep\nold one\nold two\nend\n";
        let new = b"keep\nnew one\nnew two\nend\n";
        let hunks = lines::hunks(old, new);
        let [hunk] = &hunks[..] else { panic!("one hunk") };
        let only = |lines: Vec<u32>| {
            let picks = [HunkPick { id: hunk.id, lines: Some(lines) }];
            String::from_utf8(compose(old, &hunks, &picks, Apply::Picked).unwrap()).unwrap()
        };
        assert_eq!(only(vec![3]), "keep\nold one\nold two\nnew one\nend\n");
        assert_eq!(only(vec![1, 3]), "keep\nold two\nnew one\nend\n");
        assert_eq!(only(vec![]), String::from_utf8_lossy(old));
    }

    #[test]
    fn two_lines_never_become_one() {
        let hunks = lines::hunks(b"a\r\nb", b"a\r\nb\r\nc\r\n");
        let added = hunks[0].lines.len() - 1;
        let picks =
            [HunkPick { id: hunks[0].id, lines: Some(vec![u32::try_from(added).unwrap()]) }];
        let composed = compose(b"a\r\nb", &hunks, &picks, Apply::Picked).unwrap();
        assert_eq!(composed, b"a\r\nb\r\nc\r\n");
    }

    #[test]
    fn what_is_not_there_cannot_be_picked() {
        let hunks = lines::hunks(OLD, &new());
        let id = HunkId(hunks[0].id.0 ^ 1);
        assert_eq!(
            compose(OLD, &hunks, &[pick(id)], Apply::Picked),
            Err(PickError::UnknownHunk { id })
        );
        for line in [0, 1000] {
            let picks = [HunkPick { id: hunks[0].id, lines: Some(vec![line]) }];
            let id = hunks[0].id;
            assert_eq!(
                compose(OLD, &hunks, &picks, Apply::Picked),
                Err(PickError::NoEdit { id, line })
            );
        }
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            "[ab]{0,2}\n".prop_map(String::into_bytes),
            "[ab]\r\n".prop_map(String::into_bytes),
            Just(b"\xff\xfe\n".to_vec()),
        ];
        let last = prop_oneof![Just(Vec::new()), "[ab]".prop_map(String::into_bytes)];
        (proptest::collection::vec(line, 0..40), last)
            .prop_map(|(lines, last)| [lines.concat(), last].concat())
    }

    proptest! {
        #[test]
        fn all_of_it_is_the_new_text_and_nothing_of_it_the_old(old in text(), new in text()) {
            let hunks = lines::hunks(&old, &new);
            let all: Vec<_> = hunks.iter().map(|hunk| pick(hunk.id)).collect();
            prop_assert!(is_everything(&hunks, &all));
            prop_assert_eq!(compose(&old, &hunks, &all, Apply::Picked).unwrap(), new.clone());
            prop_assert_eq!(compose(&old, &hunks, &all, Apply::Others).unwrap(), old.clone());
            prop_assert_eq!(compose(&old, &hunks, &[], Apply::Picked).unwrap(), old);
        }

        #[test]
        fn hunks_in_any_order_lead_to_the_new_text(
            old in text(), new in text(), order in proptest::collection::vec(any::<prop::sample::Index>(), 40)
        ) {
            let mut host = old;
            for index in order {
                let hunks = lines::hunks(&host, &new);
                if hunks.is_empty() {
                    break;
                }
                let one = [pick(hunks[index.index(hunks.len())].id)];
                host = compose(&host, &hunks, &one, Apply::Picked).unwrap();
            }
            let left = lines::hunks(&host, &new);
            let all: Vec<_> = left.iter().map(|hunk| pick(hunk.id)).collect();
            prop_assert_eq!(compose(&host, &left, &all, Apply::Picked).unwrap(), new);
        }
    }
}
