//! Previews over real sockets: what an app and a client see of each other through the proxy.

#![expect(
    clippy::unwrap_used,
    clippy::tests_outside_test_module,
    reason = "all of this is test code"
)]

mod access;
mod apps;
mod bodies;
mod headers;
mod sockets;
mod strictness;
mod waking;
mod world;
