//! `sandbar agents install`, `sandbar agents uninstall`: the toolbox of agents that are there for sandboxes alone.

use std::{env, path::PathBuf};

use crate::{
    failure::Failure,
    output::Output,
    toolbox::{Installed, PINNED, Toolbox, find},
};

/// Install agents for sandboxes: versions that this sandbar pins, with their checksums, by your npm, running no script of
/// theirs.
///
/// They are put below ~/.local/share/sandbar-toolbox, which sandboxes see read-only, last in PATH: an agent that you have
/// anyway is found first. Sandboxes that run see them from their next start on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which: claude-code, codex, gemini, opencode.
    #[arg(value_name = "AGENT", required_unless_present = "all")]
    agents: Vec<String>,
    /// All that are made for this kind of processor.
    #[arg(long, conflicts_with = "agents")]
    all: bool,
}

/// Remove agents from the toolbox. What you installed yourself is not touched.
#[derive(Debug, clap::Args)]
pub(crate) struct RemoveArgs {
    /// Which.
    #[arg(value_name = "AGENT", required = true)]
    agents: Vec<String>,
}

pub(crate) async fn run(args: Args, out: Output) -> Result<(), Failure> {
    let wanted = if args.all {
        PINNED.iter().copied().filter(|pinned| pinned.is_for_this_machine()).collect()
    } else {
        args.agents.iter().map(|agent| find(agent)).collect::<Result<Vec<_>, _>>()?
    };
    let toolbox = Toolbox::of_home(&home()?);
    for pinned in wanted {
        let (toolbox, name) = (toolbox.clone(), format!("{} {}", pinned.agent, pinned.version));
        let work = tokio::task::spawn_blocking(move || toolbox.install(pinned));
        let installed = out.during(&format!("installing {name}"), work).await;
        let installed = installed
            .map_err(|error| Failure::unexpected("cannot install").caused_by(&error))??;
        match installed {
            Installed::Now => out.say(&format!("installed {name}")),
            Installed::Already => out.say(&format!("{name} is there already")),
        }
    }
    Ok(())
}

pub(crate) fn remove(args: &RemoveArgs, out: Output) -> Result<(), Failure> {
    let wanted = args.agents.iter().map(|agent| find(agent)).collect::<Result<Vec<_>, _>>()?;
    let toolbox = Toolbox::of_home(&home()?);
    for pinned in wanted {
        toolbox.remove(pinned)?;
        out.say(&format!("{} is not in the toolbox any more", pinned.agent));
    }
    Ok(())
}

fn home() -> Result<PathBuf, Failure> {
    env::home_dir()
        .filter(|home| home.is_absolute())
        .ok_or_else(|| Failure::usage("you have no home directory: set HOME"))
}
