//! Tenants, their users, and what a user or a program shows to be let in: passwords, sessions, API keys.
//!
//! [`Engine::key_identify`] and [`Engine::session_identify`] make the [`Principal`] of a request. What may be asked with
//! it is said where the routes are; here is only what a principal may do to other principals: nobody gives what they
//! do not have themselves.

mod key;
mod login;
mod password;
mod secret;
mod session;
mod setup;
mod tenant;
mod throttle;
mod user;

use std::sync::{Mutex, PoisonError};

use sandbar_types::{ApiKeyId, Principal, SessionId, Sha256, UserId};
use tokio::sync::{Semaphore, watch};

pub(crate) use self::session::IDLE as SESSION_IDLE;
use self::throttle::Throttle;
pub use self::{
    key::{ApiKey, KeyCreateParams, KeyCreated, KeyWhich},
    login::{LoggedIn, LoginParams},
    tenant::{Tenant, TenantCreateParams, TenantUpdateParams},
    user::{User, UserCreateParams, UserUpdateParams, UserWhich},
};
use crate::{Error, ErrorKind, Result};

/// LIMIT: passwords that are hashed at once; each takes 19 MiB and a processor.
const HASHES_AT_ONCE: usize = 2;

/// By what a principal was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Credential {
    /// The socket, or the token file.
    Instance,
    /// An API key.
    Key(ApiKeyId),
    /// A session of a user.
    Session(SessionId, UserId),
}

impl Credential {
    /// Who stands behind it, so that all sessions of a user are one.
    #[must_use]
    pub fn owner(self) -> String {
        match self {
            Self::Instance => "instance".to_owned(),
            Self::Key(id) => id.to_string(),
            Self::Session(_, user) => user.to_string(),
        }
    }
}

/// A principal, and by what it was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Who asks.
    pub principal: Principal,
    /// By what.
    pub credential: Credential,
    /// What the store knows it by; `None` for the instance.
    pub(crate) hash: Option<Sha256>,
}

impl Identity {
    /// Who runs the server.
    #[must_use]
    pub const fn instance(principal: Principal) -> Self {
        Self { principal, credential: Credential::Instance, hash: None }
    }
}

/// What is kept of accounts beside the store.
#[derive(Debug)]
pub(crate) struct Accounts {
    throttle: Mutex<Throttle>,
    hashing: Semaphore,
    /// Grows with everything that ends a credential, so that whoever lives on one looks again.
    ended: watch::Sender<u64>,
    /// The hash of the code that makes the first administrator.
    setup: Mutex<Option<Sha256>>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self {
            throttle: Mutex::default(),
            hashing: Semaphore::new(HASHES_AT_ONCE),
            ended: watch::Sender::new(0),
            setup: Mutex::default(),
        }
    }
}

impl Accounts {
    fn throttle(&self) -> std::sync::MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn setup(&self) -> std::sync::MutexGuard<'_, Option<Sha256>> {
        self.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn somebody_ended(&self) {
        self.ended.send_modify(|count| *count += 1);
    }
}

/// Nobody gives, or takes over, what they may not do themselves.
fn require_within(by: &Principal, given: sandbar_types::Scopes) -> Result<()> {
    if given.is_within(by.scopes) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Denied,
        "forbidden",
        "it may do more than you may: nobody gives, changes or removes what they do not have",
    ))
}
