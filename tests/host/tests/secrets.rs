//! Does a secret reach those whom its policy names, and nobody and nothing else?

use std::{fs, path::Path, time::Duration};

use sandbar_host_tests::{Project, Server};
use serde_json::json;

const PLANTED: &str = "planted-5f1c9a-value";
const APP: &str = "\
version: 1
web:
  command: exec python3 -u -m http.server 8123 --bind 127.0.0.1
  port: 8123
";

/// Whether a file below `dir` holds the planted value; links are not followed.
fn holds(dir: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => holds(&path, found),
            Ok(kind) if kind.is_file() => {
                let bytes = fs::read(&path).unwrap_or_default();
                if bytes.windows(PLANTED.len()).any(|part| part == PLANTED.as_bytes()) {
                    found.push(path.display().to_string());
                }
            }
            Ok(_) | Err(_) => {}
        }
    }
}

/// Host processes whose arguments or environment hold the planted value: the command line of each.
fn processes(what: &str) -> Vec<String> {
    let found = fs::read_dir("/proc").expect("proc is there").filter_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse::<u32>().ok()?;
        let bytes = fs::read(format!("/proc/{pid}/{what}")).ok()?;
        let has = bytes.windows(PLANTED.len()).any(|part| part == PLANTED.as_bytes());
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        has.then(|| String::from_utf8_lossy(&line).replace('\0', " "))
    });
    found.collect()
}

#[test]
fn sec2_a_secret_is_in_the_environment_of_the_app_alone_and_nowhere_on_the_host() {
    let server = Server::start();
    let project = Project::new().file("sandbox.yaml", APP);
    let name = server.create(&project);
    let other = server.create(&Project::new());
    drop(server.app_when(&name, "ready", Duration::from_secs(30)));
    let path = format!("/v1/sandboxes/{name}/config");
    let body = json!({ "key": "API_KEY", "value": PLANTED, "access": "runtime_access" });
    let made = server.api("POST", &format!("{path}?restart=true"), Some(&body)).expect(201);
    assert_eq!(made["stale_processes"], json!([]), "{made}");
    drop(server.app_when(&name, "ready", Duration::from_secs(30)));
    let with = processes("environ");
    assert!(!with.is_empty() && with.iter().all(|line| line.contains("http.server")), "{with:?}");
    assert_eq!(processes("cmdline"), Vec::<String>::new());
    assert_eq!(server.sh(&name, "echo -n $API_KEY"), "");
    let access = json!({ "access": "both" });
    drop(server.api("PATCH", &format!("{path}/API_KEY"), Some(&access)).expect(200));
    assert_eq!(server.sh(&name, "echo -n ${#API_KEY}"), PLANTED.len().to_string());
    assert_eq!(server.sh(&other, "echo -n $API_KEY"), "");
    let mut found = Vec::new();
    holds(server.data_dir(), &mut found);
    assert_eq!(found, Vec::<String>::new());
    for path in ["", "/config", "/events", "/execs", "/app", "/changes"] {
        let shown = server.api("GET", &format!("/v1/sandboxes/{name}{path}"), None);
        assert!(!format!("{shown:?}").contains(PLANTED), "{path}: {shown:?}");
    }
}
