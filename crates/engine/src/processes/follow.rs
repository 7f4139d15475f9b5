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

/// What is worth a line in the history. Values, so that it can be tested; what came and went between two looks is lost.
fn changes(before: &[ProcessStatus], after: &[ProcessStatus]) -> Vec<EventPayload> {
    let before: BTreeMap<&ProcessName, &ProcessStatus> =
        before.iter().map(|status| (&status.name, status)).collect();
    let changed = after.iter().filter_map(|status| {
        let old = before.get(&status.name);
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
    });
    changed.collect()
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
