//! Who approved what, and what taking it back did.

use serde::{Deserialize, Serialize};

use crate::{
    AccountName, ApiKeyId, ApproveId, ChangeKind, Entry, HostPath, KeyName, UserId, WorkspacePath,
};

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// A user of this host, by the unix socket.
    User {
        /// The user's id, as the kernel says.
        uid: u32,
        /// The user's name then, where the host knows one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// Whoever had the token, by TCP.
    Token,
    /// A user of this server.
    Account {
        /// The user's id.
        id: UserId,
        /// The user's name then.
        name: AccountName,
    },
    /// Whoever had an API key.
    ApiKey {
        /// The key's id.
        id: ApiKeyId,
        /// The key's name then.
        name: KeyName,
    },
    /// Nobody: the rules of the sandbox allow it.
    Rules,
    /// Nobody was asked.
    Unknown,
}

/// One path of the source that an approve wrote or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ApprovedPath {
    /// The path, relative to the source, whatever part of it the sandbox could write to.
    pub path: WorkspacePath,
    /// How it changed.
    pub kind: ChangeKind,
    /// What the source had.
    pub before: Option<Entry>,
    /// What it has since.
    pub after: Option<Entry>,
}

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UndoOutcome {
    /// Names the undo, which is an approve of its own.
    pub id: ApproveId,
    /// The approve that was taken back.
    pub undone: ApproveId,
    /// Where it was written to.
    pub source: HostPath,
    /// Paths that have again what they had before, ordered; the merged ones included.
    pub restored: Vec<WorkspacePath>,
    /// Of these, the ones that the host had changed since, which kept those changes.
    pub merged: Vec<WorkspacePath>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_before_there_were_users_is_still_read() {
        for (text, actor) in [
            (
                r#"{"kind":"user","uid":7,"name":"me"}"#,
                Actor::User { uid: 7, name: Some("me".to_owned()) },
            ),
            (r#"{"kind":"token"}"#, Actor::Token),
            (r#"{"kind":"rules"}"#, Actor::Rules),
            (r#"{"kind":"unknown"}"#, Actor::Unknown),
        ] {
            assert_eq!(serde_json::from_str::<Actor>(text).unwrap(), actor, "{text}");
        }
    }
}
