//! Ending an agent: it is asked, then told, then killed; and whatever it does, somebody looks until it is over.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

const SIGTERM: u8 = 15;
const SIGKILL: u8 = 9;
/// How long an agent that was asked to stop may take to end by itself.
const ASKED_GRACE: Duration = Duration::from_secs(5);
/// How long an agent that said that it is done may take to end by itself.
const DONE_GRACE: Duration = Duration::from_secs(2);
/// Between the signal that asks and the one that does not.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// How long the end of a killed process is waited for.
const END_PATIENCE: Duration = Duration::from_secs(10);

/// Why an agent is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It said that it is done.
    Done,
    /// Somebody wants it so.
    Cancelled,
    /// It worked for too long.
    TimedOut,
    /// Nobody knows any more what it was told, or what it said.
    Interrupted,
}

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Send this signal to its process group.
    Signal(u8),
    /// Nobody saw it end; go on without.
    GiveUp,
}

/// An end that is under way.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) why: Why,
    acts: VecDeque<(Instant, Act)>,
}

impl Stop {
    /// Begins one.
    pub(super) fn begin(why: Why, grace: Grace, now: Instant) -> Self {
        let ask = now
            + match grace {
                Grace::None => Duration::ZERO,
                Grace::Asked => ASKED_GRACE,
                Grace::Done => DONE_GRACE,
            };
        let kill = ask + KILL_GRACE;
        let acts = [
            (ask, Act::Signal(SIGTERM)),
            (kill, Act::Signal(SIGKILL)),
            (kill + END_PATIENCE, Act::GiveUp),
        ];
        Self { why, acts: acts.into() }
    }

    /// When the next thing is to be done.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.acts.front().map(|(at, _)| *at)
    }

    /// What is to be done at `now`.
    pub(super) fn due(&mut self, now: Instant) -> Option<Act> {
        if self.deadline()? > now {
            return None;
        }
        self.acts.pop_front().map(|(_, act)| act)
    }
}

/// How long an agent has before it gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grace {
    /// No time: it knows no other way to be asked.
    None,
    /// It was asked in its own words.
    Asked,
    /// It is done, and only has to leave.
    Done,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_is_told_after_five_seconds_and_killed_after_five_more() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut stop = Stop::begin(Why::Cancelled, Grace::Asked, start);
        assert_eq!(stop.due(start + 4 * second), None);
        assert_eq!(stop.due(start + 5 * second), Some(Act::Signal(SIGTERM)));
        assert_eq!(stop.due(start + 9 * second), None);
        assert_eq!(stop.due(start + 10 * second), Some(Act::Signal(SIGKILL)));
        assert_eq!(stop.due(start + 20 * second), Some(Act::GiveUp));
        assert_eq!(stop.due(start + 90 * second), None);
        let mut stop = Stop::begin(Why::TimedOut, Grace::None, start);
        assert_eq!(stop.due(start), Some(Act::Signal(SIGTERM)));
    }
}
