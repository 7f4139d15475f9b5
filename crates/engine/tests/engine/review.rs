use std::{sync::Arc, time::Duration};

use sandbar_engine::{
    Applier, ApplierFds, ApproveParams, Changes, Consistency, Engine, ErrorKind, Event,
    EventPayload, InProcessApplier, RejectParams, Resolutions,
};
use sandbar_runtime::{fake::Fault, spawn::WorkerError};
use sandbar_types::{Confirmed, SandboxId, Selection, WorkspacePath};
use sandbar_workspace::applier::{Reply, Request};

use crate::support::{House, create, events, eventually};

const DRAIN: Duration = Duration::from_secs(5);

fn approve(changes: &Changes, paths: &[&str]) -> ApproveParams {
    let paths = paths.iter().map(|path| WorkspacePath::parse(path).unwrap()).collect();
    ApproveParams {
        diff_id: changes.set.diff_id,
        selection: Selection::Paths(paths),
        confirm: Confirmed::default(),
        resolutions: Resolutions::default(),
        generation: Some(changes.generation),
        commit: None,
    }
}

async fn changed(house: &House, engine: &Engine) -> SandboxId {
    let id = create(engine, house.spec()).await.unwrap().id;
    let dir = house.sandbox_dir(id);
    house.host.write(&dir, "a", b"new\n").unwrap();
    house.host.write(&dir, "c", b"added\n").unwrap();
    id
}

fn read(house: &House, name: &str) -> String {
    std::fs::read_to_string(house.source().join(name)).unwrap()
}

#[tokio::test]
async fn what_is_approved_is_written_and_the_rest_stays_pending() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let seen = engine.changes(id).await.unwrap();
    assert_eq!(seen.set.changes.len(), 2, "{:?}", seen.set);
    assert_eq!(read(&house, "a"), "old\n");
    engine.approve(id, approve(&seen, &["a"])).await.unwrap();
    assert_eq!(read(&house, "a"), "new\n");
    let rest = engine.changes(id).await.unwrap();
    let pending: Vec<_> = rest.set.changes.iter().map(|change| change.path.to_string()).collect();
    assert_eq!(pending, ["c"]);
    assert!(!house.source().join("c").exists());
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn the_same_approve_again_has_the_same_result_and_another_one_is_stale() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let seen = engine.changes(id).await.unwrap();
    let first = engine.approve(id, approve(&seen, &["a"])).await.unwrap();
    assert_eq!(engine.approve(id, approve(&seen, &["a"])).await.unwrap(), first);
    let other = engine.approve(id, approve(&seen, &["c"])).await.unwrap_err();
    assert_eq!((other.kind(), other.code()), (ErrorKind::Stale, "diff_changed"));
    engine.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b2_of_two_parallel_decisions_the_late_one_loses() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let seen = engine.changes(id).await.unwrap();
    let (one, other) = tokio::join!(
        engine.approve(id, approve(&seen, &["a"])),
        engine.approve(id, approve(&seen, &["c"]))
    );
    let late = match (one, other) {
        (Ok(_), Err(late)) | (Err(late), Ok(_)) => late,
        both => panic!("{both:?}"),
    };
    assert_eq!(late.kind(), ErrorKind::Stale);
    let mut stale = approve(&engine.changes(id).await.unwrap(), &["a", "c"]);
    stale.generation = Some(seen.generation);
    assert_eq!(engine.approve(id, stale).await.unwrap_err().code(), "stale_generation");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn b16_an_uncommitted_host_change_is_not_overwritten() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    std::fs::write(house.source().join("a"), "the host's own\n").unwrap();
    let seen = engine.changes(id).await.unwrap();
    let refused = engine.approve(id, approve(&seen, &["a", "c"])).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, "review_conflict"));
    assert_eq!(refused.details_value().unwrap()["conflicts"][0]["path"], "a");
    assert_eq!(read(&house, "a"), "the host's own\n");
    assert!(!house.source().join("c").exists(), "a conflict wrote something");
    engine.approve(id, approve(&seen, &["c"])).await.expect("the other path is free");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn v9_changes_are_read_while_the_sandbox_is_held_still() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    assert_eq!(engine.changes(id).await.unwrap().consistency, Consistency::Frozen);
    eventually("it is thawed", async || house.host.calls(id).ends_with(&["freeze", "thaw"])).await;
    // A paused one is still already, and stays so.
    engine.sandbox_pause(id).await.unwrap();
    assert_eq!(engine.changes(id).await.unwrap().consistency, Consistency::Frozen);
    assert!(house.host.is_frozen(id));
    engine.sandbox_resume(id).await.unwrap();
    // Whoever stops waiting leaves nothing frozen.
    for _ in 0..20 {
        drop(tokio::time::timeout(Duration::from_micros(200), engine.changes(id)).await);
    }
    eventually("it is thawed", async || !house.host.is_frozen(id)).await;
    house.host.fail(Fault::FreezeFails);
    assert_eq!(engine.changes(id).await.unwrap_err().code(), "unavailable");
    engine.sandbox_stop(id, None).await.unwrap();
    assert_eq!(engine.changes(id).await.unwrap().consistency, Consistency::Stopped);
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_rejected_path_is_as_in_the_source_again() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let seen = engine.changes(id).await.unwrap();
    let params = RejectParams {
        diff_id: Some(seen.set.diff_id),
        selection: Selection::All,
        reason: None,
        generation: Some(seen.generation),
    };
    let outcome = engine.reject(id, params.clone()).await.unwrap();
    assert_eq!(outcome.rejected.len(), 2);
    assert!(engine.changes(id).await.unwrap().set.changes.is_empty());
    assert_eq!(engine.reject(id, params).await.unwrap_err().kind(), ErrorKind::Stale);
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn there_is_nowhere_to_approve_an_empty_workspace_to() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, sandbar_types::SandboxSpec::over(sandbar_types::Source::Empty))
        .await
        .unwrap()
        .id;
    house.host.write(&house.sandbox_dir(id), "new", b"x").unwrap();
    let seen = engine.changes(id).await.unwrap();
    assert_eq!(engine.approve(id, approve(&seen, &["new"])).await.unwrap_err().code(), "no_source");
    engine.drain(DRAIN).await;
}

/// Applies, and then dies before it can say so.
#[derive(Debug)]
struct LosesItsAnswer;

#[async_trait::async_trait]
impl Applier for LosesItsAnswer {
    async fn run(&self, fds: ApplierFds, request: Request) -> Result<Reply, WorkerError> {
        InProcessApplier.run(fds, request).await?;
        Err(WorkerError::Failed { stderr: "killed".to_owned() })
    }
}

#[tokio::test]
async fn an_approve_that_a_crash_interrupted_is_ended_at_the_next_start() {
    let house = House::new();
    let mut config = house.config();
    config.applier = Arc::new(LosesItsAnswer);
    let engine = Engine::start(config).await.unwrap();
    let id = changed(&house, &engine).await;
    let seen = engine.changes(id).await.unwrap();
    assert_eq!(
        engine.approve(id, approve(&seen, &["a"])).await.unwrap_err().kind(),
        ErrorKind::Internal
    );
    engine.drain(DRAIN).await;
    drop(engine);
    let engine = house.engine().await;
    let events = events(&engine, id).await;
    let is_recovered = |event: &Event| {
        matches!(event.payload, EventPayload::ApproveRecovered { is_applied: true, .. })
    };
    assert!(events.iter().any(is_recovered), "{events:?}");
    let pending = engine.changes(id).await.unwrap();
    assert_eq!(
        pending.set.changes.len(),
        1,
        "what was written is still pending: {:?}",
        pending.set
    );
    // The answer that was lost is given to whoever asks again.
    assert_eq!(engine.approve(id, approve(&seen, &["a"])).await.unwrap().applied.len(), 1);
    engine.drain(DRAIN).await;
}
