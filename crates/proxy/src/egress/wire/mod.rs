//! Bytes: what a request's head says, a connection that is made, what is copied.

mod dial;
mod forward;
mod head;
mod hello;
mod meter;
mod reply;
pub(super) mod socks;
mod tunnel;
mod unfinished;

pub(super) use self::{
    dial::{DialError, Dialed, Stream, dial, dial_through, rewound},
    forward::{Forward, forward, strip},
    head::{BadHead, Head, Received, receive},
    hello::{hello, refuse},
    meter::{Meter, Metered},
    reply::{Reply, send, send_bytes},
    tunnel::{opened, tunnel},
    unfinished::Unfinished,
};
