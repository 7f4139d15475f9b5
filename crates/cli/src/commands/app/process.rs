//! `sandbar app start`, `stop` and `restart`: one process of an app.

use hyper::Method;
use sandbar_api::paths;
use sandbar_types::ProcessName;

use crate::{context::Context, failure::Failure, select};

/// Which process of which sandbox.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id of the sandbox.
    #[arg(value_name = "SANDBOX")]
    sandbox: String,
    /// Name of the process, as sandbox.yaml has it; `web` for the one that serves the preview.
    #[arg(value_name = "PROCESS")]
    process: ProcessName,
}

pub(crate) async fn run(args: Args, what: &str, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::reference(context, Some(&args.sandbox)).await?;
    let path = paths::below_process(&sandbox, &args.process, what);
    context.client.order(Method::POST, &path, None::<&()>).await?;
    context.out.say(&format!("{what}: {}", args.process));
    Ok(0)
}
