//! `sandbar net`: what a sandbox may reach, and what it did.

use std::time::Duration;

use hyper::Method;
use sandbar_api::{Sandbox, paths};
use sandbar_types::{
    NetworkChange, NetworkEntry, NetworkEntryKind, NetworkMode, NetworkSpec, NetworkWhy,
};

use crate::{
    context::Context,
    failure::{Code, Failure},
    output::{
        table::Table,
        units::{duration, size},
        visible,
    },
    select,
    spec::parse_network,
};

/// Show what a sandbox may reach and what it reached, or change it while the sandbox runs.
///
/// A RULE is a host (`example.org`), one with a port (`example.org:8443`), every name below a domain (`*.example.org`),
/// or an address with a port. `opaque:` before it lets through what is no TLS to that very host.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar net allow shop api.example.org\n  sandbar net why shop db.example.org:5432\n  sandbar net log shop"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, clap::Subcommand)]
enum Chore {
    /// Print the rules of a sandbox, beside which there are those of the server.
    #[command(after_help = "Example:\n  sandbar net show shop")]
    Show {
        /// Name or id of the sandbox.
        sandbox: String,
    },
    /// Let a sandbox reach hosts, from now on.
    #[command(
        after_help = "Examples:\n  sandbar net allow shop api.example.org '*.cdn.example.org'\n  sandbar net allow shop db.example.org:5432"
    )]
    Allow(Rules),
    /// Refuse hosts to a sandbox from now on, whatever else allows them. Connections to them end.
    #[command(after_help = "Example:\n  sandbar net deny shop registry.npmjs.org")]
    Deny(Rules),
    /// Take rules away, those that allow and those that deny.
    #[command(after_help = "Example:\n  sandbar net forget shop api.example.org")]
    Forget(Rules),
    /// Say what happens to a host that no rule names: `none`, `allow-list` or `open`.
    #[command(after_help = "Example:\n  sandbar net mode shop none")]
    Mode {
        /// Name or id of the sandbox.
        sandbox: String,
        /// `none`, `allow-list` or `open`.
        #[arg(value_parser = parse_network)]
        mode: NetworkMode,
    },
    /// Print what a sandbox reached and what it was refused, the newest last.
    ///
    /// Columns: time, host, what became of it, bytes sent and received, how long, the rule or the reason.
    #[command(after_help = "Example:\n  sandbar net log shop -n 200")]
    Log {
        /// Name or id of the sandbox.
        sandbox: String,
        /// At most so many lines.
        #[arg(short = 'n', value_name = "N", default_value_t = 50)]
        count: usize,
    },
    /// Say whether a sandbox may reach a host, by which rule, and what its addresses are. The exit code is 4 if not.
    #[command(after_help = "Example:\n  sandbar net why shop db.example.org:5432")]
    Why {
        /// Name or id of the sandbox.
        sandbox: String,
        /// A host, with or without a port; without one, 443 is meant.
        #[arg(value_name = "HOST[:PORT]")]
        host: String,
    },
}

#[derive(Debug, clap::Args)]
struct Rules {
    /// Name or id of the sandbox.
    sandbox: String,
    /// Which hosts.
    #[arg(value_name = "RULE", required = true)]
    rules: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let empty = NetworkChange::default();
    match args.chore {
        Chore::Show { sandbox } => {
            let path = path(context, &sandbox, "network").await?;
            let spec: NetworkSpec = context.client.fetch(&path).await?;
            show(context, &spec)
        }
        Chore::Allow(Rules { sandbox, rules }) => {
            change(context, &sandbox, NetworkChange { add_allow: rules, ..empty }).await
        }
        Chore::Deny(Rules { sandbox, rules }) => {
            change(context, &sandbox, NetworkChange { add_deny: rules, ..empty }).await
        }
        Chore::Forget(Rules { sandbox, rules }) => {
            change(context, &sandbox, NetworkChange { remove: rules, ..empty }).await
        }
        Chore::Mode { sandbox, mode } => {
            change(context, &sandbox, NetworkChange { mode: Some(mode), ..empty }).await
        }
        Chore::Log { sandbox, count } => log(context, &sandbox, count).await,
        Chore::Why { sandbox, host } => why(context, &sandbox, &host).await,
    }
}

/// By its id: a name could become another sandbox's between two requests.
async fn path(context: &mut Context, sandbox: &str, what: &str) -> Result<String, Failure> {
    let Sandbox { id, .. } = select::sandbox(context, Some(sandbox)).await?;
    Ok(paths::below_sandbox(&id.to_string(), what))
}

async fn change(
    context: &mut Context,
    sandbox: &str,
    change: NetworkChange,
) -> Result<u8, Failure> {
    let path = path(context, sandbox, "network").await?;
    let spec: NetworkSpec = context.client.call(Method::PATCH, &path, Some(&change)).await?;
    if context.out.is_json() {
        context.out.json(&spec)?;
    }
    Ok(0)
}

fn show(context: &Context, spec: &NetworkSpec) -> Result<u8, Failure> {
    let out = context.out;
    if out.is_json() {
        out.json(spec)?;
        return Ok(0);
    }
    let mode = match spec.mode {
        NetworkMode::None => "none",
        NetworkMode::AllowList => "allow-list",
        NetworkMode::Open => "open",
    };
    out.line(&format!("mode   {mode}"))?;
    for rule in &spec.allow {
        out.line(&format!("allow  {}", visible::line(rule)))?;
    }
    for rule in &spec.deny {
        out.line(&format!("deny   {}", visible::line(rule)))?;
    }
    Ok(0)
}

async fn log(context: &mut Context, sandbox: &str, count: usize) -> Result<u8, Failure> {
    let path = path(context, sandbox, "network/log").await?;
    let mut entries: Vec<NetworkEntry> = context.client.first(&path, count).await?;
    entries.reverse();
    if context.out.is_json() {
        context.out.json(&entries)?;
        return Ok(0);
    }
    let mut table = Table::new(&["TIME", "HOST", "WHAT", "SENT", "RECEIVED", "FOR", "WHY"]);
    for entry in &entries {
        table.push(row(entry));
    }
    context.out.table(&table)?;
    Ok(0)
}

fn row(entry: &NetworkEntry) -> [String; 7] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let (what, why) = match entry.what {
        NetworkEntryKind::Denied => ("denied", &entry.reason),
        NetworkEntryKind::Closed => (entry.end.as_deref().unwrap_or("closed"), &entry.rule),
    };
    [
        entry.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        visible::line(format!("{}:{}", entry.host, entry.port)),
        visible::line(what),
        or_dash(entry.sent_bytes.map(size)),
        or_dash(entry.received_bytes.map(size)),
        or_dash(entry.duration_ms.map(|ms| duration(Duration::from_millis(ms)))),
        or_dash(why.as_deref().map(visible::line)),
    ]
}

async fn why(context: &mut Context, sandbox: &str, host: &str) -> Result<u8, Failure> {
    let path = path(context, sandbox, "network/why").await?;
    let query = format!("{path}?host={}", paths::escape(host.as_bytes()));
    let why: NetworkWhy = context.client.fetch(&query).await?;
    let code = if why.allowed { 0 } else { Code::Refused as u8 };
    let out = context.out;
    if out.is_json() {
        out.json(&why)?;
        return Ok(code);
    }
    let verdict = if why.allowed { "allowed" } else { "not reached" };
    out.line(&format!(
        "{}: {verdict}: {}",
        visible::line(&why.target),
        visible::line(&why.message)
    ))?;
    for address in &why.addresses {
        let verdict = if address.allowed { "allowed" } else { "refused" };
        out.line(&format!("  {verdict}  {}, {}", address.address, visible::line(&address.kind)))?;
    }
    if let Some(hint) = &why.hint {
        out.line(&format!("to allow it: {}", visible::line(hint)))?;
    }
    Ok(code)
}
