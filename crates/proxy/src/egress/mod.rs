//! The way out of a sandbox: a proxy for HTTP that the server runs, one for each sandbox.
//!
//! Inside there is a loopback and nothing else. A listener on it belongs to the server, which accepts from it, reads what
//! is asked for, decides ([`Policy`]), resolves the name itself, decides about every address, and connects to one that
//! it decided about. No second lookup is made, so an answer that changes changes nothing. A name that is not allowed is
//! not resolved: a query would carry it out.
//!
//! ```text
//! accept ─► read head ─► admit name ─► resolve ─► decide addresses ─► connect ─► carry
//!              │ 400         │ 403        │ 502         │ 403           │ 502/504
//! ```
//!
//! There are three doors: the proxy for HTTP, SOCKS ([`SOCKS`]), and, for programs that know neither, a name server that
//! answers for every name that is allowed with an address of the loopback, where a listener stands in for it. Behind
//! them is one decision.
//!
//! Of a tunnel to port 443 the first message is looked at: it must be TLS to the host that was asked for. What
//! is inside is not looked at, but where a credential is bound to its host: [`Interception`]. The tests with sockets are in
//! `tests/egress*.rs`.

mod carriage;
mod denial;
mod door;
mod exchange;
mod host;
mod intercept;
mod log;
mod pace;
mod policy;
mod proxy;
mod resolver;
mod route;
mod standin;
mod tls;
mod wire;

pub use self::{
    denial::{Denial, Reason},
    host::{
        CallerFiles, HostConfiguration, NoProxy, Note, SplitHorizon, UnsupportedProxy, Upstream,
        Upstreams, environment,
    },
    intercept::{
        Authority, AuthorityError, Credential, CredentialLog, CredentialRenewer, CredentialSet,
        Interception, Renewal,
    },
    log::{Closed, Connected, ConnectionEnd, EgressLog, Passage, ToldLately, Unheard, Way},
    policy::{
        Address, AddressKind, Allowed, Host, HostName, HostPattern, InvalidPattern, InvalidTarget,
        Mode, Policy, Target, Verdict, address_kind, decide,
    },
    proxy::{EgressLimits, EgressProxy},
    resolver::{ResolveError, Resolver, SystemResolver},
    route::{Hop, Outcome, Prospect},
    standin::{Inside, NAME_SERVER, NAMES_MAX, SOCKS},
    tls::{outside, server_name, verified_by},
};
