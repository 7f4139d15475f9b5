//! `sandbar timeline`: what became of a sandbox's files, point by point.

use jiff::Timestamp;
use sandbar_api::{Approve, Checkpoint, paths};
use serde::Serialize;

use crate::{
    approves::actor,
    checkpoints::{list, short, what},
    commands::ls::age,
    context::Context,
    failure::Failure,
    output::{table::Table, units::counted},
    select,
};

/// Show the points of a sandbox's past: its checkpoints and what was approved of it, the newest first.
///
/// Columns: when, id (its end), what. `sandbar checkpoint` compares them and goes back to one.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar timeline cart")]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
}

/// One point.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "type")]
enum Point {
    Checkpoint(Checkpoint),
    Approve(Approve),
}

impl Point {
    fn at(&self) -> Timestamp {
        match self {
            Self::Checkpoint(one) => one.created_at,
            Self::Approve(one) => one.at,
        }
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::sandbox(context, args.sandbox.as_deref()).await?.id.to_string();
    let checkpoints = list(context, &sandbox).await?.into_iter().map(Point::Checkpoint);
    let mut points: Vec<_> = checkpoints.collect();
    let path = format!("{}?sandbox={sandbox}", paths::APPROVES);
    let approves = context.client.all(&path).await?;
    points.extend(approves.into_iter().map(Point::Approve));
    points.sort_by_key(|point| std::cmp::Reverse(point.at()));
    let out = context.out;
    if out.is_json() {
        out.json(&points)?;
        return Ok(0);
    }
    if points.is_empty() {
        out.say("nothing yet: `sandbar checkpoint make` makes a point");
        return Ok(0);
    }
    out.table(&table(&points, Timestamp::now()))?;
    Ok(0)
}

fn table(points: &[Point], now: Timestamp) -> Table {
    let mut table = Table::new(&["AGE", "ID", "WHAT"]);
    for point in points {
        let age = age(point.at(), now);
        match point {
            Point::Checkpoint(one) => table.push([age, short(one), what(one)]),
            Point::Approve(one) => {
                let paths = counted(usize::try_from(one.paths_total).unwrap_or(usize::MAX), "path");
                let id = one.id.to_string();
                let id = id[id.len().saturating_sub(8)..].to_owned();
                let verb = if one.undoes.is_some() { "undone" } else { "approved" };
                table.push([age, id, format!("{verb}: {paths}, by {}", actor(&one.actor))]);
            }
        }
    }
    table
}
