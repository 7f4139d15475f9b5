//! Who hears of what passes through the way out of one sandbox: its log, its history, and whoever waits for refusals.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use sandbar_types::{NetworkEntry, NetworkEntryKind, SandboxId};
use tokio::sync::broadcast;

use super::{EgressClosed, EgressDenied, EgressEntry, journal::Journal};
use crate::{Engine, Result, engine::Inner, event::EventPayload};

/// LIMIT: refusals that wait for who follows them; of more, the oldest are not told.
const DENIALS_MAX: usize = 64;

/// The boards of the sandboxes that run, or that somebody follows.
#[derive(Debug, Default)]
pub(crate) struct NetworkBoards(Mutex<BTreeMap<SandboxId, Weak<Board>>>);

/// That of one sandbox, shared by it and by its copies.
#[derive(Debug)]
pub(super) struct Board {
    journal: tokio::sync::Mutex<Journal>,
    denied: broadcast::Sender<EgressDenied>,
}

/// Follows what a sandbox is refused.
#[derive(Debug)]
pub struct NetworkDenials {
    /// While it is followed it is the one that a sandbox which wakes up tells.
    _board: Arc<Board>,
    denied: broadcast::Receiver<EgressDenied>,
}

impl NetworkDenials {
    /// Waits for the next refusal.
    pub async fn next(&mut self) -> EgressDenied {
        loop {
            match self.denied.recv().await {
                Ok(denied) => return denied,
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Inner {
    pub(super) fn network_board(&self, id: SandboxId) -> Arc<Board> {
        let mut boards = self.networks.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(board) = boards.get(&id).and_then(Weak::upgrade) {
            return board;
        }
        boards.retain(|_, board| board.strong_count() > 0);
        let journal = Journal::of(&self.layout.sandbox(id).0);
        let board = Arc::new(Board {
            journal: tokio::sync::Mutex::new(journal),
            denied: broadcast::Sender::new(DENIALS_MAX),
        });
        boards.insert(id, Arc::downgrade(&board));
        board
    }
}

impl Engine {
    /// Follows what a sandbox is refused from now on, also while it sleeps and wakes.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub fn network_denials(&self, id: SandboxId) -> Result<NetworkDenials> {
        self.inner.actor(id)?;
        let board = self.inner.network_board(id);
        Ok(NetworkDenials { denied: board.denied.subscribe(), _board: board })
    }
}

impl Board {
    /// Writes down what happened, and tells of refusals.
    pub(super) async fn record(&self, inner: &Inner, id: SandboxId, entries: Vec<EgressEntry>) {
        let at = inner.config.clock.now();
        let lines = entries.iter().map(|entry| line(at, entry)).collect();
        if let Err(err) = self.journal.lock().await.append(lines).await {
            tracing::warn!(sandbox.id = %id, error = %err, "the log of a sandbox's network could not be written");
        }
        for entry in entries {
            if let EgressEntry::Denied(denied) = entry {
                // Nobody follows it, mostly.
                drop(self.denied.send(denied.clone()));
                let EgressDenied { host, port, reason } = denied;
                inner.event_append(id, &EventPayload::EgressDenied { host, port, reason }).await;
            }
        }
    }
}

fn line(at: jiff::Timestamp, entry: &EgressEntry) -> NetworkEntry {
    let empty = NetworkEntry {
        id: 0,
        at,
        what: NetworkEntryKind::Denied,
        host: String::new(),
        port: 0,
        reason: None,
        rule: None,
        sent_bytes: None,
        received_bytes: None,
        duration_ms: None,
        end: None,
    };
    match entry {
        EgressEntry::Denied(EgressDenied { host, port, reason }) => {
            NetworkEntry { host: host.clone(), port: *port, reason: Some(reason.clone()), ..empty }
        }
        EgressEntry::Closed(closed) => {
            let EgressClosed { host, port, rule, sent_bytes, received_bytes, duration, end } =
                closed;
            NetworkEntry {
                what: NetworkEntryKind::Closed,
                host: host.clone(),
                port: *port,
                rule: Some(rule.clone()),
                sent_bytes: Some(*sent_bytes),
                received_bytes: Some(*received_bytes),
                duration_ms: Some(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
                end: Some((*end).to_owned()),
                ..empty
            }
        }
    }
}
