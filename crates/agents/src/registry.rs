//! All agents that there are.

use crate::{
    Agent,
    acp::{Acp, Gemini, OpenCode},
    claude::ClaudeCode,
    codex::Codex,
    command::Command,
};

/// Every agent, the ones that most people use first.
#[must_use]
pub fn all() -> &'static [&'static dyn Agent] {
    &[&ClaudeCode, &Codex, &OpenCode, &Gemini, &Command, &Acp]
}

/// The agent of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Agent> {
    all().iter().copied().find(|agent| agent.name() == name)
}
