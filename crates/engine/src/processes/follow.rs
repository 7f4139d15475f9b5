//! Following the supervisor: what is published, and which events are made of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sandbar_runtime::client::AppWatch;
use sandbar_store::SandboxRow;
use sandbar_types::{ProcessName, ProcessState, ProcessStatus, SandboxId};

use super::refusal;
use crate::{Result, actor::ActorHandle, engine::Inner, event::EventPayload};

/// How long to wait before a supervisor whose connection broke is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Publishes how the processes are now, and goes on doing so until the sandbox ends.
pub(super) async fn begin(inner: &Arc<Inner>, handle: &ActorHandle, id: SandboxId) -> Result<()> {
    let dir = inner.layout.sandbox(id);
    let processes = inner.config.runtime.app_processes(&dir).await.map_err(refusal)?;
    handle.app.update(|app| app.processes = processes);
    let nonce = handle.row().nonce.clone();
    // There is one already, most of the time: an app is applied again and again.
    if !handle.app.begin_following(&nonce) {
        return Ok(());
    }
    let (inner, handle) = (Arc::clone(inner), handle.clone());
    let tasks = inner.tasks.clone();
    tasks.spawn(async move {
        let leaving = inner.leaving.clone();
        tokio::select! {
            () = leaving.cancelled() => {}
            () = follow(&inner, &handle, (id, &nonce)) => {}
        }
    });
    Ok(())
}

/// Follows one launch. The supervisor of the next one has no app until it is told of it: what it says before that is not
/// how the app is.
async fn follow(inner: &Arc<Inner>, handle: &ActorHandle, (id, nonce): (SandboxId, &str)) {
    let dir = inner.layout.sandbox(id);
    let is_over = |row: &SandboxRow| row.nonce != nonce || !row.state.may_have_processes();
    let mut published = handle.published.clone();
    loop {
        match inner.config.runtime.app_watch(&dir).await {
            Ok(watch) => publish(inner, handle, (id, nonce), watch).await,
            Err(err) => {
                tracing::debug!(sandbox.id = %id, error = %err, "an app cannot be followed now");
            }
        }
        // An actor that is gone is over as well; late is worth another look.
        let ended = tokio::time::timeout(AGAIN, published.wait_for(|row| is_over(row))).await;
        if ended.is_ok() {
            break;
        }
    }
    if handle.row().nonce == nonce {
        handle.app.rest();
    }
}

async fn publish(
    inner: &Arc<Inner>,
    handle: &ActorHandle,
    (id, nonce): (SandboxId, &str),
    mut watch: AppWatch,
) {
    while let Ok(status) = watch.next().await {
        if handle.row().nonce != nonce {
            return;
        }
        let before = handle.app.app();
        handle.app.update(|app| app.processes.clone_from(&status.processes));
        for payload in changes(&before.processes, &status.processes) {
            inner.event_append(id, &payload).await;
        }
    }
}

/// What is worth a line in the history. Values, so that it can be tested.
fn changes(before: &[ProcessStatus], after: &[ProcessStatus]) -> Vec<EventPayload> {
    let before: BTreeMap<&ProcessName, &ProcessStatus> =
        before.iter().map(|status| (&status.name, status)).collect();
    let told = |status: &ProcessStatus| {
        let old = before.get(&status.name).copied();
        let mut told = old.map_or_else(Vec::new, |old| missed(old, status));
        told.extend(change(old, status));
        told
    };
    after.iter().flat_map(told).collect()
}

/// The ends of a process between two looks, apart from one that the second look shows: a process that is back at once
/// has still ended. Of the last one it is known how.
fn missed(old: &ProcessStatus, status: &ProcessStatus) -> Vec<EventPayload> {
    let is_down = |state: &ProcessState| {
        matches!(state, ProcessState::BackingOff { .. } | ProcessState::GivenUp { .. })
    };
    let first = old.restarts + u32::from(is_down(&old.state));
    let ends = (first..status.restarts).map(|restarts| {
        let is_last = restarts + 1 == status.restarts && !is_down(&status.state);
        let how = status.last_exit.as_ref().filter(|_| is_last).map(ToString::to_string);
        let reason = how.unwrap_or_else(|| "it ended and was started again at once".to_owned());
        EventPayload::ProcessEnded { process: status.name.clone(), reason, restarts }
    });
    ends.collect()
}

fn change(old: Option<&ProcessStatus>, status: &ProcessStatus) -> Option<EventPayload> {
    let process = status.name.clone();
    if old.is_some_and(|old| old.state == status.state) {
        return None;
    }
    match &status.state {
        ProcessState::Ready => Some(EventPayload::ProcessReady { process }),
        ProcessState::Unhealthy { reason } => {
            let was_unhealthy =
                old.is_some_and(|old| matches!(old.state, ProcessState::Unhealthy { .. }));
            let reason = reason.clone();
            (!was_unhealthy).then_some(EventPayload::ProcessUnhealthy { process, reason })
        }
        ProcessState::BackingOff { reason, .. } => Some(EventPayload::ProcessEnded {
            process,
            reason: reason.clone(),
            restarts: status.restarts,
        }),
        ProcessState::GivenUp { reason, .. } => {
            Some(EventPayload::ProcessGivenUp { process, reason: reason.clone() })
        }
        ProcessState::Waiting { .. }
        | ProcessState::Starting
        | ProcessState::Running
        | ProcessState::Stopping
        | ProcessState::Stopped
        | ProcessState::Exited => None,
    }
}

#[cfg(test)]
mod tests {
    use sandbar_types::ProcessKind;

    use super::*;

    fn status(state: ProcessState) -> ProcessStatus {
        ProcessStatus {
            name: "web".parse().unwrap(),
            kind: ProcessKind::Web,
            state,
            pid: None,
            restarts: 2,
            started_us: None,
            last_exit: None,
            hint: None,
        }
    }

    #[test]
    fn a6_a_process_that_is_back_before_it_is_looked_at_has_still_ended() {
        let run = |state, restarts| [ProcessStatus { restarts, ..status(state) }];
        let ends = |before: &[ProcessStatus], after: &[ProcessStatus]| {
            let told = changes(before, after).into_iter().filter_map(|payload| {
                let EventPayload::ProcessEnded { restarts, .. } = payload else { return None };
                Some(restarts)
            });
            told.collect::<Vec<_>>()
        };
        let backing_off = || ProcessState::BackingOff { reason: "7".to_owned(), until_us: 1 };
        let ready = || ProcessState::Ready;
        assert_eq!(ends(&run(ready(), 0), &run(ProcessState::Starting, 1)), [0]);
        assert_eq!(ends(&run(ready(), 0), &run(ready(), 3)), [0, 1, 2]);
        assert_eq!(ends(&run(ready(), 0), &run(backing_off(), 0)), [0]);
        assert_eq!(ends(&run(ready(), 0), &run(backing_off(), 1)), [0, 1]);
        assert!(ends(&run(backing_off(), 0), &run(ready(), 1)).is_empty());
        assert!(ends(&run(ready(), 3), &run(ProcessState::Starting, 0)).is_empty());
    }

    #[test]
    fn a_change_is_told_once_and_a_worse_reason_is_no_change() {
        let starting = [status(ProcessState::Starting)];
        let ready = [status(ProcessState::Ready)];
        let process = ready[0].name.clone();
        assert_eq!(changes(&starting, &ready), [EventPayload::ProcessReady { process }]);
        assert_eq!(changes(&ready, &ready), []);
        let unhealthy =
            |reason: &str| [status(ProcessState::Unhealthy { reason: reason.to_owned() })];
        assert_eq!(changes(&ready, &unhealthy("500")).len(), 1);
        assert_eq!(changes(&unhealthy("500"), &unhealthy("timeout")), []);
        let given_up =
            ProcessState::GivenUp { reason: "x".to_owned(), last_lines: vec!["secret".to_owned()] };
        let told = changes(&starting, &[status(given_up)]);
        assert!(!serde_json::to_string(&told[0].to_value()).unwrap().contains("secret"));
    }
}
