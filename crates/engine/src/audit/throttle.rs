//! How many lines an asker who is refused gets in a minute. The rest is counted, and told in the next line.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

/// Where they ask from, and who they are.
pub(crate) type Asker = (Option<IpAddr>, String);

const WINDOW: Duration = Duration::from_mins(1);
/// LIMIT: lines of one asker in a minute.
const LINES_MAX: u32 = 30;
/// LIMIT: lines of all askers in a minute.
const LINES_ALL_MAX: u32 = 600;
/// LIMIT: askers that are told apart.
const ASKERS_MAX: usize = 1000;

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Timestamp,
    lines: u32,
    left_out: u64,
}

impl Count {
    const fn new(now: Timestamp) -> Self {
        Self { since: now, lines: 0, left_out: 0 }
    }

    /// Begins another minute when this one is over, also when the clock was set back.
    fn turn(&mut self, now: Timestamp) {
        let is_over = now < self.since || self.since + WINDOW <= now;
        if is_over {
            *self = Self { left_out: self.left_out, ..Self::new(now) };
        }
    }
}

/// Counts for each asker, and for all.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    askers: BTreeMap<Asker, Count>,
    all: Option<Count>,
}

impl Throttle {
    /// Whether a line is written; and if so, how many were left out before it.
    pub(crate) fn admit(&self, asker: Asker, now: Timestamp) -> Option<u64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &mut *counts;
        if counts.askers.len() >= ASKERS_MAX && !counts.askers.contains_key(&asker) {
            counts.askers.retain(|_, count| count.since <= now && now < count.since + WINDOW);
        }
        let all = counts.all.get_or_insert(Count::new(now));
        all.turn(now);
        // Where there are too many to tell apart, they are counted as one.
        let is_known = counts.askers.len() < ASKERS_MAX || counts.askers.contains_key(&asker);
        let key = if is_known { asker } else { (None, String::new()) };
        let own = counts.askers.entry(key).or_insert(Count::new(now));
        own.turn(now);
        if own.lines >= LINES_MAX || all.lines >= LINES_ALL_MAX {
            own.left_out += 1;
            return None;
        }
        own.lines += 1;
        all.lines += 1;
        Some(std::mem::take(&mut own.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asker(name: &str) -> Asker {
        (None, name.to_owned())
    }

    #[test]
    fn a_flood_of_refusals_costs_a_few_lines_and_is_counted() {
        let (throttle, now) = (Throttle::default(), Timestamp::UNIX_EPOCH);
        let written = (0..1000).filter(|_| throttle.admit(asker("a"), now).is_some()).count();
        assert_eq!(written, LINES_MAX as usize);
        assert_eq!(throttle.admit(asker("b"), now), Some(0));
        assert_eq!(throttle.admit(asker("a"), now + WINDOW), Some(970));
        assert_eq!(throttle.admit(asker("a"), now + WINDOW), Some(0));
    }

    #[test]
    fn many_askers_are_bounded_together() {
        let (throttle, now) = (Throttle::default(), Timestamp::UNIX_EPOCH);
        let admit = |name: u32| throttle.admit(asker(&name.to_string()), now).is_some();
        assert_eq!((0..5000).filter(|name| admit(*name)).count(), LINES_ALL_MAX as usize);
        assert!(throttle.0.lock().unwrap().askers.len() <= ASKERS_MAX + 1);
    }
}
