//! Upkeep: what is given back by itself, what is refused and said before a limit is reached, and that a part of it
//! that fails is seen and stops no other.

use std::{fs, time::Duration};

use sandbar_engine::{
    Engine, EngineConfig, EventPayload, GcMode, Pending, Reconciler, TenantUpdateParams,
    UpkeepStatus,
};
use sandbar_types::{
    AcceptanceRules, NeedsPerson, Quota, SandboxId, SandboxSpec, SandboxState, StopReason, TenantId,
};

use crate::support::{House, create, eventually};

const DRAIN: Duration = Duration::from_secs(5);

/// With everything looked at all the time.
fn hasty(house: &House) -> EngineConfig {
    let mut config = house.config();
    config.settings.reconcile_interval = Duration::from_millis(20);
    config.settings.size_interval = Duration::from_millis(20);
    config
}

fn status(engine: &Engine, which: Reconciler) -> UpkeepStatus {
    engine.upkeep().into_iter().find(|status| status.reconciler == which).unwrap()
}

/// Until it has looked twice more: once may have begun before.
async fn looked(engine: &Engine, which: Reconciler) {
    let before = status(engine, which).runs;
    eventually("it looked", async || status(engine, which).runs >= before + 2).await;
}

async fn events(engine: &Engine, id: SandboxId) -> Vec<EventPayload> {
    let events = crate::support::events(engine, id).await;
    events.into_iter().map(|event| event.payload).collect()
}

fn fill(house: &House, id: SandboxId, layer: &str, kib: usize) {
    let path = house.sandbox_dir(id).0.join(layer).join("filling");
    fs::write(path, vec![b'x'; kib << 10]).unwrap();
}

#[tokio::test]
async fn s8_who_fills_its_disk_is_told_at_each_share_once_and_stopped_beyond() {
    let house = House::new();
    let engine = Engine::start(hasty(&house)).await.unwrap();
    let mut spec = house.spec();
    spec.limits.disk_bytes_max = 8 << 20;
    let id = create(&engine, spec).await.unwrap().id;
    let told = async || -> Vec<u8> {
        let share = |payload| {
            if let EventPayload::DiskWarning { percent, .. } = payload {
                return Some(percent);
            }
            matches!(payload, EventPayload::DiskExceeded { .. }).then_some(100)
        };
        events(&engine, id).await.into_iter().filter_map(share).collect()
    };
    // Half in each: the home directory counts, too.
    fill(&house, id, "upper", 3 << 10);
    fill(&house, id, "home", (3 << 10) + 600);
    eventually("80 percent are told", async || told().await == [80]).await;
    fill(&house, id, "upper", (3 << 10) + 900);
    eventually("90 percent are told", async || told().await == [80, 90]).await;
    assert_eq!(engine.sandbox_fetch(id).unwrap().state, SandboxState::Running);
    fill(&house, id, "upper", 6 << 10);
    eventually("it is stopped", async || {
        engine.sandbox_fetch(id).unwrap().state == SandboxState::Stopped
    })
    .await;
    assert_eq!(told().await, [80, 90, 100]);
    assert_eq!(engine.sandbox_fetch(id).unwrap().stop_reason, Some(StopReason::DiskFull));
    let calls = house.host.calls(id);
    let at = |call| calls.iter().position(|called| *called == call).unwrap();
    assert!(at("freeze") < at("stop"), "what is frozen writes no more: {calls:?}");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn b5_all_sandboxes_together_hold_no_more_than_they_may() {
    let house = House::new();
    let mut config = hasty(&house);
    config.settings.total_disk_bytes_max = Some(4 << 20);
    let engine = Engine::start(config).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(create(&engine, house.spec()).await.unwrap().id);
        house.clock.advance(Duration::from_secs(1));
    }
    let [pending, older, younger] = ids[..] else { panic!("there are three") };
    house.host.write(&house.sandbox_dir(pending), "work", &vec![b'x'; 3 << 20]).unwrap();
    for id in [pending, older, younger] {
        engine.sandbox_stop(id, None).await.unwrap();
        house.clock.advance(Duration::from_secs(1));
    }
    fill(&house, younger, "home", 512);
    fill(&house, older, "home", 1024);
    let living = || {
        let mut ids: Vec<_> =
            engine.sandbox_list(TenantId::DEFAULT).iter().map(|sandbox| sandbox.id).collect();
        ids.sort_unstable();
        ids
    };
    eventually("the oldest without changes goes, and no more", async || {
        living() == [pending, younger]
    })
    .await;
    // What has changes stays, and nothing new comes.
    house.host.write(&house.sandbox_dir(pending), "work", &vec![b'x'; 5 << 20]).unwrap();
    eventually("the younger one goes, too", async || living() == [pending]).await;
    looked(&engine, Reconciler::Total).await;
    let refused = create(&engine, house.spec()).await.unwrap_err();
    assert_eq!(refused.code(), "limit_reached");
    assert_eq!(living(), [pending]);
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn what_is_stopped_without_changes_goes_in_its_time_where_the_operator_says_so() {
    let house = House::new();
    let mut config = hasty(&house);
    config.settings.reconcile_interval = Duration::from_millis(3);
    config.settings.stopped_ttl = Some(Duration::from_hours(24));
    let engine = Engine::start(config).await.unwrap();
    let (pending, free) = (
        create(&engine, house.spec()).await.unwrap().id,
        create(&engine, house.spec()).await.unwrap().id,
    );
    house.host.write(&house.sandbox_dir(pending), "new", b"work").unwrap();
    for id in [pending, free] {
        engine.sandbox_stop(id, None).await.unwrap();
    }
    looked(&engine, Reconciler::Terminal).await;
    assert_eq!(engine.sandbox_list(TenantId::DEFAULT).len(), 2, "nothing is due");
    house.clock.advance(Duration::from_hours(25));
    eventually("it goes", async || engine.sandbox_fetch(free).is_err()).await;
    looked(&engine, Reconciler::Terminal).await;
    assert!(engine.sandbox_fetch(pending).is_ok(), "it has changes");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn changes_go_by_gc_only_with_their_sandbox_named_and_said() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    house.host.write(&house.sandbox_dir(id), "new", b"work").unwrap();
    let asked = async |pending, mode| engine.gc_sandbox(id, pending, mode).await;
    let running = asked(Pending::Discarded, GcMode::Collect).await.unwrap_err();
    assert_eq!(running.code(), "state_conflict");
    engine.sandbox_stop(id, None).await.unwrap();
    let refused = asked(Pending::Kept, GcMode::Collect).await.unwrap_err();
    assert_eq!(refused.code(), "changes_pending");
    let said = asked(Pending::Discarded, GcMode::DryRun).await.unwrap();
    assert!(said.actions[0].reason.contains("1 changes"), "{said:?}");
    assert!(engine.sandbox_fetch(id).is_ok(), "a dry run removed it");
    asked(Pending::Discarded, GcMode::Collect).await.unwrap();
    assert!(engine.sandbox_fetch(id).is_err());
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_lease_that_ends_soon_is_said_once() {
    let house = House::new();
    let engine = Engine::start(hasty(&house)).await.unwrap();
    let mut spec = house.spec();
    spec.expiry.ttl_ms = Some(3_600_000);
    let id = create(&engine, spec).await.unwrap().id;
    let said = async || {
        let events = events(&engine, id).await;
        events.iter().filter(|event| matches!(event, EventPayload::LeaseEnding { .. })).count()
    };
    looked(&engine, Reconciler::Warnings).await;
    assert_eq!(said().await, 0);
    house.clock.advance(Duration::from_mins(51));
    eventually("it is said", async || said().await == 1).await;
    looked(&engine, Reconciler::Warnings).await;
    assert_eq!(said().await, 1);
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_quota_that_is_nearly_used_is_said_once_for_each_time() {
    let house = House::new();
    let engine = Engine::start(hasty(&house)).await.unwrap();
    let quota = |sandboxes| TenantUpdateParams {
        seen: None,
        quota: Some(Quota { sandboxes: Some(sandboxes), ..Quota::default() }),
        source_roots: None,
    };
    create(&engine, house.spec()).await.unwrap();
    let said = || status(&engine, Reconciler::Warnings).done_total;
    for (most, so_far) in [(2, 0), (1, 1), (1, 1), (2, 1), (1, 2)] {
        engine.tenant_update(TenantId::DEFAULT, quota(most)).await.unwrap();
        looked(&engine, Reconciler::Warnings).await;
        assert_eq!(said(), so_far, "with {most}");
    }
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn s8_a_disk_that_is_nearly_full_takes_no_new_sandbox_and_those_that_run_are_told() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    engine.drain(DRAIN).await;
    drop(engine);
    let mut config = hasty(&house);
    (config.settings.free_bytes_min, config.settings.free_bytes_low) = (u64::MAX, u64::MAX);
    let engine = Engine::start(config).await.unwrap();
    assert_eq!(create(&engine, house.spec()).await.unwrap_err().code(), "storage_full");
    let said = async || {
        let events = events(&engine, id).await;
        events.iter().filter(|event| matches!(event, EventPayload::DataDiskLow { .. })).count()
    };
    eventually("who runs is told", async || said().await == 1).await;
    looked(&engine, Reconciler::Warnings).await;
    assert_eq!(said().await, 1);
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn the_server_holds_a_reserve_and_gives_it_back_when_it_is_wanted_no_more() {
    let house = House::new();
    let reserve = house.data_dir().join("reserve");
    for (bytes, is_there) in [(1 << 20, true), (0, false)] {
        let mut config = hasty(&house);
        config.settings.disk_reserve_bytes = bytes;
        let engine = Engine::start(config).await.unwrap();
        eventually("it is as it should be", async || reserve.exists() == is_there).await;
        engine.drain(DRAIN).await;
    }
}

#[tokio::test]
async fn a_part_that_fails_is_seen_stops_no_other_and_comes_again() {
    let house = House::new();
    let engine = Engine::start(hasty(&house)).await.unwrap();
    let checks = house.data_dir().join("checks");
    // What it lists is no directory.
    fs::remove_dir(&checks).unwrap();
    fs::write(&checks, "").unwrap();
    eventually("it fails", async || status(&engine, Reconciler::Orphans).last_error.is_some())
        .await;
    looked(&engine, Reconciler::Keys).await;
    assert_eq!(status(&engine, Reconciler::Keys).last_error, None);
    fs::remove_file(&checks).unwrap();
    fs::create_dir(&checks).unwrap();
    eventually("it does well", async || status(&engine, Reconciler::Orphans).last_error.is_none())
        .await;
    let orphans = status(&engine, Reconciler::Orphans);
    assert!(orphans.failures > 0 && orphans.failed_at.is_some() && orphans.next_run_at.is_some());
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn b9_what_belongs_to_nothing_goes_by_itself_and_work_never_does() {
    let house = House::new();
    let engine = Engine::start(hasty(&house)).await.unwrap();
    let (empty, work) = (SandboxId::generate(), SandboxId::generate());
    for id in [empty, work] {
        let dir = house.sandbox_dir(id).0;
        fs::create_dir_all(dir.join("upper")).unwrap();
        fs::create_dir_all(dir.join("home")).unwrap();
    }
    fill(&house, work, "home", 1);
    eventually("it goes", async || !house.sandbox_dir(empty).0.exists()).await;
    looked(&engine, Reconciler::Orphans).await;
    assert!(house.sandbox_dir(work).0.join("home/filling").exists());
    let trash = house.data_dir().join("trash");
    eventually("also from the trash", async || fs::read_dir(&trash).unwrap().count() == 0).await;
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn b6_accepting_without_a_person_asks_the_rules() {
    let house = House::new();
    let engine = house.engine().await;
    let rules = AcceptanceRules { files_max: 2, lines_max: 10, paths: vec!["docs/**".to_owned()] };
    let spec = SandboxSpec { acceptance: Some(rules), ..house.spec() };
    let id = create(&engine, spec).await.unwrap().id;
    for path in ["docs/a.md", "code.rs"] {
        house.host.write(&house.sandbox_dir(id), path, b"one line\n").unwrap();
    }
    let accepted = engine.accept(id).await.unwrap();
    assert!(house.source().join("docs/a.md").exists());
    assert!(!house.source().join("code.rs").exists(), "no rule says yes to it");
    let waiting: Vec<_> =
        accepted.waiting.iter().map(|one| (one.path.to_string(), one.why)).collect();
    assert_eq!(waiting, [("code.rs".to_owned(), NeedsPerson::PathNotListed)]);
    for path in ["docs/b.md", "docs/c.md", "docs/d.md"] {
        house.host.write(&house.sandbox_dir(id), path, b"one line\n").unwrap();
    }
    assert_eq!(engine.accept(id).await.unwrap_err().code(), "acceptance_limit");
    assert!(!house.source().join("docs/b.md").exists());
    engine.drain(DRAIN).await;
}
