//! One turn after the other for each credential.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sandbar_types::CredentialId;

use super::exchange::Tokens;
use crate::SecretString;

/// How long a failure answers for those that follow, and how long what is new is not renewed once more.
const REST: Duration = Duration::from_secs(30);

/// Whose turn it is to renew which.
#[derive(Debug, Default)]
pub(in crate::credential) struct Turns(
    Mutex<BTreeMap<CredentialId, Arc<tokio::sync::Mutex<Turn>>>>,
);

/// What the last turn of a credential left.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) failed_at: Option<Instant>,
    pub(super) renewed_at: Option<Instant>,
    /// Came, for what was asked with this value, and could not be kept.
    pub(super) pending: Option<(SecretString, Tokens)>,
}

impl Turn {
    /// Whether the last one failed, or succeeded, so lately that nobody is asked again.
    pub(super) fn rests(&self) -> bool {
        let rests = |at: Option<Instant>| at.is_some_and(|at| at.elapsed() < REST);
        rests(self.failed_at) || rests(self.renewed_at)
    }
}

impl Turns {
    /// The turns of a credential. Those that say nothing any more are forgotten meanwhile.
    pub(super) fn of(&self, id: CredentialId) -> Arc<tokio::sync::Mutex<Turn>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that somebody waits for is held by more than the map.
        turns.retain(|_, turn| {
            Arc::strong_count(turn) > 1
                || turn.try_lock().is_ok_and(|turn| turn.pending.is_some() || turn.rests())
        });
        Arc::clone(turns.entry(id).or_default())
    }

    /// Forgets those of a credential that is gone, with what could not be kept of it.
    pub(in crate::credential) fn forget(&self, id: CredentialId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(turns: &Turns) -> usize {
        turns.0.lock().unwrap().len()
    }

    #[test]
    fn turns_that_say_nothing_any_more_are_forgotten() {
        let turns = Turns::default();
        let [one, two, three, last] = [(); 4].map(|()| CredentialId::generate());
        let held = turns.of(one);
        turns.of(two).try_lock().unwrap().renewed_at = Some(Instant::now());
        let tokens = Tokens { value: "new-token-1".into(), refresh: None, expires_at: None };
        turns.of(three).try_lock().unwrap().pending = Some(("old-token".into(), tokens));
        assert_eq!(count(&turns), 3, "each says something, or is held");
        turns.of(two).try_lock().unwrap().renewed_at = None;
        drop(held);
        drop(turns.of(last));
        assert_eq!(count(&turns), 2, "what could not be kept, and the last one");
        turns.forget(three);
        assert_eq!(count(&turns), 1);
    }
}
