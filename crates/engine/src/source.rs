//! Whether the source of a sandbox is still the directory that the sandbox is a view of.
//!
//! A disk that is not mounted leaves an empty directory in its place. Taken for the source, everything would look
//! deleted by the host, and what is approved would be written where nobody finds it once the disk is back.

use std::path::Path;

use sandbar_store::SandboxRow;
use sandbar_types::Source;

use crate::{Error, ErrorKind, Result, workspace_view::blocking};

/// Names the directory for as long as it exists; `None` where its file system cannot say.
pub(crate) fn inode_to_remember(path: &Path) -> Option<i64> {
    let (inode, is_persistent) = sandbar_workspace::inode(path).ok()?;
    is_persistent.then_some(inode.cast_signed())
}

/// Refuses what would take another directory, or none, for the source of `row`.
///
/// # Errors
/// `source_gone`, `source_replaced`.
pub(crate) async fn check(row: &SandboxRow) -> Result<()> {
    let Source::Directory { path } = &row.spec.source else {
        return Ok(());
    };
    let looked_at = path.clone();
    let found = blocking(move || sandbar_workspace::inode(looked_at.as_path())).await?;
    match (found, row.source_inode) {
        (Err(err), _) => Err(Error::new(
            ErrorKind::Conflict,
            "source_gone",
            format!("the source of the sandbox, `{path}`, cannot be found: {err}"),
        )
        .hint("bring it back (is its disk mounted?); what the sandbox changed is kept")),
        (Ok((found, _)), Some(expected)) if found.cast_signed() != expected => Err(Error::new(
            ErrorKind::Conflict,
            "source_replaced",
            format!("`{path}` is not the directory that the sandbox is a view of"),
        )
        .hint("bring that one back (is its disk mounted?); what the sandbox changed is kept")),
        (Ok(_), _) => Ok(()),
    }
}
