//! Whatever is sent, the answer is a problem of the client's and never one of ours.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use proptest::prelude::*;
use sandbar_api::ErrorCode;

use crate::server::{TestServer, request};

const CREATE: &str = "/v1/sandboxes";

#[tokio::test]
async fn case_111_unknown_and_duplicate_fields_are_refused() {
    let server = TestServer::start().await;
    for (body, code) in [
        (r#"{"source":{"kind":"empty"},"id":"sb_0"}"#, ErrorCode::InvalidField),
        (r#"{"source":{"kind":"empty"},"state":"running"}"#, ErrorCode::InvalidField),
        (r#"{"source":{"kind":"empty"},"__proto__":{}}"#, ErrorCode::InvalidField),
        (r#"{"source":{"kind":"directory","path":"/x","uid":0}}"#, ErrorCode::InvalidField),
        (r#"{"source":{"kind":"empty"},"limits":{"memory":1}}"#, ErrorCode::InvalidField),
        (r#"{"source":{"kind":"empty"},"source":{"kind":"empty"}}"#, ErrorCode::InvalidJson),
        (r#"{"source":{"kind":"empty"},"env":{"A":"1","A":"2"}}"#, ErrorCode::InvalidJson),
    ] {
        let answer = server.post(CREATE, body).await;
        assert_eq!(answer.problem().code, code, "{body}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a17_a_body_that_cannot_be_read_is_not_taken_for_an_empty_one() {
    let server =
        TestServer::start_on(std::sync::Arc::new(sandbar_runtime::fake::Fake::new())).await;
    let made = server.post(CREATE, r#"{"source":{"kind":"empty"},"name":"one"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let made = server.post("/v1/apps", r#"{"name":"shop"}"#).await;
    assert_eq!(made.status, StatusCode::CREATED);
    for address in [
        CREATE,
        "/v1/sandboxes/one/stop",
        "/v1/gc",
        "/v1/apps",
        "/v1/apps/shop/sandbox",
        "/v1/apps/shop/stop",
        "/v1/apps/shop/clone",
        "/v1/apps/shop/config",
    ] {
        for body in ["{", "[]", r#"{"source""#, r#"{"no_such_field":1}"#, "\u{0}"] {
            let answer = server.post(address, body).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{address} {body}");
        }
    }
    let listed = server.get(CREATE).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["state"], "running");
    let apps = server.get("/v1/apps").await.json();
    assert_eq!(apps["items"].as_array().unwrap().len(), 1);
    assert!(apps["items"][0].get("current_sandbox_id").is_none());
    server.stop().await;
}

#[tokio::test]
async fn d6_an_id_that_climbs_out_is_no_id() {
    let server =
        TestServer::start_on(std::sync::Arc::new(sandbar_runtime::fake::Fake::new())).await;
    let climbs = ["..", "%2e%2e", "..%2F..%2Fetc%2Fpasswd", "sb_..%2F..", "%2Fetc", "sb_%00", "."];
    for climb in climbs {
        for below in ["", "/files", "/execs/..%2F..%2Fx", "/app"] {
            let answer = server.get(&format!("{CREATE}/{climb}{below}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{climb}{below}: {answer:?}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused_by_every_list() {
    let server = TestServer::start().await;
    for list in [CREATE, "/v1/apps", "/v1/approves", "/v1/tenants", "/v1/users", "/v1/api-keys"] {
        for cursor in ["x", "ex_0", "-"] {
            let answer = server.get(&format!("{list}?cursor={cursor}")).await;
            assert_eq!(answer.problem().code, ErrorCode::InvalidCursor, "{list} {cursor}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn case_124_odd_values_are_refused() {
    let server = TestServer::start().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for body in ["", "null", "[]", "NaN", "{", r#"{"source":"\ud800"}"#, &deep, "\u{feff}{}"] {
        let answer = server.post(CREATE, body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body:.40}");
        answer.problem();
    }
    for field in [
        r#""expiry":{"ttl_ms":9223372036854775808000}"#,
        r#""expiry":{"ttl_ms":-1}"#,
        r#""expiry":{"ttl_ms":1.5}"#,
        r#""limits":{"pids_max":4294967296}"#,
        r#""reserve":["../a"]"#,
        r#""reserve":[""]"#,
        r#""reserve":"a""#,
    ] {
        let body = format!(r#"{{"source":{{"kind":"empty"}},{field}}}"#);
        let problem = server.post(CREATE, body.clone()).await.problem();
        assert_eq!(problem.code, ErrorCode::InvalidField, "{body}");
        assert!(problem.details.unwrap()["line"].is_number());
    }
    server.stop().await;
}

#[tokio::test]
async fn case_127_odd_names_are_refused_by_one_validator() {
    let server = TestServer::start().await;
    for name in ["..", "a/b", "", "A", "-a", "é", "sb_a", &"a".repeat(65), "a\\u0000"] {
        let body = format!(r#"{{"source":{{"kind":"empty"}},"name":"{name}"}}"#);
        assert_eq!(
            server.post(CREATE, body).await.problem().code,
            ErrorCode::InvalidField,
            "{name}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn case_124_a_body_that_is_too_large_is_refused() {
    let server = TestServer::start().await;
    let body = format!(r#"{{"source":{{"kind":"empty"}},"name":"{}"}}"#, "a".repeat(1 << 20));
    assert_eq!(server.post(CREATE, body).await.problem().code, ErrorCode::BodyTooLarge);
    server.stop().await;
}

#[tokio::test]
async fn case_114_the_types_of_a_form_are_refused() {
    let server = TestServer::start().await;
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
    ] {
        for path in [CREATE, "/v1/gc"] {
            let ask = request(Method::POST, path).header("content-type", kind);
            let answer = server.ask(ask.body(Full::new(Bytes::from_static(b"{}"))).unwrap()).await;
            assert_eq!(answer.problem().code, ErrorCode::UnsupportedMediaType, "{kind} {path}");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn an_odd_idempotency_key_is_refused() {
    let server = TestServer::start().await;
    for key in ["", "a b", &"k".repeat(256)] {
        let ask = request(Method::POST, CREATE)
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        let answer =
            server.ask(ask.body(Full::from(r#"{"source":{"kind":"empty"}}"#)).unwrap()).await;
        assert_eq!(answer.problem().code, ErrorCode::InvalidHeader, "{key}");
    }
    server.stop().await;
}

fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>()
            .prop_filter("JSON has no other", |n| n.is_finite())
            .prop_map(|n| n.to_string()),
        any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
        prop::sample::select(vec![r#""empty""#, r#""directory""#, r#""/""#, r#""all""#])
            .prop_map(ToOwned::to_owned),
    ];
    let key = prop::sample::select(vec![
        "source",
        "kind",
        "path",
        "name",
        "limits",
        "env",
        "argv",
        "wait",
        "selection",
        "diff_id",
        "paths",
        "confirm",
        "signal",
        "grace_ms",
        "from",
        "to",
        "expiry",
        "ttl_ms",
        "toolchains",
        "reserve",
    ]);
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|entries| {
                let entries: Vec<_> =
                    entries.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

/// Every operation that takes a body, with made-up JSON and with made-up bytes.
#[test]
fn case_124_no_body_is_ever_a_failure_of_ours() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = runtime.block_on(TestServer::start());
    let paths = [
        "",
        "/sb_0/execs",
        "/sb_0/approve",
        "/sb_0/reject",
        "/sb_0/stop",
        "/sb_0/files/mkdir",
        "/sb_0/files/move",
        "/sb_0/execs/ex_0/signal",
    ];
    let body = prop_oneof![
        any_json().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..64)
    ];
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&body, |body| {
            for path in paths {
                let answer =
                    runtime.block_on(server.post(&format!("{CREATE}{path}"), body.clone()));
                prop_assert!(
                    answer.status != StatusCode::INTERNAL_SERVER_ERROR,
                    "{path} {:?}: {:?}",
                    String::from_utf8_lossy(&body),
                    answer
                );
                if answer.status.is_client_error() {
                    answer.problem();
                }
            }
            Ok(())
        })
        .unwrap();
    runtime.block_on(server.stop());
}
