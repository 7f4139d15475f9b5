//! What a sandbox reaches, by every way that programs have, and what it does not.

use std::{sync::atomic::Ordering, time::Duration};

use sandbar_host_tests::{Server, Service, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(10);

fn path(sandbox: &str, what: &str) -> String {
    format!("/v1/sandboxes/{sandbox}/network{what}")
}

fn change(server: &Server, sandbox: &str, change: &Value) {
    let changed = server.api("PATCH", &path(sandbox, ""), Some(change));
    assert_eq!(changed.status, 200, "{change}");
}

fn log(server: &Server, sandbox: &str) -> Vec<Value> {
    let page = server.api("GET", &path(sandbox, "/log?limit=200"), None).expect(200);
    page["items"].as_array().expect("a page has items").clone()
}

#[test]
fn case_60_every_way_of_real_programs_leads_out_and_is_logged() {
    let Some(service) = Service::start() else { return };
    let (server, sandbox, _project) = service.sandbox();
    let url = service.url();
    let ways = [
        format!("curl -sS -m 20 {url}"),
        format!("curl -sS -m 20 --proxytunnel {url}"),
        format!("curl -sS -m 20 --noproxy '*' --proxy socks5h://127.0.0.1:1080 {url}"),
        format!("env -u http_proxy curl -sS -m 20 --proxy socks5h://127.0.0.1:1080 {url}"),
        format!("env -u http_proxy curl -sS -m 20 --proxy socks4a://127.0.0.1:1080 {url}"),
        // Without any proxy, through a name that stands in.
        format!("env -u http_proxy -u HTTP_PROXY curl -sS -m 20 {url}"),
        format!(
            "python3 -c 'import socket; s = socket.create_connection((\"{}\", {}), 20); s.sendall(b\"GET / HTTP/1.0\\r\\n\\r\\n\"); print(s.makefile().read())'",
            service.name, service.port
        ),
    ];
    for way in ways {
        let said = server.sh(&sandbox, &way);
        assert!(said.contains("hello"), "{way}: {said}");
    }
    let entries = eventually("every connection is in the log", SOON, || {
        let entries = log(&server, &sandbox);
        if entries.len() >= 7 { Ok(entries) } else { Err(entries) }
    });
    for entry in entries {
        assert_eq!(entry["what"], "closed", "{entry}");
        assert_eq!(entry["rule"], format!("{}:{}", service.name, service.port));
        assert!(entry["received_bytes"].as_u64().is_some_and(|bytes| bytes > 6), "{entry}");
    }
}

#[test]
fn k6_case_59_what_is_not_on_the_list_is_reached_in_no_way() {
    let Some(service) = Service::start() else { return };
    let (server, sandbox, _project) = service.sandbox();
    let said = server.sh(&sandbox, "curl -sS -m 20 http://evil.example/ 2>&1");
    assert!(said.contains("host_not_allowed") || said.contains("not on the list"), "{said}");
    assert!(said.contains("sandbar net allow "), "{said}");
    let refused = [
        "env -u http_proxy curl -sS -m 20 http://evil.example/",
        "curl -sS -m 20 --proxy socks5h://127.0.0.1:1080 http://evil.example/",
        "python3 -c 'import socket; socket.getaddrinfo(\"secret.evil.example\", 80)'",
        // There is no way but the proxy: neither to an address, nor by another protocol.
        "python3 -c 'import socket; socket.create_connection((\"198.41.0.4\", 443), 5)'",
        "python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((\"198.41.0.4\", 53)); s.send(b\"x\")'",
        "python3 -c 'import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)'",
        "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)'",
    ];
    for way in refused {
        let result = server.exec(&sandbox, &["sh", "-c", way]);
        assert_ne!(result["exit_code"], 0, "{way}: {result}");
    }
    // case_57 and case_58: neither this host nor a cloud's metadata, however they are written.
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "169.254.169.254",
        "2852039166",
        "[::ffff:a9fe:a9fe]",
        "10.0.0.1",
    ] {
        let ask = format!(
            "curl -sS -m 20 --noproxy '' -o /dev/null -w '%{{http_code}}' http://{host}:{}/",
            service.port
        );
        let code = server.sh(&sandbox, &ask);
        assert!(matches!(code.as_str(), "403" | "400"), "{host}: {code}");
    }
    assert_eq!(service.asked.load(Ordering::SeqCst), 0);
    let denied = eventually("the refusals are in the log", SOON, || {
        let entries = log(&server, &sandbox);
        let hosts: Vec<_> = entries
            .iter()
            .map(|entry| entry["host"].as_str().unwrap_or_default().to_owned())
            .collect();
        let is_there = |host: &str| hosts.iter().any(|other| other == host);
        if is_there("secret.evil.example") && is_there("169.254.169.254") {
            Ok(entries)
        } else {
            Err(entries)
        }
    });
    assert!(denied.iter().all(|entry| entry["what"] == "denied" && entry["reason"].is_string()));
}

#[test]
fn case_66_a_change_holds_at_once_and_survives_a_restart() {
    let Some(service) = Service::start() else { return };
    let (mut server, sandbox, project) = service.sandbox();
    let named = format!("{}:{}", service.name, service.port);
    let get = format!("curl -s -m 20 -o /dev/null -w '%{{http_code}}' {}", service.url());
    assert_eq!(server.sh(&sandbox, &get), "200");
    // A connection that is open, and then not allowed.
    let hold = format!(
        "python3 -c 'import socket; s = socket.create_connection((\"{}\", {}), 20); s.sendall(b\"HOLD\"); assert s.recv(9); open(\"/tmp/held\", \"w\"); s.settimeout(20); print(s.recv(9))'",
        service.name, service.port
    );
    let body = json!({ "argv": ["sh", "-c", hold] });
    let execs = format!("/v1/sandboxes/{sandbox}/execs");
    let held = server.api("POST", &execs, Some(&body)).expect(201);
    eventually("it is held", SOON, || {
        let result = server.exec(&sandbox, &["test", "-e", "/tmp/held"]);
        if result["exit_code"] == 0 { Ok(()) } else { Err(result) }
    });
    change(&server, &sandbox, &json!({ "add_deny": [named] }));
    assert_eq!(server.sh(&sandbox, &get), "403");
    let exec = format!("{execs}/{}", held["id"].as_str().expect("an id"));
    eventually("the connection that was open is closed", SOON, || {
        let exec = server.api("GET", &exec, None).expect(200);
        if exec["state"]["kind"] == "running" || exec["state"] == "running" {
            Err(exec)
        } else {
            Ok(())
        }
    });
    let why = server.api("GET", &path(&sandbox, &format!("/why?host={named}")), None).expect(200);
    assert_eq!((&why["allowed"], &why["reason"]), (&json!(false), &json!("denied_by_rule")));
    // What is no rule changes nothing.
    let wrong = json!({ "mode": "open", "add_allow": ["https://x.example/"] });
    assert_eq!(server.api("PATCH", &path(&sandbox, ""), Some(&wrong)).status, 422);
    let network = server.api("GET", &path(&sandbox, ""), None).expect(200);
    assert_eq!(network, json!({ "mode": "allow_list", "allow": [], "deny": [named] }));
    server.kill();
    server.restart();
    assert_eq!(server.sh(&sandbox, &get), "403");
    // By the command line, and by a name that nobody can resolve here: allowed, and not there.
    let net = |args: &[&str]| {
        let output = server.sandbar(project.path(), &[&["net"], args].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert_eq!(net(&["forget", &sandbox, &named]).0, Some(0));
    assert_eq!(server.sh(&sandbox, &get), "200");
    let later = "curl -s -m 20 -o /dev/null -w '%{http_code}' http://later.invalid/";
    assert_eq!(server.sh(&sandbox, later), "403");
    assert_eq!(net(&["why", &sandbox, "later.invalid"]).0, Some(4));
    assert_eq!(net(&["allow", &sandbox, "later.invalid"]).0, Some(0));
    assert_eq!(server.sh(&sandbox, later), "502");
    assert!(net(&["show", &sandbox]).1.contains("allow  later.invalid"));
    let (code, said) = net(&["why", &sandbox, &named]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("allowed: the rule"), "{said}");
    let (_, log) = net(&["log", &sandbox]);
    assert!(log.contains("denied") && log.contains("revoked"), "{log}");
    // From none to a list, without a restart.
    assert_eq!(net(&["mode", &sandbox, "none"]).0, Some(0));
    assert_eq!(server.sh(&sandbox, &get), "403");
    assert_eq!(net(&["mode", &sandbox, "allow-list"]).0, Some(0));
    assert_eq!(server.sh(&sandbox, &get), "200");
}

#[test]
fn a_sandbox_without_a_network_gets_one_while_it_runs() {
    let Some(service) = Service::start() else { return };
    let (server, _, project) = service.sandbox();
    let body = json!({
        "source": { "kind": "directory", "path": project.path() },
        "name": "without",
        "network": { "mode": "none" },
    });
    let sandbox = server.api("POST", "/v1/sandboxes", Some(&body)).expect(201);
    let sandbox = sandbox["id"].as_str().expect("an id").to_owned();
    let get = format!("curl -s -m 20 {}", service.url());
    assert_ne!(server.exec(&sandbox, &["sh", "-c", &get])["exit_code"], 0);
    change(&server, &sandbox, &json!({ "mode": "allow_list" }));
    // The doors are opened by and by.
    eventually("the name stands for it", SOON, || {
        let result = server.exec(&sandbox, &["sh", "-c", &get]);
        if result["exit_code"] == 0 { Ok(()) } else { Err(result) }
    });
}
