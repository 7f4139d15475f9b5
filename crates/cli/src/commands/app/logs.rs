//! `sandbar app logs`: what a process of an app wrote, across its restarts.

use sandbar_api::{ProcessLog, paths};
use sandbar_types::ProcessName;

use crate::{commands::logs, context::Context, failure::Failure, output::visible, select};

/// Show the log of a process of an app: its output, and when it ended and was started again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar app logs calm-bay web --follow")]
pub(crate) struct Args {
    /// Name or id of the sandbox.
    #[arg(value_name = "SANDBOX")]
    sandbox: String,
    /// Name of the process.
    #[arg(value_name = "PROCESS", default_value = "web")]
    process: ProcessName,
    /// Lines to show.
    #[arg(long, short, value_name = "LINES", default_value_t = 200,
        value_parser = clap::value_parser!(u32).range(1..=1000))]
    tail: u32,
    /// Go on as it writes.
    #[arg(long, short)]
    follow: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::reference(context, Some(&args.sandbox)).await?;
    let path = paths::below_process(&sandbox, &args.process, &format!("logs?tail={}", args.tail));
    let log: ProcessLog = context.client.fetch(&path).await?;
    let out = context.out;
    if out.is_json() {
        out.json(&log)?;
        return Ok(0);
    }
    for line in &log.lines {
        out.line(&visible::line(&line.text))?;
    }
    if args.follow {
        let what = format!("output?offset={}", log.next_offset);
        logs::stream(context, &paths::below_process(&sandbox, &args.process, &what)).await?;
    }
    Ok(0)
}
