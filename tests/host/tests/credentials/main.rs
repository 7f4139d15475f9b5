//! Credentials on the wire: the upstream gets them, and nothing inside ever has them.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

mod push;
mod renewal;
mod upstream;

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::Duration};

use sandbar_host_tests::{Planted, Project, Server, command_line, eventually};
use serde_json::{Value, json};

use self::upstream::{ADDRESS, Upstream, server};

/// Processes of the sandboxes: what was launched by us, and what is below it.
fn inside(server: &Server) -> BTreeMap<u32, String> {
    let parents: BTreeMap<u32, u32> = fs::read_dir("/proc")
        .expect("proc is there")
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let is_keeper = |pid: u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        command_line(pid).contains("__launch")
            && open.any(|path| path.starts_with(server.data_dir()))
    };
    let above = |pid: &u32| parents.get(pid).copied();
    let all = parents.keys().copied();
    let below = all.filter(|pid| std::iter::successors(Some(*pid), above).any(is_keeper));
    below.map(|pid| (pid, command_line(pid))).collect()
}

fn bind(server: &Server, upstream: &Upstream, secret: &Planted, args: &[&str]) {
    let file = upstream.dir.path().join("value");
    fs::write(&file, format!("{}\n", secret.0)).expect("a file");
    let file_arg = file.to_str().expect("text");
    let words = [&["secret", "bind"], args, &["--file", file_arg]].concat();
    let bound = server.sandbar(Path::new("/"), &words);
    assert!(bound.status.success(), "{bound:?}");
    assert!(!secret.is_in(&bound.stdout) && !secret.is_in(&bound.stderr), "{bound:?}");
    fs::remove_file(file).expect("it is ours");
}

fn is_nowhere(server: &Server, name: &str, secret: &Planted) {
    assert_eq!(secret.in_files(server.data_dir()), Vec::<String>::new());
    for what in ["cmdline", "environ"] {
        assert_eq!(secret.in_processes(what), Vec::<String>::new(), "{what}");
    }
    let inside = inside(server);
    assert!(inside.values().any(|line| line.contains("sleep 600")), "{inside:?}");
    for (pid, line) in &inside {
        assert_ne!(secret.is_in_memory(*pid), Some(true), "{line}");
    }
    let pattern = secret.0.replacen("planted", "plante[d]", 1);
    // Files that were there before anything was planted, toolchains of the host among them, do not have it.
    let found = server.sh(
        name,
        &format!(
            "env | grep -s {pattern}; cat /proc/*/environ 2>/dev/null | grep -as {pattern}; \
             find . ~ /tmp /run /etc /var/tmp -type f -newerct '-30 minutes' \
               -exec grep -ls {pattern} {{}} + 2>/dev/null | head -5; true"
        ),
    );
    assert_eq!(found, "");
    let paths = ["/v1/credentials", "/v1/events?limit=200", "/v1/audit", "/v1/agents"];
    let of_sandbox = ["", "/config", "/events", "/execs"];
    let of_sandbox = of_sandbox.map(|what| format!("/v1/sandboxes/{name}{what}"));
    for path in paths.iter().map(|path| (*path).to_owned()).chain(of_sandbox) {
        let reply = server.api("GET", &path, None);
        assert!(!secret.is_in(&reply.body), "{path}");
    }
}

fn items(server: &Server, path: &str) -> Vec<Value> {
    let list = server.api("GET", path, None).expect(200);
    list["items"].as_array().cloned().unwrap_or_default()
}

fn sleep_and_wake(server: &Server, name: &str) {
    drop(server.api("POST", &format!("/v1/sandboxes/{name}/stop"), Some(&json!({}))));
    eventually("it is stopped", Duration::from_secs(30), || {
        let state =
            server.api("GET", &format!("/v1/sandboxes/{name}"), None).json()["state"].clone();
        if state == "stopped" { Ok(()) } else { Err(state) }
    });
    drop(server.api("POST", &format!("/v1/sandboxes/{name}/start"), Some(&json!({}))).expect(200));
}

#[test]
fn case_67_s5_c2_a_planted_key_is_at_the_upstream_and_nowhere_else() {
    let upstream = Upstream::start();
    let server = server(&upstream);
    let project = Project::new().file("README", "x");
    let name = server.create(&project);
    let secret = Planted("planted-wire-5e0c77ab91d2".to_owned());
    let host = format!("{ADDRESS}:{}", upstream.port);
    let base = format!("https://{host}");
    bind(&server, &upstream, &secret, &["MODEL_KEY", "--host", &host, "--path", "/v1"]);
    // Somebody inside looks on, as a debugger would.
    let watching = json!({ "argv": ["sleep", "600"] });
    drop(server.api("POST", &format!("/v1/sandboxes/{name}/execs"), Some(&watching)));

    let asked = |said: &str, path: &str| {
        assert!(!secret.is_in(said.as_bytes()), "{said}");
        assert!(said.contains("sbx-placeholder"), "{said}");
        assert_eq!(upstream.last(path), format!("{path} Bearer {}", secret.0));
    };
    let curl = format!("curl -sS -H \"authorization: Bearer $MODEL_KEY\" {base}");
    // A server looks for credentials that were just bound; the first request may come before it has.
    let said = eventually("the key is put in", Duration::from_secs(10), || {
        let said = server.sh(&name, &format!("{curl}/v1/curl"));
        if upstream.last("/v1/curl").contains(&secret.0) { Ok(said) } else { Err(said) }
    });
    asked(&said, "/v1/curl");
    let python = format!(
        "python3 -c 'import urllib.request as r; print(r.urlopen(\"{base}/v1/python\").read().decode())'"
    );
    asked(&server.sh(&name, &python), "/v1/python");
    let node = format!(
        "cat > /tmp/ask.js <<'EOF'\n\
         const http = require('http'), https = require('https');\n\
         const proxy = new URL(process.env.https_proxy);\n\
         http.request({{ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: '{host}' }})\n\
           .on('connect', (_, socket) => https.get({{ socket, agent: false, host: '{ADDRESS}', port: {port},\n\
             path: '/v1/node', headers: {{ host: '{host}' }} }}, (answer) => answer.pipe(process.stdout)))\n\
           .end();\n\
         EOF\n\
         node /tmp/ask.js",
        port = upstream.port
    );
    asked(&server.sh(&name, &node), "/v1/node");
    // With no environment at all, the bundle of the system is what is looked at.
    let proxy = "--proxy \"$https_proxy\"";
    let bare = format!("env -i /usr/bin/curl {proxy} -sS {base}/v1/bare");
    server.sh(&name, &bare);
    assert_eq!(upstream.last("/v1/bare"), format!("/v1/bare Bearer {}", secret.0));
    let verified = format!(
        "env -i PATH=/usr/bin:/bin openssl s_client -proxy \"${{https_proxy#http://}}\" -connect {host} \
           -verify_ip {ADDRESS} -verify_return_error </dev/null 2>&1 | grep 'Verify return code'"
    );
    let said = server.sh(&name, &verified);
    assert!(said.contains("0 (ok)"), "{said}");
    // Not below the path of the rule: nothing of ours, and nothing of theirs.
    server.sh(&name, &format!("{curl}/other"));
    assert_eq!(upstream.last("/other"), "/other None");
    is_nowhere(&server, &name, &secret);
    let events = items(&server, &format!("/v1/sandboxes/{name}/events?limit=200"));
    assert!(events.iter().any(|event| event["type"] == "credential_echoed"), "{events:?}");

    sleep_and_wake(&server, &name);
    let said = server.sh(&name, &format!("{curl}/v1/again"));
    asked(&said, "/v1/again");

    let why = server.sandbar(Path::new("/"), &["secret", "why", &name, &format!("{base}/v1/x")]);
    let said = String::from_utf8_lossy(&why.stdout).into_owned();
    assert!(said.contains("may be reached") && said.ends_with("\nmodel_key: put in\n"), "{said}");
    let why = server.sandbar(Path::new("/"), &["secret", "why", &name, &format!("{base}/x")]);
    assert!(String::from_utf8_lossy(&why.stdout).contains("for other paths"), "{why:?}");

    let gone = server.sandbar(Path::new("/"), &["secret", "unbind", "MODEL_KEY"]);
    assert!(gone.status.success(), "{gone:?}");
    eventually("the key is not put in any more", Duration::from_secs(10), || {
        let said = server.sh(&name, &format!("curl -sS {base}/v1/gone"));
        let last = upstream.last("/v1/gone");
        if last == "/v1/gone None" { Ok(said) } else { Err(last) }
    });
}

#[test]
fn d14_git_reads_with_a_token_that_is_never_inside_and_another_repository_gets_none() {
    let upstream = Upstream::start();
    let server = server(&upstream);
    let project = Project::new().file("README", "x");
    let secret = Planted("planted-git-90af13c2be44".to_owned());
    let base = format!("https://{ADDRESS}:{}/ann", upstream.port);
    bind(&server, &upstream, &secret, &["github", "--git", &format!("{base}/shop")]);
    let name = server.create(&project);
    let watching = json!({ "argv": ["sleep", "600"] });
    drop(server.api("POST", &format!("/v1/sandboxes/{name}/execs"), Some(&watching)));
    let said = server.sh(&name, &format!("GIT_TERMINAL_PROMPT=0 git ls-remote {base}/shop.git"));
    assert!(said.contains("refs/heads/main"), "{said}");
    assert!(upstream.last("/ann/shop.git/info/refs").contains(" Basic "));
    server.sh(&name, &format!("GIT_TERMINAL_PROMPT=0 git ls-remote {base}/other.git; true"));
    assert!(upstream.last("/ann/other.git/info/refs").ends_with(" None"));
    is_nowhere(&server, &name, &secret);
}

#[test]
fn c11_a_commit_inside_is_by_whoever_made_the_sandbox() {
    let server = Server::start();
    let project = Project::new().file("README", "x");
    let home = tempfile::tempdir().expect("a directory");
    fs::write(
        home.path().join(".gitconfig"),
        "[user]\n\tname = Ann B\n\temail = ann@example.org\n",
    )
    .expect("a file");
    let made = Command::new(sandbar_host_tests::bin_dir().join("sandbar"))
        .args(["create", "--name", "shop", "--source", project.path().to_str().expect("text")])
        .env("SANDBAR_DATA_DIR", server.data_dir())
        .env("HOME", home.path())
        .env_remove("GIT_CONFIG_GLOBAL")
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .expect("the binary is built");
    assert!(made.status.success(), "{made:?}");
    let by = server.sh(
        "shop",
        "git init -q . && git add -A && git commit -qm one && git log -1 --format='%an <%ae>'",
    );
    assert_eq!(by, "Ann B <ann@example.org>\n");
}
