//! Who hears of what passes.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    net::SocketAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use sandbar_types::SandboxId;

use super::{denial::Denial, policy::Target};

/// One connection that was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passage {
    /// Whose it is.
    pub sandbox: SandboxId,
    /// What was asked for.
    pub target: Target,
    /// The pattern that allowed it; `open` where the mode did.
    pub rule: String,
    /// Bytes that are passed on unread, or a plain request.
    pub way: Way,
}

/// How a request is carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `CONNECT`, SOCKS, or a connection to a stand-in of the host.
    Tunnel,
    /// A request in plain HTTP.
    Plain,
}

/// A connection to an upstream is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connected {
    /// Which.
    pub passage: Passage,
    /// Whom the server is connected to: the target, or the operator's proxy.
    pub address: SocketAddr,
}

/// A connection is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Which.
    pub passage: Passage,
    /// Bytes that the sandbox sent after its request was allowed; of a plain request, with its head.
    pub sent_bytes: u64,
    /// Bytes that the sandbox received.
    pub received_bytes: u64,
    /// How long it was there.
    pub duration: Duration,
    /// How it ended.
    pub end: ConnectionEnd,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionEnd {
    /// Both sides were done.
    Done,
    /// One of them broke off.
    Failed,
    /// Nothing passed for as long as is allowed.
    Idle,
    /// The policy or what is bound to its host changed: now it is refused, or carried in another way.
    Revoked,
    /// What was in the tunnel was not what was asked for.
    Refused,
    /// The proxy was told to stop.
    Cancelled,
}

impl ConnectionEnd {
    /// The code, as logs have it.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Idle => "idle",
            Self::Revoked => "revoked",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Hears of every decision. It is called between reading and connecting, and must not wait.
pub trait EgressLog: Send + Sync + fmt::Debug {
    /// A request was refused by policy. The same refusal is told once in [`super::EgressLimits::denial_window`].
    fn denied(&self, sandbox: SandboxId, denial: &Denial);
    /// A connection was made.
    fn connected(&self, connected: &Connected);
    /// It is over.
    fn closed(&self, closed: &Closed);
}

/// Hears of nothing: for what is no sandbox's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unheard;

impl EgressLog for Unheard {
    fn denied(&self, _sandbox: SandboxId, _denial: &Denial) {}

    fn connected(&self, _connected: &Connected) {}

    fn closed(&self, _closed: &Closed) {}
}

/// What was told lately. A sandbox that is refused a thousand times makes one event.
#[derive(Debug)]
pub struct ToldLately<K> {
    window: Duration,
    at: Mutex<HashMap<K, Instant>>,
}

/// LIMIT: different things that are told in one window; beyond it, none is. A scan of names is no flood of events.
const TOLD_MAX: usize = 256;

impl<K: Eq + Hash> ToldLately<K> {
    /// Has nothing told twice within `window`.
    #[must_use]
    pub fn new(window: Duration) -> Self {
        Self { window, at: Mutex::new(HashMap::new()) }
    }

    /// Returns whether `key` is to be told at `now`, and remembers that it was.
    pub fn is_first(&self, key: K, now: Instant) -> bool {
        let mut at = self.at.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if at.get(&key).is_some_and(|told| now.duration_since(*told) < self.window) {
            return false;
        }
        if at.len() >= TOLD_MAX {
            at.retain(|_, told| now.duration_since(*told) < self.window);
        }
        let has_room = at.len() < TOLD_MAX;
        if has_room {
            at.insert(key, now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_once_in_a_window_and_a_scan_is_bounded() {
        let window = Duration::from_secs(60);
        let told = ToldLately::new(window);
        let start = Instant::now();
        assert!(told.is_first(0, start));
        assert!(!told.is_first(0, start + window / 2));
        assert!(told.is_first(0, start + window));
        let scanned = (1..1000).filter(|name| told.is_first(*name, start + window)).count();
        assert_eq!(scanned, TOLD_MAX - 1);
        assert!(told.is_first(1000, start + 2 * window));
    }
}
