//! The command line: a client of the API, and nothing else.
//!
//! A command parses, asks the server, and prints: data on stdout, talk on stderr, an exit code from one table.
//! It never reaches a sandbox other than through the API; only `serve` is a server itself.
//! Whatever a sandbox chose, such as the name of a file, is escaped before a terminal sees it.

mod accept;
mod approves;
mod checkpoints;
mod client;
mod clone;
mod commands;
mod commit;
mod context;
mod desktop;
mod devshell;
mod failure;
mod git_identity;
mod input;
mod output;
mod patch;
mod picks;
mod resolve;
mod review;
#[cfg(test)]
mod sample;
mod secret;
mod select;
mod session;
mod settings;
mod signals;
mod spec;
mod terminal;
mod toolbox;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, error::ErrorKind};

pub use crate::commands::{
    backup::{BackupRoles, BackupSummary, ExistingState, RestoreOptions},
    serve::{Listen, ServeFailure, ServeFailureKind, ServeOptions, ServeResult, StoreUrl},
};
use crate::{
    commands::Command,
    context::Context,
    failure::{Code, Failure},
    output::{Format, Output, Talk},
    settings::Endpoint,
};

/// What the binary wires, because this crate may not import it.
#[derive(Debug, Clone, Copy)]
pub struct Roles {
    /// Runs a server.
    pub serve: fn(ServeOptions) -> ServeResult,
    /// Reads the configuration of a data directory, and says everything that holds, as TOML.
    pub settings_text: fn(&Path) -> Result<String, ServeFailure>,
    /// Writes, verifies and restores backups.
    pub backup: BackupRoles,
}

/// Agents and commands work in a copy-on-write view of your code; nothing reaches it until you approve.
#[derive(Debug, Parser)]
#[command(
    name = "sandbar",
    version,
    after_help = failure::EXIT_CODES,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Server to use: http://127.0.0.1:PORT (with SANDBAR_TOKEN) or unix:PATH; default: your own, started when needed.
    #[arg(
        long,
        global = true,
        env = "SANDBAR_SERVER",
        hide_env_values = true,
        value_name = "ADDRESS"
    )]
    server: Option<String>,
    /// Data directory of your own server; without effect where another server is named.
    #[arg(
        long,
        global = true,
        env = "SANDBAR_DATA_DIR",
        hide_env_values = true,
        value_name = "DIR"
    )]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Say nothing but errors.
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// Runs the command line of this process and returns its exit code.
pub fn main(roles: Roles) -> ExitCode {
    ExitCode::from(run(std::env::args_os().collect(), roles))
}

fn run(args: Vec<OsString>, roles: Roles) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and versions go to stdout and are no failure; clap knows which is which.
            drop(error.print());
            return if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
                0
            } else {
                Code::Usage as u8
            };
        }
    };
    match dispatch(cli, roles) {
        Ok(code) => code,
        Err(failure) => {
            if failure.code() != Code::BrokenPipe {
                drop(io::stderr().lock().write_all(failure.render().as_bytes()));
            }
            failure.code() as u8
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "every other command asks the server, whatever is added"
)]
fn dispatch(cli: Cli, roles: Roles) -> Result<u8, Failure> {
    let talk = if cli.global.quiet { Talk::Quiet } else { Talk::Normal };
    let format = if cli.global.json { Format::Json } else { Format::Text };
    if let Command::Backup(args) = &cli.command {
        return commands::backup::run(args, &cli.global, roles, Output::new(talk, format));
    }
    let Global { server, data_dir, json: _, quiet: _ } = cli.global;
    let command = match cli.command {
        Command::Serve(args) => return commands::serve::run(args, data_dir.as_deref(), roles),
        Command::Config(args) if args.is_local() => {
            return commands::config::run(
                args,
                data_dir.as_deref(),
                roles,
                Output::new(talk, format),
            );
        }
        Command::Completions(args) => return commands::completions::run(&args),
        Command::Manifest(args) => {
            return commands::manifest::run(args, Output::new(talk, format));
        }
        Command::App(commands::app::Args { command: commands::app::Command::Init(args) }) => {
            return commands::app::init::run(&args, Output::new(talk, format));
        }
        command => command,
    };
    let endpoint = Endpoint::parse(
        server.as_deref(),
        data_dir.as_deref(),
        settings::token_from_environment(),
    )?;
    // One thread is enough for one connection, and starts faster than many.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::unexpected("cannot start").caused_by(&error))?;
    let mut context = Context::new(endpoint, Output::new(talk, format));
    let result = runtime.block_on(commands::run(command, &mut context));
    // A thread that still reads stdin must not keep us.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests;
