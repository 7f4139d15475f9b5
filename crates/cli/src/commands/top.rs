//! `sandbar top`: what sandboxes use now, one screen that refreshes.

mod rows;
mod screen;

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use sandbar_api::{SandboxUsage, paths};
use sandbar_types::{SandboxId, SandboxState};
use tokio::time::Instant;

use self::{
    rows::{Row, Sort, sorted, table},
    screen::{Next, Screen},
};
use crate::{context::Context, failure::Failure, select};

/// How often the screen is painted.
const REFRESH: Duration = Duration::from_secs(2);
/// Between the two looks of `--once`: processor time is a difference.
const GLANCE: Duration = Duration::from_millis(500);

/// Show what sandboxes use now: processor, memory, processes, disk; `q` quits.
///
/// Columns: name, state, processor (100% is one), memory, processes and threads, changed files on disk, time since
/// somebody used it. Without a terminal, and with `--json`, it is shown once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  sandbar top --sort cpu\n  sandbar top --once --json")]
pub(crate) struct Args {
    /// Show it once, and end.
    #[arg(long)]
    once: bool,
    /// What comes first: the most of it.
    #[arg(long, value_enum, value_name = "COLUMN", default_value_t)]
    sort: Sort,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    let before = look(context).await?;
    if !args.once && !out.is_json() && crate::terminal::is_interactive() {
        return watch(args.sort, before, context).await;
    }
    tokio::time::sleep(GLANCE).await;
    let rows = sorted(look(context).await?.rows(&before), args.sort);
    if out.is_json() {
        out.json(&rows)?;
    } else if rows.is_empty() {
        out.say("no sandboxes; make one with `sandbar run -- COMMAND`");
    } else {
        out.table(&table(&rows))?;
    }
    Ok(0)
}

async fn watch(sort: Sort, mut before: Look, context: &mut Context) -> Result<u8, Failure> {
    let mut screen = Screen::open()?;
    loop {
        // Only an end may give up a look: half of an answer would be left on the connection.
        let now = tokio::select! {
            looked = look(context) => looked?,
            code = screen.end() => return code,
        };
        let rows = sorted(now.rows(&before), sort);
        screen.paint(&rows)?;
        before = now;
        let refresh = Instant::now() + REFRESH;
        loop {
            let next = tokio::select! {
                () = tokio::time::sleep_until(refresh) => break,
                next = screen.next() => next?,
            };
            match next {
                Next::End(code) => return Ok(code),
                Next::Again => screen.paint(&rows)?,
                Next::Suspend => {
                    screen = screen.suspend()?;
                    screen.paint(&rows)?;
                }
                Next::Nothing => {}
            }
        }
    }
}

/// All sandboxes at one moment.
#[derive(Debug)]
struct Look {
    at: Instant,
    now: Timestamp,
    found: Vec<(sandbar_api::Sandbox, SandboxUsage)>,
}

async fn look(context: &mut Context) -> Result<Look, Failure> {
    let mut found = Vec::new();
    for sandbox in select::list(context, "").await? {
        let usage = match &sandbox.state {
            SandboxState::Running | SandboxState::Paused => {
                let path = paths::below_sandbox(&sandbox.id.to_string(), "usage");
                // One that was deleted meanwhile uses nothing.
                context.client.fetch(&path).await.ok()
            }
            // Nothing runs: what the record says is enough, and costs no walk.
            SandboxState::Creating
            | SandboxState::Stopping
            | SandboxState::Stopped
            | SandboxState::Failed { .. }
            | SandboxState::Deleting => None,
        };
        let usage = usage.unwrap_or(SandboxUsage {
            memory_bytes: None,
            pids: None,
            cpu_us: None,
            oom_kills: None,
            upper_bytes: sandbox.upper_bytes,
            upper_files: sandbox.upper_files,
            home_bytes: 0,
            logs_bytes: 0,
        });
        found.push((sandbox, usage));
    }
    Ok(Look { at: Instant::now(), now: Timestamp::now(), found })
}

impl Look {
    /// What is to be shown, after what was seen before.
    fn rows(&self, before: &Self) -> Vec<Row> {
        let elapsed = self.at.saturating_duration_since(before.at);
        let earlier: BTreeMap<SandboxId, u64> = before
            .found
            .iter()
            .filter_map(|(sandbox, usage)| Some((sandbox.id, usage.cpu_us?)))
            .collect();
        let row = |(sandbox, usage): &(sandbar_api::Sandbox, SandboxUsage)| {
            let cpu_us = earlier.get(&sandbox.id).copied().zip(usage.cpu_us);
            Row::of(sandbox, usage, rows::cpu_millis(cpu_us, elapsed), self.now)
        };
        self.found.iter().map(row).collect()
    }
}
