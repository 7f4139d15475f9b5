//! `sandbar tenant`: who shares the server without seeing each other.

use std::path::PathBuf;

use hyper::Method;
use sandbar_api::{
    Tenant, TenantCreateRequest, TenantUpdateRequest,
    paths::{self, one_of},
};
use sandbar_types::{AccountName, HostPath, Quota};

use crate::{
    context::Context,
    failure::Failure,
    output::{table::Table, units},
};

/// Look after tenants: what one of them has, no other one sees. For who runs the server.
#[derive(Debug, clap::Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  sandbar tenant add blue --sources /srv/blue --sandboxes 20 --memory 64G\n  sandbar tenant quota blue --requests 600\n  sandbar tenant ls"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a tenant.
    Add(SetArgs),
    /// List tenants. Columns: name, quota, sources, id.
    Ls,
    /// Set what a tenant may have, all of it anew. What it has already stays.
    Quota(SetArgs),
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// The tenant's name.
    name: AccountName,
    /// Sandboxes at once.
    #[arg(long, value_name = "N")]
    sandboxes: Option<u64>,
    /// Memory of all its sandboxes.
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    memory: Option<u64>,
    /// Disk of all its sandboxes.
    #[arg(long, value_name = "SIZE", value_parser = units::parse_size)]
    disk: Option<u64>,
    /// Processes of all its sandboxes.
    #[arg(long, value_name = "N")]
    processes: Option<u64>,
    /// Requests in a minute of each user and each key.
    #[arg(long, value_name = "N")]
    requests: Option<u32>,
    /// A directory that sandboxes may be made over, or over what is below it; may be given several times.
    #[arg(long, value_name = "DIR")]
    sources: Vec<PathBuf>,
}

impl SetArgs {
    fn quota(&self) -> Quota {
        Quota {
            sandboxes: self.sandboxes,
            memory_bytes: self.memory,
            disk_bytes: self.disk,
            processes: self.processes,
            requests_per_minute: self.requests,
        }
    }

    fn source_roots(&self) -> Result<Vec<HostPath>, Failure> {
        self.sources
            .iter()
            .map(|path| {
                HostPath::parse(path.as_path()).map_err(|error| {
                    Failure::usage(format!("`{}` cannot be used", path.display())).caused_by(&error)
                })
            })
            .collect()
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    match args.command {
        Command::Add(args) => {
            let (quota, source_roots) = (args.quota(), args.source_roots()?);
            let request = TenantCreateRequest { name: args.name, quota, source_roots };
            let made: Tenant = context.client.post(paths::TENANTS, &request).await?;
            if out.is_json() {
                out.json(&made)?;
            } else {
                out.say(&format!("made tenant `{}`", made.name));
            }
        }
        Command::Ls => list(context).await?,
        Command::Quota(args) => {
            let roots = args.source_roots()?;
            let request = TenantUpdateRequest {
                quota: Some(args.quota()),
                source_roots: (!roots.is_empty()).then_some(roots),
            };
            let path = one_of(paths::TENANTS, args.name.as_str());
            context.client.order(Method::PATCH, &path, Some(&request)).await?;
            out.say(&format!("tenant `{}` may have: {}", args.name, shown(&args.quota())));
        }
    }
    Ok(0)
}

async fn list(context: &mut Context) -> Result<(), Failure> {
    let tenants = context.client.all::<Tenant>(paths::TENANTS).await?;
    if context.out.is_json() {
        return context.out.json(&tenants);
    }
    let mut table = Table::new(&["NAME", "QUOTA", "SOURCES", "ID"]);
    for tenant in &tenants {
        let sources = match &tenant.source_roots {
            None => "anywhere".to_owned(),
            Some(roots) if roots.is_empty() => "none".to_owned(),
            Some(roots) => roots.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let id = tenant.id.to_string();
        table.push([tenant.name.as_str(), &shown(&tenant.quota), &sources, &id]);
    }
    Ok(context.out.table(&table)?)
}

/// A quota in a few words.
fn shown(quota: &Quota) -> String {
    let parts: Vec<_> = [
        quota.sandboxes.map(|most| format!("{most} sandboxes")),
        quota.memory_bytes.map(|most| format!("{} memory", units::size(most))),
        quota.disk_bytes.map(|most| format!("{} disk", units::size(most))),
        quota.processes.map(|most| format!("{most} processes")),
        quota.requests_per_minute.map(|most| format!("{most} requests a minute")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() { "no quota".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_shown_in_a_few_words() {
        assert_eq!(shown(&Quota::default()), "no quota");
        let quota = Quota { sandboxes: Some(2), memory_bytes: Some(1 << 30), ..Quota::default() };
        assert_eq!(shown(&quota), "2 sandboxes, 1.0 GiB memory");
    }
}
