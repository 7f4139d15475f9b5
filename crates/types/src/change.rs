//! One path that differs between a source and a workspace.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::WorkspacePath;

/// A SHA-256, as 64 hexadecimal digits in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256: expected 64 hexadecimal digits")]
pub struct InvalidSha256;

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Sha256 {
    type Err = InvalidSha256;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut out = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(InvalidSha256);
        }
        for (byte, at) in out.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| InvalidSha256)?;
        }
        Ok(Self(out))
    }
}

impl Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a path is, apart from its name and its times.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Entry {
    /// A regular file.
    File {
        /// Its size in bytes.
        size: u64,
        /// Permission bits, `0o7777`.
        mode: u32,
        /// Hash of its bytes.
        sha256: Sha256,
    },
    /// A directory.
    Directory {
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link: shown as a link, never followed.
    Symlink {
        /// Where it points, as bytes in base64 when they are not text.
        target: LinkTarget,
    },
    /// A fifo, a socket or a device: listed, never applied.
    Special {
        /// `fifo`, `socket`, `char_device` or `block_device`.
        what: String,
    },
}

/// The target of a symbolic link: any bytes. In JSON text where it is UTF-8, else `{"b64": "…"}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LinkTarget(pub Vec<u8>);

impl Serialize for LinkTarget {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::path::PathText::of(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LinkTarget {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = crate::path::PathText::deserialize(deserializer)?;
        text.into_bytes().map(Self).map_err(serde::de::Error::custom)
    }
}

/// How a path differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Only the workspace has it.
    Added,
    /// Both are files or links of one type, with other content; the mode may differ too.
    Modified,
    /// Only the source has it.
    Deleted,
    /// The two are of different types.
    TypeChanged,
    /// Only the permission bits differ.
    ModeChanged,
    /// Only extended attributes differ: shown, never applied.
    XattrChanged,
}

/// What a person should know about a change before saying yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeFlag {
    /// A name that is never applied: version control metadata and our own staging names.
    Protected,
    /// A file that something on the host may run or obey when it is opened, built or committed.
    ExecOnOpen,
    /// The executable bit appears.
    ExecBit,
    /// A link that leads out of the tree.
    SymlinkExternal,
    /// A link with an absolute target.
    SymlinkAbsolute,
    /// A fifo, a socket or a device.
    Special,
    /// A setuid, setgid or sticky bit, which is dropped.
    Setuid,
    /// Extended attributes, which are dropped.
    XattrDropped,
    /// Control characters in the name.
    NameControlChars,
    /// Bidirectional or invisible characters in the name.
    NameBidi,
    /// A name that is not UTF-8.
    NameNonUtf8,
    /// A name that differs from another one in the same directory by case only.
    CaseCollision,
    /// The source changed since the sandbox was made or last approved.
    BaseDrifted,
    /// Bidirectional or invisible characters in the text.
    ContentBidi,
    /// Goes because a new directory replaced the whole of the one that held it; or is that new directory.
    Opaque,
    /// Too large to be shown; size and hash are still exact.
    TruncatedDisplay,
    /// The source's own `.gitignore` leaves it out: listed, and approved only where it is asked for by name or flag.
    Ignored,
}

/// One path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// The path, below the root of the workspace.
    pub path: WorkspacePath,
    /// How it differs.
    pub kind: ChangeKind,
    /// What the source has.
    pub old: Option<Entry>,
    /// What the workspace has.
    pub new: Option<Entry>,
    /// Whether old or new content is not text.
    pub binary: bool,
    /// Lines added and removed; `None` for what is not text or too large.
    pub lines: Option<LineCount>,
    /// A deleted path with the same content, so this is probably a rename: a hint, never acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<WorkspacePath>,
    /// What to know before saying yes.
    #[serde(default)]
    pub flags: BTreeSet<ChangeFlag>,
}

/// How many lines of text came and went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LineCount {
    /// Lines only the workspace has.
    pub added: u64,
    /// Lines only the source has.
    pub removed: u64,
}

/// Identifies a set of changes by its content: two sets with one id are the same to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct DiffId(pub Sha256);

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Every path that differs at one instant, in the order of paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeSet {
    /// Hash over the changes.
    pub diff_id: DiffId,
    /// The changes, ordered by path.
    pub changes: Vec<Change>,
}
