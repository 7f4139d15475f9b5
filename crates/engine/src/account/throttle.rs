//! How often somebody may try a password: per user, and per address.
//!
//! An attempt is counted before the password is looked at, so that many at once are no way around it. A right one
//! forgets what was counted for its user.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

/// How long attempts are counted together.
const WINDOW: Duration = Duration::from_mins(5);
/// LIMIT: attempts for one user.
const USER_MAX: u32 = 10;
/// LIMIT: attempts from one address.
const ADDRESS_MAX: u32 = 50;
/// LIMIT: users and addresses that are remembered.
const KEYS_MAX: usize = 10_000;

/// What an attempt counts for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    User(String),
    Address(String),
}

impl Key {
    const fn most(&self) -> u32 {
        match self {
            Self::User(_) => USER_MAX,
            Self::Address(_) => ADDRESS_MAX,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Throttle {
    counts: BTreeMap<Key, (Timestamp, u32)>,
    /// When what is over was last forgotten: walking all of it at each attempt would be work that a flood makes.
    swept_at: Timestamp,
}

/// Whether what was counted since `began` is over; a clock that was set back is no reason to wait for it.
fn is_over(began: Timestamp, now: Timestamp) -> bool {
    now >= began + WINDOW || now < began
}

impl Throttle {
    /// Counts an attempt for all of `keys`, or says for how long there is none.
    pub(super) fn attempt(&mut self, keys: &[Key], now: Timestamp) -> Result<(), Duration> {
        if is_over(self.swept_at, now) {
            self.counts.retain(|_, (began, _)| !is_over(*began, now));
            self.swept_at = now;
        }
        for key in keys {
            if let Some((began, count)) = self.counts.get(key)
                && !is_over(*began, now)
                && *count >= key.most()
            {
                let left = (*began + WINDOW).duration_since(now);
                return Err(Duration::try_from(left).unwrap_or(WINDOW));
            }
        }
        if self.counts.len() + keys.len() > KEYS_MAX {
            // Whoever floods us with names finds the door shut, and does not make us forget what was counted.
            return Err(WINDOW);
        }
        for key in keys {
            let entry = self.counts.entry(key.clone()).or_insert((now, 0));
            if is_over(entry.0, now) {
                *entry = (now, 0);
            }
            entry.1 += 1;
        }
        Ok(())
    }

    /// Forgets what was counted for `key`.
    pub(super) fn forget(&mut self, key: &Key) {
        self.counts.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_123_guessing_is_stopped_per_user_and_per_address() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let mut throttle = Throttle::default();
        let user = Key::User("ada".to_owned());
        for _ in 0..USER_MAX {
            throttle.attempt(std::slice::from_ref(&user), now).unwrap();
        }
        let left = throttle.attempt(std::slice::from_ref(&user), now).unwrap_err();
        assert_eq!(left, WINDOW);
        // Another user is not hit by it, and the time runs out.
        throttle.attempt(&[Key::User("bob".to_owned())], now).unwrap();
        throttle.attempt(std::slice::from_ref(&user), now + WINDOW).unwrap();
        throttle.forget(&user);
        let address = Key::Address("::1".to_owned());
        for index in 0..ADDRESS_MAX {
            throttle.attempt(&[Key::User(index.to_string()), address.clone()], now).unwrap();
        }
        assert!(throttle.attempt(&[Key::User("new".to_owned()), address], now).is_err());
    }

    #[test]
    fn a_flood_of_names_does_not_make_us_forget() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let mut throttle = Throttle::default();
        let tried = (0..2 * KEYS_MAX)
            .filter(|index| throttle.attempt(&[Key::User(index.to_string())], now).is_ok())
            .count();
        assert_eq!((tried, throttle.counts.len()), (KEYS_MAX, KEYS_MAX));
    }
}
