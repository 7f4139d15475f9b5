//! Who waits for what happens: woken by an event of theirs, and by no other.
//!
//! A thousand clients may follow a thousand sandboxes; an event of one of them costs one look into the store.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use sandbar_store::{EventFilter, EventSubject};
use sandbar_types::{AppId, SandboxId, TenantId};
use tokio::sync::Notify;

/// In whose history an event would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Topic {
    Tenant(TenantId),
    App(AppId),
    Sandbox(SandboxId),
}

impl Topic {
    /// The narrowest that holds everything that passes `filter`.
    fn of(filter: &EventFilter) -> Self {
        match (filter.sandbox, filter.app) {
            (Some(sandbox), _) => Self::Sandbox(sandbox),
            (None, Some(app)) => Self::App(app),
            (None, None) => Self::Tenant(filter.tenant),
        }
    }
}

/// Everybody who waits.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watchers(Arc<Mutex<HashMap<Topic, Weak<Notify>>>>);

/// One who waits; forgotten when dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    watchers: Watchers,
    topic: Topic,
    pub(crate) told: Arc<Notify>,
}

impl Watchers {
    fn topics(&self) -> MutexGuard<'_, HashMap<Topic, Weak<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for events that pass `filter`, and for some that do not.
    pub(crate) fn watch(&self, filter: &EventFilter) -> Watch {
        let topic = Topic::of(filter);
        let mut topics = self.topics();
        let known = topics.get(&topic).and_then(Weak::upgrade);
        let told = known.unwrap_or_else(|| {
            let new = Arc::new(Notify::new());
            topics.insert(topic, Arc::downgrade(&new));
            new
        });
        Watch { watchers: self.clone(), topic, told }
    }

    /// Wakes whom an event of `subject` is for.
    pub(crate) fn tell(&self, subject: &EventSubject) {
        let topics = self.topics();
        let of = [
            Some(Topic::Tenant(subject.tenant_id)),
            subject.app_id.map(Topic::App),
            subject.sandbox_id.map(Topic::Sandbox),
        ];
        for topic in of.into_iter().flatten() {
            if let Some(told) = topics.get(&topic).and_then(Weak::upgrade) {
                told.notify_waiters();
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut topics = self.watchers.topics();
        // Nobody else can begin to wait for it meanwhile: that needs the lock.
        if Arc::strong_count(&self.told) == 1 {
            topics.remove(&self.topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(sandbox: Option<SandboxId>, app: Option<AppId>) -> EventFilter {
        EventFilter { tenant: TenantId::DEFAULT, app, sandbox, types: Vec::new() }
    }

    #[tokio::test]
    async fn an_event_wakes_those_whom_it_is_for_and_nobody_else() {
        let watchers = Watchers::default();
        let (sandbox, app) = (SandboxId::generate(), AppId::generate());
        let subject = EventSubject {
            tenant_id: TenantId::DEFAULT,
            app_id: Some(app),
            sandbox_id: Some(sandbox),
        };
        let theirs = [
            watchers.watch(&filter(None, None)),
            watchers.watch(&filter(None, Some(app))),
            watchers.watch(&filter(Some(sandbox), None)),
            watchers.watch(&filter(Some(sandbox), Some(app))),
        ];
        let other = watchers.watch(&filter(Some(SandboxId::generate()), None));
        let mut woken = Vec::new();
        for watch in &theirs {
            let mut told = Box::pin(watch.told.notified());
            told.as_mut().enable();
            woken.push(told);
        }
        let mut silent = Box::pin(other.told.notified());
        silent.as_mut().enable();
        watchers.tell(&subject);
        for told in woken {
            told.await;
        }
        let is_woken = tokio::select! {
            biased;
            () = silent => true,
            () = std::future::ready(()) => false,
        };
        assert!(!is_woken);
        drop((theirs, other));
        assert!(watchers.topics().is_empty(), "who waits no more is forgotten");
    }
}
