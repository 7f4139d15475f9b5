//! Bytes: what a request's head says, a connection that is made, what is copied.

mod dial;
mod forward;
mod head;
mod meter;
mod reply;
mod tunnel;

pub(super) use self::{
    dial::{DialError, Dialed, Stream, dial, dial_through, rewound},
    forward::{Forward, forward, strip},
    head::{BadHead, Head, Received, receive},
    meter::{Meter, Metered},
    reply::{Reply, send},
    tunnel::{opened, tunnel},
};
