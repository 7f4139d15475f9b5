//! Undo and the history of approves: across restarts, after the sandbox is gone, and never over the host's later work.

use std::{os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use sandbar_engine::{
    Applier, ApplierFds, ApproveListParams, ApproveParams, Changes, Engine, ErrorKind, Event,
    EventPayload, GcMode, InProcessApplier, Resolutions,
};
use sandbar_runtime::spawn::WorkerError;
use sandbar_types::{
    Actor, ApproveId, ChangeFlag, ChangeKind, Confirmed, Entry, HostPath, SandboxId, Selection,
    TenantId, WorkspacePath,
};
use sandbar_workspace::applier::{Reply, Request};

use crate::support::{House, create, events, eventually};

const DRAIN: Duration = Duration::from_secs(5);
const DAY: Duration = Duration::from_hours(24);

fn me() -> Actor {
    Actor::User { uid: 1000, name: Some("me".to_owned()) }
}

fn all(changes: &Changes) -> ApproveParams {
    ApproveParams {
        diff_id: changes.set.diff_id,
        selection: Selection::All,
        confirm: Confirmed::default(),
        resolutions: Resolutions::default(),
        commit: None,
        generation: None,
    }
}

async fn approve_all(engine: &Engine, id: SandboxId) -> ApproveId {
    let seen = engine.changes(id).await.unwrap();
    engine.approve_by(id, all(&seen), me()).await.unwrap().id
}

/// A sandbox that changed `a`, added `c`, and made `a` executable.
async fn changed(house: &House, engine: &Engine) -> SandboxId {
    let id = create(engine, house.spec()).await.unwrap().id;
    let dir = house.sandbox_dir(id);
    house.host.write(&dir, "a", b"new\n").unwrap();
    house.host.write(&dir, "c", b"added\n").unwrap();
    id
}

fn read(house: &House, name: &str) -> Option<String> {
    std::fs::read_to_string(house.source().join(name)).ok()
}

fn kinds(changes: &Changes) -> Vec<(String, ChangeKind, bool)> {
    let one = |change: &sandbar_types::Change| {
        let is_drifted = change.flags.contains(&ChangeFlag::BaseDrifted);
        (change.path.to_string(), change.kind, is_drifted)
    };
    changes.set.changes.iter().map(one).collect()
}

#[tokio::test]
async fn what_is_undone_is_pending_again_without_drift_and_can_be_approved_again() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let seen = engine.changes(id).await.unwrap();
    let approved = engine.approve_by(id, all(&seen), me()).await.unwrap();
    assert!(engine.changes(id).await.unwrap().set.changes.is_empty());
    let undone = engine.undo(TenantId::DEFAULT, approved.id, me()).await.unwrap();
    assert_eq!((undone.undone, &undone.restored), (approved.id, &approved.applied));
    assert_eq!((read(&house, "a").as_deref(), read(&house, "c")), (Some("old\n"), None));
    let again = engine.changes(id).await.unwrap();
    assert_eq!(kinds(&again), kinds(&seen));
    assert_eq!(again.set.diff_id, seen.set.diff_id, "it is not the same as it was");
    assert!(again.generation > seen.generation, "an undo is a decision");
    approve_all(&engine, id).await;
    assert_eq!(
        (read(&house, "a").as_deref(), read(&house, "c").as_deref()),
        (Some("new\n"), Some("added\n"))
    );
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn it_is_undone_after_a_restart_and_without_its_sandbox() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let script = house.source().join("b");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o640)).unwrap();
    let approved = approve_all(&engine, id).await;
    engine.sandbox_delete(id).await.unwrap();
    engine.drain(DRAIN).await;
    drop(engine);
    let engine = house.engine().await;
    let undone = engine.undo(TenantId::DEFAULT, approved, me()).await.unwrap();
    assert_eq!((read(&house, "a").as_deref(), read(&house, "c")), (Some("old\n"), None));
    assert_eq!(
        engine.undo(TenantId::DEFAULT, approved, me()).await.unwrap(),
        undone,
        "the second undo is another"
    );
    let hidden = std::fs::read_dir(house.source()).unwrap();
    assert_eq!(hidden.count(), 2, "something of ours is in the source");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn b16_nothing_is_lost_where_the_host_went_on_after_an_approve() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let approved = approve_all(&engine, id).await;
    std::fs::write(house.source().join("a"), "the host's own\n").unwrap();
    let refused = engine.undo(TenantId::DEFAULT, approved, me()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, "undo_conflict"));
    let conflict = &refused.details_value().unwrap()["conflicts"][0];
    assert_eq!((&conflict["path"], &conflict["reason"]), (&"a".into(), &"host_modified".into()));
    assert!(refused.hint_text().is_some());
    assert_eq!(read(&house, "a").as_deref(), Some("the host's own\n"));
    assert_eq!(read(&house, "c").as_deref(), Some("added\n"), "a refused undo did something");
    // It can be asked again once nothing is in the way.
    std::fs::write(house.source().join("a"), "new\n").unwrap();
    engine.undo(TenantId::DEFAULT, approved, me()).await.unwrap();
    assert_eq!(read(&house, "a").as_deref(), Some("old\n"));
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_merged_edit_of_the_host_shows_as_drift_and_is_not_approved_away() {
    let house = House::new();
    std::fs::write(house.source().join("a"), "1\n2\n3\n4\n5\n").unwrap();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    house.host.write(&house.sandbox_dir(id), "a", b"1\n2\n3\n4\nfive\n").unwrap();
    let approved = approve_all(&engine, id).await;
    std::fs::write(house.source().join("a"), "one\n2\n3\n4\nfive\n").unwrap();
    let undone = engine.undo(TenantId::DEFAULT, approved, me()).await.unwrap();
    assert_eq!(undone.merged, undone.restored);
    assert_eq!(read(&house, "a").as_deref(), Some("one\n2\n3\n4\n5\n"));
    let pending = engine.changes(id).await.unwrap();
    assert_eq!(kinds(&pending), [("a".to_owned(), ChangeKind::Modified, true)]);
    assert_eq!(engine.approve(id, all(&pending)).await.unwrap_err().code(), "review_conflict");
    assert_eq!(read(&house, "a").as_deref(), Some("one\n2\n3\n4\n5\n"));
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn only_the_last_one_is_undone_and_then_the_one_before_it() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let first = approve_all(&engine, id).await;
    house.host.write(&house.sandbox_dir(id), "a", b"newer\n").unwrap();
    let second = approve_all(&engine, id).await;
    let refused = engine.undo(TenantId::DEFAULT, first, me()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, "undo_not_last"));
    let undo = engine.undo(TenantId::DEFAULT, second, me()).await.unwrap().id;
    assert_eq!(read(&house, "a").as_deref(), Some("new\n"));
    // What the first approve wrote is what the sandbox is compared with again.
    assert_eq!(
        kinds(&engine.changes(id).await.unwrap()),
        [("a".to_owned(), ChangeKind::Modified, false)]
    );
    assert_eq!(
        engine.undo(TenantId::DEFAULT, undo, me()).await.unwrap_err().code(),
        "not_undoable"
    );
    engine.undo(TenantId::DEFAULT, first, me()).await.unwrap();
    assert_eq!((read(&house, "a").as_deref(), read(&house, "c")), (Some("old\n"), None));
    assert_eq!(
        engine.undo(TenantId::DEFAULT, ApproveId::generate(), me()).await.unwrap_err().code(),
        "approve_not_found"
    );
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn an_undone_approve_is_not_replayed() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let seen = engine.changes(id).await.unwrap();
    let approved = engine.approve(id, all(&seen)).await.unwrap().id;
    engine.undo(TenantId::DEFAULT, approved, me()).await.unwrap();
    house.host.write(&house.sandbox_dir(id), "a", b"newer\n").unwrap();
    let stale = engine.approve(id, all(&seen)).await.unwrap_err();
    assert_eq!(stale.code(), "diff_changed", "it answers with what was taken back");
    engine.drain(DRAIN).await;
}

/// Carries an undo out, and dies before it can say so.
#[derive(Debug)]
struct DiesAtUndo;

#[async_trait::async_trait]
impl Applier for DiesAtUndo {
    async fn run(&self, fds: ApplierFds, request: Request) -> Result<Reply, WorkerError> {
        let dies = matches!(request, Request::Undo { .. });
        let reply = InProcessApplier.run(fds, request).await?;
        if dies { Err(WorkerError::Failed { stderr: "killed".to_owned() }) } else { Ok(reply) }
    }
}

#[tokio::test]
async fn an_undo_that_a_crash_interrupted_is_ended_at_the_next_start() {
    let house = House::new();
    let mut config = house.config();
    config.applier = Arc::new(DiesAtUndo);
    let engine = Engine::start(config).await.unwrap();
    let id = changed(&house, &engine).await;
    let approved = approve_all(&engine, id).await;
    assert_eq!(
        engine.undo(TenantId::DEFAULT, approved, me()).await.unwrap_err().kind(),
        ErrorKind::Internal
    );
    engine.drain(DRAIN).await;
    drop(engine);
    let engine = house.engine().await;
    let events = events(&engine, id).await;
    let is_undone = |event: &Event| matches!(event.payload, EventPayload::Undone { undone, .. } if undone == approved);
    assert_eq!(events.iter().filter(|event| is_undone(event)).count(), 1, "{events:?}");
    assert_eq!(kinds(&engine.changes(id).await.unwrap()).len(), 2);
    assert_eq!(engine.undo(TenantId::DEFAULT, approved, me()).await.unwrap().restored.len(), 2);
    let journals = || std::fs::read_dir(house.dir.path().join("data/journal")).unwrap().count();
    assert_eq!(journals(), 1, "only what the undo replaced is kept");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn the_history_says_who_approved_what_and_outlives_the_sandbox() {
    let house = House::new();
    let mut config = house.config();
    config.settings.reconcile_interval = Duration::from_millis(20);
    // Events are kept for longer than deleted sandboxes are, unless told otherwise.
    config.settings.event_ttl = 30 * DAY;
    let engine = Engine::start(config).await.unwrap();
    let sandbox = create(&engine, house.spec()).await.unwrap();
    house.host.write(&house.sandbox_dir(sandbox.id), "a", b"new\n").unwrap();
    let first = approve_all(&engine, sandbox.id).await;
    house.host.write(&house.sandbox_dir(sandbox.id), "d/\u{e9}", b"deep\n").unwrap();
    let second = approve_all(&engine, sandbox.id).await;
    let undo = engine.undo(TenantId::DEFAULT, second, Actor::Token).await.unwrap().id;
    engine.sandbox_delete(sandbox.id).await.unwrap();
    house.clock.advance(31 * DAY);
    eventually("the sandbox is forgotten", async || {
        engine.sandbox_resolve(TenantId::DEFAULT, &sandbox.id.to_string()).await.is_err()
    })
    .await;
    let list = async |params: ApproveListParams| {
        let params = ApproveListParams { limit: 10, ..params };
        engine.approve_list(TenantId::DEFAULT, params).await.unwrap()
    };
    let ids = |records: &[sandbar_engine::ApproveRecord]| {
        records.iter().map(|record| record.id).collect::<Vec<_>>()
    };
    let every = list(ApproveListParams::default()).await;
    assert_eq!(ids(&every), [undo, second, first]);
    assert_eq!((every[0].undoes, every[1].undone_by), (Some(second), Some(undo)));
    assert_eq!((&every[0].actor, &every[2].actor), (&Actor::Token, &me()));
    assert_eq!((every[2].sandbox_id, &every[2].sandbox_name), (sandbox.id, &sandbox.name));
    assert_eq!(
        every.iter().map(|record| record.is_undoable).collect::<Vec<_>>(),
        [false, false, true]
    );
    let path = &every[2].paths[0];
    assert_eq!((path.path.to_string(), path.kind), ("a".to_owned(), ChangeKind::Modified));
    let size = |entry: &Option<Entry>| match entry {
        Some(Entry::File { size, .. }) => *size,
        other => panic!("{other:?}"),
    };
    assert_eq!((size(&path.before), size(&path.after)), (4, 4));
    assert_ne!(path.before, path.after);
    let by_path = |path: &str| ApproveListParams {
        path: Some(WorkspacePath::parse(path).unwrap()),
        ..ApproveListParams::default()
    };
    assert_eq!(ids(&list(by_path("d")).await), [undo, second]);
    assert_eq!(ids(&list(by_path("a")).await), [first]);
    assert!(list(by_path("d0")).await.is_empty());
    let by_name = ApproveListParams {
        sandbox: Some(sandbox.name.to_string()),
        source: Some(HostPath::parse(house.source()).unwrap()),
        before: Some(every[0].position),
        ..ApproveListParams::default()
    };
    assert_eq!(ids(&list(by_name).await), [second, first]);
    house.clock.advance(60 * DAY);
    eventually("what nobody can undo is forgotten", async || {
        ids(&list(ApproveListParams::default()).await) == [first]
    })
    .await;
    engine
        .undo(TenantId::DEFAULT, first, me())
        .await
        .expect("the last one is kept however old it is");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn what_is_kept_is_given_back_in_time_and_gc_says_what() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let first = approve_all(&engine, id).await;
    house.host.write(&house.sandbox_dir(id), "a", b"newer\n").unwrap();
    let second = approve_all(&engine, id).await;
    assert!(engine.gc(GcMode::DryRun).await.unwrap().actions.is_empty());
    house.clock.advance(8 * DAY);
    let planned = engine.gc(GcMode::DryRun).await.unwrap().actions;
    let what = format!("what {first} replaced");
    assert_eq!(planned.iter().map(|action| &action.what).collect::<Vec<_>>(), [&what]);
    assert!(planned[0].bytes.is_some_and(|bytes| bytes > 0));
    engine.gc(GcMode::Collect).await.unwrap();
    engine.undo(TenantId::DEFAULT, second, me()).await.unwrap();
    let refused = engine.undo(TenantId::DEFAULT, first, me()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.code()), (ErrorKind::Conflict, "undo_expired"));
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn b15_provenance_paths_are_those_of_the_source_when_scope_is_narrower() {
    let house = House::new();
    std::fs::create_dir(house.source().join("sub")).unwrap();
    std::fs::write(house.source().join("sub/x"), "old\n").unwrap();
    let engine = house.engine().await;
    let mut spec = house.spec();
    spec.scope = Some(WorkspacePath::parse("sub").unwrap());
    let id = create(&engine, spec).await.unwrap().id;
    house.host.write(&house.sandbox_dir(id), "sub/x", b"new\n").unwrap();
    let approved = approve_all(&engine, id).await;
    let record = engine.approve_fetch(TenantId::DEFAULT, approved).await.unwrap();
    assert_eq!(record.source, HostPath::parse(house.source()).unwrap());
    let paths: Vec<_> = record.paths.iter().map(|path| path.path.to_string()).collect();
    assert_eq!(paths, ["sub/x"]);
    assert!(house.source().join(record.paths[0].path.as_path()).exists());
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a1_an_approve_of_another_tenant_is_as_one_that_never_was() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    let approved = approve_all(&engine, id).await;
    let (other, never) = (TenantId::generate(), ApproveId::generate());
    let told = |err: sandbar_engine::Error, id: ApproveId| {
        (err.code(), err.message().replace(&id.to_string(), "ID"))
    };
    let foreign = engine.approve_fetch(other, approved).await.unwrap_err();
    let lost = engine.approve_fetch(other, never).await.unwrap_err();
    assert_eq!(told(foreign, approved), told(lost, never));
    let foreign = engine.undo(other, approved, me()).await.unwrap_err();
    let lost = engine.undo(other, never, me()).await.unwrap_err();
    assert_eq!(told(foreign, approved), told(lost, never));
    let params = || ApproveListParams { limit: 10, ..ApproveListParams::default() };
    assert!(engine.approve_list(other, params()).await.unwrap().is_empty());
    assert_eq!(engine.approve_list(TenantId::DEFAULT, params()).await.unwrap().len(), 1);
    assert_eq!(read(&house, "a").as_deref(), Some("new\n"));
    engine.drain(DRAIN).await;
}
