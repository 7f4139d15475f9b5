//! `sandbar changes`: the paths that differ.

use sandbar_api::{ChangesPage, Hunk, LineKind, paths};
use sandbar_types::{Change, ChangeSet};

use crate::{
    client::Client,
    context::Context,
    failure::{Code, Failure},
    output::{
        changes::{Ignored, counts, flag_names, letter, lines, part_ignored},
        table::Table,
        units::counted,
    },
    picks, select,
};

/// LIMIT: how often to begin again when a command inside changes files while we read page by page.
const ATTEMPTS_MAX: u32 = 10;

/// List the paths that differ from your directory.
///
/// A added, M modified, D deleted, T type changed, X mode changed, P only extended attributes changed.
/// Columns: letter, path, lines, flags. Flags say what to look at twice before approving.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar changes calm-bay --json")]
pub(crate) struct Args {
    /// Name or id of the sandbox; default: the only one over the current directory.
    #[arg(value_name = "SANDBOX")]
    sandbox: Option<String>,
    /// List hunks: path, id, range, and the numbers of the lines that differ, for `--hunk` of approve and reject.
    #[arg(long)]
    hunks: bool,
    /// List as well what the ignore rules of your directory (`.gitignore`) leave out.
    #[arg(long)]
    ignored: bool,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let sandbox = select::reference(context, args.sandbox.as_deref()).await?;
    let out = context.out;
    let set = out.during("looking at the changes", fetch_changes(context, &sandbox)).await?;
    if args.hunks {
        return hunks(context, &sandbox, &set).await;
    }
    if out.is_json() {
        out.json(&set)?;
        return Ok(0);
    }
    let (changes, ignored) = match args.ignored {
        true => (set.changes, Ignored::default()),
        false => part_ignored(set.changes),
    };
    match changes.is_empty() {
        true => out.say("no changes"),
        false => {
            out.table(&table(&changes))?;
            out.say(&format!("{} ({})", counted(changes.len(), "change"), counts(&changes)));
        }
    }
    if !ignored.is_empty() {
        out.say(&format!("ignored by your rules: {}; see --ignored", ignored.in_words()));
    }
    Ok(0)
}

/// Every change of one instant. Pages of different instants do not mix: the server says so, and we begin again.
pub(crate) async fn fetch_changes(
    context: &mut Context,
    sandbox: &str,
) -> Result<ChangeSet, Failure> {
    fetch_all(&mut context.client, sandbox).await
}

/// As [`fetch_changes`], for whoever has only the client.
pub(crate) async fn fetch_all(client: &mut Client, sandbox: &str) -> Result<ChangeSet, Failure> {
    let path = paths::below_sandbox(sandbox, "changes");
    let mut attempt = 0;
    loop {
        attempt += 1;
        match fetch_pages(client, &path).await {
            Err(failure) if failure.code() == Code::Refused && attempt < ATTEMPTS_MAX => {}
            done => return done,
        }
    }
}

async fn fetch_pages(client: &mut Client, path: &str) -> Result<ChangeSet, Failure> {
    let mut page: ChangesPage = client.fetch(&format!("{path}?limit=200")).await?;
    let mut set = ChangeSet { diff_id: page.diff_id, changes: page.items };
    while let Some(cursor) = page.next_cursor {
        page = client
            .fetch(&format!("{path}?limit=200&cursor={}", paths::escape(cursor.as_bytes())))
            .await?;
        set.changes.append(&mut page.items);
    }
    Ok(set)
}

/// The hunks of every change that has any.
async fn hunks(context: &mut Context, sandbox: &str, set: &ChangeSet) -> Result<u8, Failure> {
    let out = context.out;
    let mut files = Vec::new();
    let work = async {
        for change in set.changes.iter().filter(|change| change.lines.is_some()) {
            files.push(picks::fetch_hunks(&mut context.client, sandbox, &change.path).await?);
        }
        Ok::<(), Failure>(())
    };
    out.during("looking at the hunks", work).await?;
    files.retain(|file| !file.hunks.is_empty());
    if out.is_json() {
        out.json(&files)?;
        return Ok(0);
    }
    let mut table = Table::new(&["PATH", "HUNK", "RANGE", "LINES"]);
    for file in &files {
        for hunk in &file.hunks {
            let Hunk { old_start, old_lines, new_start, new_lines, .. } = hunk;
            let changed = (0_u32..)
                .zip(&hunk.lines)
                .filter(|(_number, line)| line.kind != LineKind::Context)
                .map(|(number, _line)| number);
            table.push([
                file.path.as_bytes().to_vec(),
                hunk.id.to_string().into_bytes(),
                format!("-{old_start},{old_lines} +{new_start},{new_lines}").into_bytes(),
                picks::line_ranges(changed).into_bytes(),
            ]);
        }
    }
    out.table(&table)?;
    Ok(0)
}

fn table(changes: &[Change]) -> Table {
    let mut table = Table::new(&["", "PATH", "LINES", "FLAGS"]);
    for change in changes {
        let mut path = change.path.as_bytes().to_vec();
        if let Some(from) = &change.renamed_from {
            path.extend_from_slice(b" (was ");
            path.extend_from_slice(from.as_bytes());
            path.push(b')');
        }
        table.push([
            letter(change.kind).to_string().into_bytes(),
            path,
            lines(change).into_bytes(),
            flag_names(&change.flags).into_bytes(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use sandbar_types::{ChangeFlag, ChangeKind};

    use super::*;
    use crate::sample::change;

    #[test]
    fn hostile_names_stay_on_their_line() {
        let mut odd = change(b"a\nb\x1b]52;c;eA==\x07\xff", ChangeKind::Added);
        odd.flags.insert(ChangeFlag::NameControlChars);
        let shown = table(&[odd, change("src/main.rs", ChangeKind::Modified)]).plain();
        assert_eq!(
            shown,
            "A\ta\\nb\\x1b]52;c;eA==\\x07\\xff\t+2 -1\tname_control_chars\nM\tsrc/main.rs\t+2 -1\t\n"
        );
    }
}
