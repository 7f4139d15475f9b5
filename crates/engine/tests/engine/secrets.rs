//! Settings and secrets: who gets them, where they are found, and what a lost or a new key does.

use std::{fs, path::Path};

use sandbar_engine::{
    AfterChange, ConfigCreateParams, ConfigUpdateParams, ConfigWhich, Engine, EventPayload,
    PreviewStatus,
};
use sandbar_types::{ConfigAccess, Generation, SandboxId, SandboxState};

use crate::support::{House, command, create, events, eventually, in_a_server_that_is_killed};

const SHOP: &str = "version: 1\nweb:\n  command: serve\n  port: 4000\n";
const PLANTED: &str = "planted-5f1c9a";

fn secret(key: &str, access: ConfigAccess) -> ConfigCreateParams {
    ConfigCreateParams {
        key: key.parse().unwrap(),
        value: PLANTED.into(),
        is_sensitive: true,
        access,
    }
}

async fn set(engine: &Engine, id: SandboxId, params: ConfigCreateParams) {
    engine.config_create(id, params, AfterChange::RunOn).await.unwrap();
}

fn which(id: SandboxId, key: &str) -> ConfigWhich {
    ConfigWhich { scope: id.into(), key: key.parse().unwrap(), generation: None }
}

/// What a command sees of a variable.
async fn seen(engine: &Engine, id: SandboxId, key: &str) -> String {
    let result = engine.exec_run(id, command(&["printenv", key]), 1 << 10).await.unwrap();
    String::from_utf8(result.stdout.bytes).unwrap()
}

async fn app_is_ready(engine: &Engine, id: SandboxId) {
    eventually("the app is ready", async || {
        let app = engine.app_status(id).unwrap();
        app.preview(&SandboxState::Running, None).status == PreviewStatus::Ready
    })
    .await;
}

/// Whether a file below `dir` holds `text`.
fn holds(dir: &Path, text: &str) -> bool {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()).any(|entry| {
        if entry.file_type().unwrap().is_dir() {
            return holds(&entry.path(), text);
        }
        let bytes = fs::read(entry.path()).unwrap_or_default();
        bytes.windows(text.len()).any(|part| part == text.as_bytes())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn s5_each_policy_reaches_whom_it_names_and_a_change_says_who_has_the_old_value() {
    let house = House::new();
    fs::write(house.source().join("sandbox.yaml"), SHOP).unwrap();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    app_is_ready(&engine, id).await;
    for (key, access) in [
        ("NOBODY", ConfigAccess::ControlPlaneOnly),
        ("AGENT", ConfigAccess::AgentAccess),
        ("ALL", ConfigAccess::Both),
    ] {
        set(&engine, id, secret(key, access)).await;
    }
    let made = engine
        .config_create(id, secret("APP", ConfigAccess::RuntimeAccess), AfterChange::RunOn)
        .await
        .unwrap();
    assert_eq!(made.item.value, None);
    assert_eq!(made.stale_processes.len(), 1, "the app runs without it");
    for (key, is_seen) in [("NOBODY", false), ("AGENT", true), ("ALL", true), ("APP", false)] {
        assert_eq!(seen(&engine, id, key).await, if is_seen { PLANTED } else { "" }, "{key}");
    }
    let in_app = || {
        let app = house.host.app(id).unwrap();
        app.processes[0].env.keys().map(|key| key.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(in_app(), ["PORT"]);
    let params = ConfigUpdateParams { value: Some("next".into()), ..ConfigUpdateParams::default() };
    let changed =
        engine.config_update(which(id, "APP"), params, AfterChange::Restart).await.unwrap();
    assert!(changed.stale_processes.is_empty());
    assert_eq!(in_app(), ["ALL", "APP", "PORT"]);
    // What a command itself sets, wins: every command of these tests has a TOKEN.
    set(&engine, id, secret("TOKEN", ConfigAccess::Both)).await;
    assert_eq!(seen(&engine, id, "TOKEN").await, "hunter2");
}

#[tokio::test(flavor = "multi_thread")]
async fn sec1_a_planted_value_is_nowhere_in_the_data_directory_the_events_or_an_answer() {
    let house = House::new();
    fs::write(house.source().join("sandbox.yaml"), SHOP).unwrap();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    app_is_ready(&engine, id).await;
    let params = secret("KEY", ConfigAccess::Both);
    engine.config_create(id, params, AfterChange::Restart).await.unwrap();
    assert_eq!(engine.exec_run(id, command(&["exit", "0"]), 10).await.unwrap().stdout.bytes, b"");
    engine.app_apply(id).await.unwrap();
    let app = engine.app_status(id).unwrap();
    let shown = format!(
        "{:?} {:?} {app:?} {:?} {:?}",
        engine.config_list(id).await.unwrap(),
        events(&engine, id).await,
        engine.exec_list(id).await.unwrap(),
        engine.sandbox_fetch(id).unwrap(),
    );
    assert!(shown.contains("\"KEY\"") && !shown.contains(PLANTED), "{shown}");
    assert!(!holds(&house.data_dir(), PLANTED));
    let events = events(&engine, id).await;
    assert!(events.iter().any(|event| matches!(event.payload, EventPayload::ConfigChanged { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_a_patch_without_a_value_keeps_it_and_a_secret_is_never_made_readable() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    set(&engine, id, secret("KEY", ConfigAccess::ControlPlaneOnly)).await;
    let again = engine
        .config_create(id, secret("KEY", ConfigAccess::Both), AfterChange::RunOn)
        .await
        .unwrap_err();
    assert_eq!(again.code(), "config_exists");
    let access = ConfigUpdateParams { access: Some(ConfigAccess::Both), ..Default::default() };
    let update =
        async |which, params| engine.config_update(which, params, AfterChange::RunOn).await;
    let changed = update(which(id, "KEY"), access.clone()).await.unwrap();
    assert_eq!(changed.item.generation, Generation(2));
    assert_eq!(seen(&engine, id, "KEY").await, PLANTED);
    let stale = ConfigWhich { generation: Some(Generation(1)), ..which(id, "KEY") };
    assert_eq!(update(stale, access.clone()).await.unwrap_err().code(), "stale_generation");
    let open = ConfigUpdateParams { is_sensitive: Some(false), ..Default::default() };
    assert_eq!(update(which(id, "KEY"), open).await.unwrap_err().code(), "invalid_value");
    let value = Some("shown".into());
    let open = ConfigUpdateParams { is_sensitive: Some(false), value, access: None };
    let changed = update(which(id, "KEY"), open).await.unwrap();
    assert_eq!(changed.item.value.as_deref(), Some("shown"));
    let close = ConfigUpdateParams { is_sensitive: Some(true), ..Default::default() };
    assert_eq!(update(which(id, "KEY"), close).await.unwrap().item.value, None);
    assert_eq!(seen(&engine, id, "KEY").await, "shown");
    for value in ["nul \0".to_owned(), "x".repeat((64 << 10) + 1)] {
        let params = ConfigUpdateParams { value: Some(value.into()), ..Default::default() };
        assert_eq!(update(which(id, "KEY"), params).await.unwrap_err().code(), "invalid_value");
    }
    engine.config_remove(which(id, "KEY"), AfterChange::RunOn).await.unwrap();
    assert_eq!(update(which(id, "KEY"), access).await.unwrap_err().code(), "config_not_found");
    // What a sandbox owns goes with it.
    set(&engine, id, secret("KEY", ConfigAccess::Both)).await;
    engine.sandbox_delete(id).await.unwrap();
    assert_eq!(engine.secrets_rotate().await.unwrap().resealed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn s16_a_lost_key_is_named_and_never_replaced_and_works_again_when_it_is_put_back() {
    let house = House::new();
    let file = house.data_dir().join("secrets.key");
    let kept = file.with_extension("kept");
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    assert!(!file.exists());
    set(&engine, id, secret("KEY", ConfigAccess::AgentAccess)).await;
    engine.drain(std::time::Duration::from_secs(5)).await;
    drop(engine);
    fs::rename(&file, &kept).unwrap();
    let engine = house.engine().await;
    let err = engine.exec_start(id, command(&["exit", "0"])).await.unwrap_err();
    assert_eq!(err.code(), "secrets_key_unusable");
    let key = err.details_value().unwrap()["key"].as_str().unwrap().to_owned();
    assert!(err.message().contains(&key) && err.hint_text().unwrap().contains("secrets.key"));
    let other = secret("OTHER", ConfigAccess::AgentAccess);
    let err = engine.config_create(id, other, AfterChange::RunOn).await.unwrap_err();
    assert_eq!(err.code(), "secrets_key_unusable");
    assert!(!file.exists(), "a new key would leave the old secrets closed for ever");
    fs::rename(&kept, &file).unwrap();
    assert_eq!(seen(&engine, id, "KEY").await, PLANTED);
}

#[tokio::test(flavor = "multi_thread")]
async fn s16_a_rotation_seals_everything_again_and_retires_the_old_key() {
    let house = House::new();
    let file = house.data_dir().join("secrets.key");
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    for index in 0..120 {
        set(&engine, id, secret(&format!("KEY_{index}"), ConfigAccess::AgentAccess)).await;
    }
    let before = fs::read_to_string(&file).unwrap();
    let done = engine.secrets_rotate().await.unwrap();
    assert_eq!((done.resealed, done.left), (120, 0));
    let after = fs::read_to_string(&file).unwrap();
    assert_eq!(before.lines().count(), after.lines().count());
    assert_ne!(before, after);
    assert_eq!(seen(&engine, id, "KEY_7").await, PLANTED);
}

#[test]
fn s16_a_rotation_that_was_killed_goes_on_at_the_next_start() {
    let house = House::new();
    let file = house.data_dir().join("secrets.key");
    let (id, before) = in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let id = create(&engine, house.spec()).await.unwrap().id;
        set(&engine, id, secret("KEY", ConfigAccess::AgentAccess)).await;
        (id, fs::read_to_string(&file).unwrap())
    });
    // As a server leaves it that was killed when the new key was in the file, and no secret was sealed with it.
    sandbar_secrets::Keyring::load(&file).unwrap().unwrap().rotate().unwrap();
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        eventually("the old key is gone", async || {
            fs::read_to_string(&file).unwrap().lines().count() == before.lines().count()
        })
        .await;
        assert_ne!(fs::read_to_string(&file).unwrap(), before);
        assert_eq!(seen(&engine, id, "KEY").await, PLANTED);
    });
}
