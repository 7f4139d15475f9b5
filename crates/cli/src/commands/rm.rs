//! `sandbar rm`: removes sandboxes and everything in them.

use std::io::{self, IsTerminal, Write};

use hyper::Method;
use sandbar_api::{Sandbox, paths};

use crate::{
    commands::changes::fetch_changes,
    context::Context,
    failure::{Code, Failure},
    output::{changes::summary, units::counted},
    select,
};

/// Remove sandboxes, with every change that was not approved.
///
/// A sandbox with such changes is removed only after a yes: asked for on a terminal, else `--force`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar rm calm-bay")]
pub(crate) struct Args {
    /// Names or ids.
    #[arg(value_name = "SANDBOX", required = true)]
    sandboxes: Vec<String>,
    /// Remove without asking.
    #[arg(long, short)]
    force: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    for sandbox in select::several(context, args.sandboxes).await? {
        let lost = if args.force { 0 } else { confirmed(context, &sandbox).await? };
        let what = format!("removing {}", sandbox.name);
        out.during(
            &what,
            context.client.order(
                Method::DELETE,
                &paths::sandbox(&sandbox.id.to_string()),
                None::<&()>,
            ),
        )
        .await?;
        match lost {
            0 => out.say(&format!("removed {}", sandbox.name)),
            count => out.say(&format!("removed {} and {}", sandbox.name, counted(count, "change"))),
        }
    }
    Ok(0)
}

/// Returns how many changes will be lost, after the person said yes to that.
async fn confirmed(context: &mut Context, sandbox: &Sandbox) -> Result<usize, Failure> {
    // A sandbox whose layers cannot be read can still be removed, but only with `--force`.
    let changes = fetch_changes(context, &sandbox.id.to_string())
        .await
        .map_err(|failure| {
            failure.hint("its changes cannot be looked at; remove it anyway with --force")
        })?
        .changes;
    if changes.is_empty() {
        return Ok(0);
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        let message = format!(
            "{} has {} that were not approved",
            sandbox.name,
            counted(changes.len(), "change")
        );
        return Err(Failure::new(Code::Refused, message).hint(format!(
            "look with `sandbar diff {0}`, or remove it with `sandbar rm --force {0}`",
            sandbox.name
        )));
    }
    let count = changes.len();
    let mut stderr = io::stderr().lock();
    write!(
        stderr,
        "{}Remove {} and lose {}? [y/N] ",
        summary(sandbox.name.as_str(), changes),
        sandbox.name,
        counted(count, "change")
    )?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(count);
    }
    Err(Failure::new(Code::Refused, format!("{} was not removed", sandbox.name)))
}
