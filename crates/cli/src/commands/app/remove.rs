//! `sandbar app rm`: an app, with everything that it owns.

use hyper::Method;
use sandbar_api::{AppRemoved, paths};

use crate::{context::Context, failure::Failure, output::units::counted};

/// Remove an app with its sandboxes, settings and secrets. Its history stays.
///
/// It is refused while sandboxes of it have changes that nobody decided about, unless with `--force`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar app rm shop")]
pub(crate) struct Args {
    /// Its name or id.
    app: String,
    /// Remove it with changes that nobody decided about.
    #[arg(long, short)]
    force: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let force = if args.force { "?force=true" } else { "" };
    let path = format!("{}{force}", paths::app(&args.app));
    let work = context.client.call(Method::DELETE, &path, None::<&()>);
    let out = context.out;
    let removed: AppRemoved = out.during(&format!("removing {}", args.app), work).await?;
    if out.is_json() {
        out.json(&removed)?;
        return Ok(0);
    }
    let sandboxes = match removed.sandboxes.len() {
        1 => "1 sandbox".to_owned(),
        count => format!("{count} sandboxes"),
    };
    let items = usize::try_from(removed.config_items).unwrap_or(usize::MAX);
    out.say(&format!("removed {} with {sandboxes} and {}", args.app, counted(items, "setting")));
    Ok(0)
}
