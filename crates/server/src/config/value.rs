//! Values as an operator writes them. What is wrong with one is told with its line by whoever reads the file.

use std::{fmt, str::FromStr, time::Duration};

use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Serialize, Serializer, de::Error as _};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A length of time from `MIN` to `MAX` milliseconds: `30s`, `1h 30m`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time<const MIN: u64, const MAX: u64>(Duration);

/// How long something is waited for.
pub(crate) type Patience = Time<100, { 10 * MINUTE }>;
/// How often something is looked at.
pub(crate) type Interval = Time<100, HOUR>;
/// How long something may go unused.
pub(crate) type Idle = Time<SECOND, { 30 * DAY }>;
/// How long something is kept.
pub(crate) type Kept = Time<HOUR, { 3650 * DAY }>;

impl<const MIN: u64, const MAX: u64> Time<MIN, MAX> {
    /// A default: one that lies outside does not compile.
    pub(crate) const fn of(ms: u64) -> Self {
        assert!(MIN <= ms && ms <= MAX, "a default is a value that could be written");
        Self(Duration::from_millis(ms))
    }

    pub(crate) const fn get(self) -> Duration {
        self.0
    }
}

impl<const MIN: u64, const MAX: u64> FromStr for Time<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = || format!("from {} to {}", Self::show(MIN), Self::show(MAX));
        let wrong = |_| format!("`{text}` is no length of time such as `30s` or `1h 30m`");
        let span: Span = text.parse().map_err(wrong)?;
        let day = SpanRelativeTo::days_are_24_hours();
        let signed = span.to_duration(day).map_err(wrong)?;
        let duration = Duration::try_from(signed)
            .map_err(|_negative| format!("`{text}` is negative; it may be {}", range()))?;
        let fits = (Duration::from_millis(MIN)..=Duration::from_millis(MAX)).contains(&duration);
        if fits { Ok(Self(duration)) } else { Err(format!("`{text}` is not {}", range())) }
    }
}

impl<const MIN: u64, const MAX: u64> Time<MIN, MAX> {
    fn show(ms: u64) -> String {
        match ms {
            ms if ms % DAY == 0 => format!("{}d", ms / DAY),
            ms if ms % HOUR == 0 => format!("{}h", ms / HOUR),
            ms if ms % MINUTE == 0 => format!("{}m", ms / MINUTE),
            ms if ms % SECOND == 0 => format!("{}s", ms / SECOND),
            ms => format!("{ms}ms"),
        }
    }
}

impl<const MIN: u64, const MAX: u64> fmt::Display for Time<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::show(u64::try_from(self.0.as_millis()).unwrap_or(MAX)))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Time<MIN, MAX> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<const MIN: u64, const MAX: u64> Serialize for Time<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A value that is written as a text, and read by its own parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text<T>(pub(crate) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let parsed = text.parse();
        parsed.map(Self).map_err(|error| D::Error::custom(format!("`{text}`: {error}")))
    }
}

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them_and_shown_so_that_they_can_be_read_again() {
        for (text, shown) in [
            ("30s", "30s"),
            ("1h 30m", "90m"),
            ("1h30m", "90m"),
            ("2 days", "2d"),
            ("1500ms", "1500ms"),
        ] {
            let time: Idle = text.parse().unwrap();
            assert_eq!(time.to_string(), shown, "{text}");
            assert_eq!(shown.parse::<Idle>().unwrap(), time);
        }
    }

    #[test]
    fn what_is_no_time_or_out_of_range_is_told() {
        for text in ["", "30", "soon", "1 month", "30s x"] {
            let error = text.parse::<Idle>().unwrap_err();
            assert!(error.contains("no length of time"), "{text}: {error}");
        }
        let error = "-5s".parse::<Idle>().unwrap_err();
        assert!(error.contains("negative"), "{error}");
        let error = "31d".parse::<Idle>().unwrap_err();
        assert_eq!(error, "`31d` is not from 1s to 30d");
    }
}
