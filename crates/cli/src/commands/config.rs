//! `sandbar config`: what your own server is started with, without starting it; and what is changed while it runs.

use std::path::Path;

use hyper::Method;
use sandbar_api::{SettingKey, SettingValue, SettingsUpdateRequest, paths};

use crate::{Roles, context::Context, failure::Failure, output::Output, settings};

/// Check or show the configuration of your own server (`config.toml` in its data directory, and the environment), or
/// change settings of a server that runs.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar config check\n  sandbar config show > config.toml\n  sandbar config set sandbox.app_idle_timeout 1h"
)]
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
    /// Change a setting of a server that runs. It holds at once, and after a restart.
    #[command(
        after_help = "Examples:\n  sandbar config set server.log_filter info,sandbar_engine=debug\n  sandbar config set sandbox.max 200"
    )]
    Set {
        /// Which one: the section and the key of `config.toml`.
        key: SettingKey,
        /// What it shall be, as in `config.toml`.
        value: String,
    },
    /// Take back what a setting was set to while the server ran.
    #[command(after_help = "Example:\n  sandbar config unset sandbox.max")]
    Unset {
        /// Which one: the section and the key of `config.toml`.
        key: SettingKey,
    },
}

impl Args {
    /// Whether it is about files, and asks no server.
    pub(crate) const fn is_local(&self) -> bool {
        match self.chore {
            Chore::Check | Chore::Show => true,
            Chore::Set { .. } | Chore::Unset { .. } => false,
        }
    }
}

/// Changes a server that runs.
pub(crate) async fn change(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let mut request = SettingsUpdateRequest::default();
    match args.chore {
        Chore::Set { key, value } => {
            let value = value.parse().map_or(SettingValue::Text(value), SettingValue::Number);
            request.set.insert(key, value);
        }
        Chore::Unset { key } => request.unset.push(key),
        Chore::Check | Chore::Show => unreachable!("it asks no server and was carried out before"),
    }
    context.client.order(Method::PATCH, paths::SETTINGS, Some(&request)).await?;
    Ok(0)
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
        Chore::Set { .. } | Chore::Unset { .. } => unreachable!("it asks the server"),
    }
    Ok(0)
}
