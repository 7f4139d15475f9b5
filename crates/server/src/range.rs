//! The `Range` header: one range of bytes (RFC 9110, section 14). Others are ignored, as the RFC allows.

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Requested {
    /// From the first to the last byte, both included; to the end when there is no last.
    From { first: u64, last: Option<u64> },
    /// This many bytes at the end.
    Last(u64),
}

/// Bytes that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteRange {
    /// The first one, from 0.
    pub(crate) first: u64,
    /// How many; never 0.
    pub(crate) len: u64,
}

impl Requested {
    /// Reads the header; `None` when it is to be ignored.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
        let number =
            |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?;
        match (first, last) {
            ("", last) => number(last).map(Self::Last),
            (first, "") => Some(Self::From { first: number(first)?, last: None }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(Self::From { first, last: Some(last) })
            }
        }
    }

    /// The bytes of it that a file of `size` bytes has; `None` when it has none of them.
    pub(crate) fn within(self, size: u64) -> Option<ByteRange> {
        let (first, end) = match self {
            Self::From { first, last } => {
                (first, last.map_or(size, |last| last.saturating_add(1).min(size)))
            }
            Self::Last(len) => (size.saturating_sub(len), size),
        };
        (first < end).then(|| ByteRange { first, len: end - first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_file() {
        let range = |text: &str, size| {
            Requested::parse(text).and_then(|range| range.within(size)).map(|r| (r.first, r.len))
        };
        assert_eq!(range("bytes=0-0", 10), Some((0, 1)));
        assert_eq!(range("bytes=5-", 10), Some((5, 5)));
        assert_eq!(range("bytes=5-100", 10), Some((5, 5)));
        assert_eq!(range("bytes=-3", 10), Some((7, 3)));
        assert_eq!(range("bytes=-30", 10), Some((0, 10)));
        assert_eq!(range("bytes=10-", 10), None);
        assert_eq!(range("bytes=-0", 10), None);
        assert_eq!(range("bytes=0-18446744073709551615", 10), Some((0, 10)));
    }

    #[test]
    fn other_units_and_several_ranges_are_ignored() {
        for text in [
            "bytes=0-1,3-4",
            "lines=0-1",
            "bytes=3-1",
            "bytes=a-",
            "bytes=-",
            "bytes",
            "bytes=+1-2",
        ] {
            assert_eq!(Requested::parse(text), None, "{text}");
        }
    }
}
