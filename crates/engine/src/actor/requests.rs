//! Requests: admitted by the state, begun, joined, or answered at once.

use std::{sync::Arc, time::Duration};

use sandbar_types::{FailureReason, Generation, NetworkChange, SandboxState, StopReason};

use super::{Actor, Beginning, Done, Ordinary, Reply, Urgent, Wanted, gone};
use crate::{
    Error, ErrorKind, Result,
    error::require_seen,
    event::EventPayload,
    lifecycle::{Admission, Denied, Event, Request, admit},
    network,
    reconcile::Action,
};

impl Actor {
    pub(super) async fn begin(&mut self, beginning: Beginning) {
        match beginning {
            Beginning::Create { reply } => {
                self.waiters.push((Wanted::Running, reply));
                self.launch_begin();
            }
            Beginning::Found(actions) => {
                self.execs_load().await;
                for action in actions {
                    self.on_found(action).await;
                }
                if !matches!(self.row.state, SandboxState::Running | SandboxState::Paused)
                    && self.is_settled()
                {
                    self.execs_settle().await;
                }
            }
        }
    }

    pub(super) async fn on_urgent(&mut self, request: Urgent) {
        match request {
            Urgent::Stop { grace, reason, reply } => {
                let admission = admit(&self.row.state, Request::Stop);
                if admission == Ok(Admission::Begin) {
                    self.grace = grace;
                    self.stop_reason = reason;
                    self.happen(Event::StopAsked, None).await;
                } else if self.grace > grace {
                    // Somebody is in more of a hurry than the one before; the runtime's stop can be asked twice.
                    self.grace = grace;
                }
                if let Some(reply) = reply {
                    self.wait_for(Wanted::Stopped, admission, reply);
                }
            }
            Urgent::Delete { seen, reply } => {
                let is_as_seen = seen.is_none_or(|seen| {
                    seen == self.row.generation
                        && matches!(
                            self.row.state,
                            SandboxState::Stopped | SandboxState::Failed { .. }
                        )
                });
                if !is_as_seen {
                    let message = "somebody did something with the sandbox meanwhile";
                    drop(reply.send(Err(Error::new(ErrorKind::Denied, "state_conflict", message))));
                    return;
                }
                let admission = admit(&self.row.state, Request::Delete);
                if admission == Ok(Admission::Begin) {
                    self.grace = Duration::ZERO;
                    self.happen(Event::DeleteAsked, None).await;
                }
                self.wait_for(Wanted::Deleted, admission, reply);
            }
        }
    }

    pub(super) async fn on_ordinary(&mut self, request: Ordinary) {
        match request {
            Ordinary::Start { reply } => self.on_start(reply).await,
            Ordinary::Pause { reply } => {
                let admission = admit(&self.row.state, Request::Pause);
                if admission == Ok(Admission::Begin) {
                    self.freeze_begin();
                }
                self.wait_for(Wanted::Paused, admission, reply);
            }
            Ordinary::Resume { reply } => {
                let admission = admit(&self.row.state, Request::Resume);
                if admission == Ok(Admission::Begin) {
                    self.thaw_begin();
                }
                self.wait_for(Wanted::Running, admission, reply);
            }
            Ordinary::Exec { spec, reply } => self.exec_begin(spec, reply),
            Ordinary::ExecLeft { id, offset } => self.exec_follow(id, offset),
            Ordinary::ExecEnded { id, end } => self.exec_ended(id, Some(end)),
            Ordinary::Touch => self.touch(),
            Ordinary::KeepAlive { until, reply } => {
                self.row.keepalive_until = Some(until);
                self.flush().await;
                drop(reply.send(Ok(())));
            }
            Ordinary::Network { seen, change, reply } => {
                drop(reply.send(self.change_network(seen, *change).await));
            }
            Ordinary::Measured { upper_bytes, upper_files, home_bytes } => {
                self.row.upper_bytes = upper_bytes;
                self.row.upper_files = upper_files;
                self.publish();
                self.on_disk_used(upper_bytes.saturating_add(home_bytes)).await;
            }
            Ordinary::LookAtExpiry => self.end_if_expired().await,
            Ordinary::Found { generation, action } => {
                // Decided about a state that is no longer: the reconciler comes again.
                if generation == self.row.generation {
                    self.on_found(action).await;
                }
            }
        }
    }

    async fn change_network(
        &mut self,
        seen: Option<Generation>,
        change: NetworkChange,
    ) -> Result<()> {
        require_seen(seen, self.row.generation)?;
        let new = change.applied_to(&self.row.spec.network);
        network::check(&*self.inner.config.network, &new)?;
        if new != self.row.spec.network {
            self.row.spec.network = new;
            self.flush().await;
            self.record_file();
        }
        Ok(())
    }

    async fn on_start(&mut self, reply: Reply) {
        self.touch();
        let admission = admit(&self.row.state, Request::Start);
        if admission == Ok(Admission::Begin) {
            if self.row.state == SandboxState::Paused {
                self.thaw_begin();
            } else {
                self.launch_error = None;
                self.happen(Event::StartAsked, None).await;
            }
        }
        self.wait_for(Wanted::Running, admission, reply);
    }

    async fn on_found(&mut self, action: Action) {
        match action {
            Action::Adopt { paused } => {
                self.happen(Event::Adopted { paused }, Some(EventPayload::Adopted)).await;
                let (inner, kills) = (Arc::clone(&self.inner), Arc::clone(&self.memory_kills));
                let id = self.id();
                self.work.spawn(async move {
                    kills.adopt(&inner, id).await;
                    Done::Nothing
                });
                self.execs_follow();
                self.app_adopt();
            }
            Action::Thaw => self.thaw_begin(),
            Action::Fail(reason) => {
                let payload = EventPayload::Failed { reason: reason.clone() };
                self.happen(Event::Gone(reason), Some(payload)).await;
            }
            Action::Stop if self.row.state == SandboxState::Stopping => self.stop_begin(),
            Action::Stop => self.happen(Event::StopAsked, None).await,
            // Perhaps it is at it just now.
            Action::Delete if self.is_removing => {}
            Action::Delete => self.stop_begin(),
            Action::Abandon => {
                let message = "the server ended while the sandbox was being launched".to_owned();
                self.launch_failed(message).await;
            }
            Action::Release | Action::Kill => self.release_begin(),
        }
    }

    fn wait_for(&mut self, wanted: Wanted, admission: Result<Admission, Denied>, reply: Reply) {
        // A dead receiver is a client that went away; nothing is lost by not telling it.
        match admission {
            Err(denied) => drop(reply.send(Err(denied.into()))),
            Ok(Admission::AlreadyDone) => drop(reply.send(Ok(()))),
            Ok(Admission::Begin | Admission::Join) => {
                self.waiters.push((wanted, reply));
                self.tell_waiters();
            }
        }
    }

    /// Answers everybody whose question the state now answers.
    pub(super) fn tell_waiters(&mut self) {
        if self.row.deleted_at.is_some() {
            let launch_error = self.launch_error.take();
            for (wanted, reply) in self.waiters.drain(..) {
                let answer = match (wanted, &launch_error) {
                    (Wanted::Deleted | Wanted::Stopped, _) => Ok(()),
                    (Wanted::Running, Some(err)) => Err(super::effects::launch_refusal(err)),
                    (Wanted::Running | Wanted::Paused, _) => Err(gone()),
                };
                drop(reply.send(answer));
            }
            return;
        }
        if !self.is_settled() {
            return;
        }
        let waiters = std::mem::take(&mut self.waiters);
        for (wanted, reply) in waiters {
            match self.answer(wanted) {
                Some(answer) => drop(reply.send(answer)),
                None => self.waiters.push((wanted, reply)),
            }
        }
    }

    /// What to tell somebody who waits for `wanted`; `None`: it is still under way.
    fn answer(&self, wanted: Wanted) -> Option<Result<()>> {
        let stuck = || Err(Error::from(Denied::Stuck));
        match (&self.row.state, wanted) {
            (SandboxState::Running, Wanted::Running)
            | (SandboxState::Paused, Wanted::Paused)
            | (SandboxState::Stopped, Wanted::Stopped) => Some(Ok(())),
            // Freezing and thawing leave the state as it is until they are done; their end answers.
            (SandboxState::Running, Wanted::Paused) | (SandboxState::Paused, Wanted::Running) => {
                None
            }
            (SandboxState::Failed { reason: FailureReason::Stuck }, _) => Some(stuck()),
            (SandboxState::Failed { .. }, Wanted::Stopped) => Some(Ok(())),
            (
                SandboxState::Failed { .. } | SandboxState::Stopped,
                Wanted::Running | Wanted::Paused,
            ) => Some(Err(match &self.launch_error {
                Some(err) => super::effects::launch_refusal(err),
                None => {
                    Error::new(ErrorKind::Denied, "state_conflict", "the sandbox ended meanwhile")
                }
            })),
            (SandboxState::Running | SandboxState::Paused, Wanted::Stopped) => None,
            (_, Wanted::Deleted) => None,
            (SandboxState::Creating | SandboxState::Stopping | SandboxState::Deleting, _) => None,
        }
    }

    /// Answers those who wait for a freeze or a thaw that did not work.
    pub(super) fn fail_waiters(
        &mut self,
        wanted: Wanted,
        message: &'static str,
        err: &std::io::Error,
    ) {
        tracing::warn!(sandbox.id = %self.id(), error = %err, message);
        let waiters = std::mem::take(&mut self.waiters);
        for (waited, reply) in waiters {
            if waited == wanted {
                drop(reply.send(Err(Error::new(ErrorKind::Unavailable, "unavailable", message))));
            } else {
                self.waiters.push((waited, reply));
            }
        }
    }

    pub(super) fn stop_because(&mut self, reason: StopReason) {
        self.stop_reason = reason;
        self.grace = self.inner.settings().stop_grace;
    }
}
