//! S13: an install in a new sandbox is served by the package caches of the caller's home, which it cannot change.
//!
//! With the real npm and the real pip, and without a network inside: what is installed can only come from the cache.

#![expect(
    clippy::disallowed_methods,
    reason = "a test starts programs and waits for them as a user does"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener},
    os::unix::fs::{PermissionsExt as _, chown, symlink},
    path::Path,
    process::Command,
    thread,
};

use sandbar_host_tests::{Project, Server};
use serde_json::{Value, json};

/// A server for whoever has this home. A disk, because caches and packages are many files.
fn server_at(home: &Project) -> Server {
    let mut server = Server::start_in(Path::new("/var/tmp"));
    server.kill();
    server.set_env("HOME", home.path().to_str().expect("a temporary directory is text"));
    server.restart();
    server
}

/// A sandbox without a network over `project`.
fn create(server: &Server, project: &Project) -> Value {
    let body = json!({
        "source": { "kind": "directory", "path": project.path() },
        "network": { "mode": "none" },
    });
    server.api("POST", "/v1/sandboxes", Some(&body)).expect(201)
}

fn id(sandbox: &Value) -> &str {
    sandbox["id"].as_str().expect("a sandbox has an id")
}

/// Runs `script` on the host, with the home in which it fills a cache.
fn on_host(home: &Project, dir: &Path, script: &str) {
    let status = Command::new("sh")
        .args(["-ec", script])
        .current_dir(dir)
        .env("HOME", home.path())
        .env_remove("npm_config_cache")
        .env_remove("PIP_CACHE_DIR")
        .env_remove("PIP_FIND_LINKS")
        .status()
        .expect("sh runs");
    assert!(status.success(), "{script}");
}

/// Every path below `home` with inode, size, mode, owner and all three times. A changed byte is a changed ctime.
fn stamps(home: &Project) -> String {
    let find = || {
        let format = "%P %i %n %s %m %U %G %T@ %C@ %A@\n";
        let found = Command::new("find").arg(home.path()).args(["-printf", format]).output();
        String::from_utf8_lossy(&found.expect("find runs").stdout).into_owned()
    };
    // Listing a directory may be its first access since it changed.
    find();
    let mut lines: Vec<String> = find().lines().map(str::to_owned).collect();
    lines.sort();
    lines.join("\n")
}

/// The caches that the sandbox was offered or not, by path below the home.
fn caches(sandbox: &Value, home: &Project) -> Vec<(String, Option<String>)> {
    let list = sandbox["isolation"]["caches"].as_array().expect("the report lists caches");
    let mut caches: Vec<_> = list
        .iter()
        .map(|cache| {
            let path = Path::new(cache["path"].as_str().expect("a path"));
            let below = path.strip_prefix(home.path()).expect("below the home");
            (below.display().to_string(), cache["left_out"].as_str().map(str::to_owned))
        })
        .collect();
    caches.sort();
    caches
}

#[test]
fn s13_npm_installs_from_the_hosts_cache_without_a_network() {
    let starter =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/presets/starters/node-express");
    let read = |name: &str| fs::read(starter.join(name)).expect("the starter has it");
    let project = || {
        Project::new()
            .file("package.json", read("package.json"))
            .file("package-lock.json", read("package-lock.json"))
    };
    let home = Project::new().file(".npmrc", "//registry.example.org/:_authToken=SECRET\n");
    on_host(&home, project().path(), "npm ci --silent --no-audit --no-fund");
    let before = stamps(&home);

    let server = server_at(&home);
    for _ in 0..2 {
        let project = project();
        let sandbox = create(&server, &project);
        assert_eq!(caches(&sandbox, &home), [(".npm/_cacache/content-v2".to_owned(), None)]);
        server.sh(id(&sandbox), "npm ci --no-audit --no-fund && test -d node_modules/express");
        // What a download writes is the sandbox's own; what only npm's bookkeeping needs was never there.
        server.sh(
            id(&sandbox),
            "cd ~/.npm/_cacache && find content-v2 -type f -exec cp {} {}.own ';'",
        );
        server.sh(id(&sandbox), "rm -rf ~/.npm/_cacache/content-v2/sha512");
        let seen =
            server.sh(id(&sandbox), "cd && ls -A . .npm .npm/_cacache; grep -rl SECRET . || true");
        assert!(!seen.contains("SECRET") && !seen.contains(".npmrc"), "{seen}");
    }
    assert_eq!(stamps(&home), before, "the host's cache is what it was, to the last access");

    let body = json!({
        "source": { "kind": "empty" },
        "network": { "mode": "none" },
        "caches": "none",
    });
    let without = server.api("POST", "/v1/sandboxes", Some(&body)).expect(201);
    assert_eq!(caches(&without, &home), []);
    server.sh(id(&without), "! test -e ~/.npm/_cacache");
}

/// Serves `content` to everyone who asks, as what never changes.
fn serve(content: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let Ok(reader) = stream.try_clone() else { return };
            let head = BufReader::new(reader).lines().map_while(Result::ok);
            head.take_while(|line| !line.is_empty()).for_each(drop);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nCache-Control: max-age=365000000\r\nConnection: close\r\n\r\n",
                content.len()
            );
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content)).ok();
        }
    });
    address
}

/// The smallest wheel that pip installs.
const WHEEL: &str = r#"
import zipfile
with zipfile.ZipFile("reef-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("reef.py", "depth = 42\n")
    wheel.writestr("reef-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: reef\nVersion: 1.0\n")
    wheel.writestr("reef-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("reef-1.0.dist-info/RECORD", "reef.py,,\nreef-1.0.dist-info/METADATA,,\nreef-1.0.dist-info/WHEEL,,\nreef-1.0.dist-info/RECORD,,\n")
"#;

#[test]
fn s13_pip_installs_from_the_hosts_cache_without_a_network() {
    let home = Project::new();
    let scratch = Project::new().file("wheel.py", WHEEL);
    let python = "/usr/bin/python3";
    on_host(&home, scratch.path(), &format!("{python} wheel.py"));
    let wheel = scratch.read("reef-1.0-py3-none-any.whl").expect("it was made");
    let address = serve(wheel);
    let install = format!(
        "{python} -m venv v && v/bin/pip install -q --trusted-host {address} http://{address}/reef-1.0-py3-none-any.whl && v/bin/python -c 'import reef; print(reef.depth)'"
    );
    on_host(&home, scratch.path(), &install);
    let before = stamps(&home);

    let server = server_at(&home);
    let project = Project::new();
    let sandbox = create(&server, &project);
    let offered = caches(&sandbox, &home);
    assert!(offered.iter().any(|(path, why)| path.starts_with(".cache/pip/http") && why.is_none()));
    // The server is on the host's loopback, which is not the sandbox's.
    assert_eq!(server.sh(id(&sandbox), &install), "42\n");
    assert_eq!(stamps(&home), before, "the host's cache is what it was, to the last access");
}

#[test]
fn s13_a_cache_that_is_not_the_owners_alone_is_left_out_and_said() {
    let elsewhere = Project::new().file("wheels/planted", "PLANTED");
    let home = Project::new()
        .file(".cargo/registry/index/one", "one")
        .file(".npm/_cacache/content-v2/one", "PLANTED")
        .file(".npm/_logs/one", "SECRET")
        .file(".cache/uv/one", "PLANTED")
        .file(".bun/install/cache/one", "PLANTED")
        .file(".cache/pip/selfcheck/one", "SECRET");
    let at = |path: &str| home.path().join(path);
    let set_mode = |path: &str, mode| {
        fs::set_permissions(at(path), fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    set_mode(".npm", 0o777);
    set_mode(".bun/install/cache", 0o000);
    chown(at(".cache/uv"), Some(12345), None).expect("tests run as root");
    symlink(elsewhere.path().join("wheels"), at(".cache/pip/wheels")).expect("a new name");

    let server = server_at(&home);
    let project = Project::new();
    let sandbox = create(&server, &project);
    let expected = [
        (".bun/install/cache", Some("unreadable")),
        (".cache/pip/wheels", Some("link")),
        (".cache/uv", Some("foreign_owner")),
        (".cargo/registry", None),
        (".npm/_cacache/content-v2", Some("writable_by_others")),
    ];
    let expected = expected.map(|(path, why)| (path.to_owned(), why.map(str::to_owned)));
    assert_eq!(caches(&sandbox, &home), expected);
    let seen = server.sh(
        id(&sandbox),
        "cd; cat .cargo/registry/index/one; grep -rlE 'PLANTED|SECRET' . || true",
    );
    assert_eq!(seen, "one");
    let shown = server.sandbar(project.path(), &["show", id(&sandbox)]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("others may write to it"), "{shown}");
}
