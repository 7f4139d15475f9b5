//! What was moved out of sight, which takes as long as it takes.

use std::path::PathBuf;

use super::plan::{Deed, Planned};
use crate::{Error, Result, engine::Inner, layout, workspace_view::blocking};

pub(super) async fn find(inner: &Inner) -> Result<Vec<Planned>> {
    let layout = inner.layout.clone();
    let listed = blocking(move || layout.trash_list()).await?.map_err(Error::internal)?;
    let planned = listed.into_iter().map(|path| Planned {
        sandbox_id: None,
        what: "something in the trash".to_owned(),
        reason: "nobody needs it".to_owned(),
        bytes: None,
        deed: Deed::Remove(path),
    });
    Ok(planned.collect())
}

pub(super) async fn remove(path: PathBuf) -> Result<()> {
    let removed = blocking(move || layout::remove_tree(&path)).await?;
    removed.map_err(Error::internal)
}
