//! Lines of text that differ, byte for byte.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};
use sandbar_types::{Hunk, HunkId, HunkLine, LineCount, LineText};
use sha2::Digest;

/// LIMIT: lines on one side up to which the histogram algorithm is used.
/// It reads better, but hostile input makes it quadratic; Myers with git's heuristics stays near linear.
const HISTOGRAM_LINES_MAX: usize = 10_000;

/// Lines of context around what differs, as git shows.
const CONTEXT: u32 = 3;

/// Whether bytes are text: git's rule, applied to everything that is given.
pub(crate) fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0)
}

/// How many lines `bytes` has; the last one may lack its newline.
pub(crate) fn count_lines(bytes: &[u8]) -> u64 {
    let newlines = bytes.iter().filter(|byte| **byte == b'\n').count();
    let rest = bytes.last().is_some_and(|last| *last != b'\n');
    newlines as u64 + u64::from(rest)
}

/// How many lines came and went.
pub(crate) fn count(old: &[u8], new: &[u8]) -> LineCount {
    let diff = compute(&InternedInput::new(old, new));
    LineCount { added: diff.count_additions().into(), removed: diff.count_removals().into() }
}

/// What differs, with its context, in the order of lines.
pub(crate) fn hunks(old: &[u8], new: &[u8]) -> Vec<Hunk> {
    let input = InternedInput::new(old, new);
    let edits = edits(&input);
    group(&edits).map(|edits| hunk(&input, edits)).collect()
}

/// Lines of the old text, and the lines of the new one that took their place.
pub(crate) type Edit = (Range<u32>, Range<u32>);

/// What differs, in the order of lines, moved to where a person would see it.
pub(crate) fn edits(input: &InternedInput<&[u8]>) -> Vec<Edit> {
    let mut diff = compute(input);
    diff.postprocess_lines(input);
    diff.hunks().map(|hunk| (hunk.before, hunk.after)).collect()
}

/// Adds a line to a text. What was the last line of another text and had no end gets one when a line follows it: two
/// lines must not become one.
pub(crate) fn push_line(text: &mut Vec<u8>, line: &[u8]) {
    if text.last().is_some_and(|last| *last != b'\n') {
        let before = text.split_inclusive(|byte| *byte == b'\n').rev().nth(1);
        let has_carriage_return = before.is_some_and(|line| line.ends_with(b"\r\n"));
        text.extend_from_slice(if has_carriage_return { b"\r\n" } else { b"\n" });
    }
    text.extend_from_slice(line);
}

fn compute(input: &InternedInput<&[u8]>) -> Diff {
    let lines = input.before.len().max(input.after.len());
    let algorithm =
        if lines > HISTOGRAM_LINES_MAX { Algorithm::Myers } else { Algorithm::Histogram };
    Diff::compute(algorithm, input)
}

/// Edits whose context touches or overlaps belong to one hunk.
fn group(edits: &[Edit]) -> impl Iterator<Item = &[Edit]> {
    edits.chunk_by(|one, next| next.0.start - one.0.end <= 2 * CONTEXT)
}

fn hunk(input: &InternedInput<&[u8]>, edits: &[Edit]) -> Hunk {
    let (first, last) = (&edits[0], &edits[edits.len() - 1]);
    let before_len = u32::try_from(input.before.len()).unwrap_or(u32::MAX);
    let lead = CONTEXT.min(first.0.start);
    let tail = CONTEXT.min(before_len - last.0.end);
    let old = first.0.start - lead..last.0.end + tail;
    let new = first.1.start - lead..last.1.end + tail;
    let mut lines = Vec::new();
    let mut at = old.start;
    for (removed, added) in edits {
        lines.extend((at..removed.start).map(|i| HunkLine::Context(text(input, Side::Old, i))));
        lines.extend(removed.clone().map(|i| HunkLine::Removed(text(input, Side::Old, i))));
        lines.extend(added.clone().map(|i| HunkLine::Added(text(input, Side::New, i))));
        at = removed.end;
    }
    lines.extend((at..old.end).map(|i| HunkLine::Context(text(input, Side::Old, i))));
    Hunk {
        id: id(&lines, start(&new)),
        old_start: start(&old),
        old_lines: (old.end - old.start).into(),
        new_start: start(&new),
        new_lines: (new.end - new.start).into(),
        lines,
    }
}

/// Names what a hunk does; the lines around it are no part of that, for a decision about a neighbor may change them.
fn id(lines: &[HunkLine], new_start: u64) -> HunkId {
    let mut hasher = sha2::Sha256::new();
    hasher.update(new_start.to_le_bytes());
    for line in lines {
        let (mark, text) = match line {
            HunkLine::Context(_) => continue,
            HunkLine::Removed(text) => (b'-', text),
            HunkLine::Added(text) => (b'+', text),
        };
        hasher.update([mark]);
        hasher.update(text.0.len().to_le_bytes());
        hasher.update(&text.0);
    }
    let digest = hasher.finalize();
    let (first, _) = digest.split_first_chunk().expect("a SHA-256 is longer than eight bytes");
    HunkId(u64::from_be_bytes(*first))
}

/// The first line's number, from 1; of nothing, the number of the line before it, as git has it.
fn start(range: &Range<u32>) -> u64 {
    u64::from(range.start) + u64::from(!range.is_empty())
}

#[derive(Clone, Copy)]
enum Side {
    Old,
    New,
}

fn text(input: &InternedInput<&[u8]>, side: Side, index: u32) -> LineText {
    let tokens = match side {
        Side::Old => &input.before,
        Side::New => &input.after,
    };
    LineText(input.interner[tokens[index as usize]].to_vec())
}
