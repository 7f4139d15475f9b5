//! What a sandbox serves, at a URL of its own: `<port>-<sandbox>.preview.<domain>`.
//!
//! ```text
//! client ──► serve ──► handle: host ─► route ─► access ─► request headers ─► link ─► response headers ──► client
//!                                        │                                    │
//!                                     Upstreams (what runs, and a connection to it)
//! ```
//!
//! The pure parts are `host`, `access`, `request`, `response`, `page`: bytes and values in, values out.
//! What a sandbox sends is never trusted; what a client sends is parsed by hyper and written anew, never passed on raw.

mod access;
mod admission;
mod body;
mod client;
mod config;
mod gated;
mod host;
mod link;
mod page;
mod proxy;
mod refusal;
mod request;
mod response;
mod serve;
mod tunnel;
mod upstreams;
mod wire;

pub use access::{AccessKey, Pass, PassError, PassKind, Subject, Ticket};
pub use body::PreviewBody;
pub use client::PreviewClient;
pub use config::{PreviewConfig, Scheme};
pub use host::{HostMatch, InvalidDomain, PreviewDomain, PreviewHost, PreviewUrl, SandboxLabel};
pub use proxy::PreviewProxy;
pub use serve::{ServeLimits, serve};
pub use upstreams::{
    Activity, Cause, ConnectError, NotServing, Progress, Route, RouteError, Upstreams, Visibility,
};
