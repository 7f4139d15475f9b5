//! `sandbar config`: what your own server is started with, without starting it.

use std::path::Path;

use crate::{Roles, failure::Failure, output::Output, settings};

/// Check or show the configuration of your own server (`config.toml` in its data directory, and the environment).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sandbar config check\n  sandbar config show > config.toml")]
pub(crate) struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, clap::Subcommand)]
enum Chore {
    /// Say what is wrong with it, with the line or the variable. A server that is started would refuse the same.
    #[command(after_help = "Example:\n  sandbar config check && systemctl restart sandbar")]
    Check,
    /// Print everything that holds, defaults included, as a file that says it.
    #[command(after_help = "Example:\n  SANDBAR_PREVIEW_DOMAIN=example.org sandbar config show")]
    Show,
}

pub(crate) fn run(
    args: Args,
    data_dir: Option<&Path>,
    roles: Roles,
    out: Output,
) -> Result<u8, Failure> {
    let data_dir = settings::resolve_data_dir(data_dir)?;
    let text = (roles.settings_text)(&data_dir)
        .map_err(|failed| failed.told("the configuration cannot be used"))?;
    match args.chore {
        Chore::Check => out.say("the configuration is good"),
        Chore::Show => out.raw(text.as_bytes())?,
    }
    Ok(0)
}
