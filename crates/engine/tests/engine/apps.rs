//! Apps: the one sandbox that each is about, what takes its place, what goes with an app, and what stays.

use std::time::Duration;

use sandbar_engine::{
    AfterChange, App, AppCreateParams, AppListParams, AppRef, AppUpdateParams, ConfigCreateParams,
    ConfigWhich, Engine, Event, EventFilter, EventOrder, EventPayload, Replace, Result, Sandbox,
    Undecided,
};
use sandbar_runtime::fake::Fault;
use sandbar_test_store::{Dialect, driver_of};
use sandbar_types::{
    AppName, ConfigAccess, ExitStatus, Generation, PresetName, SandboxId, SandboxSpec,
    SandboxState, Source, TenantId, Visibility,
};

use crate::support::{House, command, create, eventually, params};

const DRAIN: Duration = Duration::from_secs(5);
const PLANTED: &str = "planted-5f1c9a";

fn named(name: &str) -> AppCreateParams {
    AppCreateParams {
        name: name.parse().unwrap(),
        description: "Sells things".to_owned(),
        tags: vec!["web".parse().unwrap(), "demo".parse().unwrap()],
        external_user_id: None,
        external_project_id: None,
        preset: None,
        visibility: Some(Visibility::Private),
    }
}

fn of(app: &App) -> AppRef {
    AppRef { tenant: TenantId::DEFAULT, id: app.id }
}

async fn shop(engine: &Engine) -> AppRef {
    of(&engine.app_create(TenantId::DEFAULT, named("shop")).await.unwrap())
}

async fn give(engine: &Engine, house: &House, app: AppRef, replace: Replace) -> Result<Sandbox> {
    engine.app_sandbox_create(app, params(house.spec()), replace).await
}

async fn current(engine: &Engine, app: AppRef) -> Option<SandboxId> {
    engine.app_fetch(app).await.unwrap().current.map(|(id, _)| id)
}

/// Every event of an app, oldest first.
async fn history(engine: &Engine, AppRef { tenant, id }: AppRef) -> Vec<Event> {
    let filter = EventFilter { tenant, app: Some(id), sandbox: None, types: Vec::new() };
    engine.event_list(&filter, EventOrder::OldestFirst(0), 200).await.unwrap()
}

async fn payloads(engine: &Engine, app: AppRef) -> Vec<EventPayload> {
    history(engine, app).await.into_iter().map(|event| event.payload).collect()
}

fn change(house: &House, id: SandboxId) {
    house.host.write(&house.sandbox_dir(id), "a", b"new\n").unwrap();
}

fn secret(key: &str, value: &str) -> ConfigCreateParams {
    ConfigCreateParams {
        key: key.parse().unwrap(),
        value: value.into(),
        is_sensitive: true,
        access: ConfigAccess::AgentAccess,
    }
}

async fn seen(engine: &Engine, id: SandboxId, key: &str) -> String {
    let result = engine.exec_run(id, command(&["printenv", key]), 1 << 10).await.unwrap();
    String::from_utf8(result.stdout.bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a4_of_two_sandboxes_at_once_an_app_is_given_one_on_each_database() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let house = House::in_memory();
        let mut config = house.config();
        let Some(store) = driver_of(dialect, &house.data_dir()) else { continue };
        config.store = store;
        let engine = Engine::start(config).await.unwrap();
        for round in 0..8 {
            let app = engine.app_create(TenantId::DEFAULT, named(&format!("shop-{round}"))).await;
            let app = of(&app.unwrap());
            let tries: Vec<_> = (0..4)
                .map(|_| {
                    let (engine, params) =
                        (engine.clone(), params(SandboxSpec::over(Source::Empty)));
                    tokio::spawn(async move {
                        engine.app_sandbox_create(app, params, Replace::Never).await
                    })
                })
                .collect();
            let mut made = Vec::new();
            for one in tries {
                match one.await.unwrap() {
                    Ok(sandbox) => made.push(sandbox.id),
                    Err(err) => assert_eq!(err.code(), "app_has_sandbox", "{err:?}"),
                }
            }
            assert_eq!(made.len(), 1, "{dialect:?}");
            assert_eq!(current(&engine, app).await, Some(made[0]));
        }
        engine.drain(DRAIN).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a4_a_sandbox_that_failed_is_in_nobodys_way_and_is_kept_where_it_has_changes() {
    let house = House::new();
    let engine = house.engine().await;
    let app = shop(&engine).await;
    let fail = async |id| {
        house.host.end_supervisor(id, ExitStatus::Exited { code: 1 });
        eventually("it failed", async || {
            matches!(engine.sandbox_fetch(id).unwrap().state, SandboxState::Failed { .. })
        })
        .await;
    };
    let first = give(&engine, &house, app, Replace::Never).await.unwrap().id;
    change(&house, first);
    fail(first).await;
    let second = give(&engine, &house, app, Replace::Never).await.unwrap().id;
    assert_eq!(current(&engine, app).await, Some(second));
    assert!(engine.sandbox_fetch(first).is_ok(), "it has changes");
    fail(second).await;
    // One that does not come to be leaves the one that failed where it was.
    house.host.fail(Fault::LaunchFails);
    assert_eq!(
        give(&engine, &house, app, Replace::Never).await.unwrap_err().code(),
        "launch_failed"
    );
    assert_eq!(current(&engine, app).await, Some(second));
    let third = give(&engine, &house, app, Replace::Never).await.unwrap().id;
    assert_eq!(current(&engine, app).await, Some(third));
    assert!(engine.sandbox_fetch(second).is_err(), "it has no changes");
    engine.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_the_old_sandbox_is_there_until_the_new_one_runs_and_after_it_where_it_has_changes() {
    let house = House::new();
    let engine = house.engine().await;
    let app = shop(&engine).await;
    let first = give(&engine, &house, app, Replace::Never).await.unwrap();
    assert_eq!((first.name.as_str(), first.app_id), ("shop", Some(app.id)));
    let refused = give(&engine, &house, app, Replace::Never).await.unwrap_err();
    assert_eq!(refused.code(), "app_has_sandbox");
    house.host.fail(Fault::LaunchFails);
    let failed = give(&engine, &house, app, Replace::RemoveOld).await.unwrap_err();
    assert_eq!(failed.code(), "launch_failed");
    assert_eq!(current(&engine, app).await, Some(first.id));
    assert_eq!(engine.sandbox_fetch(first.id).unwrap().state, SandboxState::Running);
    change(&house, first.id);
    let second = give(&engine, &house, app, Replace::RemoveOld).await.unwrap();
    assert!(second.name.as_str().starts_with("shop-"), "{}", second.name);
    assert_eq!(current(&engine, app).await, Some(second.id));
    assert_eq!(engine.sandbox_fetch(first.id).unwrap().state, SandboxState::Running);
    let replaced = EventPayload::SandboxReplaced { old: first.id, new: second.id };
    assert!(payloads(&engine, app).await.contains(&replaced));
    let third = give(&engine, &house, app, Replace::KeepOld).await.unwrap();
    assert!(engine.sandbox_fetch(second.id).is_ok());
    let fourth = give(&engine, &house, app, Replace::RemoveOld).await.unwrap();
    assert!(engine.sandbox_fetch(third.id).is_err(), "nothing of it was undecided");
    // The name of the app is that of its current sandbox, whoever had it first.
    let resolve = async |text: &str| engine.sandbox_resolve(TenantId::DEFAULT, text).await;
    assert_eq!(resolve("shop").await.unwrap(), fourth.id);
    assert_eq!(resolve(&app.id.to_string()).await.unwrap(), fourth.id);
    assert_eq!(resolve(second.name.as_str()).await.unwrap(), second.id);
    engine.drain(DRAIN).await;
    drop(engine);
    let engine = house.engine().await;
    assert_eq!(current(&engine, app).await, Some(fourth.id));
    engine.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_ones_own_wins_over_that_of_an_app() {
    let house = House::new();
    let engine = house.engine().await;
    let app = shop(&engine).await;
    let resolve = async |text: &str| engine.sandbox_resolve(TenantId::DEFAULT, text).await;
    assert_eq!(resolve("shop").await.unwrap_err().code(), "sandbox_not_found");
    let mut spec = house.spec();
    spec.name = Some("shop".parse().unwrap());
    let own = create(&engine, spec).await.unwrap().id;
    let given = give(&engine, &house, app, Replace::Never).await.unwrap().id;
    assert_eq!(resolve("shop").await.unwrap(), own);
    engine.sandbox_delete(own).await.unwrap();
    assert_eq!(resolve("shop").await.unwrap(), given);
    engine.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_started_stopped_and_restarted_and_begins_with_its_preset() {
    let house = House::new();
    let engine = house.engine().await;
    let preset = Some(PresetName::Worker);
    let made = engine
        .app_create(TenantId::DEFAULT, AppCreateParams { preset, ..named("jobs") })
        .await
        .unwrap();
    let app = of(&made);
    assert_eq!(engine.app_stop(app, None).await.unwrap_err().code(), "sandbox_not_found");
    let caller = || params(house.spec()).caller;
    let started = engine.app_start(app, caller()).await.unwrap();
    assert_eq!(started.spec.source, Source::Preset { preset: PresetName::Worker });
    assert_eq!(engine.visibility_of(&started), Some(Visibility::Private));
    assert_eq!(engine.app_stop(app, None).await.unwrap().state, SandboxState::Stopped);
    assert_eq!(engine.app_start(app, caller()).await.unwrap().id, started.id);
    assert_eq!(engine.app_restart(app, None).await.unwrap().state, SandboxState::Running);
    // Who may see what runs is decided anew when the app says so.
    let open = AppUpdateParams { visibility: Some(None), ..AppUpdateParams::default() };
    engine.app_update(app, open).await.unwrap();
    assert_eq!(engine.visibility_of(&started), None);
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_list_is_filtered_and_a_change_is_made_to_what_was_seen() {
    let house = House::new();
    let engine = house.engine().await;
    let app = shop(&engine).await;
    let other = AppCreateParams {
        tags: vec!["web".parse().unwrap()],
        description: "Ünder construction".to_owned(),
        external_user_id: Some("u1".parse().unwrap()),
        ..named("blog")
    };
    engine.app_create(TenantId::DEFAULT, other).await.unwrap();
    let list = async |params: AppListParams| {
        let found = engine.app_list(TenantId::DEFAULT, params, 10).await.unwrap();
        found.into_iter().map(|app| app.name.to_string()).collect::<Vec<_>>()
    };
    let tags = |tags: &[&str]| AppListParams {
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        ..AppListParams::default()
    };
    assert_eq!(list(AppListParams::default()).await, ["blog", "shop"]);
    assert_eq!(list(tags(&["web"])).await, ["blog", "shop"]);
    assert_eq!(list(tags(&["web", "demo"])).await, ["shop"]);
    for (text, found) in [("SHO", "shop"), ("üNDER", "blog"), ("sells", "shop")] {
        let text = Some(text.to_owned());
        assert_eq!(list(AppListParams { text, ..AppListParams::default() }).await, [found]);
    }
    let mut params = AppListParams::default();
    params.filter.external_user_id = Some("u1".parse().unwrap());
    assert_eq!(list(params).await, ["blog"]);
    assert!(
        engine
            .app_list(TenantId::generate(), AppListParams::default(), 10)
            .await
            .unwrap()
            .is_empty()
    );

    let rename = |name: &str, seen| AppUpdateParams {
        generation: seen,
        name: Some(name.parse().unwrap()),
        ..AppUpdateParams::default()
    };
    let taken = engine.app_update(app, rename("blog", None)).await.unwrap_err();
    assert_eq!(taken.code(), "app_name_taken");
    let renamed = engine.app_update(app, rename("store", Some(Generation(1)))).await.unwrap();
    assert_eq!(renamed.generation, Generation(2));
    let late = engine.app_update(app, rename("late", Some(Generation(1)))).await.unwrap_err();
    assert_eq!(late.code(), "stale_generation");
    let same = engine.app_update(app, rename("store", None)).await.unwrap();
    assert_eq!(same.generation, Generation(2), "nothing was changed");
    for description in ["nul \0".to_owned(), "x".repeat(4097)] {
        let params =
            AppUpdateParams { description: Some(description), ..AppUpdateParams::default() };
        assert_eq!(engine.app_update(app, params).await.unwrap_err().code(), "invalid_value");
    }
    engine.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_what_an_app_has_reaches_its_sandboxes_and_their_own_wins() {
    let house = House::new();
    let engine = house.engine().await;
    let app = shop(&engine).await;
    let id = give(&engine, &house, app, Replace::Never).await.unwrap().id;
    let set = async |key: &str, value: &str| {
        engine.config_create(app, secret(key, value), AfterChange::RunOn).await.unwrap()
    };
    set("KEY", PLANTED).await;
    set("BOTH", "app").await;
    set("HIDDEN", "app").await;
    let own = secret("BOTH", "sandbox");
    engine.config_create(id, own, AfterChange::RunOn).await.unwrap();
    let hidden =
        ConfigCreateParams { access: ConfigAccess::ControlPlaneOnly, ..secret("HIDDEN", "own") };
    engine.config_create(id, hidden, AfterChange::RunOn).await.unwrap();
    for (key, value) in [("KEY", PLANTED), ("BOTH", "sandbox"), ("HIDDEN", "")] {
        assert_eq!(seen(&engine, id, key).await, value, "{key}");
    }
    let alone = create(&engine, house.spec()).await.unwrap().id;
    assert_eq!(seen(&engine, alone, "KEY").await, "");
    assert_eq!(engine.secrets_rotate().await.unwrap().resealed, 5);
    assert_eq!(seen(&engine, id, "KEY").await, PLANTED);
    let which = ConfigWhich { scope: app.into(), key: "KEY".parse().unwrap(), generation: None };
    engine.config_remove(which, AfterChange::RunOn).await.unwrap();
    assert_eq!(seen(&engine, id, "KEY").await, "");
    engine.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_a_clone_has_everything_or_is_not_there() {
    let house = House::new();
    let engine = house.engine().await;
    let preset = Some(PresetName::FastApi);
    let params = AppCreateParams { preset, ..named("shop") };
    let made = engine.app_create(TenantId::DEFAULT, params).await.unwrap();
    let app = of(&made);
    engine.config_create(app, secret("KEY", PLANTED), AfterChange::RunOn).await.unwrap();
    let plain = ConfigCreateParams { is_sensitive: false, ..secret("LEVEL", "debug") };
    engine.config_create(app, plain, AfterChange::RunOn).await.unwrap();
    let name = |name: &str| name.parse::<AppName>().unwrap();
    let clone = engine.app_clone(app, name("fork")).await.unwrap();
    assert_eq!(
        (&clone.description, &clone.tags, clone.preset, clone.visibility),
        (&made.description, &made.tags, preset, made.visibility)
    );
    let id = give(&engine, &house, of(&clone), Replace::Never).await.unwrap().id;
    assert_eq!(seen(&engine, id, "KEY").await, PLANTED);
    assert_eq!(seen(&engine, id, "LEVEL").await, "debug");
    assert_eq!(payloads(&engine, of(&clone)).await[0], EventPayload::AppCloned { from: app.id });
    let taken = engine.app_clone(app, name("fork")).await.unwrap_err();
    assert_eq!(taken.code(), "app_name_taken");
    // The key is gone: nothing of the clone is left, its name included.
    engine.drain(DRAIN).await;
    drop(engine);
    std::fs::remove_file(house.data_dir().join("secrets.key")).unwrap();
    let engine = house.engine().await;
    let failed = engine.app_clone(app, name("late")).await.unwrap_err();
    assert_eq!(failed.code(), "secrets_key_unusable");
    let found = engine.app_resolve(TenantId::DEFAULT, "late").await.unwrap_err();
    assert_eq!(found.code(), "app_not_found");
    engine.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_says_what_went_and_takes_nothing_that_waits_for_a_decision() {
    let house = House::new();
    let engine = house.engine().await;
    let app = shop(&engine).await;
    engine.config_create(app, secret("KEY", PLANTED), AfterChange::RunOn).await.unwrap();
    let first = give(&engine, &house, app, Replace::Never).await.unwrap().id;
    change(&house, first);
    // What was replaced is looked at, too.
    let second = give(&engine, &house, app, Replace::KeepOld).await.unwrap().id;
    let refused = engine.app_remove(app, None, Undecided::Keep).await.unwrap_err();
    assert_eq!(refused.code(), "changes_pending");
    let details = refused.details_value().unwrap();
    assert_eq!(details["sandboxes"], serde_json::json!([{ "id": first, "changes": 1 }]));
    assert!(engine.sandbox_fetch(first).is_ok() && engine.sandbox_fetch(second).is_ok());
    let stale = engine.app_remove(app, Some(Generation(7)), Undecided::Drop).await.unwrap_err();
    assert_eq!(stale.code(), "stale_generation");
    let removed = engine.app_remove(app, None, Undecided::Drop).await.unwrap();
    assert_eq!((removed.sandboxes, removed.config_items), (vec![first, second], 1));
    assert!(engine.sandbox_fetch(first).is_err() && engine.sandbox_fetch(second).is_err());
    assert_eq!(engine.secrets_rotate().await.unwrap().resealed, 0, "its secrets went with it");
    engine.drain(DRAIN).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a18_deleting_an_app_keeps_its_events() {
    let house = House::new();
    let engine = house.engine().await;
    let app = shop(&engine).await;
    let id = give(&engine, &house, app, Replace::Never).await.unwrap().id;
    let tags = Some(Vec::new());
    engine.app_update(app, AppUpdateParams { tags, ..AppUpdateParams::default() }).await.unwrap();
    engine.app_remove(app, None, Undecided::Keep).await.unwrap();
    let found = engine.app_fetch(app).await.unwrap_err();
    assert_eq!(found.code(), "app_not_found");
    let events = history(&engine, app).await;
    assert_eq!(events[0].payload, EventPayload::AppCreated);
    assert!(events.iter().any(|event| event.sandbox_id == Some(id)));
    let last = EventPayload::AppDeleted { sandboxes: vec![id], config_items: 0 };
    assert_eq!(events.last().unwrap().payload, last);
    let stranger = AppRef { tenant: TenantId::generate(), ..app };
    assert_eq!(history(&engine, stranger).await, []);
    engine.drain(DRAIN).await;
}
