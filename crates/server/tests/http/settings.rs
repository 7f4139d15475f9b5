//! What whoever runs the server changes while it runs, and what nobody may.

use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use sandbar_server::Config;
use sandbar_types::Role;
use serde_json::{Value, json};

use crate::{
    server::{Answer, TestServer, request},
    tenants::Town,
};

const SETTINGS: &str = "/v1/settings";

async fn patch(server: &TestServer, body: &Value) -> Answer {
    let ask = request(Method::PATCH, SETTINGS).header("content-type", "application/json");
    server.ask(ask.body(Full::from(body.to_string())).unwrap()).await
}

fn of(settings: &Value, key: &str) -> Value {
    let found = settings["settings"].as_array().unwrap().iter().find(|one| one["key"] == key);
    found.unwrap_or_else(|| panic!("no {key} in {settings}")).clone()
}

async fn now(server: &TestServer, key: &str) -> Value {
    of(&server.get(SETTINGS).await.json(), key)
}

#[tokio::test]
async fn evt_2_a_change_holds_at_once_and_after_a_restart_and_says_who_made_it() {
    let server =
        TestServer::start_on(std::sync::Arc::new(sandbar_runtime::fake::Fake::new())).await;
    let before = now(&server, "sandbox.max").await;
    assert_eq!((&before["value"], &before["source"]), (&json!(1000), &json!("default")));
    assert_eq!((&before["is_editable"], before.get("changed_at")), (&json!(true), None));
    let set = json!({ "set": { "sandbox.max": 0, "retention.events": "120 days" } });
    let changed = patch(&server, &set).await;
    assert_eq!(changed.status, StatusCode::OK, "{changed:?}");
    assert_eq!(changed.headers["etag"], "\"1\"");
    let max = of(&changed.json(), "sandbox.max");
    assert_eq!(
        (&max["value"], &max["source"], &max["default"]),
        (&json!(0), &json!("stored"), &json!(1000))
    );
    assert_eq!(max["changed_by"]["kind"], "user", "{max}");
    assert!(max["changed_at"].is_string(), "{max}");
    assert_eq!(of(&changed.json(), "retention.events")["value"], "120d");
    let refused = server.post("/v1/sandboxes", r#"{"source":{"kind":"empty"}}"#).await;
    assert_eq!(refused.problem().code, ErrorCode::LimitReached, "it does not hold yet");

    let server = server.restart(Config::default()).await;
    assert_eq!(now(&server, "sandbox.max").await, max);
    let taken_back = patch(&server, &json!({ "unset": ["sandbox.max"] })).await;
    assert_eq!(taken_back.headers["etag"], "\"2\"");
    let max = of(&taken_back.json(), "sandbox.max");
    assert_eq!((&max["value"], &max["source"]), (&json!(1000), &json!("default")));
    assert!(max["changed_at"].is_string(), "who took it back is not told");
    let server = server.restart(Config::default()).await;
    assert_eq!(now(&server, "sandbox.max").await["value"], 1000);
    assert_eq!(now(&server, "retention.events").await["value"], "120d");
    server.stop().await;
}

#[tokio::test]
async fn d7_what_is_unknown_or_protected_is_refused_and_nothing_of_the_change_is_made() {
    let server = TestServer::start().await;
    let before = server.get(SETTINGS).await;
    for (key, value, code) in [
        ("server.listen", json!("none"), ErrorCode::InvalidField),
        ("preview.domain", json!("evil.example"), ErrorCode::InvalidField),
        ("network.allow_private", json!(["169.254.169.254:80"]), ErrorCode::InvalidField),
        ("sandbox.no_such", json!(1), ErrorCode::InvalidField),
        ("__proto__", json!({}), ErrorCode::InvalidField),
        ("sandbox.stop_grace", json!(true), ErrorCode::InvalidField),
        ("sandbox.stop_grace", json!(null), ErrorCode::InvalidField),
        ("sandbox.stop_grace", json!("soon"), ErrorCode::InvalidValue),
        ("sandbox.stop_grace", json!("90d"), ErrorCode::InvalidValue),
        ("sandbox.stop_grace", json!(5), ErrorCode::InvalidValue),
        ("sandbox.max", json!(-1), ErrorCode::InvalidValue),
        ("sandbox.max", json!("7"), ErrorCode::InvalidValue),
        ("server.log_filter", json!("=,="), ErrorCode::InvalidValue),
    ] {
        let body = json!({ "set": { "retention.history": "90d", key: value } });
        assert_eq!(patch(&server, &body).await.problem().code, code, "{body}");
    }
    let both = json!({ "set": { "sandbox.max": 1 }, "unset": ["sandbox.max"] });
    assert_eq!(patch(&server, &both).await.problem().code, ErrorCode::InvalidRequest);
    let after = server.get(SETTINGS).await;
    assert_eq!((&after.body, &after.headers["etag"]), (&before.body, &before.headers["etag"]));
    server.stop().await;
}

#[tokio::test]
async fn d7_what_was_said_at_the_start_stays() {
    let server = TestServer::start().await;
    let body = json!({ "set": { "sandbox.max": 5, "sandbox.stop_grace": "1s" } });
    assert_eq!(patch(&server, &body).await.status, StatusCode::OK);
    std::fs::write(
        server.data_dir.join("config.toml"),
        "[sandbox]\nmax = 7\nstop_grace = \"2s\"\n",
    )
    .unwrap();
    let variable = ("SANDBAR_SANDBOX_STOP_GRACE".to_owned(), "3s".to_owned());
    let settings = Config::load(&server.data_dir, [variable]).unwrap();
    let server = server.restart(settings.with_log_filter("warn").unwrap()).await;
    for (key, value, source, told) in [
        ("sandbox.max", json!(7), "file", "config.toml"),
        ("sandbox.stop_grace", json!("3s"), "environment", "SANDBAR_SANDBOX_STOP_GRACE"),
        ("server.log_filter", json!("warn"), "command_line", "command line"),
    ] {
        let found = now(&server, key).await;
        assert_eq!((&found["value"], &found["source"]), (&value, &json!(source)), "{found}");
        assert_eq!(found["is_editable"], false, "{found}");
        for body in [
            json!({ "set": { key: value, "retention.history": "90d" } }),
            json!({ "unset": [key] }),
        ] {
            let problem = patch(&server, &body).await.problem();
            assert_eq!(problem.code, ErrorCode::SettingFixed, "{body}");
            assert!(problem.message.contains(told), "{problem:?}");
        }
    }
    assert_eq!(now(&server, "retention.history").await["source"], "default");
    // Where it is not said any more, what was stored holds again.
    let server = server.restart(Config::default()).await;
    assert_eq!(now(&server, "sandbox.max").await["value"], 5);
    server.stop().await;
}

#[tokio::test]
async fn d7_a_tenant_looks_and_does_not_learn_who_runs_the_server() {
    let town = Town::build().await;
    let body = json!({ "set": { "server.requests_per_minute": 2 } });
    assert_eq!(patch(&town.server, &body).await.status, StatusCode::OK);
    let viewer = town.key("red", Role::Viewer);
    let looked = town.ask(viewer, Method::GET, SETTINGS, "").await;
    assert_eq!(looked.status, StatusCode::OK, "{looked:?}");
    let rate = of(&looked.json(), "server.requests_per_minute");
    assert_eq!((&rate["source"], rate.get("changed_by")), (&json!("stored"), None));
    let data_dir = town.server.data_dir.to_str().unwrap();
    assert!(!String::from_utf8_lossy(&looked.body).contains(data_dir));
    let admin = town.key("red", Role::Admin);
    let refused = town.ask(admin, Method::PATCH, SETTINGS, &body.to_string()).await;
    assert_eq!(refused.problem().code, ErrorCode::Forbidden);
    let last = town.ask(viewer, Method::GET, SETTINGS, "").await;
    assert_eq!(last.headers["ratelimit-limit"], "2");
    let refused = town.ask(viewer, Method::GET, SETTINGS, "").await;
    assert_eq!(refused.problem().code, ErrorCode::RateLimited);
    town.server.stop().await;
}
