//! `sandbar shell`: a login shell in a sandbox.

use std::ffi::OsString;

use crate::{
    commands::exec::{self, CommandArgs, exec_request},
    context::Context,
    failure::Failure,
    select,
};

/// Open a shell in a sandbox.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar shell calm-bay")]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// Where to start: a path inside, or relative to the workspace.
    #[arg(long, short, value_name = "DIR")]
    workdir: Option<String>,
    /// Shell to run; default: bash where the host has it, else sh.
    #[arg(long, value_name = "PROGRAM")]
    shell: Option<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    // `exec` so that the shell itself gets the signals and gives the status.
    let command: Vec<OsString> = match args.shell {
        Some(shell) => vec![shell.into()],
        None => {
            ["sh", "-c", "if command -v bash >/dev/null 2>&1; then exec bash; else exec sh; fi"]
                .map(OsString::from)
                .to_vec()
        }
    };
    let options = CommandArgs::in_dir(args.workdir);
    let input = options.input();
    let request = exec_request(command, &options, input)?;
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    exec::attend(context, &sandbox, &request, input, None).await
}
