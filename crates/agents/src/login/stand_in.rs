//! Files inside that stand for a login, of agents that read one from nowhere else.

use jiff::Timestamp;

use super::codex;

/// Such a file, by the agent that wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StandIn {
    /// The `auth.json` of Codex.
    Codex,
}

impl StandIn {
    /// Where it is, below the home.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Codex => ".codex/auth.json",
        }
    }

    /// What it holds: in place of each token the placeholder, and of `token` only what the agent cannot do without.
    /// `None` for a token that says no such thing.
    #[must_use]
    pub fn content(self, placeholder: &str, token: &str, now: Timestamp) -> Option<String> {
        match self {
            Self::Codex => codex::stand_in(placeholder, token, now),
        }
    }
}
