//! Codex, by its app server: JSON-RPC over standard input and output, with approvals as requests of the agent.
//!
//! ```text
//! initialize ─► thread/start | thread/resume ─► turn/start ─► items … ─► turn/completed
//! ```

mod agent;
mod item;
mod question;
mod talk;

pub(crate) use self::agent::{BASE_URL, Codex};
