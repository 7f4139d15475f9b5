//! Planted secrets are searched for in every place where a secret leaks.

use std::{collections::BTreeMap, fs, path::Path, sync::atomic::Ordering, time::Duration};

use sandbar_host_tests::{Planted, Project, Reply, Server, Service, command_line};
use serde_json::{Value, json};

/// The process that has its secret says so by the length of it.
const APP: &str = "\
version: 1
web:
  command: exec python3 -u -m http.server 8124 --bind 127.0.0.1
  port: 8124
";

fn planted(what: &str) -> Planted {
    Planted(format!("planted-{what}-c41f0e77a9"))
}

/// Every process of the sandboxes of a server, keepers and process 1 included, by its command line.
fn processes(server: &Server) -> BTreeMap<u32, String> {
    let parents: BTreeMap<u32, u32> = fs::read_dir("/proc")
        .expect("proc is there")
        .filter_map(|entry| {
            let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    // A keeper outlives the server, and is nobody's child; it has files of the data directory open.
    let is_keeper = |pid: u32| {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut open = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        command_line(pid).contains("__launch")
            && open.any(|path| path.starts_with(server.data_dir()))
    };
    let is_below = |pid: u32| {
        let above = |below: &u32| parents.get(below).copied();
        std::iter::successors(Some(pid), above).any(is_keeper)
    };
    let below = parents.keys().copied().filter(|pid| is_below(*pid));
    below.map(|pid| (pid, command_line(pid))).collect()
}

fn shows(reply: &Reply, secrets: &[&Planted]) -> bool {
    let shown = [reply.head.as_bytes(), &reply.body].concat();
    secrets.iter().any(|secret| secret.is_in(&shown))
}

/// Reads everything that can be read of a sandbox and of the server without knowing more than their names.
fn everything_readable(server: &Server, sandbox: &str) -> Vec<(String, Reply)> {
    let document = server.api("GET", "/v1/openapi.json", None).expect(200);
    let paths = document["paths"].as_object().expect("paths");
    let readable = paths.iter().filter(|(_path, item)| item["get"].is_object());
    let paths = readable.map(|(path, _item)| {
        path.replace("{sandbox}", sandbox).replace("{process}", "web").replace("{app}", "shop")
    });
    let closed = paths.filter(|path| !path.contains('{') && !path.ends_with("/output"));
    closed.map(|path| (path.clone(), server.api("GET", &path, None))).collect()
}

/// What is refused, with the secret where somebody may have put it by mistake.
fn mistakes(server: &Server, sandbox: &str, secret: &Planted) -> Vec<(String, Reply)> {
    let config = format!("/v1/sandboxes/{sandbox}/config");
    let value = secret.0.as_str();
    let bodies: [(&str, &str, Value); 7] = [
        ("POST", &config, json!({ "key": "TOKEN", "value": { "of": value } })),
        ("POST", &config, json!({ "key": "TOKEN", "value": [value] })),
        ("POST", &config, json!({ "key": "NO SUCH NAME", "value": value })),
        ("POST", &config, json!({ "key": "TOKEN", "value": format!("{value}\0") })),
        ("POST", &config, json!({ "key": "TOKEN", "value": value, "access": "nobody" })),
        ("POST", "/v1/users", json!({ "name": "ada", "role": "king", "password": value })),
        ("POST", "/v1/auth/login", json!({ "name": "ada", "password": value })),
    ];
    let asked = bodies.into_iter().map(|(method, path, body)| {
        (format!("{method} {path} {body}"), server.api(method, path, Some(&body)))
    });
    asked.collect()
}

/// What was planted: by what it is for.
struct Secrets {
    /// Of a setting that no process gets.
    closed: Planted,
    /// Of a setting that the app gets.
    to_app: Planted,
    /// Of settings that were removed or changed, of an app without a sandbox, of a user, of a key, of a session.
    others: Vec<Planted>,
}

fn plant(server: &Server, name: &str) -> Secrets {
    let (closed, to_app, password) = (planted("closed"), planted("app"), planted("password"));
    let (gone, before) = (planted("gone"), planted("before"));
    let config = format!("/v1/sandboxes/{name}/config");
    let set = |key: &str, value: &Planted, access: &str| {
        let body = json!({ "key": key, "value": value.0, "access": access });
        drop(server.api("POST", &format!("{config}?restart=true"), Some(&body)).expect(201));
    };
    set("CLOSED", &closed, "control_plane_only");
    set("FOR_APP", &to_app, "runtime_access");
    set("GONE", &gone, "control_plane_only");
    set("CHANGED", &before, "control_plane_only");
    drop(server.api("DELETE", &format!("{config}/GONE"), None).expect(200));
    let value = json!({ "value": closed.0 });
    drop(server.api("PATCH", &format!("{config}/CHANGED"), Some(&value)).expect(200));
    let of_project = planted("project");
    drop(server.api("POST", "/v1/apps", Some(&json!({ "name": "shop" }))).expect(201));
    let body = json!({ "key": "OF_PROJECT", "value": of_project.0, "access": "both" });
    drop(server.api("POST", "/v1/apps/shop/config", Some(&body)).expect(201));
    let user = json!({ "name": "grace", "role": "admin", "password": password.0 });
    drop(server.api("POST", "/v1/users", Some(&user)).expect(201));
    let key = server.api("POST", "/v1/api-keys", Some(&json!({ "name": "ci", "role": "viewer" })));
    let key = Planted(key.expect(201)["secret"].as_str().expect("a key").to_owned());
    let login = json!({ "name": "grace", "password": password.0 });
    let login = server.api("POST", "/v1/auth/login", Some(&login));
    let cookie = login.head.lines().find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie =
        cookie.and_then(|line| Some(line.split_once('=')?.1.split(';').next()?.to_owned()));
    let session = Planted(cookie.expect("a session"));
    Secrets { closed, to_app, others: vec![gone, before, of_project, password, key, session] }
}

#[test]
fn sec1_case_72_what_is_planted_is_in_none_of_the_places_where_secrets_leak() {
    let mut server = Server::start();
    server.kill();
    server.set_env("SANDBAR_LOG", "trace");
    server.restart();
    let project = Project::new().file("sandbox.yaml", APP);
    let name = server.create(&project);
    drop(server.app_when(&name, "ready", Duration::from_secs(30)));

    let Secrets { closed, to_app, others } = plant(&server, &name);
    drop(server.app_when(&name, "ready", Duration::from_secs(30)));
    server.sh(&name, "echo worked > made; env > variables");
    // A snapshot is below the data directory, which is searched.
    let checkpoints = format!("/v1/sandboxes/{name}/checkpoints");
    drop(server.api("POST", &checkpoints, Some(&json!({ "label": "before" }))).expect(201));
    let everything: Vec<&Planted> = [&closed, &to_app].into_iter().chain(&others).collect();

    for (what, reply) in mistakes(&server, &name, &closed) {
        assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
        assert!(!shows(&reply, &everything), "{what}: {reply:?}");
    }
    let readable = everything_readable(&server, &name);
    for (what, reply) in &readable {
        assert!(!shows(reply, &everything), "{what}: {reply:?}");
    }
    let shown = readable.iter().filter(|(_what, reply)| reply.status == 200).count();
    assert!(shown > 25, "only {shown} of {} routes showed anything", readable.len());
    let backup = project.path().join("../leak-backup");
    drop(fs::remove_file(&backup));
    let made =
        server.sandbar(Path::new("/"), &["backup", "create", backup.to_str().expect("text")]);
    assert!(made.status.success(), "{made:?}");
    let file = fs::read(&backup).expect("a backup");
    drop(fs::remove_file(&backup));
    let sandboxes = processes(&server);
    assert!(sandboxes.values().any(|line| line.contains("http.server")), "{sandboxes:?}");
    for secret in &everything {
        assert_eq!(secret.in_files(server.data_dir()), Vec::<String>::new(), "{secret:?}");
        assert!(!secret.is_in(&file), "{secret:?} is in a backup");
        assert_eq!(secret.in_processes("cmdline"), Vec::<String>::new(), "{secret:?}");
        let with = secret.in_processes("environ");
        let is_right = with.iter().all(|line| **secret == to_app && line.contains("http.server"));
        assert!(is_right && (**secret != to_app || !with.is_empty()), "{secret:?}: {with:?}");
        // Process 1 keeps what it starts the app with, and nobody inside can read it.
        let looked =
            sandboxes.iter().filter_map(|(pid, line)| Some((line, secret.is_in_memory(*pid)?)));
        let looked: Vec<_> = looked.collect();
        for role in ["__launch", "__supervise", "http.server"] {
            assert!(looked.iter().any(|(line, _has)| line.contains(role)), "{role}: {looked:?}");
        }
        let with: Vec<_> =
            looked.into_iter().filter(|(_line, has)| *has).map(|(line, _has)| line).collect();
        let may = |line: &str| line.contains("http.server") || line.contains("__supervise");
        assert!(with.iter().all(|line| **secret == to_app && may(line)), "{secret:?}: {with:?}");
    }
    for pid in sandboxes.keys() {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size"));
        assert!(core.is_some_and(|line| line.split_whitespace().nth(4) == Some("0")), "{limits}");
    }
    let inside = server.sh(
        &name,
        &format!(
            "cat /proc/1/environ /proc/1/maps 2>/dev/null; head -c 1 /proc/1/mem 2>/dev/null; \
             grep -rls {} . /tmp /run /etc /var/tmp 2>/dev/null | head -5",
            to_app.0.replace("planted", "plante[d]")
        ),
    );
    assert_eq!(inside, "");
}

#[test]
fn case_72_what_stands_in_an_address_is_not_written_down() {
    let Some(service) = Service::start() else { return };
    let (mut server, name, _project) = service.sandbox();
    server.kill();
    let of_proxy = planted("proxy");
    let proxy = format!("http://me:{}@127.0.0.1:1", of_proxy.0);
    // The operator's own proxy, with a password; the service is reached without it.
    for variable in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
        server.set_env(variable, &proxy);
    }
    for variable in ["NO_PROXY", "no_proxy"] {
        server.set_env(variable, &service.name);
    }
    server.set_env("SANDBAR_LOG", "trace");
    server.restart();
    let of_program: Vec<Planted> = ["user", "query", "header", "name"].map(planted).into();
    // Not whole in an argument: those of an exec are kept.
    let asked = service.asked.load(Ordering::SeqCst);
    let at = format!("{}:{}", service.name, service.port);
    for (host, way) in [
        (at.as_str(), ""),
        (at.as_str(), "--proxytunnel"),
        (at.as_str(), "--noproxy '*' --proxy socks5h://127.0.0.1:1080"),
        ("evil.example", ""),
        ("evil.example", "--proxytunnel"),
        ("registry.npmjs.org", ""),
    ] {
        let said = server.sh(
            &name,
            &format!(
                "p=plan; c=c41f0e77a9; for u in \"u:${{p}}ted-user-$c@\" ''; do \
                 curl -sS -m 20 -w '%{{http_code}} ' -o /dev/null {way} --proxy-header \"X-P: ${{p}}ted-header-$c\" \
                   -H \"Authorization: Bearer ${{p}}ted-header-$c\" \
                   \"http://${{u}}{host}/${{p}}ted-query-$c?k=${{p}}ted-query-$c\" 2>&1; done; true"
            ),
        );
        assert!(!said.contains("400") && !said.contains("(3)"), "{host} {way}: {said}");
    }
    assert!(service.asked.load(Ordering::SeqCst) >= asked + 3);
    let log = server.api("GET", &format!("/v1/sandboxes/{name}/network/log?limit=200"), None);
    let items = log.expect(200)["items"].as_array().map_or(0, Vec::len);
    assert!(items >= 5, "{log:?}");
    let readable = everything_readable(&server, &name);
    for secret in of_program.iter().chain([&of_proxy]) {
        assert_eq!(secret.in_files(server.data_dir()), Vec::<String>::new(), "{secret:?}");
        for (what, reply) in &readable {
            assert!(!shows(reply, &[secret]), "{what}: {reply:?}");
        }
        assert_eq!(secret.in_processes("cmdline"), Vec::<String>::new(), "{secret:?}");
    }
    // Inside nobody learns of the proxy of the network, nor its password.
    let sandboxes = processes(&server);
    for (pid, line) in &sandboxes {
        assert_ne!(of_proxy.is_in_memory(*pid), Some(true), "{line}");
    }
    // A setting that is wrong is named, and what it says is not repeated where a password may be in it.
    server.kill();
    let of_store = planted("store");
    for wrong in [
        format!("postgres://me:{}@[", of_store.0),
        format!("mysql://me:{}@host/x", of_store.0),
        format!("postgres://me:{}@db.example/x?sslmode=require", of_store.0),
    ] {
        let mut serve = server.cli(Path::new("/"), &["serve"]);
        let said = serve.env("SANDBAR_STORE", &wrong).output().expect("the binary is built");
        assert_eq!(said.status.code(), Some(2), "{said:?}");
        assert!(!of_store.is_in(&said.stderr) && !of_store.is_in(&said.stdout), "{said:?}");
    }
}
