//! `--ours`, `--theirs`, `--edited` and `--force`: whose lines count where you and the sandbox changed the same.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use sandbar_api::Sandbox;
use sandbar_types::{LineText, Resolution, Side, Take, WorkspacePath};

use crate::{failure::Failure, select};

/// What counts where you and the sandbox changed the same lines.
#[derive(Debug, clap::Args)]
pub(crate) struct ResolveArgs {
    /// At this path, your lines count. May be repeated.
    #[arg(long, value_name = "PATH")]
    ours: Vec<OsString>,
    /// At this path, the sandbox's lines count. May be repeated.
    #[arg(long, value_name = "PATH")]
    theirs: Vec<OsString>,
    /// At this path, the text in the file counts. May be repeated.
    #[arg(long, value_name = "PATH=FILE")]
    edited: Vec<OsString>,
    /// At every other path, the sandbox's lines count; what they replace can be brought back by `sandbar undo`.
    #[arg(long, short)]
    force: bool,
}

impl ResolveArgs {
    /// What is said path by path.
    ///
    /// # Errors
    /// A path is not one of the workspace, or a file cannot be read.
    pub(crate) fn resolutions(&self, sandbox: &Sandbox) -> Result<Vec<Resolution>, Failure> {
        let mut all = Vec::new();
        for (words, take) in [(&self.ours, Take::Ours), (&self.theirs, Take::Theirs)] {
            for word in words {
                all.push(Resolution { path: one_path(sandbox, word)?, take: take.clone() });
            }
        }
        for word in &self.edited {
            let bytes = word.as_bytes();
            let at = bytes.iter().rposition(|byte| *byte == b'=');
            let at = at.ok_or_else(|| Failure::usage("`--edited` takes PATH=FILE"))?;
            let (path, file) =
                (OsStr::from_bytes(&bytes[..at]), OsStr::from_bytes(&bytes[at + 1..]));
            let text = std::fs::read(file).map_err(|error| {
                Failure::usage(format!("`{}` cannot be read", file.display())).caused_by(&error)
            })?;
            let take = Take::Content(LineText(text));
            all.push(Resolution { path: one_path(sandbox, path)?, take });
        }
        Ok(all)
    }

    /// What counts at every other path.
    pub(crate) fn otherwise(&self) -> Option<Side> {
        self.force.then_some(Side::Theirs)
    }
}

/// One path of the workspace, as the user sees it from where they stand.
///
/// # Errors
/// It is not one of the workspace, or its top.
pub(crate) fn one_path(sandbox: &Sandbox, word: &OsStr) -> Result<WorkspacePath, Failure> {
    select::below_workspace(sandbox, &select::current_dir()?, word)?
        .ok_or_else(|| Failure::usage("the path of one file is needed, not that of everything"))
}
