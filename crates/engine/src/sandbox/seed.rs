//! The files of a preset, put into a workspace that was just made.

use std::{io, os::fd::AsFd};

use sandbar_runtime::{LaunchSpec, View};
use sandbar_types::{PresetName, WorkspacePath};
use sandbar_workspace::files::{Files, FilesError, Parents, WriteParams};

use crate::{engine::Inner, workspace_view::blocking};

/// LIMIT: names that are looked at to say whether a workspace is empty.
const NAMES_MAX: usize = 100;

/// Writes what `preset` adds to the workspace of `launch`, which runs and which nobody has used yet.
pub(crate) async fn seed(inner: &Inner, launch: &LaunchSpec, preset: PresetName) -> io::Result<()> {
    let view = inner.config.runtime.view(launch).await?;
    blocking(move || write(&view, preset).map_err(io::Error::other))
        .await
        .map_err(|err| io::Error::other(err.message().to_owned()))?
}

fn write(view: &View, preset: PresetName) -> Result<(), FilesError> {
    let files = Files::new(view.merged.as_fd(), view.owner);
    let found = files.list(None, NAMES_MAX)?;
    let names = found.entries.iter().map(|entry| entry.name.as_slice());
    for file in sandbar_presets::plan(sandbar_presets::preset(preset), names).files() {
        let path = WorkspacePath::parse(file.path).expect("starters have plain paths");
        let params = WriteParams {
            mode: Some(if file.is_executable { 0o755 } else { 0o644 }),
            bytes_max: file.content.len() as u64,
            parents: Parents::Create,
        };
        files.write(&path, &mut &*file.content, &params)?;
    }
    Ok(())
}
