//! Merging what the host and the sandbox made of one text, line by line.
//!
//! As `git merge` does it: the edits of both sides since the base are laid side by side. Where only one side edited, its
//! edit is taken; where both did the same, it is taken once; where they differ and touch each other, nobody but a person
//! can say what was meant.

use std::ops::Range;

use imara_diff::InternedInput;
use sandbar_types::{LineText, MergeConflict, Side};

use crate::lines::{self, Edit};

/// A text that both sides may have edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The text; at a conflict it has the lines of the side that was asked for.
    pub text: Vec<u8>,
    /// Where the two sides made different things of the same lines, from the top down.
    pub conflicts: Vec<MergeConflict>,
}

/// Merges `ours`, the host's text, and `theirs`, the sandbox's, which both come from `base`.
#[must_use]
pub fn merge(base: &[u8], ours: &[u8], theirs: &[u8], at_conflicts: Side) -> Merged {
    let edited = |text| Edited {
        lines: split(text),
        edits: lines::edits(&InternedInput::new(base, text)),
        done: 0,
    };
    let (mut ours, mut theirs, base) = (edited(ours), edited(theirs), split(base));
    let mut merged = Merged { text: Vec::new(), conflicts: Vec::new() };
    let mut at = 0;
    while let Some(span) = next_span(&ours, &theirs) {
        push(&mut merged.text, &base[at..span.start]);
        at = span.end;
        let (our_start, is_ours, our_lines) = ours.pass(&span);
        let (_, is_theirs, their_lines) = theirs.pass(&span);
        let taken = match (is_ours, is_theirs) {
            (_, false) => our_lines,
            (false, true) => their_lines,
            (true, true) if our_lines == their_lines => our_lines,
            (true, true) => {
                merged.conflicts.push(MergeConflict {
                    ours_start: our_start as u64 + 1,
                    base: texts(&base[span]),
                    ours: texts(our_lines),
                    theirs: texts(their_lines),
                });
                match at_conflicts {
                    Side::Ours => our_lines,
                    Side::Theirs => their_lines,
                }
            }
        };
        push(&mut merged.text, taken);
    }
    push(&mut merged.text, &base[at..]);
    merged
}

/// One side's text, and what it did to the base.
struct Edited<'a> {
    lines: Vec<&'a [u8]>,
    edits: Vec<Edit>,
    /// How many of the edits are merged.
    done: usize,
}

impl<'a> Edited<'a> {
    fn next(&self, after: usize) -> Option<&Edit> {
        self.edits.get(self.done + after)
    }

    /// Passes over the lines `span` of the base: where this side's lines for them begin, whether it edited them, and the
    /// lines. No edit reaches over an end of the span.
    fn pass(&mut self, span: &Range<usize>) -> (usize, bool, &[&'a [u8]]) {
        let start = self.moved(span.start);
        let before = self.done;
        while self.next(0).is_some_and(|edit| edit.0.end as usize <= span.end) {
            self.done += 1;
        }
        let end = self.moved(span.end);
        (start, self.done > before, &self.lines[start..end])
    }

    /// Where line `at` of the base is now: moved by as many lines as came and went above it.
    fn moved(&self, at: usize) -> usize {
        let last = self.done.checked_sub(1).map(|last| &self.edits[last]);
        last.map_or(at, |(base, text)| at - base.end as usize + text.end as usize)
    }
}

/// The next lines of the base that a side edited, with everything that touches them.
fn next_span(ours: &Edited<'_>, theirs: &Edited<'_>) -> Option<Range<usize>> {
    let firsts = [ours.next(0), theirs.next(0)].into_iter().flatten();
    let start = firsts.map(|edit| edit.0.start).min()?;
    let mut end = start;
    let mut passed = [0, 0];
    loop {
        let touching = |edited: &Edited<'_>, passed: usize| {
            edited.next(passed).filter(|edit| edit.0.start <= end).map(|edit| edit.0.end)
        };
        let reached = match (touching(ours, passed[0]), touching(theirs, passed[1])) {
            (Some(reached), _) => {
                passed[0] += 1;
                reached
            }
            (None, Some(reached)) => {
                passed[1] += 1;
                reached
            }
            (None, None) => return Some(start as usize..end as usize),
        };
        end = end.max(reached);
    }
}

fn split(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn texts(lines: &[&[u8]]) -> Vec<LineText> {
    lines.iter().map(|line| LineText(line.to_vec())).collect()
}

fn push(text: &mut Vec<u8>, lines: &[&[u8]]) {
    lines.iter().for_each(|line| lines::push_line(text, line));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "1\n2\n3\n4\n5\n6\n7\n8\n";

    fn merged(base: &str, ours: &str, theirs: &str) -> Merged {
        merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), Side::Ours)
    }

    fn text(merged: &Merged) -> &str {
        str::from_utf8(&merged.text).unwrap()
    }

    #[test]
    fn edits_apart_are_both_taken_and_the_same_edit_once() {
        let both = merged(BASE, &BASE.replace('2', "two"), &BASE.replace('6', "six"));
        assert_eq!((text(&both), both.conflicts.len()), ("1\ntwo\n3\n4\n5\nsix\n7\n8\n", 0));
        let same = BASE.replace('4', "four\nand a half");
        let once = merged(BASE, &same, &same);
        assert_eq!((text(&once), once.conflicts.len()), (&*same, 0));
        for (ours, theirs) in [("one\n2\n", "1\ntwo\n"), ("1\na\n2\n", "1\nb\n2\n")] {
            let touching = merged("1\n2\n", ours, theirs);
            assert_eq!(touching.conflicts.len(), 1, "edits that touch are not merged");
        }
    }

    #[test]
    fn what_both_made_differently_is_shown_with_all_three_sides() {
        let ours = BASE.replace('4', "ours").replace("1\n", "0\n1\n");
        let theirs = BASE.replace("4\n5\n", "theirs\n");
        let conflict = merged(BASE, &ours, &theirs);
        let line = |text: &str| LineText(text.as_bytes().to_vec());
        assert_eq!(
            conflict.conflicts,
            [MergeConflict {
                ours_start: 5,
                base: vec![line("4\n"), line("5\n")],
                ours: vec![line("ours\n"), line("5\n")],
                theirs: vec![line("theirs\n")],
            }]
        );
        assert_eq!(text(&conflict), ours);
        let taken = merge(BASE.as_bytes(), ours.as_bytes(), theirs.as_bytes(), Side::Theirs);
        assert_eq!(text(&taken), "0\n1\n2\n3\ntheirs\n6\n7\n8\n");
    }

    #[test]
    fn a_line_that_one_deletes_and_the_other_changes_is_a_conflict() {
        let conflict = merged(BASE, &BASE.replace("4\n", ""), &BASE.replace('4', "four"));
        assert_eq!(conflict.conflicts.len(), 1);
    }

    #[test]
    fn a_text_without_an_end_of_line_grows_into_no_other_line() {
        let both = merged("a\nb\nc\nd", "a\nb\nc\nd", "0\na\nb\nc\nd");
        assert_eq!(text(&both), "0\na\nb\nc\nd");
        let grown = merged("a\nb\nc\nd", "0\na\nb\nc\nd", "a\nb\nc\nd\ne\n");
        assert_eq!((text(&grown), grown.conflicts.len()), ("0\na\nb\nc\nd\ne\n", 0));
    }

    fn lines() -> impl Strategy<Value = String> {
        proptest::collection::vec("[abc]{1,2}\n", 0..24).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn one_side_alone_wins(base in lines(), other in lines()) {
            for merged in [merged(&base, &other, &base), merged(&base, &base, &other), merged(&base, &other, &other)] {
                prop_assert_eq!(&merged.conflicts, &[]);
                prop_assert_eq!(text(&merged), &*other);
            }
        }

        #[test]
        fn sides_are_only_names(base in lines(), ours in lines(), theirs in lines()) {
            let one = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), Side::Ours);
            let other = merge(base.as_bytes(), theirs.as_bytes(), ours.as_bytes(), Side::Theirs);
            prop_assert_eq!(&one.text, &other.text);
            prop_assert_eq!(one.conflicts.len(), other.conflicts.len());
        }

        #[test]
        fn edits_of_lines_of_their_own_never_conflict(
            edits in proptest::collection::vec(proptest::option::of(any::<bool>()), 1..20)
        ) {
            // Every second line is left alone, so that no two edits touch.
            let make = |mine: Option<bool>| -> String {
                let line = |(at, edit): (usize, &Option<bool>)| match edit {
                    Some(side) if mine.is_none_or(|mine| mine == *side) => format!("{at} by {side}\n-{at}\n"),
                    Some(_) | None => format!("{at}\n-{at}\n"),
                };
                edits.iter().enumerate().map(line).collect()
            };
            let base: String = (0..edits.len()).map(|at| format!("{at}\n-{at}\n")).collect();
            let merged = merged(&base, &make(Some(true)), &make(Some(false)));
            prop_assert_eq!(&merged.conflicts, &[]);
            prop_assert_eq!(text(&merged), &*make(None));
        }
    }
}
