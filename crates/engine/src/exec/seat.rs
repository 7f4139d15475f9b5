//! A command that a person starts at a terminal: where an agent may be started, the questions of its first start are
//! answered beforehand.
//!
//! Variables go to every command at a terminal. Files are made for an agent when it is started, and for all of them with
//! a shell, in which any may be; once, so that what a person removed stays removed while this server runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sandbar_agents::{Credential, Prepared, Seat, by_name};
use sandbar_types::{EnvName, ExecSpec, SandboxId};

use super::{ExecSession, HomeFile};
use crate::{Engine, Result, credential, sandbox::workspace_path};

/// What people start in a terminal to start something else.
const SHELLS: [&str; 8] = ["bash", "dash", "env", "fish", "screen", "sh", "tmux", "zsh"];

/// For which agents the files of a sandbox were made.
#[derive(Debug, Default)]
pub(crate) struct Seated(Mutex<BTreeSet<&'static str>>);

impl Seated {
    fn known(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Starts a command for somebody who is there; as [`Engine::exec_start`], but for what an agent at a terminal finds
    /// prepared.
    ///
    /// # Errors
    /// As [`Engine::exec_start`].
    pub async fn exec_start_attended(
        &self,
        id: SandboxId,
        mut spec: ExecSpec,
    ) -> Result<ExecSession> {
        // What cannot be prepared is asked by the agent.
        if spec.terminal.is_some()
            && let Err(err) = self.prepare_seats(id, &mut spec).await
        {
            tracing::info!(sandbox.id = %id, error = &err as &dyn std::error::Error, "an agent may ask the questions of its first start");
        }
        self.exec_start(id, spec).await
    }

    async fn prepare_seats(&self, id: SandboxId, spec: &mut ExecSpec) -> Result<()> {
        let handle = self.inner.actor(id)?;
        let row = handle.row();
        let placeholders = credential::placeholders(&self.inner, id).await?;
        let workspace = workspace_path(&row.spec).to_string();
        for (agent, Prepared { env, files }) in prepared(&placeholders, &workspace) {
            for (name, value) in env {
                if !row.spec.env.contains_key(&name) {
                    spec.env.entry(name).or_insert(value);
                }
            }
            let may_start = spec.argv.first().is_some_and(|command| may_start(command, agent));
            if may_start && !files.is_empty() && !handle.seated.known().contains(agent) {
                for (path, content) in &files {
                    // Two at once make one file, and the other finds it.
                    HomeFile { path, content, mark: None }.make(self, id).await?;
                }
                handle.seated.known().insert(agent);
            }
        }
        Ok(())
    }
}

/// What each agent finds that can prove who it works for.
fn prepared(
    placeholders: &BTreeMap<EnvName, String>,
    workspace: &str,
) -> Vec<(&'static str, Prepared)> {
    let of_agent = |agent: &'static str| {
        let seat = Credential::of(agent).find_map(|credential| {
            let mut names = credential.env.iter();
            names.find_map(|name| {
                let known = placeholders.iter().find(|(known, _)| known.as_str() == *name);
                let (_, placeholder) = known?;
                Some(Seat { credential, variable: name, placeholder, workspace })
            })
        });
        Some((agent, seat?.prepared()))
    };
    // The others are whatever command a task names.
    let agents = sandbar_agents::all().iter().filter(|agent| agent.program().is_some());
    agents.filter_map(|agent| of_agent(agent.name())).collect()
}

/// Whether `command` is the agent, or may start it.
fn may_start(command: &str, agent: &str) -> bool {
    let name = command.rsplit('/').next().unwrap_or(command);
    let program = by_name(agent).and_then(|agent| agent.program());
    program == Some(name) || SHELLS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agent_that_has_a_key_is_prepared_and_no_other() {
        let of = |names: &[&str]| {
            let known = names.iter().map(|name| (name.parse().unwrap(), "sbx".to_owned()));
            let found = prepared(&known.collect(), "/workspace").into_iter();
            found.map(|(agent, _)| agent).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]), Vec::<&str>::new());
        assert_eq!(of(&["GH_TOKEN"]), Vec::<&str>::new());
        assert_eq!(of(&["ANTHROPIC_API_KEY"]), ["claude-code", "opencode"]);
        assert_eq!(of(&["CODEX_API_KEY"]), ["codex"]);
        assert_eq!(
            of(&["CLAUDE_CODE_OAUTH_TOKEN", "GEMINI_API_KEY"]),
            ["claude-code", "opencode", "gemini"]
        );
    }

    #[test]
    fn an_agent_is_started_by_itself_or_from_a_shell() {
        assert!(may_start("claude", "claude-code") && may_start("/opt/bin/claude", "claude-code"));
        assert!(may_start("bash", "claude-code") && may_start("/bin/sh", "codex"));
        assert!(!may_start("claude", "codex") && !may_start("vim", "codex"));
    }
}
