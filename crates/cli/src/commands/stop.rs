//! `sandbar stop`: ends what runs, keeps the files.

use std::time::Duration;

use hyper::Method;
use sandbar_api::{StopRequest, paths};

use crate::{
    context::Context, failure::Failure, output::units::parse_duration, select, spec::millis,
};

/// Stop sandboxes: their processes end, their files and changes stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar stop calm-bay --grace 30s")]
pub(crate) struct Args {
    /// Names or ids; default: the only sandbox over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandboxes: Vec<String>,
    /// Time between asking and killing; default: 10s.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    grace: Option<Duration>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let request = StopRequest { grace_ms: args.grace.map(millis) };
    let out = context.out;
    for sandbox in select::several(context, args.sandboxes).await? {
        let path = paths::below_sandbox(&sandbox.id.to_string(), "stop");
        let what = format!("stopping {}", sandbox.name);
        out.during(&what, context.client.order(Method::POST, &path, Some(&request))).await?;
        out.say(&format!("stopped {}", sandbox.name));
    }
    Ok(0)
}
