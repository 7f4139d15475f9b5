//! Tunnels that are ended here, so that a credential can be put into the requests in them.
//!
//! Only a tunnel to a host and port that a credential is bound to is ended; every other one stays opaque. Inside stands
//! an [`Authority`] of this sandbox alone, which its trust stores know; outside, the upstream's certificate is verified
//! always. There is no way back: what cannot be ended is refused, and nothing goes out in the clear.
//!
//! ```text
//! inside ─TLS─► authority, SNI, method? ─► inject ─► upstream, verified ─► take the value out ─► inside
//!                 │ 421, 405                │ 413       │ 502
//! ```
//!
//! What comes back never has the value: the same number of bytes of the placeholder is in its place, so that lengths and
//! ranges stay true. That is a defense against an upstream that says back what it was told; one that encrypts it first
//! cannot be helped. The tests with sockets are in `tests/intercept`.

mod authority;
mod body;
mod credential;
mod pattern;
mod renewal;
mod request;
mod response;
mod session;
mod upgrade;

use std::{fmt, sync::Arc};

use rustls::ClientConfig;
use tokio::sync::watch;

pub(super) use self::session::carry;
pub use self::{
    authority::{Authority, AuthorityError},
    credential::{Credential, CredentialSet},
    renewal::{CredentialRenewer, Renewal},
};
use super::log::Passage;

/// The only protocol in a tunnel that is ended: what is put in is put into a head that we read.
pub(super) const ALPN: &[u8] = b"http/1.1";

/// Hears of what became of credentials. It is called while a request waits, and must not wait itself.
pub trait CredentialLog: Send + Sync + fmt::Debug {
    /// A request got one.
    fn injected(&self, passage: &Passage, credential: &str);
    /// An answer had its value in it, which was taken out.
    fn echoed(&self, passage: &Passage, credential: &str);
    /// A request was refused, with this status, for this reason.
    fn refused(&self, passage: &Passage, status: u16, reason: &'static str);
}

/// What the proxy of one sandbox needs to put in credentials.
#[derive(Debug, Clone)]
pub struct Interception {
    /// Who vouches for hosts inside.
    pub authority: Arc<Authority>,
    /// What there is to put in, now.
    pub credentials: watch::Receiver<Arc<CredentialSet>>,
    /// How upstreams are verified: [`super::outside`].
    pub outside: Arc<ClientConfig>,
    /// Who hears of it.
    pub log: Arc<dyn CredentialLog>,
    /// Who gets new values of those that end; `None`: nobody does.
    pub renewer: Option<Arc<dyn CredentialRenewer>>,
}
