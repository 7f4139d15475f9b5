//! `sandbar app start`, `stop` and `restart`: the sandbox that an app is about, or one process of a sandbox.

use hyper::Method;
use sandbar_api::{Sandbox, paths};
use sandbar_types::ProcessName;

use crate::{context::Context, failure::Failure, output::life, select};

/// Which app, or which process of which sandbox.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id of the app; with PROCESS that of a sandbox does, too.
    #[arg(value_name = "APP")]
    app: String,
    /// Name of the process, as sandbox.yaml has it; `web` for the one that serves the preview. Default: everything.
    #[arg(value_name = "PROCESS")]
    process: Option<ProcessName>,
}

pub(crate) async fn run(args: Args, what: &str, context: &mut Context) -> Result<u8, Failure> {
    let Some(process) = &args.process else {
        return whole(&args.app, what, context).await;
    };
    let sandbox = select::reference(context, Some(&args.app)).await?;
    let path = paths::below_process(&sandbox, process, what);
    context.client.order(Method::POST, &path, None::<&()>).await?;
    context.out.say(&format!("{what}: {process}"));
    Ok(0)
}

async fn whole(app: &str, what: &str, context: &mut Context) -> Result<u8, Failure> {
    let path = paths::below_app(app, what);
    let out = context.out;
    let work = context.client.call(Method::POST, &path, None::<&()>);
    let sandbox: Sandbox = out.during(&format!("{what}: {app}"), work).await?;
    if out.is_json() {
        out.json(&sandbox)?;
    } else {
        out.say(&format!("{app}: sandbox {} is {}", sandbox.name, life(&sandbox)));
    }
    Ok(0)
}
