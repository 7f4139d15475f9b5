//! Tenants, keys and sessions: how long they hold, and what of one tenant another one learns.

use std::time::Duration;

use sandbar_engine::{
    Engine, Identity, KeyCreateParams, LoginParams, SandboxCreateParams, Tenant,
    TenantCreateParams, UserCreateParams,
};
use sandbar_types::{Actor, Principal, Quota, Role, SandboxSpec, Source, TenantId};

use crate::support::{House, create, eventually, params};

const DRAIN: Duration = Duration::from_secs(5);
const HOUR: Duration = Duration::from_hours(1);
const PASSWORD: &str = "correct horse battery";

fn operator() -> Principal {
    Principal::instance(Actor::Token)
}

async fn tenant(engine: &Engine, name: &str, quota: Quota) -> Tenant {
    let params =
        TenantCreateParams { name: name.parse().unwrap(), quota, source_roots: Vec::new() };
    engine.tenant_create(params).await.unwrap()
}

fn of(tenant: TenantId, spec: SandboxSpec) -> SandboxCreateParams {
    SandboxCreateParams { tenant, ..params(spec) }
}

async fn login(engine: &Engine) -> String {
    let login = LoginParams {
        tenant: "default".parse().unwrap(),
        name: "ada".parse().unwrap(),
        password: PASSWORD.to_owned(),
        address: None,
    };
    engine.login(login).await.unwrap().token
}

#[tokio::test]
async fn case_123_a_session_ends_unused_and_however_much_it_is_used() {
    let house = House::new();
    let mut engine = house.engine().await;
    let ada = UserCreateParams {
        tenant: TenantId::DEFAULT,
        name: "ada".parse().unwrap(),
        role: Role::Member,
        password: Some(PASSWORD.to_owned()),
    };
    engine.user_create(&operator(), ada).await.unwrap();
    let idle = login(&engine).await;
    assert!(engine.session_identify(&idle).await.unwrap().is_some());
    house.clock.advance(12 * HOUR);
    assert!(engine.session_identify(&idle).await.unwrap().is_none());
    let used = login(&engine).await;
    for _ in 0..7 * 24 / 8 {
        assert!(engine.session_identify(&used).await.unwrap().is_some());
        // Its use is written beside the request; a server that leaves waits for it.
        engine.drain(DRAIN).await;
        drop(engine);
        engine = house.engine().await;
        house.clock.advance(8 * HOUR);
    }
    assert!(engine.session_identify(&used).await.unwrap().is_none(), "it outlives a week");
    assert!(engine.session_identify("").await.unwrap().is_none());
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn case_123_a_key_ends_when_it_says_and_tells_when_it_was_used() {
    let house = House::new();
    let engine = house.engine().await;
    let by = Identity::instance(operator());
    let key = KeyCreateParams {
        tenant: TenantId::DEFAULT,
        name: "ci".parse().unwrap(),
        role: Some(Role::Viewer),
        scopes: None,
        expires_at: Some(engine.now() + HOUR),
    };
    let made = engine.key_create(&by, key).await.unwrap();
    let listed = async || engine.key_list(TenantId::DEFAULT, None, 10).await.unwrap();
    assert_eq!(listed().await[0].last_used_at, None);
    let found = engine.key_identify(&made.secret).await.unwrap().unwrap();
    assert_eq!(found.principal.scopes, Role::Viewer.scopes());
    eventually("its use is written", async || listed().await[0].last_used_at.is_some()).await;
    let mut other = made.secret.clone();
    other.replace_range(other.len() - 1.., if other.ends_with('0') { "1" } else { "0" });
    for wrong in ["", "sbk_", &other, &made.key.prefix] {
        assert!(engine.key_identify(wrong).await.unwrap().is_none(), "{wrong}");
    }
    house.clock.advance(HOUR);
    assert!(engine.key_identify(&made.secret).await.unwrap().is_none());
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a4_two_creates_at_once_do_not_both_fit_into_what_is_left() {
    let house = House::new();
    let engine = house.engine().await;
    let quota = Quota { sandboxes: Some(1), ..Quota::default() };
    let blue = tenant(&engine, "blue", quota).await.id;
    let make = || engine.sandbox_create(of(blue, SandboxSpec::over(Source::Empty)));
    let (one, two) = tokio::join!(make(), make());
    let refused = [one.err(), two.err()].into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(refused.iter().map(|err| err.code()).collect::<Vec<_>>(), ["quota_exceeded"]);
    assert_eq!(engine.sandbox_list(blue).len(), 1);
    // Another tenant is not hit by it.
    create(&engine, SandboxSpec::over(Source::Empty)).await.unwrap();
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a1_a_tenant_learns_nothing_of_directories_that_are_not_its_own() {
    let house = House::new();
    let engine = house.engine().await;
    let blue = tenant(&engine, "blue", Quota::default()).await.id;
    let mut told = Vec::new();
    for path in [house.source(), house.source().join("missing"), house.data_dir(), "/proc".into()] {
        let source = Source::Directory { path: sandbar_types::HostPath::parse(&*path).unwrap() };
        let err = engine.sandbox_create(of(blue, SandboxSpec::over(source))).await.unwrap_err();
        told.push((err.code(), err.message().replace(&path.display().to_string(), "PATH")));
    }
    assert!(told.iter().all(|one| *one == told[0]) && told[0].0 == "source_forbidden", "{told:?}");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a1_who_holds_a_reservation_is_for_its_tenant_to_know() {
    let house = House::new();
    let engine = house.engine().await;
    let blue = tenant(&engine, "blue", Quota::default()).await.id;
    let update = sandbar_engine::TenantUpdateParams {
        seen: None,
        source_roots: Some(vec![sandbar_types::HostPath::parse(house.source()).unwrap()]),
        quota: None,
    };
    engine.tenant_update(blue, update).await.unwrap();
    let spec = SandboxSpec { reserve_all: true, ..house.spec() };
    let held = create(&engine, spec.clone()).await.unwrap();
    let own = create(&engine, spec.clone()).await.unwrap_err();
    assert!(own.message().contains(&held.id.to_string()));
    let foreign = engine.sandbox_create(of(blue, spec)).await.unwrap_err();
    assert_eq!((foreign.code(), foreign.details_value()), ("reservation_conflict", None));
    assert!(!foreign.message().contains(&held.id.to_string()));
    engine.drain(DRAIN).await;
}
