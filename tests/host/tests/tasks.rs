//! Tasks through the real binary, with agents that are programs: their order and end, floods and odd output, questions, and
//! a server that is killed in the middle.

use std::time::Duration;

use sandbar_host_tests::{App, Project, Server, eventually};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);

fn submit(server: &Server, sandbox: &str, more: &Value) -> String {
    let mut body = json!({ "prompt": "do it", "agent": "command" });
    let fields = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(fields);
    let path = format!("/v1/sandboxes/{sandbox}/tasks");
    let task = server.api("POST", &path, Some(&body)).expect(202);
    task["id"].as_str().expect("a task has an id").to_owned()
}

fn sh(server: &Server, sandbox: &str, script: &str) -> String {
    submit(server, sandbox, &json!({ "command": ["sh", "-c", script] }))
}

fn fetch(server: &Server, task: &str) -> Value {
    server.api("GET", &format!("/v1/tasks/{task}"), None).expect(200)
}

fn is_final(state: &Value) -> bool {
    ["succeeded", "failed", "cancelled"].iter().any(|last| state == last)
}

/// Waits until a task is over.
fn over(server: &Server, task: &str) -> Value {
    eventually("the task is over", DEADLINE, || {
        let task = fetch(server, task);
        if is_final(&task["state"]) { Ok(task) } else { Err(task) }
    })
}

fn in_state(server: &Server, task: &str, state: &str) -> Value {
    eventually(state, DEADLINE, || {
        let task = fetch(server, task);
        if task["state"] == state { Ok(task) } else { Err(task) }
    })
}

/// Every event, a page at a time.
fn events(server: &Server, task: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/tasks/{task}/events?limit=200{cursor}");
        let page = server.api("GET", &path, None).expect(200);
        let items = page["items"].as_array().expect("a page has items").clone();
        let is_empty = items.is_empty();
        all.extend(items);
        match page["next_cursor"].as_str().filter(|_| !is_empty) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let seqs: Vec<_> = all.iter().map(|event| event["seq"].as_u64().expect("a number")).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no event twice, and none lost");
    all
}

fn stop(server: &Server, sandbox: &str) {
    let path = format!("/v1/sandboxes/{sandbox}/stop");
    let stopped = server.api("POST", &path, Some(&json!({})));
    assert_eq!(stopped.status, 200, "{stopped:?}");
}

/// What the agent said.
fn messages(events: &[Value]) -> Vec<&str> {
    let of_agent = events.iter().map(|event| &event["agent"]);
    of_agent
        .filter(|said| said["type"] == "message")
        .filter_map(|said| said["text"].as_str())
        .collect()
}

fn of_kind<'e>(events: &'e [Value], kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

#[test]
fn a15_three_tasks_are_done_one_after_the_other_and_see_what_the_one_before_left() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let script =
        "n=$(cat n 2>/dev/null || echo 0); sleep 0.2; echo $((n+1)) >n; cat; echo $((n+1))";
    let tasks: Vec<String> = (0..3).map(|_| sh(&server, &sandbox, script)).collect();
    for (number, task) in (1..).zip(&tasks) {
        let task = over(&server, task);
        assert_eq!(task["state"], "succeeded", "{task}");
        assert_eq!(task["result"]["final_message"], number.to_string());
        assert_eq!(messages(&events(&server, task["id"].as_str().unwrap_or_default()))[0], "do it");
    }
    let started = |task: &String| fetch(&server, task)["started_at"].as_str().map(str::to_owned);
    assert!(started(&tasks[0]) < started(&tasks[1]) && started(&tasks[1]) < started(&tasks[2]));
}

#[test]
fn a_task_is_canceled_gently_where_that_helps_and_hard_where_it_does_not() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let gentle = sh(
        &server,
        &sandbox,
        "trap 'echo bye; exit 0' TERM; echo here; while :; do sleep 0.05; done",
    );
    eventually("it works", DEADLINE, || {
        let events = events(&server, &gentle);
        if messages(&events).contains(&"here") { Ok(()) } else { Err(events) }
    });
    let cancel = |task: &str| server.api("POST", &format!("/v1/tasks/{task}/cancel"), None);
    assert_eq!(cancel(&gentle).status, 202);
    assert_eq!(over(&server, &gentle)["state"], "cancelled");
    assert!(messages(&events(&server, &gentle)).contains(&"bye"));
    let again = cancel(&gentle);
    assert_eq!((again.status, again.code().as_str()), (409, "task_finished"));
    assert_eq!(again.json()["details"]["state"], "cancelled");
    let stubborn = sh(&server, &sandbox, "trap '' TERM; echo here; while :; do sleep 0.05; done");
    in_state(&server, &stubborn, "running");
    assert_eq!(cancel(&stubborn).status, 202);
    assert_eq!(over(&server, &stubborn)["state"], "cancelled");
    let events = events(&server, &stubborn);
    assert_eq!(of_kind(&events, "ended").len(), 1, "{events:?}");
}

#[test]
fn s4_everything_said_before_a_timeout_is_there_and_d12_somebody_saw_the_end() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let script = "i=0; while :; do i=$((i+1)); echo line $i; echo oh $i >&2; sleep 0.02; done";
    let body = json!({ "command": ["sh", "-c", script], "timeout_ms": 1500 });
    let task = submit(&server, &sandbox, &body);
    let task = over(&server, &task);
    assert_eq!(task["result"]["failure_reason"], "agent_timeout", "{task}");
    let events = events(&server, task["id"].as_str().unwrap_or_default());
    let said = messages(&events);
    let expected: Vec<String> = (1..=said.len()).map(|line| format!("line {line}")).collect();
    assert_eq!(said, expected);
    assert!(of_kind(&events, "stderr").len() >= said.len() - 1);
    let last: Vec<_> =
        events[events.len() - 4..].iter().map(|event| event["event"].clone()).collect();
    assert_eq!(last, ["ended", "checkpoint", "state", "done"]);
}

#[test]
fn a12_ten_thousand_events_come_as_they_happen_and_none_is_lost() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let script = "i=0; while [ $i -lt 10000 ]; do i=$((i+1)); echo $i; done; while [ ! -e go ]; do sleep 0.02; done";
    let task = sh(&server, &sandbox, script);
    // They are all there while it still works.
    eventually("all of them", DEADLINE, || {
        let found = events(&server, &task);
        if messages(&found).len() == 10_000 { Ok(()) } else { Err(found.len()) }
    });
    assert_eq!(fetch(&server, &task)["state"], "running");
    server.sh(&sandbox, "touch go");
    assert_eq!(over(&server, &task)["state"], "succeeded");
    let events = events(&server, &task);
    let expected: Vec<String> = (1..=10_000).map(|line| line.to_string()).collect();
    assert_eq!(messages(&events), expected);
}

#[test]
fn a_server_that_is_killed_in_the_middle_goes_on_and_tells_nothing_twice() {
    let mut server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let script = "cat; i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; sleep 0.01; done";
    let task = sh(&server, &sandbox, script);
    let next = sh(&server, &sandbox, "echo next");
    for round in 1..=3 {
        eventually("it says something", DEADLINE, || {
            let found = events(&server, &task).len();
            if found > round * 40 { Ok(()) } else { Err(found) }
        });
        server.kill();
        server.restart();
    }
    let done = over(&server, &task);
    assert_eq!(done["state"], "succeeded", "{done}");
    let events = events(&server, &task);
    let mut expected = vec!["do it".to_owned()];
    expected.extend((1..=300).map(|line| format!("line {line}")));
    assert_eq!(messages(&events), expected);
    assert_eq!((of_kind(&events, "ended").len(), of_kind(&events, "done").len()), (1, 1));
    assert_eq!(over(&server, &next)["result"]["final_message"], "next");
    let execs = server.api("GET", &format!("/v1/sandboxes/{sandbox}/execs"), None).expect(200);
    assert_eq!(execs["items"].as_array().map(Vec::len), Some(2), "no agent was begun twice");
}

#[test]
fn a8_a_stream_goes_on_behind_the_last_event_while_the_sandbox_sleeps_and_when_it_is_gone() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let task = sh(&server, &sandbox, "echo one; echo two");
    over(&server, &task);
    let path = format!("/v1/tasks/{task}/events");
    let stream = |last: &str| {
        let headers = [("Accept", "text/event-stream"), ("Last-Event-ID", last)];
        let reply = server.api_with("GET", &path, &headers, None);
        assert_eq!(reply.status, 200, "{reply:?}");
        String::from_utf8(reply.body).expect("text")
    };
    let whole = stream("0");
    let ids = |text: &str| text.lines().filter(|line| line.starts_with("id:")).count();
    let count = ids(&whole);
    assert!(whole.contains("event: done") || whole.contains("event:done"), "{whole}");
    stop(&server, &sandbox);
    assert_eq!(ids(&stream("2")), count - 2);
    assert_eq!(ids(&stream(&count.to_string())), 0);
    let deleted = server.api("DELETE", &format!("/v1/sandboxes/{sandbox}"), None);
    assert!(deleted.status < 300, "{deleted:?}");
    assert_eq!(ids(&stream("3")), count - 3);
    assert_eq!(fetch(&server, &task)["state"], "succeeded");
}

#[test]
fn a_task_wakes_a_sandbox_and_a_long_prompt_comes_through_whole() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    stop(&server, &sandbox);
    let prompt = "p\"".repeat(1 << 19);
    let body = json!({ "prompt": prompt, "command": ["sh", "-c", "wc -c"] });
    let task = over(&server, &submit(&server, &sandbox, &body));
    // With the line break behind it.
    assert_eq!(task["result"]["final_message"], ((1 << 20) + 1).to_string(), "{}", task["result"]);
    assert_eq!(task["spec"]["prompt"].as_str().map(str::len), Some(1 << 20));
    let list = server.api("GET", &format!("/v1/sandboxes/{sandbox}/tasks"), None).expect(200);
    assert!(list["items"][0]["spec"]["prompt"].as_str().expect("a text").len() < 5000);
    let longer = json!({ "prompt": format!("{prompt}p"), "command": ["cat"] });
    let path = format!("/v1/sandboxes/{sandbox}/tasks");
    assert_eq!(server.api("POST", &path, Some(&longer)).code(), "invalid_value");
}

#[test]
fn odd_output_floods_and_agents_that_fork_away_do_no_harm() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let odd = r"printf 'a\377b\r\n\033[2Jx\0y\nend'; (setsid sleep 3607 &) ; exit 0";
    let task = over(&server, &sh(&server, &sandbox, odd));
    assert_eq!(task["state"], "succeeded", "{task}");
    let found = events(&server, task["id"].as_str().unwrap_or_default());
    assert_eq!(messages(&found), ["a\u{fffd}b", "\u{1b}[2Jx\0y", "end"]);
    assert_eq!(server.sh(&sandbox, "pgrep -cxf 'sleep 3607'").trim(), "1");
    // One line far above what an event holds, and more than a page.
    let long = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo done";
    let task = over(&server, &sh(&server, &sandbox, long));
    let found = events(&server, task["id"].as_str().unwrap_or_default());
    let said = messages(&found);
    assert!(said[0].len() < 300_000 && said[0].contains("bytes more"), "{}", said[0].len());
    assert_eq!(said[1], "done");
    let missing = submit(&server, &sandbox, &json!({ "command": ["no-such-agent"] }));
    let result = over(&server, &missing)["result"].clone();
    assert_eq!(result["failure_reason"], "agent_not_found", "{result}");
    let killed = over(&server, &sh(&server, &sandbox, "kill -9 $$"));
    assert_eq!(killed["result"]["failure_reason"], "agent_error", "{killed}");
}

#[test]
fn the_app_is_built_and_looked_at_after_a_task() {
    let server = Server::start();
    let manifest = "version: 1
web: {command: exec python3 -u -m http.server 8161 --bind 127.0.0.1, port: 8161, restart_after_task: true}
build: {command: 'test ! -e broken || { echo it is broken; exit 3; }'}
";
    let project = Project::new().file("index.html", "welcome").file("sandbox.yaml", manifest);
    let source = json!({ "kind": "directory", "path": project.path() });
    let app = App::create(&server, &json!({ "source": source }));
    app.ready(&server, DEADLINE);
    let result = over(&server, &sh(&server, &app.sandbox, "echo fine"))["result"].clone();
    assert_eq!(result["build_status"], "passed", "{result}");
    assert_eq!((&result["app_healthy"], &result["preview_ok"]), (&json!(true), &json!(true)));
    let result = over(&server, &sh(&server, &app.sandbox, "touch broken"))["result"].clone();
    assert_eq!(result["build_status"], "failed", "{result}");
    assert_eq!(result["build_error_message"], "it is broken");
    assert_eq!((&result["app_healthy"], &result["preview_ok"]), (&json!(false), &json!(true)));
    let empty = Project::new();
    let bare = server.create(&empty);
    let result = over(&server, &sh(&server, &bare, "true"))["result"].clone();
    assert_eq!((&result["files_changed"], &result["files_changed_count"]), (&json!([]), &json!(0)));
    for absent in ["build_status", "app_healthy", "preview_ok", "usage"] {
        assert!(result.get(absent).is_none(), "nobody looked at {absent}: {result}");
    }
}

#[test]
fn the_command_line_follows_a_task_and_passes_on_how_it_ended() {
    let server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let run = |args: &[&str]| {
        let output = server.sandbar(project.path(), args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, stdout, stderr) =
        run(&["task", "run", "say hello", "--", "sh", "-c", "cat; echo done; echo oh >&2"]);
    assert_eq!((code, stdout.as_str()), (Some(0), "say hello\ndone\n"), "{stderr}");
    assert!(stderr.contains("! oh") && stderr.contains("took "), "{stderr}");
    let (code, _, stderr) = run(&["task", "run", &sandbox, "x", "--", "sh", "-c", "exit 3"]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("agent_error"), "{stderr}");
    let (code, stdout, _) = run(&["task", "ls", "--json"]);
    let listed: Value = serde_json::from_str(&stdout).expect("JSON");
    assert_eq!((code, listed.as_array().map(Vec::len)), (Some(0), Some(2)));
    let (code, stdout, _) = run(&["task", "run", ".", "wait", "--detach", "--", "sleep", "600"]);
    let id = stdout.trim().to_owned();
    assert_eq!(code, Some(0));
    in_state(&server, &id, "running");
    assert_eq!(run(&["task", "cancel"]).0, Some(0));
    let (code, stdout, _) = run(&["task", "logs", "-f", &id, "--json"]);
    assert_eq!(code, Some(130));
    let last: Value = serde_json::from_str(stdout.lines().last().expect("lines")).expect("JSON");
    assert_eq!(last["event"], "done");
    let (code, stdout, _) = run(&["task", "show", &id]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("cancelled"), "{stdout}");
    let (code, _, stderr) = run(&["task", "run", "x", "--agent", "no-such"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("command"), "the agents that there are: {stderr}");
}

/// An agent that speaks the Agent Client Protocol, and asks before it goes on.
const ASKS: &str = r#"
import json, sys
def send(message): print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)
asked = None
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "initialize":
        send({"id": message["id"], "result": {"protocolVersion": 1, "agentCapabilities": {}, "authMethods": []}})
    elif method == "session/new":
        send({"id": message["id"], "result": {"sessionId": "s1"}})
    elif method == "session/prompt":
        asked = message["id"]
        schema = {"type": "object", "properties": {"may": {"type": "string", "enum": ["yes", "no"]}}}
        send({"id": 77, "method": "elicitation/create", "params": {"sessionId": "s1", "mode": "form", "message": "May I?", "requestedSchema": schema}})
    elif message.get("id") == 77:
        open("asked", "a").write(repr(message["result"].get("content")) + "\n")
        text = {"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": "thank you"}}
        send({"method": "session/update", "params": {"sessionId": "s1", "update": text}})
        send({"id": asked, "result": {"stopReason": "end_turn"}})
"#;

/// A task whose agent asks.
fn asking(server: &Server, sandbox: &str) -> String {
    let body = json!({ "agent": "acp", "command": ["python3", "-c", ASKS] });
    submit(server, sandbox, &body)
}

#[test]
fn a_question_is_answered_once_also_by_a_server_that_was_killed_meanwhile() {
    let mut server = Server::start();
    let project = Project::new();
    let sandbox = server.create(&project);
    let task = asking(&server, &sandbox);
    let waiting = in_state(&server, &task, "waiting");
    let question = waiting["question"]["id"].as_str().expect("it asks").to_owned();
    server.kill();
    server.restart();
    let again = in_state(&server, &task, "waiting");
    assert_eq!(again["question"], waiting["question"], "the same one, not another");
    let path = format!("/v1/tasks/{task}/answer");
    let answer = |option: &str| {
        let body = json!({ "question": question, "answer": { "option": option } });
        server.api("POST", &path, Some(&body))
    };
    eventually("it is looked after again", DEADLINE, || {
        let reply = answer("perhaps");
        if reply.code() == "invalid_value" { Ok(()) } else { Err(reply) }
    });
    assert_eq!(answer("yes").status, 200);
    let second = answer("no");
    assert_eq!(second.code(), "question_answered", "{second:?}");
    let done = over(&server, &task);
    assert_eq!(
        (&done["state"], &done["result"]["final_message"]),
        (&json!("succeeded"), &json!("thank you"))
    );
    assert_eq!(server.sh(&sandbox, "cat asked"), "{'may': 'yes'}\n");
    let events = events(&server, &task);
    assert_eq!((of_kind(&events, "question").len(), of_kind(&events, "answered").len()), (1, 1));
    assert_eq!(of_kind(&events, "answered")[0]["by"], "person");
}

#[test]
fn a_question_that_nobody_answers_is_answered_without_a_word_when_its_time_is_over() {
    let mut server = Server::start();
    server.set_env("SANDBAR_TASK_QUESTION_DEADLINE", "1s");
    server.kill();
    server.restart();
    let project = Project::new();
    let sandbox = server.create(&project);
    let task = asking(&server, &sandbox);
    let done = over(&server, &task);
    assert_eq!(done["state"], "succeeded", "{done}");
    assert_eq!(server.sh(&sandbox, "cat asked"), "{'may': ''}\n");
    let events = events(&server, &task);
    assert_eq!(of_kind(&events, "answered")[0]["by"], "deadline");
}
