//! Claude Code, by the stream of JSON that its own SDKs use: one message a line, both ways, and control requests for
//! what needs an answer (leave for a tool, a question, an interrupt).

mod agent;
mod question;
mod talk;

pub(crate) use self::agent::ClaudeCode;
