//! The app of a sandbox: from its manifest to what is published, and sleep and wake around it.

use std::time::Duration;

use sandbar_engine::{
    Engine, EventPayload, ManifestState, PreviewError, PreviewStatus, ProcessAction,
};
use sandbar_types::{
    AppStart, IdlePolicy, ProcessName, ProcessState, SandboxId, SandboxState, StopReason,
};

use crate::support::{House, create, events, eventually, in_a_server_that_is_killed};

const SHOP: &str = "\
version: 1
web:
  command: serve
  port: 4000
workers:
  - name: mail
    command: work
";

fn write_manifest(house: &House, text: &str) {
    std::fs::write(house.source().join("sandbox.yaml"), text).unwrap();
}

fn name(text: &str) -> ProcessName {
    text.parse().unwrap()
}

async fn is_ready(engine: &Engine, id: SandboxId) {
    eventually("the app is ready", async || {
        let app = engine.app_status(id).unwrap();
        app.preview(&SandboxState::Running, None).status == PreviewStatus::Ready
    })
    .await;
}

async fn payloads(engine: &Engine, id: SandboxId) -> Vec<EventPayload> {
    events(engine, id).await.into_iter().map(|event| event.payload).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_manifest_declares_is_started_with_the_sandbox() {
    let house = House::new();
    write_manifest(&house, SHOP);
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    is_ready(&engine, id).await;
    let app = engine.app_status(id).unwrap();
    let names: Vec<_> = app.processes.iter().map(|process| process.name.as_str()).collect();
    assert_eq!(names, ["web", "mail"]);
    assert_eq!(app.preview(&SandboxState::Running, None).port, Some(4000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_a_manifest_that_cannot_be_used_starts_nothing_and_says_why() {
    let house = House::new();
    write_manifest(&house, &SHOP.replace("mail", "../mail"));
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    eventually("it was read", async || {
        matches!(engine.app_status(id).unwrap().manifest, ManifestState::Invalid { .. })
    })
    .await;
    let app = engine.app_status(id).unwrap();
    assert!(app.processes.is_empty() && app.spec.is_none());
    assert_eq!(app.preview(&SandboxState::Running, None).status, PreviewStatus::Error);
    let ManifestState::Invalid { findings } = &app.manifest else { panic!("{app:?}") };
    assert_eq!((findings[0].line, findings.len()), (6, 1));
    let events = payloads(&engine, id).await;
    assert!(events.iter().any(|event| matches!(event, EventPayload::ManifestInvalid { .. })));
    // Asked for by hand, it is refused with the place; and one that runs is not touched by a broken one.
    let err = engine.app_apply(id).await.unwrap_err();
    assert_eq!(err.code(), "manifest_invalid");
    assert!(err.message().contains("sandbox.yaml:6:"), "{}", err.message());
    let dir = house.sandbox_dir(id);
    house.host.write(&dir, "sandbox.yaml", SHOP.as_bytes()).unwrap();
    engine.app_apply(id).await.unwrap();
    is_ready(&engine, id).await;
    house.host.write(&dir, "sandbox.yaml", b"version: 2\n").unwrap();
    engine.app_apply(id).await.unwrap_err();
    assert_eq!(engine.app_status(id).unwrap().processes.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_without_a_manifest_or_that_wants_none_runs_no_app() {
    let house = House::new();
    let engine = house.engine().await;
    let without = create(&engine, house.spec()).await.unwrap().id;
    eventually("it was looked for", async || {
        engine.app_status(without).unwrap().manifest == ManifestState::Absent
    })
    .await;
    assert_eq!(engine.app_apply(without).await.unwrap_err().code(), "manifest_not_found");
    write_manifest(&house, SHOP);
    let mut spec = house.spec();
    spec.app = AppStart::Manual;
    let manual = create(&engine, spec).await.unwrap().id;
    assert_eq!(engine.app_status(manual).unwrap().manifest, ManifestState::Unread);
    engine.app_apply(manual).await.unwrap();
    is_ready(&engine, manual).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_is_stopped_started_and_restarted_and_an_unknown_one_is_not_found() {
    let house = House::new();
    write_manifest(&house, SHOP);
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    is_ready(&engine, id).await;
    let act = async |process, action| engine.process_act(id, name(process), action).await;
    let stopped = act("mail", ProcessAction::Stop).await.unwrap();
    assert_eq!(stopped.state, ProcessState::Stopped);
    assert_eq!(act("mail", ProcessAction::Restart).await.unwrap().restarts, 1);
    let err = act("other", ProcessAction::Start).await.unwrap_err();
    assert_eq!(err.code(), "process_not_found");
    engine.sandbox_stop(id, None).await.unwrap();
    let err = act("mail", ProcessAction::Start).await.unwrap_err();
    assert_eq!(err.code(), "state_conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn d11_of_a_stopped_sandbox_no_process_is_shown_as_running() {
    let house = House::new();
    write_manifest(&house, SHOP);
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    is_ready(&engine, id).await;
    engine.sandbox_stop(id, None).await.unwrap();
    eventually("its processes rest", async || {
        let app = engine.app_status(id).unwrap();
        app.processes.iter().all(|process| process.state == ProcessState::Stopped)
    })
    .await;
}

#[test]
fn a_killed_server_finds_the_app_again_running_or_not() {
    let house = House::new();
    write_manifest(&house, SHOP);
    let (running, stopped) = in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let running = create(&engine, house.spec()).await.unwrap().id;
        let stopped = create(&engine, house.spec()).await.unwrap().id;
        is_ready(&engine, running).await;
        is_ready(&engine, stopped).await;
        engine.sandbox_stop(stopped, None).await.unwrap();
        (running, stopped)
    });
    // What the manifest says now is not what runs.
    std::fs::remove_file(house.source().join("sandbox.yaml")).unwrap();
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        is_ready(&engine, running).await;
        let app = engine.app_status(stopped).unwrap();
        let record = engine.sandbox_fetch(stopped).unwrap();
        let preview = app.preview(&record.state, record.stop_reason);
        assert_eq!((preview.port, preview.status), (Some(4000), PreviewStatus::Stopped));
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn s2_a_keepalive_is_shown_and_holds_off_sleep_and_no_longer() {
    let house = House::new();
    write_manifest(&house, SHOP);
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    is_ready(&engine, id).await;
    let now = engine.sandbox_fetch(id).unwrap().created_at;
    let err = engine.sandbox_keepalive(id, now).await.unwrap_err();
    assert_eq!(err.code(), "invalid_value");
    let until = now + Duration::from_hours(2);
    let kept = engine.sandbox_keepalive(id, until).await.unwrap();
    assert_eq!(kept.keepalive_until, Some(until));
    assert_eq!(engine.sandbox_fetch(id).unwrap().keepalive_until, Some(until));
    // More than is allowed is cut, and shown as such.
    let far = engine.sandbox_keepalive(id, now + Duration::from_hours(1000)).await.unwrap();
    assert_eq!(far.keepalive_until, Some(now + Duration::from_hours(24)));
    engine.sandbox_keepalive(id, until).await.unwrap();
    let control = create(&engine, house.spec()).await.unwrap().id;
    is_ready(&engine, control).await;
    house.clock.advance(Duration::from_hours(1));
    let state = |id| engine.sandbox_fetch(id).unwrap().state;
    eventually("the control sleeps", async || state(control) == SandboxState::Stopped).await;
    assert_eq!(state(id), SandboxState::Running);
    house.clock.advance(Duration::from_hours(2));
    eventually("it sleeps, too", async || state(id) == SandboxState::Stopped).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sleeps_is_woken_once_by_many_and_what_a_person_stopped_is_not() {
    let house = House::new();
    write_manifest(&house, SHOP);
    let engine = house.engine().await;
    let mut always = house.spec();
    always.idle_policy = IdlePolicy::AlwaysOn;
    let always = create(&engine, always).await.unwrap().id;
    let id = create(&engine, house.spec()).await.unwrap().id;
    is_ready(&engine, id).await;
    is_ready(&engine, always).await;
    house.clock.advance(Duration::from_hours(1));
    eventually("it sleeps", async || {
        engine.sandbox_fetch(id).unwrap().stop_reason == Some(StopReason::Idle)
    })
    .await;
    assert_eq!(engine.sandbox_fetch(always).unwrap().state, SandboxState::Running);
    let mut wakers = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let engine = engine.clone();
        wakers.spawn(async move { engine.sandbox_wake(id).await });
    }
    for woken in wakers.join_all().await {
        woken.unwrap();
    }
    is_ready(&engine, id).await;
    let starts =
        payloads(&engine, id).await.iter().filter(|e| **e == EventPayload::Running).count();
    assert_eq!(starts, 2, "created, and woken once");
    assert_eq!(engine.sandbox_fetch(id).unwrap().stop_reason, None);
    engine.sandbox_stop(id, None).await.unwrap();
    let err = engine.sandbox_wake(id).await.unwrap_err();
    assert_eq!(err.code(), "state_conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_wakes_is_never_said_to_have_been_stopped() {
    let house = House::new();
    write_manifest(&house, SHOP);
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    is_ready(&engine, id).await;
    for _ in 0..3 {
        house.clock.advance(Duration::from_hours(1));
        eventually("it sleeps", async || {
            engine.sandbox_fetch(id).unwrap().stop_reason == Some(StopReason::Idle)
        })
        .await;
        // The fake's port is the host's, where nobody listens: what is said of it is what counts.
        let deadline = tokio::time::Instant::now() + Duration::from_millis(200);
        let err = engine.preview_connect(id, 4000, deadline).await.unwrap_err();
        let is_plausible = matches!(
            err,
            PreviewError::Starting { .. } | PreviewError::NotListening { port: 4000, .. }
        );
        assert!(is_plausible, "{err:?}");
    }
}

#[test]
fn an_app_whose_later_manifest_was_refused_is_followed_by_the_next_server() {
    let house = House::new();
    write_manifest(&house, SHOP);
    let id = in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let id = create(&engine, house.spec()).await.unwrap().id;
        is_ready(&engine, id).await;
        let dir = house.sandbox_dir(id);
        house.host.write(&dir, "sandbox.yaml", b"version: 2\n\xff").unwrap();
        assert_eq!(engine.app_apply(id).await.unwrap_err().code(), "manifest_invalid");
        id
    });
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        is_ready(&engine, id).await;
        let manifest = &engine.app_status(id).unwrap().manifest;
        assert!(matches!(manifest, ManifestState::Invalid { .. }), "{manifest:?}");
    });
}
