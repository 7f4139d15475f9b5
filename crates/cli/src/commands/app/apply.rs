//! `sandbar app apply`: the manifest, carried out.

use sandbar_api::{AppStatus, paths};

use super::status;
use crate::{context::Context, failure::Failure, select};

/// Read sandbox.yaml again and make the app what it says; only what changed is restarted.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar app apply calm-bay")]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    let path = paths::below_sandbox(&sandbox, "app/apply");
    let nothing = serde_json::json!({});
    let work = context.client.post(&path, &nothing);
    let app: AppStatus = context.out.during("applying sandbox.yaml", work).await?;
    status::show(&app, context.out)?;
    Ok(0)
}
