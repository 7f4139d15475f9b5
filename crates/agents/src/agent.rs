//! What is known of an agent before it runs.

use std::{collections::BTreeMap, fmt};

use sandbar_types::{EnvName, Permissions};

use crate::{Conversation, Credential};

/// One task, as an agent is asked to do it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// What it is to do.
    pub prompt: String,
    /// Which model; the agent's own default when absent.
    pub model: Option<String>,
    /// The session of the agent that this goes on with, as it named it ([`crate::Step::Session`]).
    pub session: Option<String>,
    /// The workspace inside, an absolute path.
    pub workspace: String,
    /// For the agents that are any command: the command.
    pub command: Vec<String>,
    /// What it may do without asking.
    pub permissions: Permissions,
    /// The way in which it proves who it works for; its own choice when absent.
    pub credential: Option<&'static Credential>,
}

/// What is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Launch {
    /// The program and its arguments. No prompt is in it: arguments are short, and everybody's to read.
    pub argv: Vec<String>,
    /// Variables on top of those of the sandbox.
    pub env: BTreeMap<EnvName, String>,
    /// Whether it reads standard input.
    pub stdin: bool,
    /// Files below the home inside that it needs, where there is none of that name yet, by relative path.
    pub files: BTreeMap<String, String>,
}

/// A coding agent that we know how to talk to.
pub trait Agent: fmt::Debug + Send + Sync {
    /// What it is called where it is asked for: `claude-code`.
    fn name(&self) -> &'static str;

    /// What people read: `Claude Code`.
    fn label(&self) -> &'static str;

    /// The program that has to be there; `None` where the order says.
    fn program(&self) -> Option<&'static str>;

    /// What is to be run.
    fn launch(&self, order: &Order) -> Launch;

    /// Begins to talk.
    fn converse(&self, order: &Order) -> Box<dyn Conversation>;
}

/// Variables by name.
pub(crate) fn env(variables: &[(&str, &str)]) -> BTreeMap<EnvName, String> {
    let named = |(name, value): &(&str, &str)| {
        (name.parse().expect("the names are written out here"), (*value).to_owned())
    };
    variables.iter().map(named).collect()
}
