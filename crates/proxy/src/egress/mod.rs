//! The way out of a sandbox: a proxy for HTTP that the server runs, one for each sandbox.
//!
//! Inside there is a loopback and nothing else. A listener on it belongs to the server, which accepts from it, reads what
//! is asked for, decides ([`Policy`]), resolves the name itself, decides about every address, and connects to one that
//! it decided about. No second lookup is made, so an answer that changes changes nothing. A name that is not allowed is
//! not resolved: a query would carry it out.
//!
//! ```text
//! accept ─► read head ─► admit name ─► resolve ─► decide addresses ─► connect ─► hooks ─► copy
//!              │ 400         │ 403        │ 502         │ 403           │ 502/504
//! ```
//!
//! What is inside a tunnel is not looked at, but where a credential is bound to its host: [`Interception`]. The tests with sockets are in `tests/egress*.rs`.

mod denial;
mod exchange;
mod host;
mod intercept;
mod log;
mod policy;
mod proxy;
mod resolver;
mod wire;

pub use self::{
    denial::{Denial, Reason},
    host::{
        CallerFiles, HostConfiguration, NoProxy, Note, UnsupportedProxy, Upstream, Upstreams,
        environment, split_horizon,
    },
    intercept::{
        Authority, AuthorityError, Credential, CredentialLog, CredentialSet, Interception, outside,
    },
    log::{
        Closed, Connected, ConnectionEnd, EgressLog, Interceptor, OpaqueOnly, Passage, TunnelMode,
        Way,
    },
    policy::{
        Address, AddressKind, Allowed, Host, HostName, HostPattern, InvalidPattern, InvalidTarget,
        Mode, Policy, Target, Verdict, WEB_PORTS, decide, default_patterns,
    },
    proxy::{EgressLimits, EgressProxy},
    resolver::{ResolveError, Resolver, SystemResolver},
};
