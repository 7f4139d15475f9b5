//! Logins that end: the server gets the next token, once, keeps it, and says so where it cannot.

use std::{fs, path::Path, time::Duration};

use sandbar_host_tests::{Project, Server, eventually};
use serde_json::json;

use crate::{
    items,
    upstream::{ADDRESS, Upstream, server},
};

/// A login of Claude Code in a home of the test's, and the command that hands it over.
fn connect(server: &Server, upstream: &Upstream, (access, refresh): (&str, &str)) {
    let home = upstream.dir.path().join("home");
    fs::create_dir_all(home.join(".claude")).expect("a directory");
    let login = json!({ "claudeAiOauth": {
        "accessToken": access, "refreshToken": refresh, "expiresAt": 1_700_000_000_000_u64,
    } });
    fs::write(home.join(".claude/.credentials.json"), login.to_string()).expect("a file");
    let host = format!("{ADDRESS}:{}", upstream.port);
    let url = format!("https://{host}/oauth/token");
    let connected = std::process::Command::new(sandbar_host_tests::bin_dir().join("sandbar"))
        .args(["agents", "connect", "claude-code", "--from-login", "--host", &host])
        .args(["--token-url", &url])
        .env("SANDBAR_DATA_DIR", server.data_dir())
        .env("HOME", &home)
        .env_remove("ANTHROPIC_API_KEY")
        .output()
        .expect("the binary is built");
    assert!(connected.status.success(), "{connected:?}");
    let said = String::from_utf8_lossy(&connected.stderr).into_owned()
        + &String::from_utf8_lossy(&connected.stdout);
    assert!(said.contains("renews this login") && !said.contains(refresh), "{said}");
}

fn ask(server: &Server, name: &str, upstream: &Upstream, path: &str) -> String {
    let base = format!("https://{ADDRESS}:{}", upstream.port);
    server.sh(name, &format!("curl -sS -w ' %{{http_code}}' {base}{path} || true"))
}

#[test]
fn c2_a_login_that_ended_is_renewed_once_and_the_next_token_outlives_the_server() {
    let upstream = Upstream::start();
    let mut server = server(&upstream);
    let project = Project::new().file("README", "x");
    let name = server.create(&project);
    connect(&server, &upstream, ("planted-access-ended", "planted-refresh-0"));
    let base = format!("https://{ADDRESS}:{}", upstream.port);
    // Also where several ask at once, and none before the new token is there.
    eventually("the way out knows of it", Duration::from_secs(10), || {
        let said = ask(&server, &name, &upstream, "/v1/first");
        if upstream.last("/v1/first").ends_with("Bearer planted-access-1") {
            Ok(())
        } else {
            Err(said)
        }
    });
    server.sh(
        &name,
        &format!("for i in 1 2 3 4 5 6; do curl -sS {base}/v1/many-$i >/dev/null & done; wait"),
    );
    for path in (1..=6).map(|i| format!("/v1/many-{i}")) {
        assert_eq!(upstream.last(&path), format!("{path} Bearer planted-access-1"));
    }
    assert_eq!(upstream.last("/oauth/token"), "/oauth/token 1");
    // Who would renew it inside is told who does.
    let said = server.sh(&name, &format!("curl -sS -d '{{}}' {base}/oauth/token"));
    assert!(said.contains("the server renews this login itself"), "{said}");
    assert_eq!(upstream.last("/oauth/token"), "/oauth/token 1");

    server.kill();
    server.restart();
    eventually("the new token is put in", Duration::from_secs(20), || {
        let said = ask(&server, &name, &upstream, "/v1/restarted");
        if said.ends_with(" 200") { Ok(()) } else { Err(said) }
    });
    assert_eq!(upstream.last("/v1/restarted"), "/v1/restarted Bearer planted-access-1");
    let inside = server.sh(&name, "env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'");
    assert!(!inside.contains("planted-access") && !inside.contains("planted-refresh"), "{inside}");
    let shown = server.api("GET", "/v1/credentials", None);
    let shown = String::from_utf8_lossy(&shown.body).into_owned();
    assert!(shown.contains("token_url") && !shown.contains("planted"), "{shown}");
}

#[test]
fn c2_a_login_that_cannot_be_renewed_is_told_with_what_to_do() {
    let upstream = Upstream::start();
    let server = server(&upstream);
    let project = Project::new().file("README", "x");
    let name = server.create(&project);
    connect(&server, &upstream, ("planted-access-ended", "planted-refresh-revoked"));
    eventually("it is refused", Duration::from_secs(20), || {
        let said = ask(&server, &name, &upstream, "/v1/x");
        if said.contains("could not be renewed") && said.ends_with(" 401") {
            Ok(())
        } else {
            Err(said)
        }
    });
    let events = items(&server, &format!("/v1/sandboxes/{name}/events?limit=200"));
    let told = events.iter().filter(|event| event["type"] == "credential_expired");
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 1, "{events:?}");
    let text = told[0].to_string();
    assert!(text.contains("agents connect claude-code") && !text.contains("planted"), "{text}");
    let why = server.sandbar(
        Path::new("/"),
        &["secret", "why", &name, &format!("https://{ADDRESS}:{}/", upstream.port)],
    );
    assert!(String::from_utf8_lossy(&why.stdout).contains("may be reached"), "{why:?}");
}
