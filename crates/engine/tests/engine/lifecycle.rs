use std::time::Duration;

use sandbar_engine::{Engine, GcMode};
use sandbar_runtime::fake::Fault;
use sandbar_types::{ExitStatus, FailureReason, SandboxState, TenantId};

use crate::support::{House, create, events, eventually, params};

const DRAIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn a_second_identical_request_is_success() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    for _ in 0..2 {
        assert_eq!(engine.sandbox_pause(id).await.unwrap().state, SandboxState::Paused);
    }
    for _ in 0..2 {
        assert_eq!(engine.sandbox_resume(id).await.unwrap().state, SandboxState::Running);
    }
    for _ in 0..2 {
        assert_eq!(engine.sandbox_stop(id, None).await.unwrap().state, SandboxState::Stopped);
    }
    for _ in 0..2 {
        assert_eq!(engine.sandbox_start(id).await.unwrap().state, SandboxState::Running);
    }
    for _ in 0..2 {
        engine.sandbox_delete(id).await.unwrap();
    }
    assert!(house.host.is_clean() && !house.sandbox_dir(id).0.exists());
    eventually("the trash is empty", async || {
        std::fs::read_dir(house.dir.path().join("data/trash")).unwrap().next().is_none()
    })
    .await;
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_stop_is_heard_while_a_launch_hangs() {
    let house = House::new();
    let engine = house.engine().await;
    house.host.fail(Fault::LaunchHangs);
    let creating = tokio::spawn({
        let (engine, params) = (engine.clone(), params(house.spec()));
        async move { engine.sandbox_create(params).await }
    });
    eventually("it is being created", async || !engine.sandbox_list(TenantId::DEFAULT).is_empty())
        .await;
    let id = engine.sandbox_list(TenantId::DEFAULT)[0].id;
    assert_eq!(engine.sandbox_stop(id, None).await.unwrap().state, SandboxState::Stopped);
    assert!(creating.await.unwrap().is_err());
    engine.sandbox_delete(id).await.unwrap();
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn nothing_of_a_stuck_sandbox_is_released_until_a_stop_succeeds() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    house.host.fail(Fault::StopSticks);
    assert!(engine.sandbox_delete(id).await.is_err());
    assert_eq!(
        engine.sandbox_fetch(id).unwrap().state,
        SandboxState::Failed { reason: FailureReason::Stuck }
    );
    assert!(!house.host.calls(id).contains(&"release") && house.sandbox_dir(id).0.exists());
    engine.sandbox_delete(id).await.unwrap();
    assert!(house.host.is_clean());
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn what_ends_by_itself_failed_keeps_its_files_and_can_be_started_again() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    house.host.write(&house.sandbox_dir(id), "new", b"work").unwrap();
    let status = ExitStatus::Signaled { signal: 9 };
    house.host.end_supervisor(id, status);
    let failed =
        SandboxState::Failed { reason: FailureReason::SupervisorExited { status: Some(status) } };
    eventually("it failed", async || engine.sandbox_fetch(id).unwrap().state == failed).await;
    assert_eq!(engine.changes(id).await.unwrap().set.changes.len(), 1);
    assert_eq!(engine.sandbox_start(id).await.unwrap().state, SandboxState::Running);
    house.host.kill_keeper(id);
    let lost = SandboxState::Failed { reason: FailureReason::KeeperLost };
    eventually("its keeper is lost", async || engine.sandbox_fetch(id).unwrap().state == lost)
        .await;
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_lease_and_idleness_stop_and_never_delete() {
    let house = House::new();
    let engine = house.engine().await;
    let (mut leased, mut idle) = (house.spec(), house.spec());
    leased.expiry.ttl_ms = Some(60_000);
    idle.expiry.idle_timeout_ms = Some(600_000);
    let (leased, idle) =
        (create(&engine, leased).await.unwrap().id, create(&engine, idle).await.unwrap().id);
    house.host.write(&house.sandbox_dir(leased), "new", b"work").unwrap();
    house.clock.advance(Duration::from_secs(61));
    let state = |id| engine.sandbox_fetch(id).unwrap().state;
    eventually("the lease ended", async || state(leased) == SandboxState::Stopped).await;
    assert_eq!(state(idle), SandboxState::Running);
    house.clock.advance(Duration::from_secs(600));
    eventually("it was idle", async || state(idle) == SandboxState::Stopped).await;
    assert!(house.sandbox_dir(leased).0.join("merged/new").exists());
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn s7_old_events_are_forgotten_and_the_sandbox_that_they_are_of_lives_on() {
    let house = House::new();
    let mut config = house.config();
    config.settings.reconcile_interval = Duration::from_millis(20);
    let engine = Engine::start(config).await.unwrap();
    let id = create(&engine, house.spec()).await.unwrap().id;
    let last = events(&engine, id).await.last().unwrap().id;
    house.clock.advance(Duration::from_hours(91 * 24));
    engine.sandbox_stop(id, None).await.unwrap();
    eventually("what is old is gone", async || {
        let left = events(&engine, id).await;
        !left.is_empty() && left.iter().all(|event| event.id > last)
    })
    .await;
    assert_eq!(engine.sandbox_fetch(id).unwrap().state, SandboxState::Stopped);
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn gc_says_why_and_never_takes_what_is_pending() {
    let house = House::new();
    let engine = house.engine().await;
    let (pending, empty) = (
        create(&engine, house.spec()).await.unwrap().id,
        create(&engine, house.spec()).await.unwrap().id,
    );
    house.host.write(&house.sandbox_dir(pending), "new", b"work").unwrap();
    for id in [pending, empty] {
        engine.sandbox_stop(id, None).await.unwrap();
    }
    assert!(engine.gc(GcMode::DryRun).await.unwrap().actions.is_empty(), "they were just stopped");
    house.clock.advance(Duration::from_hours(2));
    let report = engine.gc(GcMode::DryRun).await.unwrap();
    let ids: Vec<_> = report.actions.iter().map(|action| action.sandbox_id).collect();
    assert_eq!(ids, [Some(empty)]);
    assert_eq!(engine.sandbox_list(TenantId::DEFAULT).len(), 2, "a dry run deleted something");
    engine.gc(GcMode::Collect).await.unwrap();
    assert_eq!(
        engine.sandbox_list(TenantId::DEFAULT).iter().map(|sandbox| sandbox.id).collect::<Vec<_>>(),
        [pending]
    );
    engine.drain(DRAIN).await;
}
