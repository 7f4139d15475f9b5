//! Where the state of one app is published.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use sandbar_types::{ProcessState, ProcessStatus};
use tokio::sync::{Mutex, watch};

use super::{AppStatus, PreviewViewer};

/// The last state of an app, for everybody who asks.
#[derive(Debug, Default)]
pub(crate) struct Board {
    app: watch::Sender<Arc<AppStatus>>,
    /// Held while a manifest is read and carried out, so that the later one wins.
    pub(super) applying: Mutex<()>,
    /// Who looks at a preview now.
    viewers: Arc<AtomicUsize>,
    /// Held by the one who wakes the sandbox; the others wait, and find it awake.
    pub(super) waking: Mutex<()>,
    /// The launch whose supervisor somebody follows.
    followed: std::sync::Mutex<String>,
}

impl Board {
    pub(crate) fn app(&self) -> Arc<AppStatus> {
        self.app.borrow().clone()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<AppStatus>> {
        self.app.subscribe()
    }

    /// Whether there is something that may be idle.
    pub(crate) fn has_processes(&self) -> bool {
        !self.app.borrow().processes.is_empty()
    }

    /// Whether a process is on its way: one that installs is not idle. It has a deadline, so this ends.
    pub(crate) fn is_starting(&self) -> bool {
        let starts = |process: &ProcessStatus| process.state == ProcessState::Starting;
        self.app.borrow().processes.iter().any(starts)
    }

    /// Whether somebody looks at a preview.
    pub(crate) fn is_viewed(&self) -> bool {
        self.viewers.load(Ordering::Relaxed) > 0
    }

    pub(super) fn viewer(&self) -> PreviewViewer {
        PreviewViewer::of(&self.viewers)
    }

    /// The sandbox starts: what rests is on its way, before anybody can see the sandbox run without it.
    pub(crate) fn awake(&self) {
        self.update(|app| *app = app.on_its_way());
    }

    /// Takes it on to follow the launch with this nonce; `false`: somebody does already.
    pub(super) fn begin_following(&self, nonce: &str) -> bool {
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        if *followed == nonce {
            return false;
        }
        nonce.clone_into(&mut followed);
        true
    }

    /// Changes what is published; nobody is told where nothing changed.
    pub(super) fn update(&self, change: impl FnOnce(&mut AppStatus)) {
        self.app.send_if_modified(|published| {
            let mut app = AppStatus::clone(published);
            change(&mut app);
            let has_changed = app != **published;
            *published = Arc::new(app);
            has_changed
        });
    }

    /// Nothing of the sandbox runs any more.
    pub(crate) fn rest(&self) {
        self.update(|app| *app = app.at_rest());
    }
}
