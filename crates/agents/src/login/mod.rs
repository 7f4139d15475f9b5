//! Logins that agents keep on the host: what their files hold, and what stands for one inside where a file has to.
//! Texts in, values out; whoever calls reads and writes the files.

mod claude;
mod codex;
mod gemini;
mod jwt;
mod stand_in;

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

pub use self::{
    gemini::{OAuthClient, client_of},
    jwt::expires_at,
    stand_in::StandIn,
};
use crate::CredentialKind;

/// What a file of a login holds.
#[derive(Clone, PartialEq, Eq)]
pub struct HostLogin {
    /// A key, or a login.
    pub kind: CredentialKind,
    /// The key, or the token.
    pub value: String,
    /// What a new token is asked for with.
    pub refresh_token: Option<String>,
    /// When the token ends, where that is known.
    pub expires_at: Option<Timestamp>,
    /// The client that the login was made with, where the file says so.
    pub client_id: Option<String>,
}

impl fmt::Debug for HostLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostLogin").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Reads the file of a login of Claude Code, Codex or the Gemini CLI; `None` where there is none in it, and for others.
#[must_use]
pub fn of_file(agent: &str, file: &Value) -> Option<HostLogin> {
    match agent {
        "claude-code" => claude::read(file),
        "codex" => codex::read(file),
        "gemini" => gemini::read(file),
        _ => None,
    }
}

/// The text at a place of a file, where it is not empty.
fn text(file: &Value, pointer: &str) -> Option<String> {
    file.pointer(pointer)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The time at a place of a file that counts milliseconds.
fn milliseconds(file: &Value, pointer: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(file.pointer(pointer)?.as_i64()?).ok()
}
