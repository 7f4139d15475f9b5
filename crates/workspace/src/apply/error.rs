//! Why an approve did not happen. It crosses a process boundary, so it is a value that serializes.

use std::io;

use sandbar_types::{Conflict, WorkspacePath};
use serde::{Deserialize, Serialize};

/// Why an approve did not happen. But for [`ApplyError::Unfinished`] the source is as it was.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "error", rename_all = "snake_case")]
pub enum ApplyError {
    /// The source is not what the changes were made against.
    #[error("the host changed {} {}", conflicts.len(), if conflicts.len() == 1 { "path" } else { "paths" })]
    Conflict {
        /// Which, and how.
        conflicts: Vec<Conflict>,
        /// Paths that the host changed after they were written and before everything was rolled back: left as the host
        /// has them; what they replaced is in the stage, which stays.
        kept: Vec<WorkspacePath>,
    },
    /// The workspace is no longer what was reviewed.
    #[error("`{path}` changed in the workspace since it was reviewed")]
    WorkspaceChanged {
        /// The first such path.
        path: WorkspacePath,
    },
    /// A link leads out of the tree through another link, and nobody said yes to that.
    #[error("the link `{path}` leads out of the tree")]
    LinkLeavesTree {
        /// The link.
        path: WorkspacePath,
    },
    /// The file system of the source has too little room.
    #[error("{needed} bytes needed, {free} free")]
    NoSpace {
        /// Bytes to be written.
        needed: u64,
        /// Bytes that may be used.
        free: u64,
    },
    /// The file system of the source cannot exchange two names, so nothing there could be replaced safely.
    #[error("the file system of the source cannot exchange two names")]
    ExchangeUnsupported,
    /// What the approve replaced is not kept any more, so it cannot be undone.
    #[error("what the approve replaced is no longer kept")]
    NotKept,
    /// Another approve held the source for too long.
    #[error("another approve is writing to this source")]
    Busy,
    /// A step failed; everything was rolled back.
    #[error("approve failed at `{step}`")]
    Step {
        /// What we were doing.
        step: String,
        /// To what.
        path: Option<WorkspacePath>,
        /// As of [`ApplyError::Conflict`].
        kept: Vec<WorkspacePath>,
        /// What the kernel said.
        #[source]
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// A step failed past the commit point and could not be rolled back: the journal says so, and recovery will end it.
    #[error("approve was left unfinished at `{step}`")]
    Unfinished {
        /// What we were doing.
        step: String,
        /// What the kernel said.
        #[source]
        #[serde(with = "errno")]
        source: io::Error,
    },
}

impl ApplyError {
    pub(super) fn step(step: &str, path: Option<&WorkspacePath>, source: io::Error) -> Self {
        Self::Step { step: step.to_owned(), path: path.cloned(), kept: Vec::new(), source }
    }

    pub(super) fn unfinished(step: &str, source: io::Error) -> Self {
        Self::Unfinished { step: step.to_owned(), source }
    }
}

/// An [`io::Error`] as its number, or as its text where the kernel did not make it.
mod errno {
    use std::io;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Errno {
        Number(i32),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(error: &io::Error, to: S) -> Result<S::Ok, S::Error> {
        let number = error.raw_os_error().map(Errno::Number);
        number.unwrap_or_else(|| Errno::Text(error.to_string())).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<io::Error, D::Error> {
        Ok(match Errno::deserialize(from)? {
            Errno::Number(number) => io::Error::from_raw_os_error(number),
            Errno::Text(text) => io::Error::other(text),
        })
    }
}
