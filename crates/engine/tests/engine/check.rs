//! The build check around its build: whose turn it is, who gives up, and that nothing is left.

use sandbar_engine::{AfterCheck, Check, Engine, EventPayload, PreviewStatus, Result};
use sandbar_types::{CheckStatus, ExitStatus, SandboxId, SandboxState};
use tokio::task::JoinSet;

use crate::support::{House, create, events, eventually, in_a_server_that_is_killed};

fn manifest(build: &str) -> String {
    format!(
        "version: 1\nweb: {{command: serve, port: 4000, restart_after_task: true}}\nworkers: [{{name: mail, command: work}}]\n{build}"
    )
}

async fn sandbox(house: &House, engine: &Engine, build: &str) -> SandboxId {
    std::fs::write(house.source().join("sandbox.yaml"), manifest(build)).unwrap();
    let id = create(engine, house.spec()).await.unwrap().id;
    eventually("the app is ready", async || {
        let app = engine.app_status(id).unwrap();
        app.preview(&SandboxState::Running, None).status == PreviewStatus::Ready
    })
    .await;
    id
}

fn forks(house: &House) -> usize {
    std::fs::read_dir(house.data_dir().join("checks")).unwrap().count()
}

/// Begins a check, and returns when its build runs.
async fn building(
    house: &House,
    engine: &Engine,
    id: SandboxId,
    checks: &mut JoinSet<Result<Check>>,
) {
    let waiting = engine.clone();
    checks.spawn(async move { waiting.app_check(id, AfterCheck::Nothing).await });
    let logs = |fork: std::fs::DirEntry| std::fs::read_dir(fork.path().join("logs"));
    eventually("it builds", async || {
        let found = std::fs::read_dir(house.data_dir().join("checks")).unwrap().flatten();
        found.flat_map(logs).flatten().count() == 1
    })
    .await;
}

/// Nothing runs but the sandboxes that are listed, and no copy has a directory.
async fn is_clean(house: &House, engine: &Engine) {
    eventually("no copy is left", async || forks(house) == 0).await;
    let trash = || std::fs::read_dir(house.data_dir().join("trash")).unwrap().count();
    eventually("its files are gone", async || trash() == 0).await;
    for sandbox in engine.sandbox_list_all() {
        engine.sandbox_delete(sandbox.id).await.unwrap();
    }
    eventually("the host is clean", async || house.host.is_clean()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_passes_fails_or_is_skipped_is_told_apart_and_is_in_the_history() {
    let house = House::new();
    let engine = house.engine().await;
    let id = sandbox(&house, &engine, "build: {command: echo built}\n").await;
    let passed = engine.app_check(id, AfterCheck::Nothing).await.unwrap();
    assert_eq!(passed.status, CheckStatus::Passed);
    assert_eq!((passed.lines, passed.is_truncated), (vec!["built".to_owned()], false));
    let dir = house.sandbox_dir(id);
    let rewrite = |build: &str| {
        house.host.write(&dir, "sandbox.yaml", manifest(build).as_bytes()).unwrap();
    };
    rewrite("build: {command: exit 3}\n");
    let failed = engine.app_check(id, AfterCheck::Nothing).await.unwrap();
    assert_eq!(failed.status, CheckStatus::Failed);
    assert_eq!(failed.exit, Some(ExitStatus::Exited { code: 3 }));
    assert!(failed.restarted.is_empty());
    rewrite("build: {command: ''}\n");
    let skipped = engine.app_check(id, AfterCheck::Restart).await.unwrap();
    assert_eq!((skipped.status, skipped.exit), (CheckStatus::Skipped, None));
    let restarted: Vec<_> = skipped
        .restarted
        .iter()
        .map(|restarted| (restarted.process.name.as_str(), restarted.process.restarts))
        .collect();
    assert_eq!(restarted, [("web", 1)]);
    let events = events(&engine, id).await;
    let checked: Vec<_> = events
        .into_iter()
        .filter_map(|event| {
            let EventPayload::BuildChecked { status, .. } = event.payload else { return None };
            Some(status)
        })
        .collect();
    assert_eq!(checked, [CheckStatus::Passed, CheckStatus::Failed, CheckStatus::Skipped]);
    is_clean(&house, &engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_manifest_with_a_broken_one_or_stopped_it_is_refused() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    let code = async || engine.app_check(id, AfterCheck::Nothing).await.unwrap_err().code();
    assert_eq!(code().await, "manifest_not_found");
    let dir = house.sandbox_dir(id);
    house.host.write(&dir, "sandbox.yaml", b"version: 2\n").unwrap();
    assert_eq!(code().await, "manifest_invalid");
    house.host.write(&dir, "sandbox.yaml", manifest("").as_bytes()).unwrap();
    engine.sandbox_stop(id, None).await.unwrap();
    assert_eq!(code().await, "state_conflict");
    is_clean(&house, &engine).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_check_at_a_time_and_who_goes_away_or_is_stopped_gives_it_up() {
    let house = House::new();
    let engine = house.engine().await;
    let id = sandbox(&house, &engine, "build: {command: sleep}\n").await;
    let mut checks = JoinSet::new();
    building(&house, &engine, id, &mut checks).await;
    let second = engine.app_check(id, AfterCheck::Nothing).await.unwrap_err();
    assert_eq!(second.code(), "check_running");
    assert_eq!(engine.sandbox_list_all().len(), 1, "a copy is no sandbox");
    checks.shutdown().await;
    eventually("it is removed", async || forks(&house) == 0).await;

    building(&house, &engine, id, &mut checks).await;
    engine.sandbox_stop(id, None).await.unwrap();
    let ended = checks.join_next().await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().code(), "state_conflict");
    is_clean(&house, &engine).await;
}

#[test]
fn a_copy_that_a_killed_server_left_is_removed_and_its_sandbox_lives_on() {
    let house = House::new();
    let id = in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let id = sandbox(&house, &engine, "build: {command: sleep}\n").await;
        let mut checks = JoinSet::new();
        building(&house, &engine, id, &mut checks).await;
        checks.detach_all();
        id
    });
    assert_eq!(forks(&house), 1);
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        assert_eq!(engine.sandbox_fetch(id).unwrap().state, SandboxState::Running);
        is_clean(&house, &engine).await;
    });
}
