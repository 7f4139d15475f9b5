//! Where a new sandbox belongs: nowhere, or in an app. Decided in the transaction that records it, so that of two
//! creates at once one is refused; the store's own index would refuse it, too.

use sandbar_store::{
    AppRow, SandboxRow, WriteTxn, sandbox_fetch_current, sandbox_set_current_in_txn,
};
use sandbar_types::SandboxState;

use super::{AppRef, Replace, fetch};
use crate::{Error, ErrorKind, Result};

/// Where a sandbox shall belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In no app.
    Alone,
    /// In this one.
    In(AppRef, Replace),
}

/// Where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its app.
    pub(crate) app: Option<AppRow>,
    /// Whether its app is about it from the beginning, or once it runs.
    pub(crate) is_current: bool,
}

impl Place {
    /// Lets a sandbox be made there, or says what stands in the way.
    pub(crate) async fn admit(self, txn: &mut WriteTxn) -> Result<Placed> {
        let Self::In(app, replace) = self else {
            return Ok(Placed { app: None, is_current: false });
        };
        let app = fetch(txn, app).await?;
        let is_current = match sandbox_fetch_current(txn, app.id).await? {
            None => true,
            Some(row) if is_over(&row.state) => {
                sandbox_set_current_in_txn(txn, app.id, None).await?;
                true
            }
            Some(row) => match replace {
                Replace::Never => return Err(has_sandbox(&app, Some(&row))),
                // It is what the app is about until the new one runs.
                Replace::KeepOld | Replace::RemoveOld => false,
            },
        };
        Ok(Placed { app: Some(app), is_current })
    }
}

impl Placed {
    /// The refusal that the store's index stands for.
    pub(crate) fn refusal(&self, err: sandbar_store::StoreError) -> Error {
        match &self.app {
            Some(app) if err.is_taken() && self.is_current => has_sandbox(app, None),
            Some(_) | None => err.into(),
        }
    }
}

fn has_sandbox(app: &AppRow, current: Option<&SandboxRow>) -> Error {
    let message = format!("the app `{}` has a sandbox already", app.name);
    Error::new(ErrorKind::Conflict, "app_has_sandbox", message)
        .hint(
            "`\"replace\": true` makes a new one and keeps the old one; `start` starts the old one",
        )
        .details(&serde_json::json!({ "sandbox_id": current.map(|row| row.id) }))
}

/// Whether a sandbox stands in nobody's way: it failed, or is on its way out.
const fn is_over(state: &SandboxState) -> bool {
    match state {
        SandboxState::Failed { .. } | SandboxState::Deleting => true,
        SandboxState::Creating
        | SandboxState::Running
        | SandboxState::Paused
        | SandboxState::Stopping
        | SandboxState::Stopped => false,
    }
}
