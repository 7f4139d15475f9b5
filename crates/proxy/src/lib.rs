//! What passes between a sandbox and the network, in either direction, decided and carried by the server.

pub mod egress;
pub mod preview;
