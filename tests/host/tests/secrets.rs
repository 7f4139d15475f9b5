//! Does a secret reach those whom its policy names, and nobody and nothing else?

use std::time::Duration;

use sandbar_host_tests::{Planted, Project, Server};
use serde_json::json;

const APP: &str = "\
version: 1
web:
  command: exec python3 -u -m http.server 8123 --bind 127.0.0.1
  port: 8123
";

#[test]
fn sec2_a_secret_is_in_the_environment_of_the_app_alone_and_nowhere_on_the_host() {
    let planted = Planted("planted-5f1c9a-value".to_owned());
    let server = Server::start();
    let project = Project::new().file("sandbox.yaml", APP);
    let name = server.create(&project);
    let other = server.create(&Project::new());
    drop(server.app_when(&name, "ready", Duration::from_secs(30)));
    let path = format!("/v1/sandboxes/{name}/config");
    let body = json!({ "key": "API_KEY", "value": planted.0, "access": "runtime_access" });
    let made = server.api("POST", &format!("{path}?restart=true"), Some(&body)).expect(201);
    assert_eq!(made["stale_processes"], json!([]), "{made}");
    drop(server.app_when(&name, "ready", Duration::from_secs(30)));
    let with = planted.in_processes("environ");
    assert!(!with.is_empty() && with.iter().all(|line| line.contains("http.server")), "{with:?}");
    assert_eq!(planted.in_processes("cmdline"), Vec::<String>::new());
    assert_eq!(server.sh(&name, "echo -n $API_KEY"), "");
    let access = json!({ "access": "both" });
    drop(server.api("PATCH", &format!("{path}/API_KEY"), Some(&access)).expect(200));
    assert_eq!(server.sh(&name, "echo -n ${#API_KEY}"), planted.0.len().to_string());
    assert_eq!(server.sh(&other, "echo -n $API_KEY"), "");
    assert_eq!(planted.in_files(server.data_dir()), Vec::<String>::new());
    for path in ["", "/config", "/events", "/execs", "/app", "/changes"] {
        let shown = server.api("GET", &format!("/v1/sandboxes/{name}{path}"), None);
        assert!(!format!("{shown:?}").contains(&planted.0), "{path}: {shown:?}");
    }
}
