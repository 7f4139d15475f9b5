//! Paths, normalized once at the edge. Paths are bytes; a file name is whatever the kernel allows.

use std::{
    ffi::OsStr,
    fmt,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

/// Why a path was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// The path is empty.
    #[error("path is empty")]
    Empty,
    /// The path holds a NUL byte, which no kernel call can take.
    #[error("path holds a NUL byte")]
    Nul,
    /// The path has a `..` component: what it means depends on links, so it is refused.
    #[error("path holds a `..` component")]
    Parent,
    /// A path below the workspace begins with a slash.
    #[error("path must be relative to the workspace")]
    Absolute,
    /// A path of the host does not begin with a slash.
    #[error("path must be absolute")]
    Relative,
    /// Longer than the kernel's `PATH_MAX` for a path of the host, or than 64 KiB below a workspace.
    #[error("path is too long")]
    TooLong,
    /// A component is longer than the kernel's `NAME_MAX`.
    #[error("path has a component longer than 255 bytes")]
    NameTooLong,
    /// The base64 form does not decode.
    #[error("path_b64 is not base64")]
    Base64,
}

/// LIMIT: `PATH_MAX` of the kernel, less its NUL.
const PATH_MAX: usize = 4095;
/// LIMIT: a path below a workspace. Longer than `PATH_MAX`, because a tree can be deeper and is walked in pieces.
const WORKSPACE_PATH_MAX: usize = 64 * 1024;
/// LIMIT: `NAME_MAX` of the kernel.
const NAME_MAX: usize = 255;

fn normalize(bytes: &[u8]) -> Result<Vec<u8>, InvalidPath> {
    if bytes.contains(&0) {
        return Err(InvalidPath::Nul);
    }
    let mut out = Vec::with_capacity(bytes.len());
    for component in bytes.split(|b| *b == b'/') {
        match component {
            b"" | b"." => {}
            b".." => return Err(InvalidPath::Parent),
            name if name.len() > NAME_MAX => return Err(InvalidPath::NameTooLong),
            name => {
                if !out.is_empty() {
                    out.push(b'/');
                }
                out.extend_from_slice(name);
            }
        }
    }
    Ok(out)
}

/// A path below the root of a workspace: relative, without `.`, `..` or doubled slashes, never empty.
///
/// Ordered so that a directory comes right before what it holds.
/// As JSON it is text where the bytes are UTF-8, else `{"b64": "…"}`: never lossy.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct WorkspacePath(Vec<u8>);

impl WorkspacePath {
    /// Parses and normalizes `bytes`.
    ///
    /// # Errors
    /// An absolute, empty or overlong path, or one with `..` or NUL, is refused.
    pub fn parse(bytes: impl AsRef<[u8]>) -> Result<Self, InvalidPath> {
        let bytes = bytes.as_ref();
        if bytes.first() == Some(&b'/') {
            return Err(InvalidPath::Absolute);
        }
        let normalized = normalize(bytes)?;
        if normalized.is_empty() {
            return Err(InvalidPath::Empty);
        }
        if normalized.len() > WORKSPACE_PATH_MAX {
            return Err(InvalidPath::TooLong);
        }
        Ok(Self(normalized))
    }

    /// The bytes, as the kernel takes them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path, for calls that want one.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The components from the top down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/')
    }

    /// The last component.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.components().next_back().unwrap_or(&self.0)
    }

    /// The directory that holds this path; `None` at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let end = self.0.iter().rposition(|b| *b == b'/')?;
        Some(Self(self.0[..end].to_vec()))
    }

    /// The path of `name` inside this directory.
    ///
    /// # Errors
    /// As [`WorkspacePath::parse`].
    pub fn join(&self, name: &[u8]) -> Result<Self, InvalidPath> {
        let mut bytes = self.0.clone();
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        Self::parse(bytes)
    }

    /// Whether this path is `ancestor` or lies below it.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.0 == ancestor.0
            || (self.0.starts_with(&ancestor.0) && self.0.get(ancestor.0.len()) == Some(&b'/'))
    }
}

impl PartialOrd for WorkspacePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for WorkspacePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.components().cmp(other.components())
    }
}

impl fmt::Display for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_path().display().fmt(f)
    }
}

impl fmt::Debug for WorkspacePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.escape_ascii())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum PathText {
    Text(String),
    Bytes(PathBytes),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathBytes {
    b64: String,
}

impl PathText {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(PathBytes { b64: BASE64_STANDARD.encode(bytes) }),
        }
    }

    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, InvalidPath> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Bytes(PathBytes { b64 }) => {
                BASE64_STANDARD.decode(b64).map_err(|_| InvalidPath::Base64)
            }
        }
    }
}

impl Serialize for WorkspacePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PathText::of(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for WorkspacePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = PathText::deserialize(deserializer)?.into_bytes();
        bytes.and_then(Self::parse).map_err(serde::de::Error::custom)
    }
}

/// An absolute path of the host, without `.`, `..` or doubled slashes. Links in it are not resolved.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPath(PathBuf);

impl HostPath {
    /// Parses and normalizes `path`.
    ///
    /// # Errors
    /// A relative or overlong path, or one with `..` or NUL, is refused.
    pub fn parse(path: impl AsRef<OsStr>) -> Result<Self, InvalidPath> {
        let bytes = path.as_ref().as_bytes();
        match bytes.first() {
            None => return Err(InvalidPath::Empty),
            Some(b'/') => {}
            Some(_) => return Err(InvalidPath::Relative),
        }
        let mut absolute = vec![b'/'];
        absolute.extend(normalize(bytes)?);
        if absolute.len() > PATH_MAX {
            return Err(InvalidPath::TooLong);
        }
        Ok(Self(PathBuf::from(OsStr::from_bytes(&absolute))))
    }

    /// The path itself.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Whether this path is `ancestor` or lies below it, by whole components.
    #[must_use]
    pub fn is_within(&self, ancestor: &Self) -> bool {
        self.0.starts_with(&ancestor.0)
    }
}

impl AsRef<Path> for HostPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl fmt::Debug for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.as_os_str().as_bytes().escape_ascii())
    }
}

impl Serialize for HostPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PathText::of(self.0.as_os_str().as_bytes()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HostPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = PathText::deserialize(deserializer)?.into_bytes();
        bytes
            .and_then(|bytes| Self::parse(OsStr::from_bytes(&bytes)))
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_has_two_meanings_is_refused() {
        for (bytes, why) in [
            (&b"/etc"[..], InvalidPath::Absolute),
            (b"", InvalidPath::Empty),
            (b"./.", InvalidPath::Empty),
            (b"a/../b", InvalidPath::Parent),
            (b"a\0b", InvalidPath::Nul),
        ] {
            assert_eq!(WorkspacePath::parse(bytes), Err(why));
        }
    }

    #[test]
    fn a_sibling_with_the_same_beginning_is_not_within() {
        let path = |text| WorkspacePath::parse(text).unwrap();
        assert!(!path("src_old/a").is_within(&path("src")));
        assert!(path("src/a").is_within(&path("src")));
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent_and_json_is_not_lossy(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(path) = WorkspacePath::parse(&bytes) {
                prop_assert_eq!(&WorkspacePath::parse(path.as_bytes()).unwrap(), &path);
                let json = serde_json::to_string(&path).unwrap();
                prop_assert_eq!(serde_json::from_str::<WorkspacePath>(&json).unwrap(), path);
            }
        }

        #[test]
        fn a_joined_path_is_within_its_parent(dir in "[a-z_%]{1,8}", name in "[a-z_%]{1,8}") {
            let dir = WorkspacePath::parse(dir).unwrap();
            let child = dir.join(name.as_bytes()).unwrap();
            prop_assert!(child.is_within(&dir) && !dir.is_within(&child));
            prop_assert_eq!(child.parent(), Some(dir));
        }
    }
}
