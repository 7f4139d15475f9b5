//! How often a sandbox may come: evenly, and after a quiet while many times at once. Who comes too often is not turned
//! away, but waits in the kernel's queue: so one that connects without end takes no more of the server than that.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A bucket that fills evenly.
#[derive(Debug)]
pub(super) struct Pace {
    /// How long one takes to fill in again.
    each: Duration,
    /// How long the empty bucket takes.
    all: Duration,
    /// When it is full again; over for one that is full.
    full_at: Mutex<Instant>,
}

impl Pace {
    /// Of `per_second` in the long run, and half as many at once.
    pub(super) fn new(per_second: u32) -> Self {
        let each = Duration::from_secs(1) / per_second.max(1);
        let at_once = (per_second / 2).max(1);
        Self { each, all: each * at_once, full_at: Mutex::new(Instant::now()) }
    }

    /// When the next one may come: an instant that may be over.
    pub(super) fn next(&self) -> Instant {
        let full_at = *self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        full_at.checked_sub(self.all.saturating_sub(self.each)).unwrap_or(full_at)
    }

    /// Counts one that came.
    pub(super) fn count(&self, now: Instant) {
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        *full_at = (*full_at).max(now) + self.each;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_second_has_many_more_than_the_pace_and_the_patient_get_all_of_it(
            per_second in 1_u32..200, pauses in proptest::collection::vec(0_u64..3000, 1..50)
        ) {
            let pace = Pace::new(per_second);
            let mut now = Instant::now();
            let mut came = Vec::new();
            for pause in pauses {
                now += Duration::from_millis(pause);
                // As many as may come at this instant.
                while pace.next() <= now {
                    pace.count(now);
                    came.push(now);
                    prop_assert!(came.len() <= 1_000_000);
                }
                // It is not starved either: the next one is no further away than one takes.
                prop_assert!(pace.next() - now <= pace.each);
            }
            for (at, first) in came.iter().enumerate() {
                let within = came[at..].iter().take_while(|came| **came - *first < Duration::from_secs(1));
                prop_assert!(within.count() <= per_second as usize * 3 / 2 + 2);
            }
        }
    }
}
