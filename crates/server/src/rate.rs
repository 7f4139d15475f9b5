//! How often each user and each key may ask: a bucket that fills evenly. Whoever runs the server is not counted.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use sandbar_api::ErrorCode;
use sandbar_engine::{Credential, Identity};
use sandbar_types::{ApiKeyId, UserId};

use crate::{error::ApiError, state::AppState};

const MINUTE: Duration = Duration::from_mins(1);
/// LIMIT: buckets that are kept; a full one is as good as none, so those go first.
const BUCKETS_MAX: usize = 10_000;

/// Whose bucket: all sessions of a user have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Key(ApiKeyId),
    User(UserId),
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// When it will be full again. One that is full has a time that is over.
    full_at: Instant,
}

/// Every bucket.
#[derive(Debug, Default)]
pub(crate) struct Rates(Mutex<BTreeMap<Owner, Bucket>>);

/// How often a principal may still ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    /// In a minute.
    limit: u32,
    /// Now.
    remaining: u32,
    /// Until the bucket is full.
    full_in: Duration,
    /// Until the next request, where there is none now.
    wait: Option<Duration>,
}

impl Rates {
    /// Counts a request; `None` where nobody counts.
    pub(crate) async fn count(
        &self,
        state: &AppState,
        identity: &Identity,
    ) -> Result<Option<Standing>, ApiError> {
        let owner = match identity.credential {
            Credential::Instance => return Ok(None),
            Credential::Key(id) => Owner::Key(id),
            Credential::Session(_, user) => Owner::User(user),
        };
        let tenant = state.engine.tenant_fetch(identity.principal.tenant).await?;
        let usual = state.settings.now().config.server.requests_per_minute;
        let limit = tenant.quota.requests_per_minute.or((usual > 0).then_some(usual));
        Ok(limit.map(|limit| self.take(owner, limit, Instant::now())))
    }

    fn take(&self, owner: Owner, limit: u32, now: Instant) -> Standing {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| bucket.full_at > now);
        }
        if limit == 0 {
            return Standing { limit, remaining: 0, full_in: MINUTE, wait: Some(MINUTE) };
        }
        let each = MINUTE / limit;
        let bucket = buckets.entry(owner).or_insert(Bucket { full_at: now });
        let full_in = bucket.full_at.saturating_duration_since(now);
        let after = full_in + each;
        if after > MINUTE {
            return Standing { limit, remaining: 0, full_in, wait: Some(after - MINUTE) };
        }
        bucket.full_at = now + after;
        let left = (MINUTE - after).as_nanos() / each.as_nanos().max(1);
        let remaining = u32::try_from(left).unwrap_or(limit);
        Standing { limit, remaining, full_in: after, wait: None }
    }
}

impl Standing {
    /// Lets the request pass, or says when to come back.
    pub(crate) fn admit(&self) -> Result<(), ApiError> {
        let Some(wait) = self.wait else { return Ok(()) };
        let seconds = whole_seconds(wait).max(1);
        let message = format!("more than {} requests in a minute", self.limit);
        Err(ApiError::new(ErrorCode::RateLimited, message)
            .hint(format!("come back in {seconds} seconds"))
            .details(serde_json::json!({ "retry_after_s": seconds, "limit": self.limit })))
    }

    /// Says it in the answer.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let values = [
            ("ratelimit-limit", u64::from(self.limit)),
            ("ratelimit-remaining", u64::from(self.remaining)),
            ("ratelimit-reset", whole_seconds(self.full_in)),
        ];
        for (name, value) in values {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}

/// Rounded up: who comes back then comes late enough.
const fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + if duration.subsec_nanos() > 0 { 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_limit_and_fills_evenly() {
        let rates = Rates::default();
        let (owner, now) = (Owner::User(UserId::generate()), Instant::now());
        let remaining: Vec<_> = (0..3).map(|_| rates.take(owner, 3, now).remaining).collect();
        assert_eq!(remaining, [2, 1, 0]);
        let refused = rates.take(owner, 3, now);
        assert_eq!(refused.wait, Some(Duration::from_secs(20)));
        assert!(refused.admit().is_err());
        // A refused request costs nothing.
        assert!(rates.take(owner, 3, now + Duration::from_secs(20)).admit().is_ok());
        assert!(rates.take(owner, 3, now + Duration::from_secs(20)).admit().is_err());
        let other = Owner::Key(ApiKeyId::generate());
        assert!(rates.take(other, 3, now).admit().is_ok());
        assert!(rates.take(other, 0, now).admit().is_err());
    }
}
