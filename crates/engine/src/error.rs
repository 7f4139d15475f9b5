//! What the engine says when it does not do what was asked; knows nothing of how that is transported.

use std::{borrow::Cow, fmt};

use sandbar_types::Generation;
use serde::Serialize;

/// The kind of a failure: what a client may conclude from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// What was named is not there.
    NotFound,
    /// The request can never be met as it is.
    Invalid,
    /// Something that exists stands in the way.
    Conflict,
    /// The state forbids it now.
    Denied,
    /// The client decided on something that has changed since.
    Stale,
    /// A limit is reached.
    LimitReached,
    /// It may work later.
    Unavailable,
    /// We failed; the log says why.
    Internal,
}

/// A refusal or a failure: what the client is told, and apart from it what only the log is told.
#[derive(Debug)]
#[expect(
    clippy::error_impl_error,
    reason = "used as engine::Error, the one error of every operation"
)]
pub struct Error {
    kind: ErrorKind,
    code: &'static str,
    message: Cow<'static, str>,
    hint: Option<Cow<'static, str>>,
    details: Option<serde_json::Value>,
    internal: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What every operation answers with.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refusal. `code` is stable and lower snake; `message` is for people and never names our internals.
    #[must_use]
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, code, message: message.into(), hint: None, details: None, internal: None }
    }

    /// A failure of ours: the client learns that we failed, the log learns why.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::new(ErrorKind::Internal, "internal", "internal error").because(source)
    }

    /// Says what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what a program may want to read.
    #[must_use]
    pub fn details(mut self, details: &impl Serialize) -> Self {
        self.details = serde_json::to_value(details).ok();
        self
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.internal = Some(source.into());
        self
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What a client is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What a client may do about it.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// What a program may want to read: conflicts, the overlap, the limit.
    #[must_use]
    pub fn details_value(&self) -> Option<&serde_json::Value> {
        self.details.as_ref()
    }

    /// The cause, for the log only.
    #[must_use]
    pub fn internal_source(&self) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
        self.internal.as_deref()
    }

    /// Whether the same request may succeed later without anything else being done.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self.kind {
            ErrorKind::Unavailable => true,
            ErrorKind::NotFound
            | ErrorKind::Invalid
            | ErrorKind::Conflict
            | ErrorKind::Denied
            | ErrorKind::Stale
            | ErrorKind::LimitReached
            | ErrorKind::Internal => false,
        }
    }
}

/// Refuses what was decided about an older generation than the one that is there. `None` was decided about any.
pub(crate) fn require_seen(seen: Option<Generation>, is: Generation) -> Result<()> {
    if seen.is_none_or(|seen| seen == is) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Stale, "stale_generation", "it was changed since you looked")
        .hint("look again, and decide again"))
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.internal.as_deref().map(|source| source as _)
    }
}

impl From<sandbar_store::StoreError> for Error {
    fn from(source: sandbar_store::StoreError) -> Self {
        if source.is_full() {
            return Self::new(
                ErrorKind::Unavailable,
                "storage_full",
                "the disk of the data directory is full",
            )
            .hint("free some space there; `sandbar du` shows what is large")
            .because(source);
        }
        if source.is_unavailable() {
            return Self::new(
                ErrorKind::Unavailable,
                "unavailable",
                "the database does not answer, or is busy",
            )
            .hint("try again in a moment; the log of the server says more")
            .because(source);
        }
        Self::internal(source)
    }
}
