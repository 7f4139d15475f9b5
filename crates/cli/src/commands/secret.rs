//! `sandbar secret`: settings and secrets of a sandbox or an app. A value is read from stdin or a file: an argument is seen by
//! every user of the host.

mod bind;
mod env_file;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use hyper::Method;
use jiff::Timestamp;
use sandbar_api::{
    ConfigChanged, ConfigCreateRequest, ConfigItem, ConfigRemoved, ConfigUpdateRequest,
    CredentialCreateRequest, ErrorCode, Secret, SecretRotation, paths,
};
use sandbar_types::{ConfigAccess, EnvName, ProcessName};

use crate::{
    commands::ls::age,
    context::Context,
    failure::Failure,
    output::{table::Table, units::counted},
    select,
};

/// LIMIT: bytes that are read of a value or a file of values; more than the server takes.
const READ_BYTES_MAX: u64 = 20 << 20;

/// Look after the settings and secrets of a sandbox or an app. Values are read from stdin or a file, never from arguments.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  sandbar secret set API_KEY --access runtime_access < key.txt\n  sandbar secret import .env --access both\n  sandbar secret ls\n  sandbar secret bind OPENAI_API_KEY --host api.openai.com < key.txt\n  sandbar secret bind github --git https://github.com/ann/shop < token.txt\n  sandbar secret why shop https://api.openai.com/v1/models"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Keep a value, over the one that is there. The newline at its end is not part of it.
    Set(SetArgs),
    /// List names. Columns: name, access, changed, value; of a secret the value is not shown.
    Ls(ListArgs),
    /// Remove some.
    Rm(RemoveArgs),
    /// Keep every variable of a .env file.
    Import(ImportArgs),
    /// Have a secret put into requests on their way out, and nowhere else: inside there is a placeholder.
    Bind(bind::BindArgs),
    /// Remove secrets that are bound.
    Unbind(bind::UnbindArgs),
    /// List secrets that are bound. Columns: name, for, variable, goes to.
    Bound,
    /// Say which secret a request from a sandbox would get, and why not the others. Nothing is sent.
    Why(bind::WhyArgs),
    /// Seal every secret of the server with a new key. For who runs the server.
    Rotate,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(long, value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// Name or id of an app instead: its sandboxes get what it has, where they have none of that name.
    #[arg(long, value_name = "APP", conflicts_with = "sandbox")]
    app: Option<String>,
}

impl ListArgs {
    /// Where the configuration is that is meant.
    async fn path(&self, context: &mut Context) -> Result<String, Failure> {
        if let Some(app) = &self.app {
            return Ok(paths::below_app(app, "config"));
        }
        let sandbox = select::reference(context, self.sandbox.as_deref()).await?;
        Ok(paths::below_sandbox(&sandbox, "config"))
    }
}

/// What shall become of it.
#[derive(Debug, clap::Args)]
struct KeepArgs {
    /// Who gets it: control_plane_only, agent_access, runtime_access, both; default: as before, else nobody.
    #[arg(long, value_name = "ACCESS")]
    access: Option<ConfigAccess>,
    /// It is no secret: whoever may look sees it.
    #[arg(long)]
    plain: bool,
    /// Restart the processes of the app that have the value.
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    of: ListArgs,
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// Its name: that of the environment variable.
    name: EnvName,
    /// Read the value from here; default: stdin.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    #[command(flatten)]
    keep: KeepArgs,
}

#[derive(Debug, clap::Args)]
struct ImportArgs {
    /// The file; `-` is stdin.
    file: PathBuf,
    #[command(flatten)]
    keep: KeepArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// Their names.
    #[arg(value_name = "NAME", required = true)]
    names: Vec<EnvName>,
    /// Restart the processes of the app that have the value.
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    of: ListArgs,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    match args.command {
        Command::Set(args) => {
            let mut value = read(args.file.as_deref().filter(|path| *path != Path::new("-")))?;
            if value.ends_with('\n') {
                value.pop();
            }
            keep(context, &args.keep, vec![(args.name, value)]).await?;
        }
        Command::Import(args) => {
            let text = read(Some(&*args.file).filter(|path| *path != Path::new("-")))?;
            let found = env_file::parse(&text).map_err(|error| {
                Failure::usage(format!("{}: {error}", args.file.display()))
                    .hint("one NAME=VALUE on a line; quote what has spaces")
            })?;
            keep(context, &args.keep, found).await?;
        }
        Command::Ls(args) => list(&args, context).await?,
        Command::Rm(args) => remove(args, context).await?,
        Command::Bind(args) => bind::bind(args, context).await?,
        Command::Unbind(args) => bind::unbind(args, context).await?,
        Command::Bound => bind::bound(context).await?,
        Command::Why(args) => bind::why(&args, context).await?,
        Command::Rotate => {
            let done: SecretRotation =
                context.client.post(paths::SECRETS_ROTATE, &serde_json::json!({})).await?;
            if context.out.is_json() {
                context.out.json(&done)?;
            } else {
                let count = usize::try_from(done.resealed).unwrap_or(usize::MAX);
                context.out.say(&format!("sealed {} with {}", counted(count, "secret"), done.key));
                if done.left > 0 {
                    context.out.say(&format!("{} do not open and were left", done.left));
                }
            }
        }
    }
    Ok(0)
}

/// Keeps a secret that is bound, over the one of the same name, and says so.
pub(crate) async fn bind_request(
    context: &mut Context,
    request: CredentialCreateRequest,
) -> Result<(), Failure> {
    let kept = bind::keep(context, request).await?;
    bind::say(context, &kept)
}

/// Reads a value without the newline at its end; `None` is stdin.
pub(crate) fn read_value(path: Option<&Path>) -> Result<String, Failure> {
    Ok(read(path)?.trim_end_matches(['\r', '\n']).to_owned())
}

/// Reads a whole text; `None` is stdin.
fn read(path: Option<&Path>) -> Result<String, Failure> {
    let failed = |error: io::Error| {
        let what = path.map_or_else(|| "stdin".to_owned(), |path| path.display().to_string());
        Failure::usage(format!("cannot read the value from {what}")).caused_by(&error)
    };
    let mut text = String::new();
    match path {
        None => io::stdin().lock().take(READ_BYTES_MAX).read_to_string(&mut text),
        Some(path) => {
            File::open(path).map_err(failed)?.take(READ_BYTES_MAX).read_to_string(&mut text)
        }
    }
    .map_err(failed)?;
    Ok(text)
}

async fn keep(
    context: &mut Context,
    args: &KeepArgs,
    values: Vec<(EnvName, String)>,
) -> Result<(), Failure> {
    let config = args.of.path(context).await?;
    let mut kept = Vec::new();
    let last = values.len().saturating_sub(1);
    for (index, (key, value)) in values.into_iter().enumerate() {
        // Once, when all are there.
        let restart = query(args.restart && index == last);
        let changed = put(context, (&config, restart), args, (key, value)).await?;
        context.out.say(&format!("kept {}", changed.item.key));
        kept.push(changed);
    }
    if context.out.is_json() {
        return context.out.json(&kept);
    }
    let stale = kept.last().map(|changed| changed.stale_processes.as_slice());
    say_stale(context, stale.unwrap_or_default());
    Ok(())
}

/// Makes it, or changes the one that is there.
async fn put(
    context: &mut Context,
    (config, restart): (&str, &str),
    args: &KeepArgs,
    (key, value): (EnvName, String),
) -> Result<ConfigChanged, Failure> {
    let request = ConfigCreateRequest {
        key: key.clone(),
        value: Secret(value),
        is_sensitive: !args.plain,
        access: args.access.unwrap_or_default(),
    };
    let made = context.client.post(&format!("{config}{restart}"), &request).await;
    let is_there = |failure: &Failure| {
        failure.problem().is_some_and(|problem| problem.code == ErrorCode::ConfigExists)
    };
    match made {
        Err(failure) if is_there(&failure) => {
            let request = ConfigUpdateRequest {
                value: Some(request.value),
                is_sensitive: Some(request.is_sensitive),
                access: args.access,
            };
            let path = format!("{config}/{key}{restart}");
            context.client.call(Method::PATCH, &path, Some(&request)).await
        }
        made => made,
    }
}

async fn remove(args: RemoveArgs, context: &mut Context) -> Result<(), Failure> {
    let config = args.of.path(context).await?;
    let mut stale = Vec::new();
    let last = args.names.len() - 1;
    for (index, name) in args.names.iter().enumerate() {
        let path = format!("{config}/{name}{}", query(args.restart && index == last));
        let removed: ConfigRemoved =
            context.client.call(Method::DELETE, &path, None::<&()>).await?;
        context.out.say(&format!("removed {name}"));
        stale = removed.stale_processes;
    }
    say_stale(context, &stale);
    Ok(())
}

fn say_stale(context: &Context, processes: &[ProcessName]) {
    if processes.is_empty() {
        return;
    }
    let names: Vec<_> = processes.iter().map(ProcessName::as_str).collect();
    let names = names.join(", ");
    context.out.say(&format!(
        "{names} still run with what was before: `--restart`, or `sandbar app apply`"
    ));
}

const fn query(restart: bool) -> &'static str {
    if restart { "?restart=true" } else { "" }
}

async fn list(args: &ListArgs, context: &mut Context) -> Result<(), Failure> {
    let config = args.path(context).await?;
    let items: Vec<ConfigItem> = context.client.all(&config).await?;
    if context.out.is_json() {
        return context.out.json(&items);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&["NAME", "ACCESS", "CHANGED", "VALUE"]);
    for item in &items {
        table.push([
            item.key.as_str(),
            item.access.as_str(),
            &age(item.updated_at, now),
            item.value.as_deref().unwrap_or("(secret)"),
        ]);
    }
    Ok(context.out.table(&table)?)
}
