//! `sandbar logs`: the output of a command, also when it ended long ago.

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::Method;
use jiff::Timestamp;
use sandbar_api::{Exec, OutputChunk, Page, paths};
use sandbar_types::{ExecId, ExecState};

use crate::{
    client::Events,
    commands::ls::age,
    context::Context,
    failure::{Code, Failure},
    output::{sse::Event, table::Table, visible},
    select,
    terminal::Screen,
};

/// Show the output of a command in a sandbox, the latest by default.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar logs calm-bay --follow\n  sandbar logs calm-bay --list"
)]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// Id of the exec, or its beginning; default: the latest.
    #[arg(value_name = "EXEC", conflicts_with = "list")]
    exec: Option<String>,
    /// Go on until the command ends.
    #[arg(long, short)]
    follow: bool,
    /// List the commands instead. Columns: id, state, age, command.
    #[arg(long, short, conflicts_with = "follow")]
    list: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    let execs: Page<Exec> = context.client.fetch(&paths::below_sandbox(&sandbox, "execs")).await?;
    if args.list || context.out.is_json() {
        return list(context, &execs.items);
    }
    let exec = find(&execs.items, args.exec.as_deref(), &sandbox)?;
    show(context, &sandbox, exec.id, args.follow).await?;
    Ok(0)
}

fn find<'a>(execs: &'a [Exec], wanted: Option<&str>, sandbox: &str) -> Result<&'a Exec, Failure> {
    let Some(wanted) = wanted else {
        return execs
            .iter()
            .max_by_key(|exec| exec.started_at)
            .ok_or_else(|| Failure::not_found("no command was run in it yet"));
    };
    let fitting: Vec<_> =
        execs.iter().filter(|exec| exec.id.to_string().starts_with(wanted)).collect();
    let hint = format!("list them: `sandbar logs {} --list`", visible::line(sandbox));
    match fitting[..] {
        [exec] => Ok(exec),
        [] => Err(Failure::not_found(format!("no exec `{wanted}`")).hint(hint)),
        [..] => {
            Err(Failure::new(Code::Usage, format!("`{wanted}` is the beginning of several execs"))
                .hint(hint))
        }
    }
}

fn list(context: &Context, execs: &[Exec]) -> Result<u8, Failure> {
    let out = context.out;
    if out.is_json() {
        out.json(&execs)?;
        return Ok(0);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&["ID", "STATE", "AGE", "COMMAND"]);
    for exec in execs {
        table.push([
            exec.id.to_string(),
            state(&exec.state),
            age(exec.started_at, now),
            exec.argv.join(" "),
        ]);
    }
    out.table(&table)?;
    Ok(0)
}

fn state(state: &ExecState) -> String {
    match state {
        ExecState::Running => "running".to_owned(),
        ExecState::Ended { end } => format!("exit {}", end.status.shell_code()),
        ExecState::Lost => "lost".to_owned(),
    }
}

/// Shows the output; without `follow`, what there is by now.
async fn show(
    context: &mut Context,
    sandbox: &str,
    exec: ExecId,
    follow: bool,
) -> Result<(), Failure> {
    let path = format!("{}?follow={follow}", paths::below_exec(sandbox, exec, "output"));
    stream(context, &path).await
}

/// Shows what a stream of output brings, until it ends.
pub(super) async fn stream(context: &mut Context, path: &str) -> Result<(), Failure> {
    let response = context.client.send(Method::GET, path, None).await?;
    let mut events = Events::of(response.into_body());
    let mut stdout = Screen::new(std::io::stdout());
    let mut stderr = Screen::new(std::io::stderr());
    while let Some(event) = events.next().await? {
        match event.kind.as_str() {
            "stdout" => stdout.write(&chunk(&event)?)?,
            "stderr" => stderr.write(&chunk(&event)?)?,
            "note" => context.out.say(&visible::line(&event.data)),
            // The end and whatever newer servers say; the output is all that was asked for.
            _ => {}
        }
    }
    stdout.finish()?;
    stderr.finish()?;
    Ok(())
}

fn chunk(event: &Event) -> Result<Vec<u8>, Failure> {
    let strange = || Failure::unexpected("cannot understand the server's output");
    let chunk: OutputChunk =
        serde_json::from_str(&event.data).map_err(|error| strange().caused_by(&error))?;
    match (chunk.text, chunk.b64) {
        (Some(text), _) => Ok(text.into_bytes()),
        (None, Some(b64)) => {
            BASE64_STANDARD.decode(b64).map_err(|error| strange().caused_by(&error))
        }
        (None, None) => Ok(Vec::new()),
    }
}
