//! Questions of tasks through the real binary: leave that an agent asks for, and hosts that a sandbox may not reach; from
//! another terminal, too late, and over a server that was killed.

#![expect(clippy::print_stderr, reason = "a test says what it skips")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    thread,
    time::Duration,
};

use sandbar_host_tests::{Project, Server, bin_dir, eventually};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(60);
const AGENT: &str = "acp-agent";

/// A project with the agent of our tests in it; `None` where that is not built.
fn project() -> Option<Project> {
    let Ok(agent) = fs::read(bin_dir().join(AGENT)) else {
        eprintln!("SKIPPED: there is no {AGENT}: `cargo build -p sandbar-test-model` makes it");
        return None;
    };
    let project = Project::new().file(AGENT, agent);
    let may_run = fs::Permissions::from_mode(0o755);
    fs::set_permissions(project.path().join(AGENT), may_run).expect("the file is ours");
    Some(project)
}

fn submit(server: &Server, sandbox: &str, body: &Value) -> String {
    let path = format!("/v1/sandboxes/{sandbox}/tasks");
    let task = server.api("POST", &path, Some(body)).expect(202);
    task["id"].as_str().expect("a task has an id").to_owned()
}

/// Has the agent ask for leave, and say what it was told.
fn permit(server: &Server, sandbox: &str) -> String {
    let command = json!([format!("./{AGENT}")]);
    let body =
        json!({ "agent": "acp", "prompt": "permit", "command": command, "permissions": "ask" });
    submit(server, sandbox, &body)
}

fn fetch(server: &Server, task: &str) -> Value {
    server.api("GET", &format!("/v1/tasks/{task}"), None).expect(200)
}

fn when(server: &Server, task: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, DEADLINE, || {
        let task = fetch(server, task);
        if is_so(&task) { Ok(task) } else { Err(task) }
    })
}

fn waiting(server: &Server, task: &str) -> Value {
    when(server, task, "it waits", |task| task["state"] == "waiting")
}

fn over(server: &Server, task: &str) -> Value {
    when(server, task, "it is over", |task| task.get("result").is_some())
}

fn answer(server: &Server, task: &str, option: &str) -> (u16, String) {
    answer_to(server, task, &json!({ "answer": { "option": option } }))
}

fn answer_to(server: &Server, task: &str, body: &Value) -> (u16, String) {
    let reply = server.api("POST", &format!("/v1/tasks/{task}/answer"), Some(body));
    (reply.status, if reply.status == 200 { String::new() } else { reply.code() })
}

/// Of the history what became of questions.
fn answered(server: &Server, task: &str) -> Vec<Value> {
    let path = format!("/v1/tasks/{task}/events?limit=200");
    let page = server.api("GET", &path, None).expect(200);
    let items = page["items"].as_array().expect("a page has items");
    items.iter().filter(|event| event["event"] == "answered").cloned().collect()
}

#[test]
fn leave_is_asked_for_and_given_from_another_terminal_once() {
    let Some(project) = project() else { return };
    let server = Server::start();
    let sandbox = server.create(&project);
    let task = permit(&server, &sandbox);
    let asked = waiting(&server, &task)["question"].clone();
    assert_eq!(asked["kind"], "permission", "{asked}");
    let id = asked["id"].as_str().expect("a question has an id").to_owned();
    let shown = server.sandbar(project.path(), &["task", "show", &task]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("rm -rf node_modules") && shown.contains("--option "), "{shown}");
    assert_eq!(answer(&server, &task, "perhaps"), (422, "invalid_value".to_owned()));
    let given = server.sandbar(project.path(), &["task", "answer", &task, "--option", "once"]);
    assert!(given.status.success(), "{}", String::from_utf8_lossy(&given.stderr));
    // By then the agent may have ended, or the task be over, too.
    let again = json!({ "question": id, "answer": { "option": "no" } });
    let (status, code) = answer_to(&server, &task, &again);
    assert_eq!(status, 409);
    let codes = ["question_answered", "question_expired", "task_finished"];
    assert!(codes.contains(&code.as_str()), "{code}");
    let done = over(&server, &task);
    assert_eq!(done["state"], "succeeded", "{done}");
    let said = done["result"]["final_message"].as_str().unwrap_or_default();
    assert!(said.contains("once"), "{said}");
    let answered = answered(&server, &task);
    assert_eq!((answered.len(), &answered[0]["by"]), (1, &json!("person")), "{answered:?}");
}

#[test]
fn of_two_answers_the_first_holds() {
    let Some(project) = project() else { return };
    let server = Server::start();
    let sandbox = server.create(&project);
    // A second question keeps the task from being over.
    let command = json!([format!("./{AGENT}")]);
    let body = json!({ "agent": "acp", "prompt": "permit permit", "command": command, "permissions": "ask" });
    let task = submit(&server, &sandbox, &body);
    let first = waiting(&server, &task)["question"]["id"].clone();
    let no = json!({ "question": first, "answer": { "option": "no" } });
    assert_eq!(answer_to(&server, &task, &no), (200, String::new()));
    let yes = json!({ "question": first, "answer": { "option": "once" } });
    assert_eq!(answer_to(&server, &task, &yes), (409, "question_answered".to_owned()));
    let second = when(&server, &task, "it asks again", |task| {
        task["state"] == "waiting" && task["question"]["id"] != first
    });
    let no = json!({ "question": second["question"]["id"], "answer": { "option": "no" } });
    assert_eq!(answer_to(&server, &task, &no).0, 200);
    assert_eq!(over(&server, &task)["state"], "succeeded");
}

#[test]
fn without_ask_what_is_inside_is_allowed_at_once() {
    let Some(project) = project() else { return };
    let server = Server::start();
    let sandbox = server.create(&project);
    let command = json!([format!("./{AGENT}")]);
    let body = json!({ "agent": "acp", "prompt": "permit", "command": command });
    let task = submit(&server, &sandbox, &body);
    let done = over(&server, &task);
    let said = done["result"]["final_message"].as_str().unwrap_or_default();
    assert!(said.contains("once"), "{done}");
    assert_eq!(answered(&server, &task).len(), 0);
}

#[test]
fn what_nobody_answers_is_answered_with_no_and_a_late_answer_is_refused() {
    let Some(project) = project() else { return };
    let mut server = Server::start();
    server.kill();
    server.set_env("SANDBAR_TASK_QUESTION_DEADLINE", "1s");
    server.restart();
    let sandbox = server.create(&project);
    let command = json!([format!("./{AGENT}")]);
    // It goes on to wait after its answer, so that the task is not over.
    let body = json!({ "agent": "acp", "prompt": "permit hang", "command": command, "permissions": "ask" });
    let task = submit(&server, &sandbox, &body);
    let answered = eventually("its time is over", DEADLINE, || {
        let answered = answered(&server, &task);
        if answered.is_empty() { Err(fetch(&server, &task)) } else { Ok(answered) }
    });
    assert_eq!(answered[0]["by"], "deadline", "{answered:?}");
    let option = answered[0]["answer"]["option"].as_str().unwrap_or_default();
    assert!(["no", "never"].contains(&option), "{answered:?}");
    let late = json!({ "question": answered[0]["question"], "answer": { "option": "once" } });
    assert_eq!(answer_to(&server, &task, &late), (409, "question_expired".to_owned()));
    assert_eq!(fetch(&server, &task)["state"], "running", "it works on");
    assert_eq!(server.api("POST", &format!("/v1/tasks/{task}/cancel"), None).status, 202);
    assert_eq!(over(&server, &task)["state"], "cancelled");
}

#[test]
fn a_server_that_was_killed_while_a_task_waits_has_it_answered() {
    let Some(project) = project() else { return };
    let mut server = Server::start();
    let sandbox = server.create(&project);
    let task = permit(&server, &sandbox);
    let before = waiting(&server, &task);
    server.kill();
    server.restart();
    assert_eq!(waiting(&server, &task)["question"], before["question"]);
    eventually("the answer is taken", DEADLINE, || match answer(&server, &task, "always") {
        (200, _) => Ok(()),
        other => Err(other),
    });
    let done = over(&server, &task);
    assert_eq!(done["state"], "succeeded", "{done}");
    let said = done["result"]["final_message"].as_str().unwrap_or_default();
    assert!(said.contains("always"), "{said}");
    assert_eq!(answered(&server, &task).len(), 1);
}

/// A proxy of the network around, which knows every name; its port.
fn proxy_of_the_network() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it listens").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let _read = stream.read(&mut head).unwrap_or(0);
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n";
            // Whoever went away needs no answer.
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    port
}

/// A server whose sandboxes could reach any public name, and one of them.
fn with_network(project: &Project) -> (Server, String) {
    let mut server = Server::start();
    server.kill();
    let proxy = format!("http://127.0.0.1:{}", proxy_of_the_network());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"] {
        server.set_env(name, &proxy);
    }
    for name in ["NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"] {
        server.set_env(name, "");
    }
    server.restart();
    let sandbox = server.create(project);
    (server, sandbox)
}

const HOST: &str = "shop.example.org";

/// An agent that tries until it gets through.
fn trying(server: &Server, sandbox: &str) -> String {
    let script = format!(
        "until curl -sS -f -m 20 http://{HOST}/ 2>/dev/null; do sleep 0.2; done; curl -sS -m 20 http://127.0.0.2/ >/dev/null 2>&1; true"
    );
    let body = json!({ "prompt": "x", "command": ["sh", "-c", script] });
    submit(server, sandbox, &body)
}

fn asked_of_network(server: &Server, task: &str) -> Value {
    when(server, task, "it asks", |task| task["question"]["kind"] == "network")
}

#[test]
fn k6_a_host_that_is_refused_is_asked_about_and_reached_after_a_yes() {
    let project = Project::new();
    let (server, sandbox) = with_network(&project);
    let task = trying(&server, &sandbox);
    let asking = asked_of_network(&server, &task);
    assert_eq!(asking["state"], "running", "the agent does not wait: {asking}");
    let question = &asking["question"];
    assert_eq!(question["id"], "n1");
    assert_eq!(
        question["text"],
        format!("The sandbox asked for {HOST}:80 and may not reach it"),
        "{question}"
    );
    let args = ["task", "answer", &task, "--question", "n1", "--option", "allow_host"];
    let given = server.sandbar(project.path(), &args);
    assert!(given.status.success(), "{}", String::from_utf8_lossy(&given.stderr));
    let done = over(&server, &task);
    assert_eq!(
        (&done["state"], &done["result"]["final_message"]),
        (&json!("succeeded"), &json!("hello")),
        "{done}"
    );
    let found = server.api("GET", &format!("/v1/sandboxes/{sandbox}"), None).expect(200);
    assert!(found.to_string().contains(&format!("{HOST}:80")), "the rule stays: {found}");
    // The address of this host that it asked for as well was never a question.
    let answered = answered(&server, &task);
    assert_eq!((answered.len(), &answered[0]["by"]), (1, &json!("person")), "{answered:?}");
}

#[test]
fn k6_a_no_lets_nothing_through_and_what_is_open_is_withdrawn_at_the_end() {
    let project = Project::new();
    let (mut server, sandbox) = with_network(&project);
    let script = format!(
        "curl -sS -m 20 http://{HOST}/; curl -sS -m 20 http://other.example.org/; while :; do sleep 0.2; done"
    );
    let body = json!({ "prompt": "x", "command": ["sh", "-c", script] });
    let task = submit(&server, &sandbox, &body);
    asked_of_network(&server, &task);
    assert_eq!(answer(&server, &task, "deny").0, 200);
    when(&server, &task, "the other is asked about", |task| task["question"]["id"] == "n2");
    server.kill();
    server.restart();
    let again = asked_of_network(&server, &task);
    assert_eq!(again["question"]["id"], "n2", "it is not lost: {again}");
    eventually("it is looked after again", DEADLINE, || match answer(&server, &task, "perhaps") {
        (422, _) => Ok(()),
        other => Err(other),
    });
    assert_eq!(server.api("POST", &format!("/v1/tasks/{task}/cancel"), None).status, 202);
    let done = over(&server, &task);
    assert!(done.get("question").is_none(), "{done}");
    let answered = answered(&server, &task);
    let by: Vec<_> = answered.iter().map(|event| event["by"].clone()).collect();
    assert_eq!(by, ["person", "withdrawn"], "{answered:?}");
    let found = server.api("GET", &format!("/v1/sandboxes/{sandbox}"), None).expect(200);
    assert!(!found.to_string().contains("example.org:80"), "no rule was added: {found}");
    assert_eq!(answer(&server, &task, "allow_host"), (409, "task_finished".to_owned()));
}
