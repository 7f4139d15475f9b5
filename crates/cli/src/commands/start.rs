//! `sandbar start`: lets a stopped sandbox run again.

use hyper::Method;
use sandbar_api::paths;

use crate::{context::Context, failure::Failure, select};

/// Start stopped or failed sandboxes, with the files and changes that they had.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar start calm-bay")]
pub(crate) struct Args {
    /// Names or ids; default: the only sandbox over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandboxes: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    for sandbox in select::several(context, args.sandboxes).await? {
        let path = paths::below_sandbox(&sandbox.id.to_string(), "start");
        let what = format!("starting {}", sandbox.name);
        out.during(&what, context.client.order(Method::POST, &path, None::<&()>)).await?;
        out.say(&format!("started {}", sandbox.name));
    }
    Ok(0)
}
