//! Whatever the document names: who may, who may not, and that what another tenant has is answered as what nobody has.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use sandbar_runtime::fake::Fake;
use sandbar_types::{
    ApiKeyId, AppId, ApproveId, CredentialId, ExecId, Role, SandboxId, Scope, TenantId, UserId,
    WebhookId,
};
use serde_json::{Value, json};

use crate::server::{Answer, TestServer, request};

/// Every operation: its method, its path, and what it declares.
fn operations() -> Vec<(Method, String, String)> {
    let document: Value = serde_json::from_str(&sandbar_server::openapi_json()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let declared = operation["x-sandbar"]["scope"].as_str();
            let declared = declared.unwrap_or_else(|| panic!("{method} {path} declares no scope"));
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            found.push((method, path.clone(), declared.to_owned()));
        }
    }
    assert!(found.len() > 65, "{} operations", found.len());
    found
}

/// Which roles may ask for what declares this.
fn is_for(declared: &str, role: Role) -> bool {
    match declared {
        "none" | "any" => true,
        "instance" => false,
        scope => role.scopes().has(scope.parse::<Scope>().unwrap()),
    }
}

/// A path with ids in it; `sandbox` is what stands for the sandbox.
fn fill(path: &str, ids: &BTreeMap<&str, String>) -> String {
    ids.iter().fold(path.to_owned(), |path, (name, id)| path.replace(&format!("{{{name}}}"), id))
}

/// Ids that nobody has.
fn unknown() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("app", AppId::generate().to_string()),
        ("sandbox", SandboxId::generate().to_string()),
        ("exec", ExecId::generate().to_string()),
        ("approve", ApproveId::generate().to_string()),
        ("user", UserId::generate().to_string()),
        ("key", ApiKeyId::generate().to_string()),
        ("tenant", "nobody".to_owned()),
        ("process", "web".to_owned()),
        ("port", "3000".to_owned()),
        ("webhook", WebhookId::generate().to_string()),
        ("credential", CredentialId::generate().to_string()),
    ])
}

/// Two tenants, each with a key of every role.
pub(crate) struct Town {
    pub(crate) server: TestServer,
    keys: BTreeMap<(&'static str, Role), String>,
}

impl Town {
    pub(crate) async fn build() -> Self {
        let server = TestServer::start_on(Arc::new(Fake::new())).await;
        let mut keys = BTreeMap::new();
        for tenant in ["red", "blue"] {
            let made = server.post("/v1/tenants", json!({ "name": tenant }).to_string()).await;
            assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
            for role in Role::ALL {
                let body = json!({ "name": role.as_str(), "role": role });
                let path = format!("/v1/api-keys?tenant={tenant}");
                let made = server.post(&path, body.to_string()).await;
                assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
                keys.insert((tenant, *role), made.json()["secret"].as_str().unwrap().to_owned());
            }
        }
        Self { server, keys }
    }

    pub(crate) fn key(&self, tenant: &'static str, role: Role) -> &str {
        &self.keys[&(tenant, role)]
    }

    /// Asks on TCP with a key.
    pub(crate) async fn ask(&self, key: &str, method: Method, path: &str, body: &str) -> Answer {
        let mut ask = request(method, path)
            .header("authorization", format!("Bearer {key}"))
            .header("x-request-id", "same");
        if !body.is_empty() {
            ask = ask.header("content-type", "application/json");
        }
        let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
        self.server.ask_tcp(ask.body(body).unwrap()).await
    }

    /// Makes a sandbox of a tenant.
    pub(crate) async fn sandbox(&self, tenant: &'static str, name: &str) -> String {
        let body = json!({ "source": { "kind": "empty" }, "name": name }).to_string();
        let key = self.key(tenant, Role::Member);
        let made = self.ask(key, Method::POST, "/v1/sandboxes", &body).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        made.json()["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a1_nobody_is_served_without_being_known() {
    let server = TestServer::start().await;
    for (method, path, declared) in operations() {
        let address = fill(&path, &unknown());
        let ask = request(method.clone(), &address).body(Full::default()).unwrap();
        let answer = server.ask_tcp(ask).await;
        let is_refused = answer.status == StatusCode::UNAUTHORIZED
            && answer.problem().code == ErrorCode::Unauthorized;
        assert_eq!(is_refused, declared != "none", "{method} {path}: {answer:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a1_each_role_may_what_it_may_and_nothing_else() {
    let town = Town::build().await;
    for (method, path, declared) in operations() {
        for role in Role::ALL {
            let address = fill(&path, &unknown());
            let answer = town.ask(town.key("blue", *role), method.clone(), &address, "").await;
            let is_refused = answer.status == StatusCode::FORBIDDEN
                && answer.problem().code == ErrorCode::Forbidden;
            let what = format!("{role}: {method} {path}: {answer:?}");
            assert_eq!(is_refused, !is_for(&declared, *role), "{what}");
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
        }
    }
    town.server.stop().await;
}

#[tokio::test]
async fn a1_what_another_tenant_has_is_answered_as_what_nobody_has() {
    let town = Town::build().await;
    let sandbox = town.sandbox("red", "treasure").await;
    let path = format!("/v1/sandboxes/{sandbox}/execs");
    let member = town.key("red", Role::Member);
    let ran = town.ask(member, Method::POST, &path, r#"{"argv":["echo","hi"],"wait":true}"#).await;
    let exec = ran.json()["id"].as_str().unwrap().to_owned();
    let user = json!({ "name": "ada", "role": "viewer" }).to_string();
    let user = town.server.post("/v1/users?tenant=red", user).await.json();
    let keys = town.server.get("/v1/api-keys?tenant=red").await.json();
    let hook = json!({ "url": "https://hook.example/", "is_active": false }).to_string();
    let admin = town.key("red", Role::Admin);
    let hook = town.ask(admin, Method::POST, "/v1/webhooks", &hook).await.json();
    let credential = json!({ "name": "model", "value": "sk-0123456789", "agent": "codex" });
    let path = "/v1/credentials";
    let credential = town.ask(admin, Method::POST, path, &credential.to_string()).await.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let app = town.ask(member, Method::POST, "/v1/apps", r#"{"name":"riches"}"#).await;
    assert_eq!(app.status, StatusCode::CREATED, "{app:?}");
    let theirs = BTreeMap::from([
        ("app", text(&app.json()["id"])),
        ("sandbox", sandbox.clone()),
        ("exec", exec),
        ("user", text(&user["id"])),
        ("key", text(&keys["items"][0]["id"])),
        ("tenant", "red".to_owned()),
        ("approve", ApproveId::generate().to_string()),
        ("process", "web".to_owned()),
        ("port", "3000".to_owned()),
        ("webhook", text(&hook["webhook"]["id"])),
        ("credential", text(&credential["id"])),
    ]);
    let by_name =
        BTreeMap::from([("sandbox", "treasure".to_owned()), ("app", "riches".to_owned())]);
    let key = town.key("blue", Role::Admin);
    for (method, path, declared) in operations() {
        if !path.contains('{') || !is_for(&declared, Role::Admin) {
            continue;
        }
        for mine in [theirs.clone(), theirs.clone().into_iter().chain(by_name.clone()).collect()] {
            let nobodys = unknown();
            let foreign = town.ask(key, method.clone(), &fill(&path, &mine), "{}").await;
            let lost = town.ask(key, method.clone(), &fill(&path, &nobodys), "{}").await;
            let what = format!("{method} {path}: {foreign:?}");
            assert_eq!(foreign.status, StatusCode::NOT_FOUND, "{what}");
            assert_eq!(anonymous(&foreign, &mine), anonymous(&lost, &nobodys), "{what}");
            let names = |answer: &Answer| answer.headers.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(&foreign), names(&lost), "{what}");
        }
    }
    // Nothing of it was stopped, removed or even seen.
    let still = town.ask(member, Method::GET, &format!("/v1/sandboxes/{sandbox}"), "").await;
    assert_eq!(still.json()["state"], "running");
    let still = town.ask(member, Method::GET, "/v1/apps/riches", "").await;
    assert_eq!(still.json()["generation"], 1);
    // An app's name names its sandbox where its tenant asks, and nobody's where another one does.
    let unknown = town.ask(key, Method::GET, "/v1/sandboxes/riches", "").await;
    assert_eq!(unknown.problem().message, "there is no sandbox `riches`");
    for list in
        ["/v1/apps", "/v1/sandboxes", "/v1/approves?sandbox=treasure", "/v1/users", "/v1/webhooks"]
    {
        let seen = town.ask(key, Method::GET, list, "").await;
        assert_eq!(seen.json()["items"], json!([]), "{list}");
    }
    let usage = town.ask(key, Method::GET, "/v1/usage", "").await.json();
    assert_eq!((&usage["sandboxes"], &usage["store_bytes"]), (&json!([]), &json!(0)));
    town.server.stop().await;
}

fn anonymous(answer: &Answer, ids: &BTreeMap<&'static str, String>) -> String {
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    // A port is no id, and its digits may be among those of one. The name of a tenant is a part of other words.
    let ids = ids.iter().filter(|(name, _)| **name != "port");
    ids.fold(text, |text, (name, id)| match *name {
        "tenant" => text.replace(&format!("`{id}`"), "`ID`"),
        _ => text.replace(id.as_str(), "ID"),
    })
}

#[tokio::test]
async fn a1_names_and_idempotency_keys_are_a_tenants_own() {
    let town = Town::build().await;
    let red = town.sandbox("red", "same").await;
    let blue = town.sandbox("blue", "same").await;
    assert_ne!(red, blue);
    for (tenant, id) in [("red", &red), ("blue", &blue)] {
        let key = town.key(tenant, Role::Viewer);
        let found = town.ask(key, Method::GET, "/v1/sandboxes/same", "").await;
        assert_eq!(found.json()["id"], **id);
    }
    let mut made = Vec::new();
    for tenant in ["red", "blue", "red"] {
        let ask = request(Method::POST, "/v1/sandboxes")
            .header("authorization", format!("Bearer {}", town.key(tenant, Role::Member)))
            .header("content-type", "application/json")
            .header("idempotency-key", "k");
        let body = Full::from(r#"{"source":{"kind":"empty"}}"#);
        made.push(town.server.ask_tcp(ask.body(body).unwrap()).await.json()["id"].clone());
    }
    assert!(made[0] != made[1] && made[0] == made[2], "{made:?}");
    town.server.stop().await;
}

#[tokio::test]
async fn case_110_a_deleted_sandbox_has_its_history_for_its_tenant_alone() {
    let town = Town::build().await;
    let id = town.sandbox("red", "gone").await;
    let member = town.key("red", Role::Member);
    let path = format!("/v1/sandboxes/{id}");
    let removed = town.ask(member, Method::DELETE, &path, "").await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let events = format!("{path}/events");
    assert_eq!(town.ask(member, Method::GET, &events, "").await.status, StatusCode::OK);
    let foreign = town.ask(town.key("blue", Role::Admin), Method::GET, &events, "").await;
    assert_eq!(foreign.problem().code, ErrorCode::SandboxNotFound);
    town.server.stop().await;
}

#[tokio::test]
async fn a_quota_is_refused_with_its_numbers_and_a_source_outside_its_roots_too() {
    let town = Town::build().await;
    let patch = |body: Value| {
        let ask =
            request(Method::PATCH, "/v1/tenants/blue").header("content-type", "application/json");
        town.server.ask(ask.body(Full::from(body.to_string())).unwrap())
    };
    let set = patch(json!({ "quota": { "sandboxes": 1 } })).await;
    assert_eq!(set.json()["quota"]["sandboxes"], 1);
    town.sandbox("blue", "first").await;
    let key = town.key("blue", Role::Member);
    let create = async |source: Value| {
        let body = json!({ "source": source }).to_string();
        town.ask(key, Method::POST, "/v1/sandboxes", &body).await
    };
    let refused = create(json!({ "kind": "empty" })).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let problem = refused.problem();
    assert_eq!(problem.code, ErrorCode::QuotaExceeded);
    let numbers = json!({ "quota": "sandboxes", "max": 1, "used": 1, "would_be": 2 });
    assert_eq!(problem.details.unwrap(), numbers);
    patch(json!({ "quota": { "memory_bytes": 1 } })).await;
    let refused = create(json!({ "kind": "empty" })).await.problem();
    assert_eq!(refused.details.unwrap()["quota"], "memory_bytes");
    // Not even that it is there is told of a directory that is another's.
    patch(json!({ "quota": {} })).await;
    let dir = tempfile::tempdir().unwrap();
    let source = json!({ "kind": "directory", "path": dir.path() });
    assert_eq!(create(source.clone()).await.problem().code, ErrorCode::SourceForbidden);
    patch(json!({ "source_roots": [dir.path()] })).await;
    assert_eq!(create(source).await.status, StatusCode::CREATED);
    town.server.stop().await;
}

#[tokio::test]
async fn api4_a_principal_that_asks_too_often_is_told_when_to_come_back() {
    let town = Town::build().await;
    let ask = request(Method::PATCH, "/v1/tenants/blue").header("content-type", "application/json");
    let body = json!({ "quota": { "requests_per_minute": 2 } }).to_string();
    town.server.ask(ask.body(Full::from(body)).unwrap()).await;
    let key = town.key("blue", Role::Viewer);
    let first = town.ask(key, Method::GET, "/v1/me", "").await;
    assert_eq!(
        (first.headers["ratelimit-limit"].as_bytes(), first.status),
        (&b"2"[..], StatusCode::OK)
    );
    assert_eq!(first.headers["ratelimit-remaining"], "1");
    town.ask(key, Method::GET, "/v1/me", "").await;
    let refused = town.ask(key, Method::GET, "/v1/me", "").await;
    assert_eq!(refused.problem().code, ErrorCode::RateLimited);
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Another key of the tenant, and another tenant, are not hit by it.
    assert_eq!(
        town.ask(town.key("blue", Role::Admin), Method::GET, "/v1/me", "").await.status,
        StatusCode::OK
    );
    assert_eq!(
        town.ask(town.key("red", Role::Viewer), Method::GET, "/v1/me", "").await.status,
        StatusCode::OK
    );
    town.server.stop().await;
}

#[tokio::test]
async fn the_socket_and_the_token_file_are_the_operators_of_the_default_tenant() {
    let server = TestServer::start().await;
    let me = server.get("/v1/me").await.json();
    assert_eq!(me["tenant"], TenantId::DEFAULT.to_string());
    assert_eq!((&me["is_instance_admin"], &me["tenant_name"]), (&json!(true), &json!("default")));
    let ask = request(Method::GET, "/v1/tenants")
        .header("authorization", format!("Bearer {}", server.token));
    let tenants = server.ask_tcp(ask.body(Full::default()).unwrap()).await.json();
    assert_eq!(tenants["items"][0]["name"], "default");
    server.stop().await;
}
