//! `sandbar app clone`: an app like another one.

use sandbar_api::{App, AppCloneRequest, paths};
use sandbar_types::AppName;

use crate::{context::Context, failure::Failure};

/// Make an app with the description, tags, preset, visibility, settings and secrets of another one. It has no sandbox.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar app clone shop shop-next")]
pub(crate) struct Args {
    /// Name or id of the one that is there.
    app: String,
    /// Name of the new one.
    name: AppName,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let path = paths::below_app(&args.app, "clone");
    let made: App = context.client.post(&path, &AppCloneRequest { name: args.name }).await?;
    if context.out.is_json() {
        context.out.json(&made)?;
    } else {
        context.out.line(made.name.as_str())?;
    }
    Ok(0)
}
