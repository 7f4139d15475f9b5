//! `sandbar diff`: what changed, as a unified diff.

use std::ffi::OsString;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;
use sandbar_api::{Sandbox, paths};
use sandbar_types::WorkspacePath;

use crate::{
    client::lost,
    commands::changes::fetch_changes,
    context::Context,
    failure::Failure,
    output::{
        changes::{counts, part_ignored},
        paint::Painter,
        units::counted,
        visible::{self, Place},
    },
    select::{self, Paths},
};

/// Columns of the graph of `--stat`.
const GRAPH_WIDTH: u64 = 40;

/// Show what changed as a unified diff.
///
/// On a terminal it is colored, and whatever a terminal would obey is written out (`\x1b`). In a pipe or a file it
/// is exact to the byte, binary files included, so that `git apply` takes it. What the ignore rules of your directory
/// leave out is there only when you name it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar diff\n  sandbar diff calm-bay src | git apply --check"
)]
pub(crate) struct Args {
    /// Name or id of the sandbox (default: the only one over the current directory), then paths; default: all.
    #[arg(value_name = "[SANDBOX] PATH")]
    words: Vec<OsString>,
    /// Show only how many lines changed in each file.
    #[arg(long)]
    stat: bool,
    /// Write exact bytes to a terminal as well.
    #[arg(long, conflicts_with = "stat")]
    raw: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let (sandbox, words) = select::sandbox_and_paths(context, &args.words).await?;
    let paths = select::workspace_paths(&sandbox, &words)?;
    if args.stat || context.out.is_json() {
        return stat(context, &sandbox, &paths).await;
    }
    let mut writer = Writer::new(context, args.raw);
    match paths {
        Paths::All => show(context, &sandbox, None, &mut writer).await?,
        Paths::Some(paths) => {
            for path in &paths {
                show(context, &sandbox, Some(path), &mut writer).await?;
            }
        }
    }
    writer.finish(context)?;
    Ok(0)
}

async fn show(
    context: &mut Context,
    sandbox: &Sandbox,
    path: Option<&WorkspacePath>,
    writer: &mut Writer,
) -> Result<(), Failure> {
    let query = path.map_or_else(String::new, |path| format!("?{}", select::path_query(path)));
    let address = format!("{}{query}", paths::below_sandbox(&sandbox.id.to_string(), "diff"));
    let out = context.out;
    let response =
        out.during("making the diff", context.client.send(Method::GET, &address, None)).await?;
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| lost("the diff was cut off").caused_by(&error))?;
        if let Ok(bytes) = frame.into_data() {
            writer.write(context, &bytes)?;
        }
    }
    Ok(())
}

/// Shows a whole patch as `sandbar diff` shows one.
pub(super) fn show_patch(context: &Context, patch: &Bytes) -> Result<(), Failure> {
    let mut writer = Writer::new(context, false);
    writer.write(context, patch)?;
    writer.finish(context)
}

/// Writes a diff as it comes: exact bytes, or line by line for people.
enum Writer {
    Exact,
    Lines { painter: Painter, is_colored: bool, rest: Vec<u8> },
}

impl Writer {
    fn new(context: &Context, is_raw: bool) -> Self {
        if is_raw || !context.out.stdout_is_terminal() {
            return Self::Exact;
        }
        Self::Lines {
            painter: Painter::default(),
            is_colored: context.out.is_colored(),
            rest: Vec::new(),
        }
    }

    fn write(&mut self, context: &Context, bytes: &Bytes) -> Result<(), Failure> {
        let (painter, is_colored, rest) = match self {
            Self::Exact => return Ok(context.out.raw(bytes)?),
            Self::Lines { painter, is_colored, rest } => (painter, *is_colored, rest),
        };
        rest.extend_from_slice(bytes);
        let Some(end) = rest.iter().rposition(|b| *b == b'\n') else {
            return Ok(());
        };
        let mut shown = String::new();
        for line in rest[..end].split(|b| *b == b'\n') {
            shown.push_str(&shown_line(painter, is_colored, line));
            shown.push('\n');
        }
        rest.drain(..=end);
        Ok(context.out.raw(shown.as_bytes())?)
    }

    fn finish(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Lines { mut painter, is_colored, rest } if !rest.is_empty() => {
                Ok(context.out.line(&shown_line(&mut painter, is_colored, &rest))?)
            }
            Self::Exact | Self::Lines { .. } => Ok(()),
        }
    }
}

fn shown_line(painter: &mut Painter, is_colored: bool, line: &[u8]) -> String {
    if is_colored { painter.line(line) } else { visible::escape(line, Place::Text) }
}

async fn stat(context: &mut Context, sandbox: &Sandbox, paths: &Paths) -> Result<u8, Failure> {
    let mut set = fetch_changes(context, &sandbox.id.to_string()).await?;
    if let Paths::Some(paths) = paths {
        set.changes.retain(|change| paths.iter().any(|path| change.path.is_within(path)));
    }
    let out = context.out;
    if out.is_json() {
        out.json(&set)?;
        return Ok(0);
    }
    let ignored;
    (set.changes, ignored) = part_ignored(set.changes);
    let shown: Vec<_> =
        set.changes.iter().map(|change| visible::line(change.path.as_bytes())).collect();
    let width = shown.iter().map(|path| path.chars().count()).max().unwrap_or(0);
    let most = set
        .changes
        .iter()
        .filter_map(|change| change.lines)
        .map(|lines| lines.added + lines.removed)
        .max()
        .unwrap_or(0);
    for (change, path) in set.changes.iter().zip(&shown) {
        let graph = match change.lines {
            Some(lines) => graph(lines.added, lines.removed, most),
            None if change.binary => "binary".to_owned(),
            None => String::new(),
        };
        out.line(format!(" {path:width$} | {graph}").trim_end())?;
    }
    out.line(&format!(
        " {}{}",
        counted(set.changes.len(), "change"),
        match counts(&set.changes) {
            counts if counts.is_empty() => counts,
            counts => format!(": {counts}"),
        }
    ))?;
    if !ignored.is_empty() {
        out.say(&format!("ignored by your rules: {}", ignored.in_words()));
    }
    Ok(0)
}

/// `12 ++++++---`, scaled down when the longest would not fit. Something is never scaled to nothing.
fn graph(added: u64, removed: u64, most: u64) -> String {
    let scale = |count: u64| match count {
        0 => 0,
        count if most <= GRAPH_WIDTH => count,
        count => (count * GRAPH_WIDTH / most).max(1),
    };
    let run = |c: &str, count: u64| c.repeat(usize::try_from(scale(count)).unwrap_or(usize::MAX));
    format!("{} {}{}", added + removed, run("+", added), run("-", removed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_fits_and_hides_nothing() {
        assert_eq!(graph(3, 2, 5), "5 +++--");
        assert_eq!(graph(0, 0, 5), "0 ");
        let long = graph(1000, 1, 1001);
        assert!(long.ends_with("+-") && long.len() < 50, "{long}");
    }
}
