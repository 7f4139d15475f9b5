//! Agents that speak the [Agent Client Protocol](https://agentclientprotocol.com), version 1, over their standard
//! input and output: OpenCode, the Gemini CLI, and any command that says so.
//!
//! ```text
//! initialize ─► session/new | session/resume | session/load ─► (model) ─► session/prompt ─► done
//! ```
//!
//! We offer neither files nor terminals: the agent is inside, where its own tools reach both. The types crate of the
//! protocol is not used: it turns on `serde_json/preserve_order` for the whole program, and what is read here is a
//! handful of fields, leniently.

mod agent;
mod question;
mod report;
mod talk;
mod tool;

pub(crate) use self::agent::{Acp, Gemini, OpenCode};
