//! How long an agent has worked: time that it waits for an answer, or is frozen, does not count.

use std::time::Duration;

use tokio::time::Instant;

/// Measures work against a limit.
#[derive(Debug)]
pub(super) struct Meter {
    worked: Duration,
    since: Option<Instant>,
    limit: Duration,
}

impl Meter {
    /// One that has measured `worked` before.
    pub(super) const fn new(worked: Duration, limit: Duration) -> Self {
        Self { worked, since: None, limit }
    }

    /// It works from now on.
    pub(super) fn go(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// It waits from now on.
    pub(super) fn rest(&mut self, now: Instant) {
        if let Some(since) = self.since.take() {
            self.worked += now.duration_since(since);
        }
    }

    /// When it has worked for too long; `None` while it waits.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.map(|since| since + self.limit.saturating_sub(self.worked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_of_waiting_does_not_count_and_to_go_twice_is_to_go_once() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut meter = Meter::new(2 * second, 10 * second);
        assert_eq!(meter.deadline(), None);
        meter.go(start);
        meter.go(start + second);
        assert_eq!(meter.deadline(), Some(start + 8 * second));
        meter.rest(start + 3 * second);
        meter.rest(start + 9 * second);
        assert_eq!(meter.deadline(), None);
        meter.go(start + 100 * second);
        assert_eq!(meter.deadline(), Some(start + 105 * second));
        meter.rest(start + 200 * second);
        meter.go(start + 300 * second);
        assert_eq!(meter.deadline(), Some(start + 300 * second), "what is over is over at once");
    }
}
