//! What was rejected, with the person's words, for whoever works in the sandbox next: a file inside, and the API.
//!
//! The record is a file of the sandbox that the sandbox cannot reach, one JSON line for each reject. The file inside is
//! written from it; what the sandbox does to that one changes nothing here. It lies in a directory at the top of the
//! workspace whose name is ours, so that it is never a change, and that git ignores by itself.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::PathBuf,
    sync::Arc,
};

use jiff::Timestamp;
use sandbar_runtime::View;
use sandbar_types::{SandboxId, Selection, WorkspacePath};
use sandbar_workspace::{
    ChangeLimits, diff,
    proposal::{Proposal, narrow},
    put,
};
use serde::{Deserialize, Serialize};

use super::{changes::Still, propose::unfit};
use crate::{
    Engine, Error, Result,
    engine::Inner,
    layout::Layout,
    workspace_view::{blocking, layers},
};

/// Where the file inside lies, below the top of the workspace.
const DIRECTORY: &str = ".sandbar-review";
/// LIMIT: rejects that are kept; the oldest go first.
const DECLINED_MAX: usize = 100;
/// LIMIT: bytes of one rejected patch that are kept.
const PATCH_BYTES_MAX: usize = 16 * 1024;
/// LIMIT: bytes of the person's words.
pub(super) const REASON_BYTES_MAX: usize = 4 * 1024;

/// One reject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declined {
    /// When.
    pub at: Timestamp,
    /// What the person said about it.
    pub reason: Option<String>,
    /// The paths.
    pub paths: Vec<WorkspacePath>,
    /// What was dropped, as a unified diff; bytes that are not UTF-8 are replaced.
    pub patch: String,
    /// Whether the patch is only the beginning.
    pub is_truncated: bool,
}

impl Engine {
    /// What was rejected in a sandbox, the newest first.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn declined(&self, id: SandboxId) -> Result<Vec<Declined>> {
        self.inner.actor(id)?;
        let file = file(&self.inner.layout, id);
        let mut all = blocking(move || read(&file)).await?.map_err(Error::internal)?;
        all.reverse();
        Ok(all)
    }
}

impl Inner {
    /// The patch of what is about to be rejected.
    pub(super) async fn patch_of(
        &self,
        still: &Still,
        proposal: Proposal,
        selection: &Selection,
    ) -> Result<Vec<u8>> {
        let (view, marks, selection) = (Arc::clone(&still.view), self.marks(), selection.clone());
        blocking(move || {
            let (layers, limits) = (layers(&view, marks), ChangeLimits::default());
            let narrowed = narrow(&layers, &proposal, &selection, &limits).map_err(unfit)?;
            let mut patch = Beginning(Vec::new());
            // What a diff has no words for, or what lies beyond the limit, is named by its path.
            let _outcome = diff::write(&layers, &narrowed, &selection, &limits, &mut patch);
            Ok(patch.0)
        })
        .await?
    }

    /// Records a reject, and tells the sandbox. The sandbox is held still.
    ///
    /// The reject is done: what fails here is only said to the log.
    pub(super) async fn decline(
        &self,
        still: &Still,
        reason: Option<String>,
        paths: Vec<WorkspacePath>,
        patch: &[u8],
    ) {
        let is_truncated = patch.len() > PATCH_BYTES_MAX;
        let shown = &patch[..patch.len().min(PATCH_BYTES_MAX)];
        let declined = Declined {
            at: self.config.clock.now(),
            reason,
            paths,
            patch: String::from_utf8_lossy(shown).into_owned(),
            is_truncated,
        };
        let (id, view) = (still.guard.row.id, Arc::clone(&still.view));
        let file = file(&self.layout, id);
        let told = blocking(move || {
            let mut all = read(&file)?;
            all.push(declined);
            let first = all.len().saturating_sub(DECLINED_MAX);
            all.drain(..first);
            write(&file, &all)?;
            tell(&view, &all)
        });
        if let Ok(Err(err)) = told.await {
            tracing::warn!(sandbox.id = %id, error = &err as &dyn std::error::Error, "the sandbox could not be told what was rejected");
        }
    }
}

fn file(layout: &Layout, id: SandboxId) -> PathBuf {
    layout.sandbox(id).0.join("declined.jsonl")
}

fn read(file: &PathBuf) -> io::Result<Vec<Declined>> {
    match fs::read_to_string(file) {
        // A line that was cut off is the last thing that happened before a crash.
        Ok(text) => Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()),
        Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(err) => Err(err),
    }
}

fn write(file: &PathBuf, all: &[Declined]) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let mut out =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    for declined in all {
        serde_json::to_writer(&mut out, declined)?;
        out.write_all(b"\n")?;
    }
    out.sync_data()?;
    fs::rename(fresh, file)
}

fn tell(view: &View, all: &[Declined]) -> io::Result<()> {
    let merged = view.merged.as_fd();
    let path =
        |name: &str| WorkspacePath::parse(format!("{DIRECTORY}/{name}")).map_err(io::Error::other);
    let directory = WorkspacePath::parse(DIRECTORY).map_err(io::Error::other)?;
    put::directory(merged, &directory, view.owner)?;
    put::text(merged, &path(".gitignore")?, b"*\n", 0o644, view.owner)?;
    put::text(merged, &path("declined.md")?, page(all).as_bytes(), 0o644, view.owner)
}

/// What the agent reads, the newest first.
fn page(all: &[Declined]) -> String {
    let begin = "# Declined changes\n\nA person looked at these changes and did not want them. Do not make them again.\n";
    let sections: Vec<_> = all.iter().rev().map(section).collect();
    format!("{begin}{}", sections.concat())
}

fn section(declined: &Declined) -> String {
    let quoted = |reason: &String| {
        let lines: Vec<_> = reason.lines().map(|line| format!("> {line}\n")).collect();
        lines.concat() + "\n"
    };
    let reason = declined.reason.as_ref().map_or_else(String::new, quoted);
    let paths: Vec<_> = declined.paths.iter().map(|path| format!("- {path:?}\n")).collect();
    let ticks = "`".repeat(longest_run_of_ticks(&declined.patch).max(2) + 1);
    let patch = declined.patch.trim_end_matches('\n');
    let end = if declined.is_truncated { "\nThe diff goes on.\n" } else { "" };
    format!(
        "\n## {}\n\n{reason}{}\n{ticks}diff\n{patch}\n{ticks}\n{end}",
        declined.at,
        paths.concat()
    )
}

fn longest_run_of_ticks(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// The first bytes that are written, one more than are kept.
struct Beginning(Vec<u8>);

impl Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = (PATCH_BYTES_MAX + 1).saturating_sub(self.0.len());
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(room);
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_cannot_break_out_of_its_fence() {
        let declined = Declined {
            at: Timestamp::UNIX_EPOCH,
            reason: Some("no\n# heading".to_owned()),
            paths: vec![WorkspacePath::parse("a").unwrap()],
            patch: "+````\n".to_owned(),
            is_truncated: false,
        };
        let page = page(&[declined]);
        assert!(page.contains("\n`````diff\n+````\n`````\n"), "{page}");
        assert!(page.contains("> no\n> # heading\n"), "{page}");
    }
}
