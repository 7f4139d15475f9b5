//! Time as the app counts it: it stands still while everything is frozen.
//!
//! A process that was frozen for a minute has not failed to answer for a minute. Where we froze it, we know since when.
//! Where the host did, by its freezer, we were frozen with it, and no clock of the kernel leaves that time out. It shows
//! as a wait that lasted much longer than we asked for, and what it lasted longer does not count.

use std::time::{Duration, Instant};

use super::life::Moment;

/// A busy machine lets us wait longer by itself, but not by so much.
const OVERSLEPT: Duration = Duration::from_millis(500);
/// LIMIT: so long a wait at the most while the app has a deadline: a freezer's time within it is not seen.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(5);

/// The app's clock.
#[derive(Debug)]
pub(crate) struct Clock {
    began: Instant,
    frozen: Duration,
    frozen_since: Option<Instant>,
}

impl Clock {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { began: now, frozen: Duration::ZERO, frozen_since: None }
    }

    pub(crate) fn moment(&self, now: Instant) -> Moment {
        let until = self.frozen_since.unwrap_or(now);
        until.saturating_duration_since(self.began).saturating_sub(self.frozen)
    }

    /// A wait that should have been over at `until` was over `now`.
    pub(crate) fn waited(&mut self, until: Option<Instant>, now: Instant) {
        let overslept = until.map_or(Duration::ZERO, |until| now.saturating_duration_since(until));
        if overslept >= OVERSLEPT && self.frozen_since.is_none() {
            self.frozen += overslept;
        }
    }

    pub(crate) fn freeze(&mut self, now: Instant) {
        self.frozen_since.get_or_insert(now);
    }

    pub(crate) fn thaw(&mut self, now: Instant) {
        if let Some(since) = self.frozen_since.take() {
            self.frozen += now.saturating_duration_since(since);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn time_in_which_all_is_frozen_does_not_count() {
        let began = Instant::now();
        let mut clock = Clock::new(began);
        clock.freeze(began + seconds(10));
        clock.freeze(began + seconds(20));
        assert_eq!(clock.moment(began + seconds(500)), seconds(10));
        clock.thaw(began + seconds(1000));
        clock.thaw(began + seconds(1001));
        assert_eq!(clock.moment(began + seconds(1005)), seconds(15));
    }

    #[test]
    fn a_wait_that_lasted_much_too_long_was_a_freezer() {
        let began = Instant::now();
        let mut clock = Clock::new(began);
        clock.waited(Some(began + seconds(5)), began + seconds(65));
        assert_eq!(clock.moment(began + seconds(65)), seconds(5));
        // Somebody woke us early, or slightly late, or nothing was to be waited for.
        clock.waited(Some(began + seconds(70)), began + seconds(66));
        clock.waited(Some(began + seconds(66)), began + seconds(66) + OVERSLEPT / 2);
        clock.waited(None, began + seconds(1066));
        assert_eq!(clock.moment(began + seconds(1066)), seconds(1006));
    }
}
