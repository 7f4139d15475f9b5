//! Sizes, durations and processors as people write and read them.

use std::time::Duration;

/// Parses a size such as `512M`, `2G`, `1.5GiB` or `4096` (bytes); units are powers of 1024.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => {
            return Err(format!("`{text}` is not a size; write it like 512M, 2G or 1.5G"));
        }
    };
    scaled(number, 1 << shift)
        .ok_or_else(|| format!("`{text}` is not a size; write it like 512M, 2G or 1.5G"))
}

/// Parses processors such as `2` or `0.5` into thousandths of one.
pub(crate) fn parse_cpus(text: &str) -> Result<u32, String> {
    scaled(text, 1000)
        .and_then(|millis| u32::try_from(millis).ok())
        .filter(|millis| *millis > 0)
        .ok_or_else(|| format!("`{text}` is not a number of processors; write it like 2 or 0.5"))
}

/// Parses a duration such as `500ms`, `90s`, `10m`, `1h30m`, `2d` or `90` (seconds).
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write it like 90s, 10m or 1h30m");
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (number, tail) = split_unit(rest);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let unit_millis = match &tail[..end] {
            "ms" => 1,
            // A bare number is seconds, but only alone: `1h30` might mean either.
            "" if rest.len() == text.len() => 1000,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let millis = scaled(number, unit_millis).ok_or_else(wrong)?;
        total = total.checked_add(millis).ok_or_else(wrong)?;
        rest = &tail[end..];
    }
    (total > 0).then(|| Duration::from_millis(total)).ok_or_else(wrong)
}

/// Returns `bytes` as `0 B`, `3.4 KiB`, `2.0 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in UNITS {
        if bytes >= 1 << shift {
            // In tenths, rounded down, so that no float is needed: 1023.99 MiB is not 1.0 GiB.
            let tenths = (u128::from(bytes) * 10) >> shift;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

/// Returns `duration` by its largest unit, for an age: `0s`, `12m`, `3h`, `5d`.
pub(crate) fn age(duration: Duration) -> String {
    match duration.as_secs() {
        secs @ 0..60 => format!("{secs}s"),
        secs @ 60..3600 => format!("{}m", secs / 60),
        secs @ 3600..86_400 => format!("{}h", secs / 3600),
        secs => format!("{}d", secs / 86_400),
    }
}

/// Returns `duration` exactly, in the units that [`parse_duration`] takes: `1h30m`, `90s` as `1m30s`, `500ms`.
pub(crate) fn duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let parts = [
        (millis / 86_400_000, "d"),
        (millis / 3_600_000 % 24, "h"),
        (millis / 60_000 % 60, "m"),
        (millis / 1000 % 60, "s"),
        (millis % 1000, "ms"),
    ];
    let text: String = parts
        .iter()
        .filter(|(count, _unit)| *count > 0)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Returns `count` with its noun: `1 file`, `2 files`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

/// Multiplies a decimal number by `unit` exactly; `None` for what is not a number or too large.
fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    if fraction.is_empty() {
        return Some(whole);
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = fraction.parse::<u128>().ok()? * u128::from(unit) / scale;
    whole.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("4096", 4096),
            ("1k", 1024),
            ("512M", 512 << 20),
            ("2G", 2 << 30),
            ("1.5GiB", 3 << 29),
            ("0.5k", 512),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "-1", "2X", "1..5G", "99999999T", "1,5G", "0x10"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            ("90", 90_000),
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("0.5h", 1_800_000),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "0", "0s", "m", "10x", "1h30", "-5s", "1 h"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn processors_read_as_people_write_them() {
        assert_eq!(parse_cpus("2"), Ok(2000));
        assert_eq!(parse_cpus("0.5"), Ok(500));
        for text in ["0", "", "x", "-1", "9999999999"] {
            assert!(parse_cpus(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_ages_are_short() {
        assert_eq!(
            [0, 1023, 1024, 1_500_000, 2 << 30, (1 << 30) - 1].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.4 MiB", "2.0 GiB", "1023.9 MiB"]
        );
        assert_eq!(
            [0, 59, 60, 7200, 200_000].map(|s| age(Duration::from_secs(s))),
            ["0s", "59s", "1m", "2h", "2d"]
        );
    }

    proptest::proptest! {
        #[test]
        fn a_duration_reads_back_as_itself(millis in 1_u64..10_000_000_000) {
            let given = Duration::from_millis(millis);
            proptest::prop_assert_eq!(parse_duration(&duration(given)), Ok(given));
        }
    }
}
