//! `sandbar key`: what programs show to be let in.

use std::time::Duration;

use hyper::Method;
use jiff::Timestamp;
use sandbar_api::{
    ApiKey, ApiKeyCreateRequest, ApiKeyCreated,
    paths::{self, one_of},
};
use sandbar_types::{ApiKeyId, KeyName, Role, Scope};

use crate::{
    commands::{ls::age, user::ListArgs},
    context::Context,
    failure::Failure,
    output::{table::Table, units},
};

/// Look after API keys. A program sends one as `Authorization: Bearer`, or has it in SANDBAR_TOKEN.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  sandbar key create ci --role member --expires-in 30d > key.txt\n  sandbar key create dashboard --scope read\n  sandbar key ls"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key and print it. It is shown this once.
    Create(CreateArgs),
    /// List keys. Columns: name, begins with, role, scopes, last used, id.
    Ls(ListArgs),
    /// End keys at once, by their ids.
    Rm(RemoveArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// What it is for.
    name: KeyName,
    /// What it may do at most: viewer, member, admin; default: what you may.
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// What of that it may ask for: read, write, review, admin; default: all of it.
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Option<Vec<Scope>>,
    /// When it ends, from now, for example 30d; default: never.
    #[arg(long, value_name = "TIME", value_parser = units::parse_duration)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    tenant: ListArgs,
}

#[derive(Debug, clap::Args)]
struct RemoveArgs {
    /// The ids, as `sandbar key ls` shows them.
    #[arg(value_name = "ID", required = true)]
    ids: Vec<ApiKeyId>,
    #[command(flatten)]
    tenant: ListArgs,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    match args.command {
        Command::Create(args) => create(args, context).await?,
        Command::Ls(args) => list(&args, context).await?,
        Command::Rm(args) => {
            for id in &args.ids {
                let path = args.tenant.of(&one_of(paths::API_KEYS, &id.to_string()));
                context.client.order(Method::DELETE, &path, None::<&()>).await?;
                context.out.say(&format!("removed {id}"));
            }
        }
    }
    Ok(0)
}

async fn create(args: CreateArgs, context: &mut Context) -> Result<(), Failure> {
    let CreateArgs { name, role, scopes, expires_in, tenant } = args;
    let expires_at = match expires_in {
        None => None,
        Some(time) => Some(
            Timestamp::now()
                .checked_add(time)
                .map_err(|error| Failure::usage("`--expires-in` is too long").caused_by(&error))?,
        ),
    };
    let request = ApiKeyCreateRequest { name, role, scopes, expires_at };
    let made: ApiKeyCreated = context.client.post(&tenant.of(paths::API_KEYS), &request).await?;
    if context.out.is_json() {
        return context.out.json(&made);
    }
    context.out.line(&made.secret.0)?;
    context.out.say("keep it now: it is not shown again");
    Ok(())
}

async fn list(args: &ListArgs, context: &mut Context) -> Result<(), Failure> {
    let keys = context.client.all::<ApiKey>(&args.of(paths::API_KEYS)).await?;
    if context.out.is_json() {
        return context.out.json(&keys);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&["NAME", "BEGINS", "ROLE", "SCOPES", "USED", "ID"]);
    for key in &keys {
        let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        table.push([
            key.name.as_str(),
            &key.prefix,
            key.role.as_str(),
            &scopes.join(","),
            &key.last_used_at.map_or_else(|| "-".to_owned(), |used| age(used, now)),
            &key.id.to_string(),
        ]);
    }
    Ok(context.out.table(&table)?)
}
