//! `sandbar completions`: a script for the shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{
    Cli,
    failure::Failure,
    output::{Format, Output, Talk},
};

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  sandbar completions bash > ~/.local/share/bash-completion/completions/sandbar"
)]
pub(crate) struct Args {
    /// Which shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sandbar", &mut script);
    Output::new(Talk::Normal, Format::Text).raw(&script)?;
    Ok(0)
}
