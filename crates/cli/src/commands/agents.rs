//! `sandbar agents`: coding agents and the keys that they work with, which never get into a sandbox.

mod client;
mod install;
mod list;
mod login;

use std::{env, path::PathBuf};

use sandbar_api::{CredentialCreateRequest, KnownAgent, Secret, paths};
use sandbar_types::{AgentName, EnvName};

use self::login::{Found, of_login};
use crate::{
    commands::secret::{bind_request, read_value},
    context::Context,
    failure::Failure,
};

/// List the coding agents that are known, install one for sandboxes, or give one the key that you have. Columns: name, agent, program, version, key.
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
    /// Which of its variables the key is for, where it works with several providers, for example OPENROUTER_API_KEY.
    #[arg(long, value_name = "VARIABLE")]
    variable: Option<EnvName>,
    /// A gateway of your own in place of the agent's host: HOST or HOST:PORT.
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Where a login is renewed, in place of the agent's own token endpoint: https://HOST/PATH.
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    match args.command {
        None => list::list(context).await?,
        Some(Command::Connect(args)) => connect(args, context).await?,
        Some(Command::Install(args)) => install::run(args, context.out).await?,
        Some(Command::Uninstall(args)) => install::remove(&args, context.out)?,
    }
    Ok(0)
}

async fn known(context: &mut Context) -> Result<Vec<KnownAgent>, Failure> {
    context.client.all(paths::AGENTS).await
}

async fn connect(args: ConnectArgs, context: &mut Context) -> Result<(), Failure> {
    let agents = known(context).await?;
    let agent = agents.into_iter().find(|agent| agent.name == args.agent).ok_or_else(|| {
        Failure::not_found(format!("no key is known of the agent `{}`", args.agent))
            .hint("`sandbar agents` lists those that are; `sandbar secret bind` takes any")
    })?;
    let Found { value, login, env, renewal } = find(&args, &agent)?;
    // Of several providers each has its own.
    let of_provider = env.as_ref().map(|env| format!(".{}", env.as_str().to_ascii_lowercase()));
    let name = format!("agent.{}{}", agent.name, of_provider.unwrap_or_default());
    let is_renewed = renewal.is_some();
    let renewal = renewal.map(|renewing| renewing.request(args.token_url.clone()));
    let request = CredentialCreateRequest {
        name: name.parse().map_err(|error| {
            Failure::usage("the name of the agent is no name of a secret").caused_by(&error)
        })?,
        value: Secret(value),
        app: None,
        sandbox: None,
        agent: Some(agent.name),
        login,
        host: args.host,
        env,
        placeholder_prefix: None,
        rules: Vec::new(),
        renewal,
    };
    bind_request(context, request).await?;
    if is_renewed && !context.out.is_json() {
        context.out.say(
            "the server renews this login from now on, and yours on this host may end with that: log in again to have one of your own",
        );
    }
    Ok(())
}

fn find(args: &ConnectArgs, agent: &KnownAgent) -> Result<Found, Failure> {
    let name = agent.name.as_str();
    let variables: Vec<&EnvName> = match &args.variable {
        Some(variable) if !agent.env.contains(variable) => {
            let known: Vec<_> = agent.env.iter().map(EnvName::as_str).collect();
            let message = format!("{} takes no key from `{variable}`", agent.label);
            return Err(Failure::usage(message).hint(format!("it takes: {}", known.join(", "))));
        }
        Some(variable) => vec![variable],
        None => agent.env.iter().collect(),
    };
    if args.key_stdin {
        return Ok(Found::key(read_value(None)?).of(name, args.variable.as_ref()));
    }
    let from_env = variables.iter().find_map(|variable| {
        let value = env::var(variable.as_str()).ok().filter(|value| !value.is_empty())?;
        Some(Found::key(value).of(name, Some(variable)))
    });
    let names = || variables.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if args.from_env {
        return from_env
            .ok_or_else(|| Failure::not_found(format!("none is set here of: {}", names())));
    }
    if let Some(found) = from_env.filter(|_| !args.from_login) {
        return Ok(found);
    }
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    of_login(name, args.variable.as_ref(), &home)?.ok_or_else(|| {
        Failure::not_found(format!(
            "{} is not logged in here, and none is set of: {}",
            agent.label,
            names()
        ))
        .hint("log in with it, set the variable, or hand a key over: `--key-stdin < key.txt`")
    })
}
