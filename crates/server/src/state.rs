//! What every handler may reach.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use sandbar_engine::{Caller, Changes, Engine};
use sandbar_types::{DiffId, SandboxId};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::Accesses, audit::Actions, auth::Token, metrics::Metrics, previews::Previews,
    rate::Rates, settings::Settings,
};

/// Shared by every request; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct AppState {
    /// Decides everything.
    pub(crate) engine: Engine,
    /// On whose behalf sandboxes are made: the server's own user, for nobody else may ask.
    pub(crate) caller: Arc<Caller>,
    /// What holds of the settings.
    pub(crate) settings: Arc<Settings>,
    /// Where the store is.
    pub(crate) data_dir: Arc<Path>,
    /// The token that TCP requires; `None` without a TCP listener.
    pub(crate) token: Option<Arc<Token>>,
    /// What every route asks of who asks.
    pub(crate) accesses: Arc<Accesses>,
    /// What every route is in the audit log.
    pub(crate) actions: Arc<Actions>,
    /// How often who asks.
    pub(crate) rates: Arc<Rates>,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
    /// Sets of changes of which a client has seen the first page.
    pub(crate) listed: Arc<Listed>,
    /// Where previews are to be reached; `None` without a TCP listener.
    pub(crate) previews: Option<Previews>,
    /// Cancelled when the server drains, so that streams end.
    pub(crate) stop: CancellationToken,
    /// The conversations over WebSocket, which outlive their connection's own task.
    pub(crate) conversations: TaskTracker,
}

/// LIMIT: sets of changes that are kept for their next page.
const LIMIT_LISTED: usize = 4;

/// The last sets that did not fit a page, so that all pages of a list are of one instant and cost one walk.
#[derive(Debug, Default)]
pub(crate) struct Listed(Mutex<VecDeque<(SandboxId, Arc<Changes>)>>);

impl Listed {
    /// Keeps a set; the oldest one goes when there are too many.
    pub(crate) fn keep(&self, id: SandboxId, changes: Arc<Changes>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, other)| other.set.diff_id != changes.set.diff_id);
        kept.push_back((id, changes));
        if kept.len() > LIMIT_LISTED {
            kept.pop_front();
        }
    }

    /// Finds a set that was kept.
    pub(crate) fn find(&self, id: SandboxId, diff_id: DiffId) -> Option<Arc<Changes>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter()
            .find(|(owner, changes)| *owner == id && changes.set.diff_id == diff_id)
            .map(|(_, changes)| Arc::clone(changes))
    }
}
