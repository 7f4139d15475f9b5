//! When a delivery that failed is tried again, and when nobody tries any more.

use std::time::Duration;

use jiff::Timestamp;
use sandbar_store::WebhookProgress;

/// The first wait; each one after it is twice as long.
const FIRST: Duration = Duration::from_secs(5);
/// LIMIT: the longest wait.
const LONGEST: Duration = Duration::from_hours(6);
/// LIMIT: how long one event is tried.
const PATIENCE: Duration = Duration::from_hours(3 * 24);

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterFailure {
    /// It is tried again, as this says.
    Again(WebhookProgress),
    /// It was tried for long enough.
    GiveUp,
}

/// Decides what follows from one more failure. `chance` spreads the attempts of many: 0 to 255 is from 80 to 120 percent.
pub(super) fn after_failure(before: WebhookProgress, now: Timestamp, chance: u8) -> AfterFailure {
    let failing_since = before.failing_since.unwrap_or(now);
    if failing_since + PATIENCE <= now {
        return AfterFailure::GiveUp;
    }
    let doubled = FIRST.saturating_mul(1 << before.attempts.min(20));
    let wait = doubled.min(LONGEST) / 1000 * (800 + u32::from(chance) * 400 / 255);
    AfterFailure::Again(WebhookProgress {
        cursor: before.cursor,
        attempts: before.attempts + 1,
        failing_since: Some(failing_since),
        next_at: Some(now + wait),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn case_125_what_fails_is_tried_ever_more_rarely_and_not_for_ever(chances: Vec<u8>) {
            let mut now = Timestamp::UNIX_EPOCH;
            let mut progress = WebhookProgress { cursor: 7, ..WebhookProgress::default() };
            let mut tried = 0;
            for chance in chances.into_iter().cycle().chain([0].into_iter().cycle()) {
                match after_failure(progress, now, chance) {
                    AfterFailure::Again(next) => {
                        let wait = next.next_at.unwrap().duration_since(now);
                        prop_assert!(wait >= jiff::SignedDuration::from_secs(4));
                        prop_assert!(wait <= jiff::SignedDuration::from_secs(6 * 3600 * 12 / 10));
                        prop_assert_eq!((next.cursor, next.attempts), (7, progress.attempts + 1));
                        (now, progress) = (next.next_at.unwrap(), next);
                        tried += 1;
                    }
                    AfterFailure::GiveUp => break,
                }
                prop_assert!(tried < 60);
            }
            prop_assert!(tried > 15);
        }
    }
}
