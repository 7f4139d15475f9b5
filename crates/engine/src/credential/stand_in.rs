//! Files inside that stand for a login: of agents that read one from nowhere else. Made by the sandbox itself, before the
//! agent is started. What a person put there themselves stays.

use std::path::Path;

use sandbar_agents::{Credential, StandIn};
use sandbar_secrets::ExposeSecret as _;
use sandbar_types::{AgentName, ExecSpec, SandboxId};

use super::{
    agents,
    values::{self, PLACEHOLDER, Part},
    wire,
};
use crate::{Engine, Result, engine::Inner, exec::HomeFile};

/// For whom files are made.
enum Wanted {
    /// For an agent that is to be started: it does not work without.
    Agent(AgentName),
    /// For whatever somebody at a terminal may start.
    Any,
}

impl Wanted {
    fn of(spec: &ExecSpec) -> Option<Self> {
        let program = Path::new(spec.argv.first()?).file_name()?.to_str()?;
        let mut agents = sandbar_agents::all()
            .iter()
            .filter(|agent| Credential::of(agent.name()).any(|known| known.stand_in.is_some()));
        match agents.find(|agent| agent.program() == Some(program)) {
            Some(agent) => Some(Self::Agent(agent.name().parse().expect("it is a name"))),
            None => spec.terminal.is_some().then_some(Self::Any),
        }
    }

    fn is_for(&self, agent: Option<&AgentName>) -> bool {
        match self {
            Self::Agent(wanted) => agent == Some(wanted),
            Self::Any => true,
        }
    }
}

/// Makes what an exec needs.
///
/// # Errors
/// One could not be made for an agent, or the sandbox does not run.
pub(crate) async fn stand_in(engine: &Engine, sandbox: SandboxId, spec: &ExecSpec) -> Result<()> {
    let Some(wanted) = Wanted::of(spec) else { return Ok(()) };
    for (stand_in, content) in contents(&engine.inner, sandbox, &wanted).await? {
        let file = HomeFile { path: stand_in.path(), content: &content, mark: Some(PLACEHOLDER) };
        match (file.make(engine, sandbox).await, &wanted) {
            (Ok(()), _) => {}
            (Err(err), Wanted::Agent(_)) => return Err(err),
            (Err(err), Wanted::Any) => {
                let error = &err as &dyn std::error::Error;
                tracing::debug!(sandbox.id = %sandbox, error, "a file of a login was not made");
            }
        }
    }
    Ok(())
}

/// The files and what they hold. A login that does not open has none: its requests are refused, and say so.
async fn contents(
    inner: &Inner,
    sandbox: SandboxId,
    wanted: &Wanted,
) -> Result<Vec<(StandIn, String)>> {
    let mut rows = wire::rows(inner, sandbox).await?;
    rows.retain(|row| wanted.is_for(row.agent.as_ref()));
    let with_file = rows.into_iter().filter_map(|row| Some((agents::way(&row)?.stand_in?, row)));
    let found: Vec<_> = with_file.collect();
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let ring = inner.secrets.to_open().await?;
    let mut conn = inner.store.read().await?;
    let now = inner.config.clock.now();
    let mut contents = Vec::new();
    for (stand_in, row) in found {
        let Some(value) = values::open(&mut conn, &ring, (&row, Part::Value)).await? else {
            continue;
        };
        let content = stand_in.content(&row.placeholder, value.expose_secret(), now);
        contents.extend(content.map(|content| (stand_in, content)));
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn files_are_made_for_the_agents_that_need_them_and_for_people() {
        let of = |argv: &str, terminal: Option<sandbar_types::TerminalSize>| {
            let argv = argv.split(' ').map(str::to_owned).collect();
            let spec = ExecSpec {
                argv,
                env: BTreeMap::new(),
                cwd: None,
                terminal,
                stdin: false,
                timeout_ms: None,
            };
            Wanted::of(&spec).map(|wanted| {
                ["codex", "gemini"].map(|agent| wanted.is_for(agent.parse().ok().as_ref()))
            })
        };
        assert_eq!(of("codex app-server", None), Some([true, false]));
        assert_eq!(of("/usr/bin/codex exec", None), Some([true, false]));
        assert_eq!(of("claude -p", None), None);
        assert_eq!(of("sh -c codex", None), None);
        let terminal = sandbar_types::TerminalSize { rows: 24, cols: 80 };
        assert_eq!(of("bash", Some(terminal)), Some([true, true]));
    }
}
