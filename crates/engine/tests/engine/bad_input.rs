use std::time::Duration;

use sandbar_engine::{Engine, StartError};
use sandbar_types::{HostPath, SandboxSpec, Source, TenantId, WorkspacePath};

use crate::support::{House, create};

fn over(path: &std::path::Path) -> SandboxSpec {
    SandboxSpec::over(Source::Directory { path: HostPath::parse(path).unwrap() })
}

#[tokio::test]
async fn a_source_that_cannot_be_one_is_refused_with_its_code() {
    let house = House::new();
    let engine = house.engine().await;
    let top = house.dir.path();
    std::os::unix::fs::symlink(top.join("data"), top.join("link")).unwrap();
    for (path, code) in [
        (top.join("missing"), "source_not_found"),
        (top.join("source/a"), "source_not_directory"),
        (top.join("source/a/b"), "source_not_directory"),
        (top.join("data"), "source_forbidden"),
        (top.join("link"), "source_forbidden"),
        (top.join("data/sandboxes"), "source_forbidden"),
        (top.to_owned(), "source_forbidden"),
        ("/".into(), "source_forbidden"),
        ("/proc".into(), "source_unsupported"),
    ] {
        let err = create(&engine, over(&path)).await.unwrap_err();
        assert_eq!(err.code(), code, "{}", path.display());
    }
    assert!(engine.sandbox_list(TenantId::DEFAULT).is_empty() && house.host.is_clean());
    engine.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let house = House::new();
    let engine = house.engine().await;
    let cases: [fn(&mut SandboxSpec); 8] = [
        |spec| spec.limits.pids_max = 0,
        |spec| spec.limits.pids_max = u32::MAX,
        |spec| spec.limits.memory_bytes_max = 1,
        |spec| spec.limits.execs_max = 0,
        |spec| spec.expiry.ttl_ms = Some(0),
        |spec| spec.scope = Some(WorkspacePath::parse("missing").unwrap()),
        |spec| spec.workspace_path = Some(HostPath::parse("/").unwrap()),
        |spec| drop(spec.env.insert("A".parse().unwrap(), "a\0b".to_owned())),
    ];
    for (number, change) in cases.into_iter().enumerate() {
        let mut spec = house.spec();
        change(&mut spec);
        assert_eq!(
            create(&engine, spec).await.unwrap_err().code(),
            "invalid_value",
            "case {number}"
        );
    }
    engine.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn names_are_unique_among_the_living_and_short_ids_must_be_unique() {
    let house = House::new();
    let engine = house.engine().await;
    let mut spec = house.spec();
    spec.name = Some("shop".parse().unwrap());
    let shop = create(&engine, spec.clone()).await.unwrap();
    assert_eq!(create(&engine, spec.clone()).await.unwrap_err().code(), "name_taken");
    assert_eq!(engine.sandbox_resolve(TenantId::DEFAULT, "shop").await.unwrap(), shop.id);
    assert_eq!(
        engine.sandbox_resolve(TenantId::DEFAULT, &shop.id.to_string()).await.unwrap(),
        shop.id
    );
    assert_eq!(
        engine.sandbox_resolve(TenantId::DEFAULT, &shop.id.to_string()[3..20]).await.unwrap(),
        shop.id
    );
    let other = create(&engine, house.spec()).await.unwrap();
    assert!(other.name.as_str().starts_with("source-"), "{}", other.name);
    assert_eq!(
        engine.sandbox_resolve(TenantId::DEFAULT, "sb_0").await.unwrap_err().code(),
        "ambiguous_id"
    );
    assert_eq!(
        engine.sandbox_resolve(TenantId::DEFAULT, "nobody").await.unwrap_err().code(),
        "sandbox_not_found"
    );
    engine.sandbox_delete(shop.id).await.unwrap();
    create(&engine, spec).await.unwrap();
    engine.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn b5_there_are_at_most_as_many_sandboxes_as_allowed() {
    let house = House::new();
    let mut config = house.config();
    config.settings.sandboxes_max = 1;
    let engine = Engine::start(config).await.unwrap();
    create(&engine, house.spec()).await.unwrap();
    assert_eq!(create(&engine, house.spec()).await.unwrap_err().code(), "limit_reached");
    engine.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn two_servers_never_share_a_data_directory() {
    let house = House::new();
    let engine = house.engine().await;
    let second = Engine::start(house.config()).await.unwrap_err();
    assert!(matches!(second, StartError::Locked { .. }) && second.hint().is_some());
    engine.drain(Duration::from_secs(5)).await;
}
