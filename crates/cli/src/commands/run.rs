//! `sandbar run`: a new sandbox over this directory, a command in it, and a summary of what it changed.

use std::{ffi::OsString, time::Duration};

use hyper::Method;
use sandbar_api::{Exec, ExecCreateRequest, Sandbox, StopRequest, paths};
use sandbar_types::{AppStart, Change, ExecId};

use crate::{
    accept,
    commands::{
        changes::fetch_changes,
        exec::{CommandArgs, exec_request},
    },
    context::Context,
    failure::Failure,
    output::{
        changes::{next_steps, summary},
        units::counted,
    },
    session::{self, Outcome},
    signals::Signals,
    spec::{SpecArgs, millis},
};

/// How long processes that the command left behind get to end by themselves.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Run a command in a new sandbox over this directory, then show what it changed.
///
/// The command sees your directory at its own path and may change everything in it; your files stay as they are
/// until you approve. Its exit code is passed on. A sandbox without changes is removed at the end; one with changes
/// is stopped and kept for review.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar run -- claude \"add a cart page\"\n  sandbar run --memory 2G --timeout 10m -- cargo test\n  sandbar run --git https://example.org/shop.git --branch next -- claude"
)]
pub(crate) struct Args {
    #[command(flatten)]
    spec: SpecArgs,
    #[command(flatten)]
    options: CommandArgs,
    /// Remove the sandbox at the end, with whatever it changed.
    #[arg(long, conflicts_with = "keep")]
    rm: bool,
    /// Keep the sandbox running at the end, with or without changes.
    #[arg(long)]
    keep: bool,
    /// Command to run, and its arguments.
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

/// What becomes of the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Afterwards {
    /// Removed without changes, stopped with some.
    Review,
    Remove,
    Keep,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let afterwards = match (args.rm, args.keep) {
        (true, _) => Afterwards::Remove,
        (_, true) => Afterwards::Keep,
        (false, false) => Afterwards::Review,
    };
    let input = args.options.input();
    let request = exec_request(args.command, &args.options, input)?;
    let out = context.out;
    let (spec, clone) = args.spec.into_spec(AppStart::Manual, out).await?;
    let has_rules = spec.acceptance.is_some();
    let mut signals = Signals::listen()?;

    // Not raced against a signal: whoever interrupts a create must still learn which sandbox to remove.
    let sandbox: Sandbox =
        out.during("creating the sandbox", context.client.post(paths::SANDBOXES, &spec)).await?;
    if let Some(clone) = clone {
        clone.keep(out);
    }
    let outcome = match start(context, &sandbox, &request).await {
        Ok(exec) => {
            session::attend(
                &mut context.client,
                out,
                &sandbox.id.to_string(),
                exec,
                input,
                &mut signals,
            )
            .await
        }
        Err(failure) => {
            // Nothing ran, so nothing can be lost.
            drop(remove(context, &sandbox).await);
            return Err(failure);
        }
    };
    let outcome = outcome.map_err(|failure| {
        failure.hint(format!(
            "the sandbox {} is kept; see `sandbar show {}`",
            sandbox.name, sandbox.name
        ))
    })?;
    if has_rules && session::exit_code(outcome) == 0 {
        // What goes beyond the rules is no failure of the command: it waits, and is said below.
        if let Err(failure) = accept::accept(context, &sandbox).await {
            out.say(failure.render().trim_end());
        }
    }
    let command = request.argv.first().map_or("", String::as_str);
    let memory = Some(sandbox.limits.memory_bytes_max);
    for remark in session::remarks(outcome, command, args.options.timeout(), memory) {
        out.say(&remark);
    }
    tokio::select! {
        biased;
        code = signals.end() => {
            out.say(&format!("sandbar: interrupted; the sandbox {} is kept", sandbox.name));
            Ok(code)
        }
        done = conclude(context, &sandbox, outcome, afterwards) => done.map(|()| session::exit_code(outcome)),
    }
}

async fn start(
    context: &mut Context,
    sandbox: &Sandbox,
    request: &ExecCreateRequest,
) -> Result<ExecId, Failure> {
    let path = paths::below_sandbox(&sandbox.id.to_string(), "execs");
    let exec: Exec = context.client.post(&path, request).await?;
    Ok(exec.id)
}

/// Says what changed, and stops, removes or keeps the sandbox.
async fn conclude(
    context: &mut Context,
    sandbox: &Sandbox,
    outcome: Outcome,
    afterwards: Afterwards,
) -> Result<(), Failure> {
    let out = context.out;
    let id = sandbox.id.to_string();
    let name = sandbox.name.as_str();
    let is_left = match outcome {
        Outcome::Ended(_) | Outcome::Lost => false,
        Outcome::Left(_) => true,
    };
    if is_left && afterwards != Afterwards::Keep {
        // What still runs might change files while we look at them.
        stop(context, &id).await?;
    }
    let set = out.during("looking at the changes", fetch_changes(context, &id)).await?;
    let is_empty = set.changes.is_empty();
    say_changes(context, name, set.changes, afterwards);
    match afterwards {
        Afterwards::Remove => remove(context, sandbox).await,
        Afterwards::Review if is_empty => remove(context, sandbox).await,
        Afterwards::Review if is_left => Ok(()),
        Afterwards::Review => stop(context, &id).await,
        Afterwards::Keep => {
            out.say(&format!("sandbar: {name} keeps running; stop it with `sandbar stop {name}`"));
            Ok(())
        }
    }
}

async fn stop(context: &mut Context, id: &str) -> Result<(), Failure> {
    let request = StopRequest { grace_ms: Some(millis(STOP_GRACE)) };
    let path = paths::below_sandbox(id, "stop");
    let out = context.out;
    let stopped = context.client.order(Method::POST, &path, Some(&request));
    out.during("stopping the sandbox", stopped).await
}

fn say_changes(context: &Context, name: &str, changes: Vec<Change>, afterwards: Afterwards) {
    let (out, count) = (context.out, changes.len());
    if changes.is_empty() {
        return out.say("sandbar: no changes");
    }
    out.say(&format!("\n{}", summary(name, changes).trim_end()));
    match afterwards {
        Afterwards::Remove => {
            out.say(&format!("sandbar: removing {name} with its {}", counted(count, "change")));
        }
        Afterwards::Review | Afterwards::Keep => out
            .say(&format!("\nYour directory is as it was. Next:\n{}", next_steps(name).trim_end())),
    }
}

async fn remove(context: &mut Context, sandbox: &Sandbox) -> Result<(), Failure> {
    let path = paths::sandbox(&sandbox.id.to_string());
    let out = context.out;
    out.during("removing the sandbox", context.client.order(Method::DELETE, &path, None::<&()>))
        .await
}
