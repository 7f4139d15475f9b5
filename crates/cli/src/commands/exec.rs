//! `sandbar exec`: a command in a sandbox that runs.

use std::{ffi::OsString, time::Duration};

use sandbar_api::{Exec, ExecCreateRequest, Sandbox, paths};
use sandbar_types::{EnvName, ExecSpec};

use crate::{
    context::Context,
    failure::Failure,
    output::units::parse_duration,
    select,
    session::{self, Input},
    signals::Signals,
    spec::{millis, parse_variable},
    terminal,
};

/// Run a command in a sandbox, and pass on its exit code.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar exec calm-bay -- npm test")]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
    #[command(flatten)]
    options: CommandArgs,
    /// Set a variable; without `=VALUE` it is taken from here. May be repeated.
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = parse_variable)]
    env: Vec<(EnvName, String)>,
    /// Start the command, print its id, and do not wait for it.
    #[arg(long, short, conflicts_with_all = ["terminal", "no_terminal"])]
    detach: bool,
    /// Command to run, and its arguments.
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<OsString>,
}

/// How a command is run.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct CommandArgs {
    /// Where to start: a path inside, or relative to the workspace.
    #[arg(long, short, value_name = "DIR")]
    workdir: Option<String>,
    /// Kill the command after this long, for example 10m; the exit code is then 124.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Give the command a terminal, though stdin or stdout is none.
    #[arg(long = "terminal", short = 't', conflicts_with = "no_terminal")]
    terminal: bool,
    /// Give the command pipes, though stdin and stdout are a terminal.
    #[arg(long = "no-terminal", short = 'T')]
    no_terminal: bool,
}

impl CommandArgs {
    /// Nothing but a directory to start in.
    pub(crate) fn in_dir(workdir: Option<String>) -> Self {
        Self { workdir, ..Self::default() }
    }

    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// What the command gets as input, by the options and by what our own descriptors are.
    pub(crate) fn input(&self) -> Input {
        match Input::fitting() {
            Input::Terminal if self.no_terminal => Input::Stdin,
            input @ (Input::Terminal | Input::Stdin | Input::None) => input,
        }
    }

    fn wants_terminal(&self, input: Input) -> bool {
        self.terminal || input == Input::Terminal
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let input = if args.detach { Input::None } else { args.options.input() };
    let mut request = exec_request(args.command, &args.options, input)?;
    request.env = args.env.into_iter().collect();
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    if args.detach {
        let exec: Exec =
            context.client.post(&paths::below_sandbox(&sandbox, "execs"), &request).await?;
        if context.out.is_json() {
            context.out.json(&exec)?;
        } else {
            context.out.line(&exec.id.to_string())?;
        }
        return Ok(0);
    }
    attend(context, &sandbox, &request, input, args.options.timeout()).await
}

/// Starts `request`, shows it until it ends, and returns its exit code.
pub(crate) async fn attend(
    context: &mut Context,
    sandbox: &str,
    request: &ExecCreateRequest,
    input: Input,
    timeout: Option<Duration>,
) -> Result<u8, Failure> {
    let mut signals = Signals::listen()?;
    let exec: Exec = context.client.post(&paths::below_sandbox(sandbox, "execs"), request).await?;
    let outcome =
        session::attend(&mut context.client, context.out, sandbox, exec.id, input, &mut signals)
            .await?;
    let command = request.argv.first().map_or("", String::as_str);
    let memory = memory_limit(context, sandbox, outcome).await;
    for remark in session::remarks(outcome, command, timeout, memory) {
        context.out.say(&remark);
    }
    Ok(session::exit_code(outcome))
}

/// The memory limit, where it was in the way. Best effort: it is only for a message.
async fn memory_limit(
    context: &mut Context,
    sandbox: &str,
    outcome: session::Outcome,
) -> Option<u64> {
    match outcome {
        session::Outcome::Ended(end) if end.oom_killed => {
            let sandbox: Result<Sandbox, Failure> =
                context.client.fetch(&paths::sandbox(sandbox)).await;
            Some(sandbox.ok()?.limits.memory_bytes_max)
        }
        session::Outcome::Ended(_) | session::Outcome::Lost | session::Outcome::Left(_) => None,
    }
}

/// The request that starts `command`.
///
/// # Errors
/// An argument is not UTF-8, which JSON cannot carry.
pub(crate) fn exec_request(
    command: Vec<OsString>,
    options: &CommandArgs,
    input: Input,
) -> Result<ExecCreateRequest, Failure> {
    let argv = command
        .into_iter()
        .map(|word| {
            word.into_string().map_err(|word| {
                Failure::usage(format!("argument `{}` is not UTF-8", word.display()))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut spec = ExecSpec {
        argv,
        env: std::collections::BTreeMap::new(),
        cwd: options.workdir.clone(),
        terminal: options.wants_terminal(input).then(terminal::size),
        stdin: input != Input::None,
        timeout_ms: options.timeout.map(millis),
    };
    if spec.terminal.is_some() {
        spec.env.extend(terminal_environment());
    }
    Ok(ExecCreateRequest::of(spec))
}

/// What programs inside must know about the terminal that they draw on.
fn terminal_environment() -> impl Iterator<Item = (EnvName, String)> {
    ["TERM", "COLORTERM"].into_iter().filter_map(|name| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
        Some((name.parse().expect("a valid name"), value))
    })
}
