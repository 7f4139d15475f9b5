//! Whether a build is checked without harm to what runs, and leaves nothing, however it ends.

use std::{collections::BTreeSet, fs, path::Path, time::Duration};

use sandbar_host_tests::{App, Leaks, Project, Server, eventually, visit};
use serde_json::{Value, json};

const INSTALL_DEADLINE: Duration = Duration::from_mins(4);
const DEADLINE: Duration = Duration::from_secs(30);

const SHOP: &str = "version: 1
web: {command: exec python3 -u -m http.server 8141 --bind 127.0.0.1, port: 8141, restart_after_task: true}
workers: [{name: mark, command: exec sleep 3600}]
";

/// The manifest with a build.
fn with_build(build: &str) -> String {
    format!("{SHOP}{build}\n")
}

fn started(server: &Server) -> (App, Project) {
    let project = Project::new().file("index.html", "welcome").file("sandbox.yaml", SHOP);
    let source = json!({ "kind": "directory", "path": project.path() });
    let app = App::create(server, &json!({ "source": source }));
    app.ready(server, DEADLINE);
    (app, project)
}

fn check(server: &Server, app: &App, body: &Value) -> Value {
    server.api("POST", &app.path("app/check"), Some(body)).expect(200)
}

fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).map_or(0, Iterator::count)
}

/// Waits until no copy, no file and no process of one is left, and what the kernel holds is what it was.
fn nothing_is_left(server: &Server, app: &App, before: &Leaks) {
    eventually("nothing of the copy is left", DEADLINE, || {
        let data = server.data_dir();
        let files = entries(&data.join("checks")) + entries(&data.join("trash"));
        let more = Leaks::count(data).beyond(before);
        let is_clean = files == 0 && more.mounts == 0 && !is_running("sleep 359");
        let slots = slots(server, app);
        if is_clean && slots <= 1 + WARM { Ok(()) } else { Err((files, slots, more)) }
    });
}

/// Launchers that a server keeps warm; their groups come and go.
const WARM: usize = 4;

/// How many control groups the server has in one hierarchy: that of the app's sandbox, those of warm launchers, and
/// what was left.
fn slots(server: &Server, app: &App) -> usize {
    let keeper = server.data_dir().join("sandboxes").join(&app.sandbox).join("keeper.json");
    let keeper: Value = serde_json::from_slice(&fs::read(keeper).expect("it runs")).expect("JSON");
    let ours = format!("/sandbar-{}/", keeper["instance"].as_str().expect("a name"));
    let groups = Leaks::count(server.data_dir()).cgroups;
    let names: BTreeSet<&str> =
        groups.iter().filter_map(|group| group.split_once(&ours)?.1.split('/').next()).collect();
    names.len()
}

fn is_running(command: &str) -> bool {
    let lines = fs::read_dir("/proc").expect("proc is there").flatten();
    lines
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .any(|line| String::from_utf8_lossy(&line).replace('\0', " ").starts_with(command))
}

fn output(check: &Value) -> Vec<&str> {
    let lines = check["output"]["lines"].as_array().into_iter().flatten();
    lines.filter_map(Value::as_str).collect()
}

#[test]
fn s6_a_build_sees_the_workspace_as_it_is_and_changes_none_of_it() {
    let server = Server::start();
    let (app, _project) = started(&server);
    let before = Leaks::count(server.data_dir());
    server.sh(&app.sandbox, "mkdir cache && echo dev >cache/state && echo changed >index.html && mkdir -p ~/.tool && echo kept >~/.tool/x");
    let build = "cat cache/state index.html ~/.tool/x; rm -rf cache; mkdir dist; echo out >dist/out; echo harm >~/.tool/x; (setsid sleep 3598 >/dev/null 2>&1 &)";
    app.write(&server, "sandbox.yaml", &with_build(&format!("build: {{command: '{build}'}}")));
    let passed = check(&server, &app, &json!({}));
    assert_eq!((&passed["status"], &passed["exit"]["code"]), (&json!("passed"), &json!(0)));
    assert_eq!(output(&passed), ["dev", "changed", "kept"], "{passed}");
    assert_eq!(passed["restarted"], json!([]));
    let seen = server.sh(&app.sandbox, "cat cache/state ~/.tool/x; ls");
    assert_eq!(seen, "dev\nkept\ncache\nindex.html\nsandbox.yaml\n");
    nothing_is_left(&server, &app, &before);
    let events = app.events(&server);
    let checked = events.iter().find(|event| event["type"] == "build_checked");
    assert_eq!(checked.expect("an event")["data"]["status"], "passed");
    let list = server.api("GET", "/v1/sandboxes", None).expect(200);
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a5_what_is_forked_is_whole_whatever_its_directories_are_called() {
    let server = Server::start();
    let (app, _project) = started(&server);
    server.sh(
        &app.sandbox,
        "for dir in out .cache dist .venv node_modules ~/.cache ~/out; do mkdir -p $dir; echo $dir >$dir/mine; done",
    );
    let build = "cat out/mine .cache/mine dist/mine .venv/mine node_modules/mine; ls ~/.cache/mine ~/out/mine | wc -l";
    app.write(&server, "sandbox.yaml", &with_build(&format!("build: {{command: '{build}'}}")));
    let passed = check(&server, &app, &json!({}));
    let whole = ["out", ".cache", "dist", ".venv", "node_modules", "2"];
    assert_eq!(output(&passed), whole, "{passed}");
}

#[test]
fn s6_d1_a_build_that_fails_is_unset_is_skipped_or_late_is_told_apart() {
    let server = Server::start();
    let (app, _project) = started(&server);
    let before = Leaks::count(server.data_dir());
    let unset = check(&server, &app, &json!({}));
    assert_eq!((&unset["status"], output(&unset).len()), (&json!("passed"), 0), "{unset}");
    app.write(&server, "sandbox.yaml", &with_build("build: {command: ''}"));
    let skipped = check(&server, &app, &json!({}));
    assert_eq!((&skipped["status"], &skipped["exit"]), (&json!("skipped"), &Value::Null));
    let flood = "build: {command: 'seq 1 300000; echo wrong >&2; exit 7'}";
    app.write(&server, "sandbox.yaml", &with_build(flood));
    let failed = check(&server, &app, &json!({ "restart": true }));
    assert_eq!((&failed["status"], &failed["exit"]["code"]), (&json!("failed"), &json!(7)));
    assert_eq!(output(&failed).last(), Some(&"wrong"));
    assert_eq!((output(&failed).len(), &failed["output"]["is_truncated"]), (200, &json!(true)));
    let restarted = &failed["restarted"];
    assert_eq!(restarted.as_array().map(Vec::len), Some(1), "{restarted}");
    assert_eq!((&restarted[0]["name"], &restarted[0]["is_ready"]), (&json!("web"), &json!(true)));
    assert_eq!(restarted[0]["restarts"], 1);
    let hangs = "build: {command: 'echo begun; trap \"\" TERM; sleep 3597', timeout_seconds: 1}";
    app.write(&server, "sandbox.yaml", &with_build(hangs));
    let late = check(&server, &app, &json!({}));
    assert_eq!((&late["status"], &late["timed_out"]), (&json!("failed"), &json!(true)), "{late}");
    assert_eq!(output(&late), ["begun"]);
    nothing_is_left(&server, &app, &before);
    let cli = server.sandbar(server.data_dir(), &["app", "check", &app.sandbox]);
    assert_eq!(cli.status.code(), Some(1), "{cli:?}");
    assert!(String::from_utf8_lossy(&cli.stdout).contains("begun\nbuild failed after"), "{cli:?}");
    nothing_is_left(&server, &app, &before);
}

/// Waits until the build of a check that hangs has begun: its copy holds a file.
fn is_building(server: &Server) {
    eventually("it builds", DEADLINE, || {
        let forks = fs::read_dir(server.data_dir().join("checks")).into_iter().flatten().flatten();
        let begun = forks.filter(|fork| fork.path().join("upper/begun").exists()).count();
        if begun == 1 { Ok(()) } else { Err(begun) }
    });
}

#[test]
fn s6_a_check_whose_client_or_server_is_killed_leaves_nothing_and_the_sandbox_lives_on() {
    let mut server = Server::start();
    let (app, _project) = started(&server);
    let before = Leaks::count(server.data_dir());
    let hangs = "build: {command: 'touch begun; sleep 3596', timeout_seconds: 600}";
    app.write(&server, "sandbox.yaml", &with_build(hangs));
    let args = ["app", "check", &app.sandbox];
    let mut client = server.spawn(server.data_dir(), &args);
    is_building(&server);
    let second = server.api("POST", &app.path("app/check"), Some(&json!({})));
    assert_eq!((second.status, second.code()), (409, "check_running".to_owned()));
    client.kill().expect("our own child can be killed");
    client.wait().expect("our own child can be waited for");
    nothing_is_left(&server, &app, &before);

    let mut client = server.spawn(server.data_dir(), &args);
    is_building(&server);
    server.kill();
    client.wait().expect("our own child can be waited for");
    server.restart();
    nothing_is_left(&server, &app, &before);
    assert_eq!(app.sandbox(&server)["state"], "running");
    let url = app.ready(&server, DEADLINE);
    assert_eq!(visit(&url, "/", "").expect("an answer").body, "welcome");
    app.write(&server, "sandbox.yaml", &with_build("build: {command: echo again}"));
    assert_eq!(output(&check(&server, &app, &json!({}))), ["again"]);
}

/// The first file of Next.js's own that a page loads.
fn chunk(page: &str) -> String {
    let at = page.find("/_next/static/chunks/").expect("the page loads a chunk");
    page[at..].split(['"', '\\', '?']).next().expect("a path").to_owned()
}

#[test]
fn s_b_3_a_build_of_nextjs_poisons_no_server_that_runs_and_it_is_restarted_once() {
    let server = Server::start_in(Path::new("/var/tmp"));
    let app = App::from_preset(&server, "nextjs");
    let url = app.ready(&server, INSTALL_DEADLINE);
    let loads = || {
        let page = visit(&url, "/", "").expect("an answer");
        assert_eq!(page.status, 200, "{page:?}");
        let chunk = chunk(&page.body);
        assert_eq!(visit(&url, &chunk, "").expect("an answer").status, 200, "{chunk}");
        page.body
    };
    loads();
    server.sh(&app.sandbox, "sed -i 's/A blank page, with/A changed page, with/' app/page.tsx");
    let restarts = |app: &Value| app["processes"][0]["restarts"].as_u64().expect("a number");
    let before = restarts(&app.status(&server));
    let state = "find .next -path .next/dev -prune -o -type f -print | sort";
    let built = server.sh(&app.sandbox, state);
    let checked = check(&server, &app, &json!({ "restart": true }));
    assert_eq!(checked["status"], "passed", "{checked}");
    assert_eq!(checked["restarted"][0]["is_ready"], true, "{checked}");
    assert!(loads().contains("A changed page, with"));
    assert_eq!(restarts(&app.status(&server)), before + 1);
    assert_eq!(server.sh(&app.sandbox, state), built, "the build wrote to its copy alone");

    app.write(&server, "app/page.tsx", "export default function Page() { return <p>broken; }\n");
    let failed = check(&server, &app, &json!({}));
    assert_eq!(failed["status"], "failed", "{failed}");
    assert!(output(&failed).iter().any(|line| line.contains("page.tsx")), "{failed}");
}
