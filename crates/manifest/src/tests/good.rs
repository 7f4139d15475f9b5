//! What a good manifest means.

use sandbar_types::{
    AppSpec, BuildCheck, HealthCheck, Probe, ProcessKind, ProcessSpec, ReadyCheck, RestartPolicy,
    StopPolicy,
};

use super::{EVERY_FIELD, good};
use crate::{BUILD_COMMAND, WEB_COMMAND, read};

fn web(text: &str) -> ProcessSpec {
    good(text).web().unwrap().clone()
}

fn worker(text: &str) -> ProcessSpec {
    good(text).processes.remove(0)
}

#[test]
fn a_web_process_that_says_nothing_takes_every_default() {
    let web = web("version: 1\nweb: {}\n");
    let probe = Probe::Http { port: 3000, path: "/".to_owned() };
    assert_eq!(
        web,
        ProcessSpec {
            name: "web".parse().unwrap(),
            kind: ProcessKind::Web,
            command: WEB_COMMAND.to_owned(),
            cwd: None,
            env: [("PORT".parse().unwrap(), "3000".to_owned())].into(),
            ports: vec![3000],
            after: vec![],
            ready: Some(ReadyCheck {
                probe: probe.clone(),
                interval_ms: 500,
                timeout_ms: 5_000,
                deadline_ms: 90_000,
            }),
            health: Some(HealthCheck {
                probe,
                interval_ms: 5_000,
                timeout_ms: 5_000,
                failures: 3,
                restart: false,
            }),
            stop: StopPolicy { signal: 15, grace_ms: 5_000 },
            restart: RestartPolicy::Always,
            restart_after_task: false,
            log_bytes_max: 5 << 20,
        }
    );
}

#[test]
fn an_app_of_workers_alone_has_no_face() {
    let app = good("version: 1\nworkers:\n  - name: worker\n    command: bash worker.sh\n");
    assert_eq!(app.web(), None);
    let worker = &app.processes[0];
    assert_eq!((&worker.ready, &worker.health), (&None, &None));
    assert!(worker.env.is_empty() && worker.ports.is_empty());
}

#[test]
fn d1_an_unset_an_empty_and_a_set_build_are_three_things() {
    let build = |text: &str| good(&format!("version: 1\nweb: {{}}\n{text}")).build;
    let command =
        |command: &str, timeout_ms| BuildCheck::Command { command: command.to_owned(), timeout_ms };
    assert_eq!(build(""), BuildCheck::Default);
    assert_eq!(build("build: {}"), BuildCheck::Default);
    assert_eq!(build("build: {command: ''}"), BuildCheck::Skipped);
    assert_eq!(build("build: {command: x}"), command("x", 120_000));
    assert_eq!(build("build: {command: x, timeout_seconds: 5}"), command("x", 5_000));
    assert_eq!(build("build: {timeout_seconds: 5}"), command(BUILD_COMMAND, 5_000));
}

#[test]
fn manifests_of_the_older_system_mean_what_they_meant() {
    for (command, health, restarts) in [
        (
            "[ -x node_modules/.bin/vite ] || pnpm install; pnpm exec vite --host 0.0.0.0 --port 3000",
            "/",
            false,
        ),
        (
            "[ -x node_modules/.bin/next ] || pnpm install; rm -rf .next; pnpm dev --hostname 0.0.0.0",
            "/",
            true,
        ),
        ("[ -d node_modules ] || pnpm install; node server.js", "/health", true),
        (
            "[ -d .venv ] || (python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt); .venv/bin/uvicorn main:app --host 0.0.0.0 --port 3000 --reload",
            "/health",
            false,
        ),
    ] {
        // As they are in the wild: in a block, after a comment, with Windows line ends.
        let text = format!(
            "# app\r\nversion: 1\r\nweb:\r\n  command: >-\r\n    {command}\r\n  port: 3000\r\n  health_path: {health}\r\n  restart_after_task: {restarts}\r\nbuild:\r\n  command: \"\"\r\n"
        );
        let app = good(&text);
        let web = app.web().unwrap();
        assert_eq!((web.command.as_str(), web.restart_after_task), (command, restarts));
        assert_eq!(
            web.ready.as_ref().unwrap().probe,
            Probe::Http { port: 3000, path: health.to_owned() }
        );
        assert_eq!(app.build, BuildCheck::Skipped);
    }
}

#[test]
fn every_field_is_read() {
    let app = good(EVERY_FIELD);
    let [web, database, queue, cache] = &app.processes[..] else { panic!("{app:?}") };
    assert_eq!(web.ports, [8080, 8081, 8082]);
    assert_eq!(web.env.len(), 4, "{:?}", web.env);
    assert_eq!(web.env[&"RETRIES".parse().unwrap()], "3");
    assert_eq!(web.env[&"EMPTY".parse().unwrap()], "");
    assert_eq!(
        web.ready.as_ref().unwrap().probe,
        Probe::Http { port: 8081, path: "/up".to_owned() }
    );
    assert_eq!(web.stop, StopPolicy { signal: 2, grace_ms: 10_000 });
    assert_eq!(web.log_bytes_max, 128 << 10);
    assert_eq!(web.restart, RestartPolicy::OnFailure);
    assert_eq!(database.ready.as_ref().unwrap().deadline_ms, 180_000);
    assert_eq!(
        database.health,
        Some(HealthCheck {
            probe: Probe::Command { command: "pg_isready -q".to_owned() },
            interval_ms: 30_000,
            timeout_ms: 1_000,
            failures: 5,
            restart: true,
        })
    );
    assert_eq!(queue.ready.as_ref().unwrap().probe, Probe::Notify { fd: 4 });
    assert_eq!(cache.health.as_ref().unwrap().failures, 5);
}

#[test]
fn checks_ask_what_is_nearest() {
    let probes = |process: ProcessSpec| {
        (process.ready.map(|ready| ready.probe), process.health.map(|health| health.probe))
    };
    let http = |port, path: &str| Some(Probe::Http { port, path: path.to_owned() });
    let tcp = |port| Some(Probe::Tcp { port });
    let web = |text: &str| probes(web(&format!("version: 1\nweb: {{port: 80, {text}}}\n")));
    assert_eq!(web("health_path: /up"), (http(80, "/up"), http(80, "/up")));
    assert_eq!(web("ready: {tcp: {}}"), (tcp(80), tcp(80)));
    assert_eq!(web("ready: {deadline: 5m}"), (http(80, "/"), http(80, "/")));
    assert_eq!(web("ready: {notify: {fd: 3}}"), (Some(Probe::Notify { fd: 3 }), http(80, "/")));
    assert_eq!(web("ready: none"), (None, None));
    assert_eq!(web("ready: none, health: {failures: 1}"), (None, http(80, "/")));
    assert_eq!(web("health: none"), (http(80, "/"), None));
    let worker = |text: &str| {
        probes(worker(&format!("version: 1\nworkers: [{{name: a, command: b, {text}}}]\n")))
    };
    assert_eq!(worker("ports: [70, 71], ready: {tcp: {}}"), (tcp(70), None));
    assert_eq!(
        worker("ports: [70], ready: {http: {}}, health: {}"),
        (http(70, "/"), http(70, "/"))
    );
}

#[test]
fn a_word_that_yaml_takes_for_another_type_is_a_text_where_text_is_wanted() {
    let app =
        good("version: 1\nworkers: [{name: 1, command: true, env: {A: 1.50, B: no, C: ~}}]\n");
    let worker = &app.processes[0];
    assert_eq!((worker.name.as_str(), worker.command.as_str()), ("1", "true"));
    let values: Vec<&str> = worker.env.values().map(String::as_str).collect();
    assert_eq!(values, ["1.50", "no", ""]);
}

#[test]
fn a_variable_of_the_manifest_wins_over_the_port() {
    let web = web("version: 1\nweb: {env: {PORT: '3000'}}\n");
    assert_eq!(web.env.len(), 1);
}

#[test]
fn what_counts_as_left_out_is_said_and_starts() {
    let text =
        "version: 1\nweb:\n  command: \"\"\n  port: 0\n  health_path: ''\nbuild:\nworkers:\n";
    let reading = read(text);
    assert_eq!(
        super::found(text),
        ["3:3 no_value", "4:3 no_value", "5:3 no_value", "6:1 no_value", "7:1 no_value"]
    );
    let plain = AppSpec { ..good("version: 1\nweb: {}\n") };
    assert_eq!(reading.spec, Some(plain));
}
