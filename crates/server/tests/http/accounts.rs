//! Setting up, logging in, sessions, keys: who is let in, for how long, and what a browser cannot be tricked into.

use std::{os::unix::fs::PermissionsExt as _, sync::Arc};

use http::{Method, StatusCode};
use http_body_util::Full;
use sandbar_api::ErrorCode;
use sandbar_runtime::fake::Fake;
use sandbar_types::Role;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::{
    server::{Answer, TestServer, request},
    tenants::Town,
};

const PASSWORD: &str = "correct horse battery";

async fn send(server: &TestServer, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
    let mut ask = request(Method::POST, path).header("content-type", "application/json");
    for (name, value) in headers {
        ask = ask.header(*name, *value);
    }
    server.ask_tcp(ask.body(Full::from(body.to_string())).unwrap()).await
}

async fn setup(server: &TestServer) {
    let code = std::fs::read_to_string(server.data_dir.join("setup-code")).unwrap();
    let body = json!({ "code": code, "name": "ada", "password": PASSWORD });
    let made = send(server, "/v1/auth/setup", &[], body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
}

async fn login(server: &TestServer, password: &str) -> Answer {
    send(server, "/v1/auth/login", &[], json!({ "name": "ada", "password": password })).await
}

/// The cookie that a browser would send.
fn cookie(answer: &Answer) -> String {
    let set = answer.headers["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

async fn status_with(server: &TestServer, cookie: &str) -> StatusCode {
    let ask = request(Method::GET, "/v1/me").header("cookie", cookie);
    server.ask_tcp(ask.body(Full::default()).unwrap()).await.status
}

fn origin(server: &TestServer) -> String {
    format!("http://localhost:{}", server.tcp.port())
}

#[tokio::test]
async fn a14_the_first_to_come_needs_the_code_that_the_server_wrote() {
    let server = TestServer::start().await;
    let file = server.data_dir.join("setup-code");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let ask = request(Method::GET, "/v1/auth/status").body(Full::default()).unwrap();
    assert_eq!(
        server.ask_tcp(ask).await.json(),
        json!({ "needs_setup": true, "is_authenticated": false })
    );
    for code in ["", "0", &"0".repeat(32)] {
        let body = json!({ "code": code, "name": "eve", "password": PASSWORD });
        let refused = send(&server, "/v1/auth/setup", &[], body).await;
        assert_eq!(refused.problem().code, ErrorCode::InvalidCredentials, "{code}");
    }
    let code = std::fs::read_to_string(&file).unwrap();
    let short = json!({ "code": code, "name": "ada", "password": "short" });
    let refused = send(&server, "/v1/auth/setup", &[], short).await;
    assert_eq!(refused.problem().code, ErrorCode::InvalidValue);
    setup(&server).await;
    assert!(!file.exists(), "the code is left");
    let again = json!({ "code": code, "name": "eve", "password": PASSWORD });
    let refused = send(&server, "/v1/auth/setup", &[], again).await;
    assert_eq!(refused.problem().code, ErrorCode::SetupDone);
    server.stop().await;
}

#[tokio::test]
async fn case_114_a_cookie_alone_changes_nothing() {
    let server = TestServer::start_on(Arc::new(Fake::new())).await;
    setup(&server).await;
    let begun = login(&server, PASSWORD).await;
    assert_eq!(begun.status, StatusCode::OK, "{begun:?}");
    let set = begun.headers["set-cookie"].to_str().unwrap();
    for part in ["sandbar_session=", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain"), "{set}");
    let cookie = cookie(&begun);
    assert_eq!(status_with(&server, &cookie).await, StatusCode::OK);
    let (own, create) = (origin(&server), json!({ "source": { "kind": "empty" } }));
    let cookie = ("cookie", cookie.as_str());
    for (headers, code) in [
        (vec![cookie], ErrorCode::CsrfRequired),
        (vec![cookie, ("origin", &own)], ErrorCode::CsrfRequired),
        (vec![cookie, ("x-sandbar-csrf", "1")], ErrorCode::CsrfRequired),
        (
            vec![cookie, ("x-sandbar-csrf", "1"), ("origin", "http://evil.com")],
            ErrorCode::ForbiddenOrigin,
        ),
        (
            vec![
                cookie,
                ("x-sandbar-csrf", "1"),
                ("origin", &own),
                ("sec-fetch-site", "same-site"),
            ],
            ErrorCode::ForbiddenOrigin,
        ),
    ] {
        let refused = send(&server, "/v1/sandboxes", &headers, create.clone()).await;
        assert_eq!(refused.problem().code, code, "{headers:?}");
    }
    let headers = [cookie, ("x-sandbar-csrf", "1"), ("origin", own.as_str())];
    let made = send(&server, "/v1/sandboxes", &headers, create).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert!(made.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    // What a form of another site can send is no JSON.
    let form = request(Method::POST, "/v1/sandboxes").header("content-type", "text/plain");
    let form = headers.iter().fold(form, |form, (name, value)| form.header(*name, *value));
    let refused = server.ask_tcp(form.body(Full::from("{}")).unwrap()).await;
    assert_eq!(refused.problem().code, ErrorCode::UnsupportedMediaType);
    server.stop().await;
}

#[tokio::test]
async fn case_113_a_web_socket_with_a_cookie_needs_an_origin() {
    let server = TestServer::start().await;
    setup(&server).await;
    let cookie = cookie(&login(&server, PASSWORD).await);
    let own = origin(&server);
    for (origin, code) in [
        (None, ErrorCode::CsrfRequired),
        (Some("null"), ErrorCode::ForbiddenOrigin),
        (Some(own.as_str()), ErrorCode::SandboxNotFound),
    ] {
        let mut ask = request(Method::GET, "/v1/sandboxes/x/execs/y/attach")
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("cookie", &cookie);
        if let Some(origin) = origin {
            ask = ask.header("origin", origin);
        }
        let answer = server.ask_tcp(ask.body(Full::default()).unwrap()).await;
        assert_eq!(answer.problem().code, code, "{origin:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_session_ends_by_logout_and_the_others_by_a_new_password() {
    let server = TestServer::start().await;
    setup(&server).await;
    let (one, other) =
        (cookie(&login(&server, PASSWORD).await), cookie(&login(&server, PASSWORD).await));
    let own = origin(&server);
    let ask = async |path: &str, cookie: &str, body: Value| {
        let headers = [("cookie", cookie), ("x-sandbar-csrf", "1"), ("origin", own.as_str())];
        send(&server, path, &headers, body).await
    };
    let new = "another long password";
    let wrong = ask("/v1/auth/password", &one, json!({ "current": "no", "new": new })).await;
    assert_eq!(wrong.problem().code, ErrorCode::InvalidCredentials);
    let changed = ask("/v1/auth/password", &one, json!({ "current": PASSWORD, "new": new })).await;
    assert_eq!(changed.status, StatusCode::NO_CONTENT, "{changed:?}");
    assert_eq!(status_with(&server, &one).await, StatusCode::OK);
    assert_eq!(status_with(&server, &other).await, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&server, PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    let ended = ask("/v1/auth/logout", &one, json!({})).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT, "{ended:?}");
    assert!(ended.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(status_with(&server, &one).await, StatusCode::UNAUTHORIZED);
    server.stop().await;
}

#[tokio::test]
async fn case_123_guessing_tells_nothing_and_is_stopped() {
    let server = TestServer::start().await;
    setup(&server).await;
    let wrong = login(&server, "wrong password!").await.problem();
    let body = json!({ "name": "nobody", "password": "wrong password!" });
    let unknown = send(&server, "/v1/auth/login", &[], body).await.problem();
    assert_eq!((wrong.code, &wrong.message), (unknown.code, &unknown.message));
    let mut last = None;
    for _ in 0..10 {
        last = Some(login(&server, "wrong password!").await);
    }
    let last = last.unwrap();
    assert_eq!(last.problem().code, ErrorCode::RateLimited);
    assert!(last.headers.contains_key("retry-after"));
    // Not even with the right one, or it would be worth guessing on.
    assert_eq!(login(&server, PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    server.stop().await;
}

#[tokio::test]
async fn case_123_a_key_is_kept_as_a_hash_and_ends_when_it_is_removed() {
    let town = Town::build().await;
    let server = &town.server;
    let body = json!({ "name": "ci", "role": "viewer" }).to_string();
    let made = server.post("/v1/api-keys?tenant=red", body).await.json();
    let secret = made["secret"].as_str().unwrap().to_owned();
    let prefix = made["api_key"]["prefix"].as_str().unwrap();
    assert!(secret.starts_with(&format!("{prefix}_")) && secret.len() == prefix.len() + 65);
    let id = town.sandbox("red", "watched").await;
    // A stream that is being read when the key is removed is cut.
    let mut stream = tokio::net::TcpStream::connect(server.tcp).await.unwrap();
    let head = format!(
        "GET /v1/sandboxes/{id}/events HTTP/1.1\r\nHost: localhost:{}\r\nAuthorization: Bearer {secret}\r\n\
         Accept: text/event-stream\r\nConnection: close\r\n\r\n",
        server.tcp.port()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let key = made["api_key"]["id"].as_str().unwrap();
    let path = format!("/v1/api-keys/{key}?tenant=red");
    let removed = server.ask(request(Method::DELETE, &path).body(Full::default()).unwrap()).await;
    assert_eq!(removed.status, StatusCode::NO_CONTENT);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    let answer = town.ask(&secret, Method::GET, "/v1/me", "").await;
    assert_eq!(answer.problem().code, ErrorCode::Unauthorized);
    // In an address it is no key at all.
    let ask = request(Method::GET, &format!("/v1/me?token={}", server.token));
    let answer = server.ask_tcp(ask.body(Full::default()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    for file in ["sandbar.db", "sandbar.db-wal"] {
        let bytes = std::fs::read(server.data_dir.join(file)).unwrap_or_default();
        let needle = secret.rsplit('_').next().unwrap().as_bytes();
        assert!(!bytes.windows(needle.len()).any(|part| part == needle), "{file} holds the key");
    }
    town.server.stop().await;
}

#[tokio::test]
async fn nobody_gives_what_they_do_not_have() {
    let town = Town::build().await;
    let admin = town.key("red", Role::Admin);
    // A key that may look after accounts, and nothing else.
    let body = json!({ "name": "clerk", "scopes": ["admin"] }).to_string();
    let clerk = town.ask(admin, Method::POST, "/v1/api-keys", &body).await.json();
    let clerk = clerk["secret"].as_str().unwrap();
    for (path, body) in [
        ("/v1/api-keys", json!({ "name": "more", "scopes": ["write"] })),
        ("/v1/users", json!({ "name": "eve", "role": "member" })),
        ("/v1/users", json!({ "name": "eve", "role": "admin", "password": PASSWORD })),
    ] {
        let refused = town.ask(clerk, Method::POST, path, &body.to_string()).await;
        assert_eq!(refused.problem().code, ErrorCode::Forbidden, "{path} {body}");
    }
    let viewer = json!({ "name": "odd", "role": "viewer", "scopes": ["write"] }).to_string();
    let refused = town.ask(admin, Method::POST, "/v1/api-keys", &viewer).await;
    assert_eq!(refused.problem().code, ErrorCode::Forbidden);
    let past = json!({ "name": "old", "expires_at": "2001-01-01T00:00:00Z" }).to_string();
    let refused = town.ask(admin, Method::POST, "/v1/api-keys", &past).await;
    assert_eq!(refused.problem().code, ErrorCode::InvalidValue);
    // Another tenant is there for who runs the server only, and answered as one that is not.
    for tenant in ["blue", "nowhere"] {
        let path = format!("/v1/users?tenant={tenant}");
        let refused = town.ask(admin, Method::GET, &path, "").await.problem();
        assert_eq!(refused.code, ErrorCode::TenantNotFound);
        assert_eq!(refused.message, format!("there is no tenant `{tenant}`"));
    }
    town.server.stop().await;
}

#[tokio::test]
async fn a_key_is_never_worth_more_than_its_user_is() {
    let server = TestServer::start().await;
    setup(&server).await;
    let bob = json!({ "name": "bob", "role": "admin", "password": PASSWORD }).to_string();
    let bob = server.post("/v1/users", bob).await.json();
    let body = json!({ "name": "bob", "password": PASSWORD });
    let cookie = cookie(&send(&server, "/v1/auth/login", &[], body).await);
    let own = origin(&server);
    let headers = [("cookie", cookie.as_str()), ("origin", &own), ("x-sandbar-csrf", "1")];
    let made = send(&server, "/v1/api-keys", &headers, json!({ "name": "bobs" })).await.json();
    let bearer = format!("Bearer {}", made["secret"].as_str().unwrap());
    let me = async || {
        let ask = request(Method::GET, "/v1/me").header("authorization", &bearer);
        server.ask_tcp(ask.body(Full::default()).unwrap()).await
    };
    assert_eq!(me().await.json()["role"], "admin");
    let path = format!("/v1/users/{}", bob["id"].as_str().unwrap());
    let ask = request(Method::PATCH, &path).header("content-type", "application/json");
    server.ask(ask.body(Full::from(r#"{"role":"viewer"}"#)).unwrap()).await;
    assert_eq!(
        (&me().await.json()["role"], &me().await.json()["scopes"]),
        (&json!("viewer"), &json!(["read"]))
    );
    let gone = server.ask(request(Method::DELETE, &path).body(Full::default()).unwrap()).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert_eq!(me().await.status, StatusCode::UNAUTHORIZED);
    // The last administrator stays.
    let users = server.get("/v1/users").await.json();
    let last = format!("/v1/users/{}", users["items"][0]["id"].as_str().unwrap());
    let refused = server.ask(request(Method::DELETE, &last).body(Full::default()).unwrap()).await;
    assert_eq!(refused.problem().code, ErrorCode::LastAdmin);
    server.stop().await;
}
