//! What differs between two texts: hunks, and their lines.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Names a hunk by what it does and where in the workspace's text it does it, as 16 hexadecimal digits.
///
/// Deciding about a neighbor moves the lines of the source, not those of the workspace, so the name stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HunkId(pub u64);

/// A text that is not 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a hunk: expected 16 hexadecimal digits")]
pub struct InvalidHunkId;

impl fmt::Display for HunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for HunkId {
    type Err = InvalidHunkId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_written_so = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = is_written_so.then_some(text).ok_or(InvalidHunkId)?;
        u64::from_str_radix(digits, 16).map(Self).map_err(|_| InvalidHunkId)
    }
}

impl Serialize for HunkId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HunkId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What differs between two texts around one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hunk {
    /// Its name.
    pub id: HunkId,
    /// Number of the first line in the source's text, from 1; of no line, that of the line before.
    pub old_start: u64,
    /// Lines of the source's text.
    pub old_lines: u64,
    /// Number of the first line in the workspace's text.
    pub new_start: u64,
    /// Lines of the workspace's text.
    pub new_lines: u64,
    /// The lines, in the order of a unified diff.
    pub lines: Vec<HunkLine>,
}

/// One line of a hunk, with its newline; only the last line of a file may have none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HunkLine {
    /// Both have it.
    Context(LineText),
    /// Only the source has it.
    Removed(LineText),
    /// Only the workspace has it.
    Added(LineText),
}

/// The bytes of a line. In JSON text where they are UTF-8, else `{"b64": "…"}`: never lossy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LineText(pub Vec<u8>);

impl Serialize for LineText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::path::PathText::of(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LineText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = crate::path::PathText::deserialize(deserializer)?;
        text.into_bytes().map(Self).map_err(serde::de::Error::custom)
    }
}

/// The text of one change, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Hunks {
    /// Text, with what differs; no hunk where only the mode or the type does.
    Text {
        /// The places that differ, in the order of lines.
        hunks: Vec<Hunk>,
    },
    /// One side is not text.
    Binary,
    /// Too large to be shown; size and hash are exact.
    TooLarge,
    /// Neither side is a regular file.
    NoText,
}
