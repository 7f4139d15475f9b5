//! `sandbar open`: the preview of a sandbox.

use std::{process::Stdio, time::Duration};

use jiff::Timestamp;
use sandbar_api::{PreviewLink, PreviewLinkRequest, paths};

use crate::{context::Context, failure::Failure, output::units::parse_duration, select};

/// Print the URL of a preview, and open it where there is a browser.
///
/// The link lets its first reader in within 30 seconds, also where the preview is private; `--share` makes one for
/// everybody who has it. A sandbox that sleeps is woken by the visit.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar open shop\n  sandbar open shop --port 9229 --print\n  sandbar open shop --share 2h"
)]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// Port inside; default: that of the app.
    #[arg(long, short, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Make a link that is good for so long, for everybody who has it.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    share: Option<Duration>,
    /// Only print it.
    #[arg(long)]
    print: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    let until = args.share.map(|share| Timestamp::now().checked_add(share));
    let share_until = until.transpose().map_err(|_| Failure::usage("`--share` is too long"))?;
    let request = PreviewLinkRequest { port: args.port, share_until };
    let link: PreviewLink =
        context.client.post(&paths::below_sandbox(&sandbox, "app/link"), &request).await?;
    let out = context.out;
    if out.is_json() {
        out.json(&link)?;
        return Ok(0);
    }
    out.line(&link.url)?;
    if !args.print && args.share.is_none() && out.stdout_is_terminal() && has_display() {
        show(&link.url);
    }
    Ok(0)
}

/// Whether there is a desktop that a browser could open on.
fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some())
}

#[expect(clippy::disallowed_methods, reason = "a program of the person's own, not of a sandbox")]
fn show(url: &str) {
    let mut browser = std::process::Command::new("xdg-open");
    browser.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Without it, the URL that was printed is all there is.
    drop(browser.spawn());
}
