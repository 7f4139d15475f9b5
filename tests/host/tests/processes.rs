//! The processes of an app: what is told of them, what may be asked of them, and what is left of one that ended.

use std::time::Duration;

use sandbar_host_tests::{App, Project, Server, eventually, visit};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(30);
/// Five runs with pauses of 1, 2, 4 and 8 seconds between them.
const GIVE_UP_DEADLINE: Duration = Duration::from_secs(60);

/// A web process that serves its directory, and a worker.
const SHOP: &str = "version: 1
web: {command: echo serving; exec /usr/bin/python3 -m http.server 4000, port: 4000}
workers: [{name: mail, command: echo mailing; exec sleep 3600}]
";

fn project(manifest: &str) -> Project {
    Project::new().file("sandbox.yaml", manifest).file("hello.txt", "hello\n")
}

fn create(server: &Server, project: &Project) -> App {
    let source = json!({ "kind": "directory", "path": project.path() });
    App::create(server, &json!({ "name": "shop", "source": source }))
}

fn process(app: &Value, name: &str) -> Value {
    let processes = app["processes"].as_array().expect("a list");
    processes.iter().find(|process| process["name"] == name).cloned().unwrap_or_default()
}

fn is(app: &Value, name: &str, state: &str) -> bool {
    process(app, name)["state"] == state
}

fn told(app: &App, server: &Server, kind: &str) -> usize {
    app.events(server).iter().filter(|event| event["type"] == kind).count()
}

#[test]
fn sb7_processes_say_how_they_are_and_a_name_leads_nowhere_else() {
    let server = Server::start();
    let project = project(SHOP);
    let app = create(&server, &project);
    let url = app.ready(&server, DEADLINE);
    let hello = visit(&url, "/hello.txt", "").expect("an answer");
    assert_eq!((hello.status, hello.body.as_str()), (200, "hello\n"));

    let status = app.when(&server, DEADLINE, |app| is(app, "mail", "running"));
    let web = process(&status, "web");
    assert_eq!((&web["kind"], &web["state"]), (&json!("web"), &json!("ready")), "{web}");
    assert_eq!((&web["restarts"], &web["hint"]), (&json!(0), &Value::Null), "{web}");
    assert!(web["pid"].as_u64().is_some() && web["started_us"].as_u64().is_some(), "{web}");
    let mail = process(&status, "mail");
    assert_eq!((&mail["kind"], &mail["state"]), (&json!("worker"), &json!("running")), "{mail}");
    assert!(app.lines(&server, "mail").contains(&"mailing".to_owned()));

    for (name, expected) in [
        ("..%2F..%2F..%2Fetc", 400),
        ("..", 400),
        ("%2e%2e", 400),
        ("a%20b", 400),
        ("web%2F..%2Fmail", 400),
        ("web%00", 400),
        ("other", 404),
    ] {
        for (method, what) in [
            ("GET", "logs"),
            ("GET", "output"),
            ("POST", "restart"),
            ("POST", "stop"),
            ("POST", "start"),
        ] {
            let reply =
                server.api(method, &app.path(&format!("app/processes/{name}/{what}")), None);
            assert_eq!(reply.status, expected, "{method} {name}/{what}: {reply:?}");
        }
    }
    let after = app.status(&server);
    assert_eq!(process(&after, "web")["pid"], web["pid"], "nothing of that did anything");

    let restart = server.api("POST", &app.path("app/processes/web/restart"), None);
    assert!(restart.status < 300, "{restart:?}");
    let again = app.when(&server, DEADLINE, |app| {
        is(app, "web", "ready") && process(app, "web")["pid"] != web["pid"]
    });
    assert_eq!(process(&again, "mail")["pid"], mail["pid"], "the other one goes on");
}

#[test]
fn d11_nothing_runs_in_a_sandbox_that_is_stopped() {
    let mut server = Server::start();
    let project = project(SHOP);
    let app = create(&server, &project);
    let url = app.ready(&server, DEADLINE);
    let stop = server.api("POST", &app.path("stop"), None);
    assert!(stop.status < 300, "{stop:?}");
    let stopped = |server: &Server| {
        let status = app.when(server, DEADLINE, |app| app["preview"]["status"] == "stopped");
        for name in ["web", "mail"] {
            let one = process(&status, name);
            assert_eq!((&one["state"], &one["pid"]), (&json!("stopped"), &Value::Null), "{one}");
        }
    };
    app.sandbox_is(&server, "stopped", DEADLINE);
    stopped(&server);
    // Somebody stopped it, so a request does not start it, and says so.
    let reply = visit(&url, "/", "").expect("an answer");
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.body.contains("preview_stopped"), "{reply:?}");
    app.sandbox_is(&server, "stopped", DEADLINE);
    server.kill();
    server.restart();
    stopped(&server);
}

#[test]
fn d15_a_preset_that_does_not_exist_makes_nothing() {
    let server = Server::start();
    let spec = json!({ "source": { "kind": "preset", "preset": "rails" } });
    let refused = server.api("POST", "/v1/sandboxes", Some(&spec));
    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_field"), "{refused:?}");
    let list = server.api("GET", "/v1/sandboxes", None).expect(200);
    assert_eq!(list["items"], json!([]));
}

#[test]
fn a6_what_a_process_wrote_before_it_crashed_is_kept() {
    let server = Server::start();
    let script = "if [ ! -e crashed ]; then touch crashed; echo last words; exit 7; fi\n\
                  echo second run; exec /usr/bin/python3 -m http.server 4000\n";
    let project =
        project("version: 1\nweb: {command: exec sh web.sh, port: 4000}\n").file("web.sh", script);
    let app = create(&server, &project);
    app.ready(&server, DEADLINE);
    let lines = app.lines(&server, "web");
    let place = |text: &str| lines.iter().position(|line| line == text);
    assert!(
        place("last words").is_some() && place("last words") < place("second run"),
        "{lines:?}"
    );
    let web = process(&app.status(&server), "web");
    assert_eq!(web["restarts"], 1, "{web}");
    assert!(web["last_exit"].to_string().contains('7'), "{web}");
    eventually("it is told", DEADLINE, || match told(&app, &server, "process_ended") {
        1 => Ok(()),
        other => Err(other),
    });
}

#[test]
fn a7_a_process_that_is_given_up_says_why_and_can_be_started_again() {
    let server = Server::start();
    let command =
        "test -e good || { echo no database; exit 3; }; exec /usr/bin/python3 -m http.server 4000";
    let manifest = format!("version: 1\nweb: {{command: \"{command}\", port: 4000}}\n");
    let project = project(&manifest);
    let app = create(&server, &project);
    let status = app.when(&server, GIVE_UP_DEADLINE, |app| is(app, "web", "given_up"));
    let web = process(&status, "web");
    assert!(web["reason"].as_str().is_some_and(|reason| reason.contains('3')), "{web}");
    assert!(web["last_lines"].to_string().contains("no database"), "{web}");
    assert_eq!((&web["pid"], &status["preview"]["status"]), (&Value::Null, &json!("error")));
    assert_eq!(web["last_exit"], json!({ "how": "exited", "code": 3 }));
    let dying = app.lines(&server, "web").iter().filter(|line| *line == "no database").count();
    assert_eq!(dying, 5, "each of the five runs is in the log");
    eventually("it is told", DEADLINE, || match told(&app, &server, "process_given_up") {
        1 => Ok(()),
        other => Err(other),
    });
    let url = status["preview"]["url"].as_str().expect("a URL");
    let reply = visit(url, "/", "").expect("an answer");
    assert_eq!(reply.status, 502, "{reply:?}");
    assert!(
        reply.body.contains("preview_failed") && reply.body.contains("no database"),
        "{reply:?}"
    );

    app.write(&server, "good", "");
    let start = server.api("POST", &app.path("app/processes/web/start"), None);
    assert!(start.status < 300, "{start:?}");
    app.ready(&server, DEADLINE);
    assert!(app.lines(&server, "web").contains(&"no database".to_owned()));
}

#[test]
fn t1_13_healthy_then_unhealthy_after_the_process_is_killed_and_kept_down() {
    let server = Server::start();
    // The server is a child, which nobody starts again when it is killed.
    let manifest = "version: 1
web:
  command: /usr/bin/python3 -m http.server 4000 & exec sleep 3600
  port: 4000
  health: {interval: 500ms, timeout: 500ms, failures: 2}
";
    let project = project(manifest);
    let app = create(&server, &project);
    let url = app.ready(&server, DEADLINE);
    assert!(is(&app.status(&server), "web", "ready"));
    assert_eq!(told(&app, &server, "process_unhealthy"), 0);

    server.sh(&app.sandbox, "pkill -KILL -f '[h]ttp.server 4000'");
    let status = app.when(&server, DEADLINE, |app| is(app, "web", "unhealthy"));
    let web = process(&status, "web");
    assert!(web["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{web}");
    assert_eq!(status["preview"]["status"], "down");
    eventually("it is told", DEADLINE, || match told(&app, &server, "process_unhealthy") {
        1 => Ok(()),
        other => Err(other),
    });
    assert_ne!(visit(&url, "/", "").expect("an answer").status, 200);

    // Stopped is not unhealthy: somebody asked.
    let stop = server.api("POST", &app.path("app/processes/web/stop"), None);
    // It may still be ending when it is answered.
    let answered = stop.expect(200)["state"].clone();
    assert!(answered == "stopping" || answered == "stopped", "{answered}");
    let status = app.when(&server, DEADLINE, |app| is(app, "web", "stopped"));
    assert_eq!(status["preview"]["status"], "down");
    let start = server.api("POST", &app.path("app/processes/web/start"), None);
    assert!(start.status < 300, "{start:?}");
    app.ready(&server, DEADLINE);
}
