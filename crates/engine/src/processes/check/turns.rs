//! Whose turn it is: one check for each sandbox, and few at once for the host's sake.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sandbar_types::SandboxId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, ErrorKind, Result};

/// LIMIT: builds at once; each takes as much of the host as a sandbox may, and nobody counted on them. More wait: there
/// are no more of them than sandboxes.
const AT_ONCE: usize = 2;

/// Who checks, and the copies that belong to somebody.
#[derive(Debug)]
pub(crate) struct Turns {
    host: Arc<Semaphore>,
    busy: Arc<Mutex<Busy>>,
}

#[derive(Debug, Default)]
struct Busy {
    sandboxes: BTreeSet<SandboxId>,
    forks: BTreeSet<SandboxId>,
}

/// The right of one sandbox to check; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    id: SandboxId,
    host: Arc<Semaphore>,
    busy: Arc<Mutex<Busy>>,
}

/// A claim whose turn it is.
#[derive(Debug)]
pub(super) struct Turn {
    claim: Claim,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Keeps the copy with this id from being taken for one that a killed server left.
#[derive(Debug)]
pub(super) struct Minded {
    id: SandboxId,
    busy: Arc<Mutex<Busy>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { host: Arc::new(Semaphore::new(AT_ONCE)), busy: Arc::default() }
    }
}

impl Turns {
    /// Claims the turn of a sandbox.
    ///
    /// # Errors
    /// `check_running`.
    pub(super) fn claim(&self, id: SandboxId) -> Result<Claim> {
        if !lock(&self.busy).sandboxes.insert(id) {
            return Err(Error::new(
                ErrorKind::Conflict,
                "check_running",
                "the build of this sandbox is being checked already",
            )
            .hint("wait until that check has ended"));
        }
        Ok(Claim { id, host: Arc::clone(&self.host), busy: Arc::clone(&self.busy) })
    }

    /// Whether a check of this server minds the copy.
    pub(crate) fn is_minded(&self, fork: SandboxId) -> bool {
        lock(&self.busy).forks.contains(&fork)
    }
}

impl Claim {
    /// Waits until the host has room.
    pub(super) async fn wait(self) -> Turn {
        // It is never closed.
        let permit = Arc::clone(&self.host).acquire_owned().await.ok();
        Turn { claim: self, _permit: permit }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.busy).sandboxes.remove(&self.id);
    }
}

impl Turn {
    /// Minds a copy from before it is made.
    pub(super) fn mind(&self, fork: SandboxId) -> Minded {
        lock(&self.claim.busy).forks.insert(fork);
        Minded { id: fork, busy: Arc::clone(&self.claim.busy) }
    }
}

impl Drop for Minded {
    fn drop(&mut self) {
        lock(&self.busy).forks.remove(&self.id);
    }
}

fn lock(busy: &Mutex<Busy>) -> MutexGuard<'_, Busy> {
    // Every change is one insertion or removal, so a panic elsewhere leaves it whole.
    busy.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn a_sandbox_has_one_turn_and_the_host_a_few() {
        let turns = Turns::default();
        let first = SandboxId::generate();
        let claim = turns.claim(first).unwrap();
        assert_eq!(turns.claim(first).unwrap_err().code(), "check_running");
        drop(claim);
        let mut taken = Vec::new();
        for _ in 0..AT_ONCE {
            taken.push(turns.claim(SandboxId::generate()).unwrap().wait().await);
        }
        let mut waiting = Box::pin(turns.claim(first).unwrap().wait());
        assert!(matches!(futures_poll(&mut waiting).await, Poll::Pending));
        taken.pop();
        let turn = waiting.await;
        let fork = SandboxId::generate();
        let minded = turn.mind(fork);
        assert!(turns.is_minded(fork));
        drop(minded);
        assert!(!turns.is_minded(fork));
    }

    async fn futures_poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Poll<T> {
        std::future::poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context)))
            .await
    }
}
