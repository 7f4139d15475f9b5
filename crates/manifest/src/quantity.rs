//! Durations and sizes as people write them.

/// Milliseconds of `500ms`, `5s`, `2m`, `1h30m`. Too large ones are the largest number, to be refused by their range.
pub(crate) fn duration_ms(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let unit_len = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(unit_len);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        total = total.saturating_add(number.saturating_mul(unit_ms));
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// Bytes of `64k`, `1MiB`, `4096`. Every unit counts by 1024, as the command line does.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text)?;
    let unit_bytes = match unit {
        "" | "B" => 1,
        "k" | "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        _ => return None,
    };
    Some(number.saturating_mul(unit_bytes))
}

/// The number that a text begins with, and what follows it.
pub(crate) fn leading_number(text: &str) -> Option<(u64, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(length);
    // More digits than fit are a number out of every range.
    (length > 0).then(|| (digits.parse().unwrap_or(u64::MAX), rest))
}

/// A duration for a message.
pub(crate) fn show_ms(ms: u64) -> String {
    match ms {
        ms if ms % 3_600_000 == 0 && ms > 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 && ms > 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

/// A size for a message.
pub(crate) fn show_bytes(bytes: u64) -> String {
    match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_and_sizes_read_as_people_write_them() {
        for (text, ms) in
            [("500ms", 500), ("5s", 5_000), ("2m", 120_000), ("1h30m", 5_400_000), ("0s", 0)]
        {
            assert_eq!(duration_ms(text), Some(ms), "{text}");
        }
        for text in ["", "5", "s", "5 s", "-5s", "5sec", "1.5s", "5s ", "5d"] {
            assert_eq!(duration_ms(text), None, "{text}");
        }
        for (text, size) in [("64k", 65_536), ("1MiB", 1 << 20), ("4096", 4_096), ("2G", 2 << 30)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "k", "1MB", "1 M", "-1", "1.5M"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!(duration_ms("99999999999999999999h"), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(number in 0_u64..10_000_000_000) {
            prop_assert_eq!(duration_ms(&show_ms(number)), Some(number));
            prop_assert_eq!(bytes(&show_bytes(number)), Some(number));
        }
    }
}
