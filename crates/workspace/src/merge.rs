//! Merging two texts that come from one: line by line, and only where nobody has to choose.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

/// LIMIT: lines on one side up to which the histogram algorithm is used; see `lines`.
const HISTOGRAM_LINES_MAX: usize = 10_000;

/// Both sides changed the same lines, or lines next to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("both sides changed the same lines")]
pub struct Overlap;

/// Lines of the base, and the lines of one side that stand in their place.
type Edit = (Range<usize>, Range<usize>);

/// Returns `base` with what `ours` and what `theirs` changed.
///
/// # Errors
/// [`Overlap`] where the changes of the two touch each other and are not the same.
pub fn merge3(base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Vec<u8>, Overlap> {
    let [base_lines, our_lines, their_lines] = [base, ours, theirs].map(lines);
    let (our_edits, their_edits) = (edits(base, ours), edits(base, theirs));
    let (mut our_edits, mut their_edits) =
        (our_edits.iter().peekable(), their_edits.iter().peekable());
    let mut merged = Vec::with_capacity(ours.len().max(theirs.len()));
    let mut at = 0;
    loop {
        let ((from, to), side) = match (our_edits.peek(), their_edits.peek()) {
            (None, None) => break,
            (Some(our), Some(their)) if touch(&our.0, &their.0) => {
                let (our, their) = (*our, *their);
                if our.0 != their.0 || our_lines[our.1.clone()] != their_lines[their.1.clone()] {
                    return Err(Overlap);
                }
                their_edits.next();
                our_edits.next();
                (our, &our_lines)
            }
            (Some(our), their) if their.is_none_or(|their| our.0.start < their.0.start) => {
                let our = *our;
                our_edits.next();
                (our, &our_lines)
            }
            (_, Some(their)) => {
                let their = *their;
                their_edits.next();
                (their, &their_lines)
            }
            (Some(_), None) => unreachable!("ours is taken where theirs has nothing left"),
        };
        copy(&base_lines[at..from.start], &mut merged);
        copy(&side[to.clone()], &mut merged);
        at = from.end;
    }
    copy(&base_lines[at..], &mut merged);
    Ok(merged)
}

/// Whether two ranges overlap or lie next to each other: what two people did side by side, a person should look at.
fn touch(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start <= other.end && other.start <= one.end
}

fn copy(lines: &[&[u8]], into: &mut Vec<u8>) {
    lines.iter().for_each(|line| into.extend_from_slice(line));
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

fn edits(base: &[u8], side: &[u8]) -> Vec<Edit> {
    let input = InternedInput::new(base, side);
    let longest = input.before.len().max(input.after.len());
    let algorithm =
        if longest > HISTOGRAM_LINES_MAX { Algorithm::Myers } else { Algorithm::Histogram };
    let wide = |range: Range<u32>| range.start as usize..range.end as usize;
    Diff::compute(algorithm, &input)
        .hunks()
        .map(|hunk| (wide(hunk.before), wide(hunk.after)))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn merged(base: &str, ours: &str, theirs: &str) -> Result<String, Overlap> {
        merge3(base.as_bytes(), ours.as_bytes(), theirs.as_bytes())
            .map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn what_lies_apart_is_merged_and_what_touches_is_not() {
        let base = "1\n2\n3\n4\n5\n";
        for (ours, theirs, expected) in [
            ("one\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive\n", Ok("one\n2\n3\n4\nfive\n")),
            ("0\n1\n2\n3\n4\n5\n", "1\n2\n3\n5\n", Ok("0\n1\n2\n3\n5\n")),
            ("1\n2\n3\n4\n5\n6", "2\n3\n4\n5\n", Ok("2\n3\n4\n5\n6")),
            ("1\ntwo\n3\n4\n5\n", "1\ntwo\n3\n4\n5\n", Ok("1\ntwo\n3\n4\n5\n")),
            ("1\ntwo\n3\n4\n5\n", "1\nTWO\n3\n4\n5\n", Err(Overlap)),
            ("1\ntwo\n3\n4\n5\n", "1\n2\nthree\n4\n5\n", Err(Overlap)),
            ("1\n2\n3\n4\n5\nsix\n", "1\n2\n3\n4\n5\nSIX\n", Err(Overlap)),
            ("", "1\n2\n3\n4\nfive\n", Err(Overlap)),
        ] {
            assert_eq!(
                merged(base, ours, theirs),
                expected.map(str::to_owned),
                "{ours:?} {theirs:?}"
            );
            assert_eq!(
                merged(base, theirs, ours),
                expected.map(str::to_owned),
                "{theirs:?} {ours:?}"
            );
        }
    }

    #[test]
    fn bytes_that_are_no_text_of_any_encoding_are_kept() {
        let merged = merge3(b"\xff\r\nb\nc\n", b"\xff\r\nb\nc\xfe", b"\xfd\r\nb\nc\n");
        assert_eq!(merged.unwrap(), b"\xfd\r\nb\nc\xfe");
    }

    proptest! {
        #[test]
        fn a_side_that_did_nothing_has_no_say(base in "[ab\n]{0,20}", side in "[ab\n]{0,20}") {
            prop_assert_eq!(merged(&base, &base, &side), Ok(side.clone()));
            prop_assert_eq!(merged(&base, &side, &base), Ok(side.clone()));
            prop_assert_eq!(merged(&base, &side, &side), Ok(side));
        }
    }
}
