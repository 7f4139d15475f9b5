//! `sandbar agents`: coding agents and the keys that they work with, which never get into a sandbox.

mod install;
mod login;

use std::{env, path::PathBuf};

use sandbar_api::{CredentialCreateRequest, KnownAgent, KnownAgents, Secret, paths};
use sandbar_types::AgentName;

use self::login::{Found, of_login};
use crate::{
    commands::secret::{bind_request, read_value},
    context::Context,
    failure::Failure,
    output::table::Table,
};

/// List the coding agents that are known, install one for sandboxes, or give one the key that you have. Columns: name, agent, program, key.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar agents\n  sandbar agents install claude-code\n  sandbar agents connect claude-code\n  sandbar agents connect codex --key-stdin < key.txt\n  sandbar agents connect claude-code --from-env --host llm.example.com:8443"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Give an agent your key or login, once. It is kept by the server and put into its requests; inside there is none.
    Connect(ConnectArgs),
    Install(install::Args),
    Uninstall(install::RemoveArgs),
}

#[derive(Debug, clap::Args)]
struct ConnectArgs {
    /// Which agent, as `sandbar agents` names it.
    agent: AgentName,
    /// Take the key of your environment; default: of there, else of your login.
    #[arg(long, conflicts_with_all = ["from_login", "key_stdin"])]
    from_env: bool,
    /// Take the login of the agent in your home.
    #[arg(long, conflicts_with = "key_stdin")]
    from_login: bool,
    /// Read the key from stdin.
    #[arg(long)]
    key_stdin: bool,
    /// A gateway of your own in place of the agent's host: HOST or HOST:PORT.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    match args.command {
        None => list(context).await?,
        Some(Command::Connect(args)) => connect(args, context).await?,
        Some(Command::Install(args)) => install::run(args, context.out).await?,
        Some(Command::Uninstall(args)) => install::remove(&args, context.out)?,
    }
    Ok(0)
}

async fn known(context: &mut Context) -> Result<Vec<KnownAgent>, Failure> {
    let known: KnownAgents = context.client.fetch(paths::AGENTS).await?;
    Ok(known.agents)
}

async fn list(context: &mut Context) -> Result<(), Failure> {
    let agents = known(context).await?;
    if context.out.is_json() {
        return context.out.json(&agents);
    }
    let mut table = Table::new(&["NAME", "AGENT", "PROGRAM", "KEY"]);
    for agent in &agents {
        let program = program(&agent.program)
            .map_or_else(|| "not installed".to_owned(), |path| path.display().to_string());
        let key = if agent.is_connected { "connected" } else { "not connected" };
        table.push([agent.name.as_str(), &agent.label, &program, key]);
    }
    Ok(context.out.table(&table)?)
}

/// Where a program of the `PATH` is.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

async fn connect(args: ConnectArgs, context: &mut Context) -> Result<(), Failure> {
    let agents = known(context).await?;
    let agent = agents.into_iter().find(|agent| agent.name == args.agent).ok_or_else(|| {
        Failure::not_found(format!("no key is known of the agent `{}`", args.agent))
            .hint("`sandbar agents` lists those that are; `sandbar secret bind` takes any")
    })?;
    let Found { value, login } = find(&args, &agent)?;
    let request = CredentialCreateRequest {
        name: format!("agent.{}", agent.name).parse().map_err(|error| {
            Failure::usage("the name of the agent is no name of a secret").caused_by(&error)
        })?,
        value: Secret(value),
        app: None,
        sandbox: None,
        agent: Some(agent.name),
        login,
        host: args.host,
        env: None,
        placeholder_prefix: None,
        rules: Vec::new(),
    };
    bind_request(context, request).await
}

fn find(args: &ConnectArgs, agent: &KnownAgent) -> Result<Found, Failure> {
    let variable = agent.env.as_str();
    if args.key_stdin {
        return Ok(Found::key(read_value(None)?));
    }
    let from_env = env::var(variable).ok().filter(|value| !value.is_empty()).map(Found::key);
    if args.from_env {
        return from_env.ok_or_else(|| Failure::not_found(format!("`{variable}` is not set here")));
    }
    if let Some(found) = from_env.filter(|_| !args.from_login) {
        return Ok(found);
    }
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    of_login(agent.name.as_str(), &home)?.ok_or_else(|| {
        Failure::not_found(format!(
            "{} is not logged in here, and `{variable}` is not set",
            agent.label
        ))
        .hint("log in with it, set the variable, or hand a key over: `--key-stdin < key.txt`")
    })
}
