//! What every command is given.

use crate::{client::Client, output::Output, settings::Endpoint};

/// The connection to the server, and where to write.
#[derive(Debug)]
pub(crate) struct Context {
    /// Speaks to the server; connects when it is first used.
    pub(crate) client: Client,
    /// Where to write, and how.
    pub(crate) out: Output,
}

impl Context {
    pub(crate) fn new(endpoint: Endpoint, out: Output) -> Self {
        Self { client: Client::new(endpoint, out), out }
    }
}
