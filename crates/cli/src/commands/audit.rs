//! `sandbar audit`: who asked for what.

use http_body_util::BodyExt;
use hyper::Method;
use jiff::Timestamp;
use sandbar_api::{AuditFormat, AuditRecord, paths};
use sandbar_types::AccountName;

use crate::{
    approves::actor, client::lost, context::Context, failure::Failure, output::table::Table,
};

/// Show who asked for what that changes something, the newest last. For administrators.
///
/// Columns: time, who, action, about what, outcome, request.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar audit --action sandbox.deleted\n  sandbar audit --since 2026-01-01T00:00:00Z --export csv > audit.csv"
)]
pub(crate) struct Args {
    /// Only by this actor: the id of a user or a key, `user:UID`, or `token`.
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Only this action, for example `secret.updated`.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only about this, by its id.
    #[arg(long, value_name = "ID")]
    target: Option<String>,
    /// Not from before, for example 2026-01-31T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// From before.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Only of this tenant; default: yours, and for who runs the server all.
    #[arg(long, value_name = "TENANT")]
    tenant: Option<AccountName>,
    /// At most so many lines.
    #[arg(short = 'n', value_name = "N", default_value_t = 50)]
    count: usize,
    /// Print all of it, oldest first, for programs: jsonl or csv.
    #[arg(long, value_name = "FORMAT", value_parser = format, conflicts_with = "count")]
    export: Option<AuditFormat>,
}

fn format(text: &str) -> Result<AuditFormat, &'static str> {
    match text {
        "jsonl" => Ok(AuditFormat::Jsonl),
        "csv" => Ok(AuditFormat::Csv),
        _ => Err("not one of jsonl, csv"),
    }
}

impl Args {
    /// The query that says it, to be gone on with.
    fn query(&self) -> String {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        [
            ("actor", self.actor.clone()),
            ("action", self.action.clone()),
            ("target", self.target.clone()),
            ("since", time(self.since)),
            ("until", time(self.until)),
            ("tenant", self.tenant.as_ref().map(ToString::to_string)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .fold(String::new(), |query, (name, value)| {
            format!("{query}&{name}={}", paths::escape(value.as_bytes()))
        })
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let query = args.query();
    if let Some(format) = args.export {
        export(context, format, &query).await?;
        return Ok(0);
    }
    let lines = last(context, &query, args.count).await?;
    if context.out.is_json() {
        context.out.json(&lines)?;
        return Ok(0);
    }
    let mut table = Table::new(&["TIME", "WHO", "ACTION", "ABOUT", "OUTCOME", "REQUEST"]);
    for line in &lines {
        let outcome = line
            .error_code
            .as_ref()
            .map_or_else(|| line.outcome.to_string(), |code| format!("{}: {code}", line.outcome));
        table.push([
            line.at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            actor(&line.actor),
            line.action.clone(),
            line.target.as_ref().map_or_else(|| "-".to_owned(), |target| target.id.clone()),
            outcome,
            line.request_id.clone(),
        ]);
    }
    context.out.table(&table)?;
    Ok(0)
}

async fn last(
    context: &mut Context,
    query: &str,
    count: usize,
) -> Result<Vec<AuditRecord>, Failure> {
    let path = format!("{}?{}", paths::AUDIT, query.trim_start_matches('&'));
    let mut lines: Vec<AuditRecord> = context.client.first(&path, count).await?;
    lines.reverse();
    Ok(lines)
}

/// Everything is escaped by its format already.
async fn export(context: &mut Context, format: AuditFormat, query: &str) -> Result<(), Failure> {
    let format = match format {
        AuditFormat::Jsonl => "jsonl",
        AuditFormat::Csv => "csv",
    };
    let path = format!("{}?format={format}{query}", paths::AUDIT_EXPORT);
    let mut body = context.client.send(Method::GET, &path, None).await?.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| lost("the export was cut off").caused_by(&error))?;
        if let Ok(bytes) = frame.into_data() {
            context.out.raw(&bytes)?;
        }
    }
    Ok(())
}
