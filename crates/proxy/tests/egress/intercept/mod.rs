//! Credentials that are put in: what an upstream gets, what comes back, and what is refused.

mod bodies;
mod echo;
mod elsewhere;
mod handshake;
mod inject;
mod large;
mod odd;
mod rebound;
mod refuse;
mod renew;
mod world;
