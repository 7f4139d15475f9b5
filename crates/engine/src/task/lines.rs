//! Lines out of bytes that come in pieces: what is not UTF-8 is replaced, what is too long cut, and that is said.

/// LIMIT: bytes of one line. A model's answer with a file in it is long; what is longer is no message of an agent.
pub(super) const LINE_BYTES_MAX: usize = 16 << 20;

/// One line, without its break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    /// Bytes that were left out at its end.
    pub(super) cut: u64,
}

/// Keeps what is not a whole line yet.
#[derive(Debug)]
pub(super) struct Lines {
    rest: Vec<u8>,
    cut: u64,
    bytes_max: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self { rest: Vec::new(), cut: 0, bytes_max: LINE_BYTES_MAX }
    }
}

impl Lines {
    /// Returns the lines that `bytes` complete.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        // The last piece is not ended by a break.
        let last = pieces.next_back().unwrap_or_default();
        let lines = pieces.map(|piece| {
            self.keep(piece);
            self.take()
        });
        let lines = lines.collect();
        self.keep(last);
        lines
    }

    /// Returns the last line, which has no break.
    pub(super) fn finish(&mut self) -> Option<Line> {
        (!self.rest.is_empty()).then(|| self.take())
    }

    fn keep(&mut self, bytes: &[u8]) {
        let (kept, cut) = bytes.split_at(bytes.len().min(self.bytes_max - self.rest.len()));
        self.rest.extend_from_slice(kept);
        self.cut += cut.len() as u64;
    }

    fn take(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.rest);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
        let text = String::from_utf8_lossy(bytes).into_owned();
        Line { text, cut: std::mem::take(&mut self.cut) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes_max: usize, pieces: &[&[u8]]) -> Vec<Line> {
        let mut lines = Lines { bytes_max, ..Lines::default() };
        let mut all: Vec<Line> = pieces.iter().flat_map(|piece| lines.push(piece)).collect();
        all.extend(lines.finish());
        all
    }

    #[test]
    fn what_is_no_utf8_is_replaced_and_what_is_too_long_is_cut_and_said() {
        let lines = all(4, &[b"a\xff\r\nabc", b"defg\n\nend"]);
        let line = |text: &str, cut| Line { text: text.to_owned(), cut };
        assert_eq!(lines, [line("a\u{fffd}", 0), line("abcd", 3), line("", 0), line("end", 0)]);
    }

    proptest! {
        #[test]
        fn lines_are_the_same_wherever_the_bytes_are_parted(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
            bytes_max in 1_usize..50,
        ) {
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            prop_assert_eq!(all(bytes_max, &pieces), all(bytes_max, &[&bytes]));
        }
    }
}
