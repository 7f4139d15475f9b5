//! The document and the router say the same, and the committed document is the one of the code.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use crate::server::{TestServer, request};

fn document() -> Value {
    serde_json::from_str(&sandbar_server::openapi_json()).unwrap()
}

#[test]
fn the_committed_document_is_the_one_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi.json");
    let made = sandbar_server::openapi_json();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == made, "openapi.json is not what the code says: run `cargo xtask openapi`");
}

/// The router is asked which methods it has, with one that nobody has.
#[tokio::test]
async fn every_route_is_in_the_document_and_the_other_way_round() {
    let server = TestServer::start().await;
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 25, "{} paths", paths.len());
    for (path, item) in paths {
        let mut documented: BTreeSet<_> =
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if documented.contains("GET") {
            documented.insert("HEAD".to_owned());
        }
        let purge = Method::from_bytes(b"PURGE").unwrap();
        let address = path.replace(['{', '}'], "");
        let answer = server.ask(request(purge, &address).body(Full::default()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed: BTreeSet<_> =
            answer.headers["allow"].to_str().unwrap().split(',').map(ToOwned::to_owned).collect();
        assert_eq!(allowed, documented, "{path}");
    }
    server.stop().await;
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    found.insert(target.clone());
                }
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for target in found {
        assert!(document.pointer(&target[1..]).is_some(), "{target}");
    }
}

#[test]
fn a19_there_is_no_route_beside_the_documented_api() {
    let probes = ["/healthz", "/readyz", "/metrics"];
    for (path, _) in document()["paths"].as_object().unwrap() {
        assert!(path.starts_with("/v1/") || probes.contains(&path.as_str()), "{path}");
    }
}

#[test]
fn every_operation_says_that_errors_are_problems() {
    for (path, item) in document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let schema = &operation["responses"]["default"]["content"]["application/problem+json"]
                ["schema"]["$ref"];
            assert_eq!(*schema, "#/components/schemas/Problem", "{method} {path}");
        }
    }
}

/// Clients find addresses in `sandbar_api::paths`; what they find must be in the document.
#[test]
fn the_addresses_that_clients_use_are_in_the_document() {
    use sandbar_api::paths as p;

    let document = document();
    let known = |path: &str| document["paths"].get(path).is_some();
    for path in [
        p::HEALTHZ,
        p::READYZ,
        p::METRICS,
        p::DOCTOR,
        p::OPENAPI,
        p::SANDBOXES,
        p::USAGE,
        p::UPKEEP,
        p::APPS,
        p::GC,
    ] {
        assert!(known(path), "{path}");
    }
    let below = |what: &str| p::below_sandbox("X", what).replace("/X/", "/{sandbox}/");
    for what in [
        "start",
        "stop",
        "pause",
        "resume",
        "execs",
        "files",
        "files/stat",
        "files/content",
        "files/mkdir",
        "files/move",
        "files/search",
        "changes",
        "changes/hunks",
        "diff",
        "approve",
        "reject",
        "events",
        "usage",
    ] {
        assert!(known(&below(what)), "{what}");
    }
    for what in ["sandbox", "start", "stop", "restart", "clone", "config", "config/{key}"] {
        let path = p::below_app("X", what).replace("/X/", "/{app}/");
        assert!(known(&path), "{path}");
    }
    for what in ["signal", "output", "attach"] {
        let path =
            p::below_exec("X", "Y", what).replace("/X/", "/{sandbox}/").replace("/Y/", "/{exec}/");
        assert!(known(&path), "{path}");
    }
}
