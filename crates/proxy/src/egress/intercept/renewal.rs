//! Credentials that end: a request waits for the next value, and the program inside asks for none itself.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::{Interception, credential::Due, response::Refusal};
use crate::egress::policy::Target;

/// A value that ends as soon as this is renewed before it is put in.
const MARGIN: SignedDuration = SignedDuration::from_mins(2);
/// How long a request waits for a new value.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a credential is renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renewal {
    /// Where new values come from.
    pub endpoint: Target,
    /// The path there.
    pub path: String,
    /// When the value ends, where that is known.
    pub expires_at: Option<Timestamp>,
}

/// Gets new values of credentials.
#[async_trait]
pub trait CredentialRenewer: Send + Sync + fmt::Debug {
    /// Asks for a value of `credential` other than `seen`, and returns whether there is one: [`Interception::credentials`]
    /// has it then, or will at once.
    async fn renew(&self, credential: &str, seen: &str) -> bool;
}

/// Whether a value that ends at `expires_at` is to be renewed, and whether it can be used until it is.
pub(super) fn is_due(expires_at: Timestamp, now: Timestamp) -> Option<IsUsable> {
    let left = expires_at.duration_since(now);
    if left > MARGIN {
        return None;
    }
    Some(if left.is_positive() { IsUsable::Still } else { IsUsable::NoMore })
}

/// What a value that is due can be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IsUsable {
    /// It is good for a moment.
    Still,
    /// It has ended.
    NoMore,
}

impl Interception {
    /// Renews what a request is to get and what is due.
    ///
    /// # Errors
    /// A value has ended, and there is no new one.
    pub(super) async fn freshen(
        &self,
        target: &Target,
        request: (&str, &str),
    ) -> Result<(), Refusal> {
        let Some(bound) = self.credentials.borrow().bound(target) else { return Ok(()) };
        for Due { credential, seen, usable } in bound.due(target, request, Timestamp::now()) {
            if !self.renewed(credential, seen).await && usable == IsUsable::NoMore {
                return Err(Refusal::Ended);
            }
        }
        Ok(())
    }

    /// Asks for another value than `seen`, and waits until it is what is put in.
    pub(super) async fn renewed(&self, credential: &str, seen: &str) -> bool {
        let Some(renewer) = &self.renewer else { return false };
        let mut credentials = self.credentials.clone();
        let renewed = async {
            renewer.renew(credential, seen).await
                && credentials.wait_for(|set| !set.is_value(credential, seen)).await.is_ok()
        };
        timeout(PATIENCE, renewed).await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_renewed_before_it_ends_and_used_until_it_has() {
        let now = Timestamp::UNIX_EPOCH;
        let at = |seconds| is_due(now + SignedDuration::from_secs(seconds), now);
        assert_eq!(at(121), None);
        assert_eq!(at(120), Some(IsUsable::Still));
        assert_eq!(at(1), Some(IsUsable::Still));
        assert_eq!(at(0), Some(IsUsable::NoMore));
        assert_eq!(at(-9), Some(IsUsable::NoMore));
    }
}
