//! What changed within a line: a removed and an added line, word by word.

use std::ops::Range;

use imara_diff::{Algorithm, Diff, InternedInput};

/// LIMIT: bytes of a line that is compared; the emphasis in a longer one helps nobody.
const LINE_BYTES_MAX: usize = 1000;

/// Byte ranges of the removed line, and of the added one.
pub(crate) type Differences = (Vec<Range<usize>>, Vec<Range<usize>>);

/// The byte ranges that only the one or the other line has. None where too little is common to be worth it.
pub(crate) fn differences(old: &str, new: &str) -> Option<Differences> {
    if old.len() > LINE_BYTES_MAX || new.len() > LINE_BYTES_MAX {
        return None;
    }
    let (old, new) = (words(old), words(new));
    let mut input = InternedInput::default();
    input.update_before(old.iter().map(|word| word.text));
    input.update_after(new.iter().map(|word| word.text));
    let diff = Diff::compute(Algorithm::Myers, &input);
    let removed = ranges(&old, |index| diff.is_removed(index));
    let added = ranges(&new, |index| diff.is_added(index));
    let is_worth_it = |words: &[Word<'_>], changed: &[Range<usize>]| {
        let all: usize = words.iter().map(|word| word.text.trim().len()).sum();
        let changed: usize = changed.iter().map(ExactSizeIterator::len).sum();
        changed * 10 <= all * 7
    };
    (is_worth_it(&old, &removed) && is_worth_it(&new, &added)).then_some((removed, added))
}

struct Word<'a> {
    at: usize,
    text: &'a str,
}

/// Runs of letters and digits, runs of blanks, and every other character by itself.
fn words(line: &str) -> Vec<Word<'_>> {
    let class = |c: char| match c {
        c if c.is_alphanumeric() || c == '_' => 1,
        c if c.is_whitespace() => 2,
        _ => 0,
    };
    let mut words: Vec<Word<'_>> = Vec::new();
    let mut last = 0;
    for (at, c) in line.char_indices() {
        let now = class(c);
        let end = at + c.len_utf8();
        match words.last_mut() {
            Some(word) if now != 0 && now == last => word.text = &line[word.at..end],
            Some(_) | None => words.push(Word { at, text: &line[at..end] }),
        }
        last = now;
    }
    words
}

fn ranges(words: &[Word<'_>], is_changed: impl Fn(u32) -> bool) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (index, word) in (0_u32..).zip(words) {
        if !is_changed(index) {
            continue;
        }
        let end = word.at + word.text.len();
        match ranges.last_mut() {
            Some(range) if range.end == word.at => range.end = end,
            Some(_) | None => ranges.push(word.at..end),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(old: &str, new: &str) -> Option<(Vec<String>, Vec<String>)> {
        let text = |line: &str, ranges: Vec<Range<usize>>| -> Vec<String> {
            ranges.into_iter().map(|range| line[range].to_owned()).collect()
        };
        differences(old, new).map(|(removed, added)| (text(old, removed), text(new, added)))
    }

    #[test]
    fn the_words_that_differ_are_found() {
        for (old, new, removed, added) in [
            ("let total = price;", "let total = price * count;", &[][..], &[" * count"][..]),
            ("if a_b == 1 {", "if a_c == 1 {", &["a_b"], &["a_c"]),
            ("naïve größe ok yes", "naïve länge ok yes", &["größe"], &["länge"]),
        ] {
            let (was, is) = shown(old, new).expect(old);
            assert_eq!(
                (was, is),
                (
                    removed.iter().map(|&s| s.to_owned()).collect(),
                    added.iter().map(|&s| s.to_owned()).collect()
                ),
                "{old}"
            );
        }
    }

    #[test]
    fn lines_with_little_in_common_are_left_alone() {
        assert_eq!(shown("return None;", "struct Cart { items: Vec<Item> }"), None);
        assert_eq!(shown(&"x ".repeat(600), "x"), None);
    }

    proptest::proptest! {
        #[test]
        fn ranges_are_in_order_and_on_characters(old in ".{0,80}", new in ".{0,80}") {
            if let Some((removed, added)) = differences(&old, &new) {
                for (line, ranges) in [(&old, removed), (&new, added)] {
                    let mut end = 0;
                    for range in ranges {
                        proptest::prop_assert!(range.start >= end && line.get(range.clone()).is_some());
                        end = range.end;
                    }
                }
            }
        }
    }
}
