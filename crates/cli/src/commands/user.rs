//! `sandbar user`: who may log in.

use hyper::Method;
use sandbar_api::{
    Secret, User, UserCreateRequest, UserUpdateRequest,
    paths::{self, one_of},
};
use sandbar_types::{AccountName, Role};

use crate::{client::Client, context::Context, failure::Failure, output::table::Table, secret};

/// Look after the users of a tenant. Passwords are typed, or read from stdin; they are never arguments.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  sandbar user add ada --role admin\n  sandbar user passwd ada < password.txt\n  sandbar user ls"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Add a user, with a password.
    Add(AddArgs),
    /// List users. Columns: name, role, id.
    Ls(ListArgs),
    /// Remove a user; sessions and keys of the user end.
    Rm(OneArgs),
    /// Give a user a new password; the user's sessions end.
    Passwd(OneArgs),
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// The user's name.
    name: AccountName,
    /// What the user may do: viewer, member, admin.
    #[arg(long, value_name = "ROLE", default_value = "member")]
    role: Role,
    #[command(flatten)]
    tenant: ListArgs,
}

#[derive(Debug, clap::Args)]
struct OneArgs {
    /// The user's name.
    name: AccountName,
    #[command(flatten)]
    tenant: ListArgs,
}

/// Which tenant a command is about.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Of this tenant; default: your own.
    #[arg(long, value_name = "NAME")]
    tenant: Option<AccountName>,
}

impl ListArgs {
    /// `path`, of the tenant.
    pub(crate) fn of(&self, path: &str) -> String {
        match &self.tenant {
            None => path.to_owned(),
            Some(name) => format!("{path}?tenant={}", paths::escape(name.as_str().as_bytes())),
        }
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    match args.command {
        Command::Add(args) => {
            let password = Some(Secret(secret::new_password("Password")?));
            let request = UserCreateRequest { name: args.name, role: args.role, password };
            let made: User = context.client.post(&args.tenant.of(paths::USERS), &request).await?;
            if out.is_json() {
                out.json(&made)?;
            } else {
                out.say(&format!("added `{}`, {}", made.name, made.role));
            }
        }
        Command::Ls(args) => list(&args, context).await?,
        Command::Rm(args) => {
            let path = find(&mut context.client, &args).await?;
            context.client.order(Method::DELETE, &path, None::<&()>).await?;
            out.say(&format!("removed `{}`", args.name));
        }
        Command::Passwd(args) => {
            let path = find(&mut context.client, &args).await?;
            let password = Some(Secret(secret::new_password("New password")?));
            let request = UserUpdateRequest { role: None, password };
            context.client.order(Method::PATCH, &path, Some(&request)).await?;
            out.say(&format!("`{}` has a new password", args.name));
        }
    }
    Ok(0)
}

async fn list(args: &ListArgs, context: &mut Context) -> Result<(), Failure> {
    let users = context.client.all::<User>(&args.of(paths::USERS)).await?;
    if context.out.is_json() {
        return context.out.json(&users);
    }
    let mut table = Table::new(&["NAME", "ROLE", "ID"]);
    for user in &users {
        table.push([user.name.as_str(), user.role.as_str(), &user.id.to_string()]);
    }
    Ok(context.out.table(&table)?)
}

async fn find(client: &mut Client, args: &OneArgs) -> Result<String, Failure> {
    let users = client.all::<User>(&args.tenant.of(paths::USERS)).await?;
    let found = users.into_iter().find(|user| user.name == args.name).ok_or_else(|| {
        Failure::not_found(format!("there is no user `{}`", args.name))
            .hint("`sandbar user ls` lists them")
    })?;
    Ok(args.tenant.of(&one_of(paths::USERS, &found.id.to_string())))
}
