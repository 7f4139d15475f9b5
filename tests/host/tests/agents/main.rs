//! The real agents in real sandboxes, against the model of the tests: what is promised of a task, and that a key is used
//! where nobody inside ever has it. They are installed with `scripts/setup agents`; without them each test says so and
//! passes.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test starts programs and waits for them as a user does, and says what it skips"
)]

mod logins;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use sandbar_host_tests::{Planted, Project, ServedModel, Server, eventually};
use serde_json::{Value, json};

mod terminal;

const DEADLINE: Duration = Duration::from_secs(60);
const MADE: &str = "made-by-agent.txt";

/// The home in which `scripts/setup agents` puts them.
fn home() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let toolbox = Path::new(".local/share/sandbar-toolbox");
    let home = fs::canonicalize(root.join("target/agents"));
    if let Some(home) = home.ok().filter(|home| home.join(toolbox).join("bin").is_dir()) {
        return Some(home);
    }
    eprintln!("SKIPPED: no agents are installed (scripts/setup agents)");
    None
}

/// One agent with a key in a sandbox of a server that knows where the model is.
struct Subject {
    server: Server,
    model: ServedModel,
    project: Project,
    sandbox: String,
    agent: &'static str,
    /// Which model it is asked for, where it has to be said.
    asked: &'static [&'static str],
    /// Where its model is asked for words.
    words_at: &'static str,
    key: Planted,
    /// What else must be nowhere: what the key was got with, and what it was before.
    others: Vec<Planted>,
}

impl Subject {
    /// `connected` is the agent whose key it uses; `None` where none is installed.
    fn new(agent: &'static str, connected: &str) -> Option<Self> {
        let mut subject = Self::unconnected(agent)?;
        subject.connect(connected);
        subject.sandbox = subject.server.create(&subject.project);
        Some(subject)
    }

    /// Without a key, and without a sandbox.
    fn unconnected(agent: &'static str) -> Option<Self> {
        let home = home()?;
        let model = ServedModel::start();
        let server = model.server(&[("HOME", home.to_str().expect("text"))]);
        let project = Project::new().file("README", "a shop\n");
        let key = Planted(format!("planted-{agent}-6b1d0e93f7c2a4"));
        Some(Self {
            server,
            model,
            project,
            sandbox: String::new(),
            agent,
            asked: &[],
            words_at: "/",
            key,
            others: Vec::new(),
        })
    }

    /// Hands the key over as a person does, once.
    fn connect(&self, agent: &str) {
        let file = self.project.path().join("key");
        fs::write(&file, format!("{}\n", self.key.0)).expect("a file");
        let mut words = self.server.cli(self.project.path(), &["agents", "connect", agent]);
        let connected = words
            .arg("--key-stdin")
            .stdin(fs::File::open(&file).expect("it is ours"))
            .output()
            .expect("the binary is built");
        assert!(connected.status.success(), "{connected:?}");
        fs::remove_file(file).expect("it is ours");
    }

    fn sandbar(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let output = self.server.sandbar(self.project.path(), words);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn words<'w>(&self, prompt: &'w str, more: &[&'w str]) -> Vec<&'w str> {
        let words = ["task", "run", prompt, "--json", "--agent", self.agent];
        [&words, self.asked, more].concat()
    }

    /// Does a task to its end, as somebody at a terminal.
    fn run(&self, prompt: &str, more: &[&str]) -> Done {
        let (code, stdout, stderr) = self.sandbar(&self.words(prompt, more));
        let events: Vec<Value> = stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}: {stderr}")))
            .collect();
        self.done(code, events)
    }

    fn done(&self, code: Option<i32>, events: Vec<Value>) -> Done {
        let list = format!("/v1/sandboxes/{}/tasks?limit=1", self.sandbox);
        let task = self.server.api("GET", &list, None).expect(200)["items"][0].clone();
        Done { code, events, task }
    }

    /// Begins a task, and does not wait.
    fn begin(&self, prompt: &str) -> String {
        let (code, stdout, stderr) = self.sandbar(&self.words(prompt, &["--detach"]));
        assert_eq!(code, Some(0), "{stderr}");
        let task: Value = serde_json::from_str(&stdout).expect("JSON");
        task["id"].as_str().expect("an id").to_owned()
    }

    fn task(&self, id: &str) -> Value {
        self.server.api("GET", &format!("/v1/tasks/{id}"), None).expect(200)
    }

    fn is(&self, id: &str, states: &[&str]) -> Value {
        eventually(&states.join(" or "), DEADLINE, || {
            let task = self.task(id);
            let is_so = states.iter().any(|state| task["state"] == *state);
            if is_so { Ok(task) } else { Err((task, self.events(id))) }
        })
    }

    fn over(&self, id: &str) -> Done {
        let task = self.is(id, &["succeeded", "failed", "cancelled"]);
        Done { code: None, events: self.events(id), task }
    }

    /// Every event; none is there twice, and none is lost.
    fn events(&self, id: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/tasks/{id}/events?limit=200{cursor}");
            let page = self.server.api("GET", &path, None).expect(200);
            all.extend(page["items"].as_array().expect("a page has items").clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let seqs: Vec<_> = all.iter().filter_map(|event| event["seq"].as_u64()).collect();
        assert_eq!(seqs, (1..=all.len() as u64).collect::<Vec<_>>());
        all
    }

    fn revert(&self, done: &Done) {
        let id = done.task["id"].as_str().expect("an id");
        let (code, _, stderr) = self.sandbar(&["task", "revert", id]);
        assert_eq!(code, Some(0), "{stderr}");
    }

    /// What the agent made.
    fn made(&self) -> String {
        self.server.sh(&self.sandbox, &format!("cat {MADE} 2>/dev/null || true"))
    }

    /// The upstream got the key, in that header, with each request for a word.
    fn is_at_the_model(&self, header: &str, prefix: &str) {
        let requests = self.model.requests();
        assert!(!requests.is_empty(), "nothing reached the model");
        let expected = format!("{prefix}{}", self.key.0);
        let for_words = requests
            .iter()
            .filter(|request| request.method == "POST" && request.path.starts_with(self.words_at));
        for request in for_words {
            assert_eq!(request.header(header), Some(expected.as_str()), "{request:?}");
        }
    }

    /// The same looks do find what stands for the key inside.
    fn sees_what_is_inside(&self) {
        let known = self.server.api("GET", "/v1/credentials", None).expect(200);
        let placeholder = known["items"][0]["placeholder"].as_str().expect("it has one");
        let placeholder = Planted(placeholder.to_owned());
        let inside = self.server.inside();
        let has_it = |pid: &u32| placeholder.is_in_memory(*pid) == Some(true);
        assert!(inside.keys().any(has_it), "{inside:?}");
        if known["items"][0]["env"].is_string() {
            assert_ne!(placeholder.in_processes("environ"), Vec::<String>::new());
        }
        assert_ne!(placeholder.in_files(self.server.data_dir()), Vec::<String>::new());
    }

    /// Nobody inside has the key, and nothing that is kept does.
    fn is_nowhere(&self) {
        let all: Vec<&Planted> = [&self.key].into_iter().chain(&self.others).collect();
        for planted in &all {
            self.has_nowhere(planted);
        }
        let below = |what: &str| format!("/v1/sandboxes/{}{what}", self.sandbox);
        let of_sandbox = ["", "/config", "/events", "/execs", "/tasks", "/checkpoints"].map(below);
        let kept = ["/v1/credentials", "/v1/events?limit=200", "/v1/audit", "/v1/agents"];
        for path in kept.map(str::to_owned).into_iter().chain(of_sandbox) {
            let reply = self.server.api("GET", &path, None);
            assert_eq!(reply.status, 200, "{path}: {}", String::from_utf8_lossy(&reply.body));
            assert!(!all.iter().any(|planted| planted.is_in(&reply.body)), "{path}");
        }
    }

    /// It is in no file, environment or memory.
    fn has_nowhere(&self, key: &Planted) {
        let server = &self.server;
        assert_eq!(key.in_files(server.data_dir()), Vec::<String>::new());
        assert_eq!(key.in_files(self.project.path()), Vec::<String>::new());
        for what in ["cmdline", "environ"] {
            assert_eq!(key.in_processes(what), Vec::<String>::new(), "{what}");
        }
        for (pid, line) in server.inside() {
            assert_ne!(key.is_in_memory(pid), Some(true), "{line}");
        }
        // Written so that the one who looks does not find itself.
        let pattern = key.0.replace("planted", "plante[d]");
        let look = format!(
            "grep -rls {pattern} . ~ /tmp /run /etc /var/tmp 2>/dev/null | head -5; \
             cat /proc/*/environ 2>/dev/null | grep -as {pattern}; true"
        );
        assert_eq!(server.sh(&self.sandbox, &look), "");
    }
}

/// A task that is over.
#[derive(Debug)]
struct Done {
    code: Option<i32>,
    events: Vec<Value>,
    task: Value,
}

impl Done {
    fn result(&self) -> &Value {
        &self.task["result"]
    }

    fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["event"] == kind).collect()
    }

    fn has_said(&self, kind: &str) -> bool {
        self.events.iter().any(|event| event["agent"]["type"] == kind)
    }

    #[track_caller]
    fn succeeded(&self) -> &Self {
        assert_eq!(self.task["state"], "succeeded", "{self:#?}");
        assert!(self.code.is_none_or(|code| code == 0), "{self:#?}");
        assert_eq!((self.of_kind("ended").len(), self.of_kind("done").len()), (1, 1), "{self:#?}");
        self
    }

    /// It made the file, and that is in everything that tells of it.
    #[track_caller]
    fn made_the_file(&self) {
        self.succeeded();
        let result = self.result();
        assert_eq!(result["files_changed"], json!([MADE]), "{result}");
        assert!(result["checkpoint_before"].is_string(), "{result}");
        assert!(result["checkpoint_after"].is_string(), "{result}");
        assert!(result["usage"]["output_tokens"].as_u64() > Some(0), "{result}");
        let last = result["final_message"].as_str().unwrap_or_default();
        assert!(last.starts_with("I am done"), "{result}");
        assert!(self.has_said("tool_call") && self.has_said("file_change"), "{self:#?}");
        assert!(self.has_said("message"), "{self:#?}");
        assert_eq!(self.of_kind("checkpoint").len(), 2, "{self:#?}");
    }
}

/// A task changes a file, and is taken back; the key is at the model, and nowhere else.
fn edits_and_is_taken_back(subject: &Subject, (header, prefix): (&str, &str)) {
    let done = subject.run("EDIT please", &[]);
    done.made_the_file();
    assert_eq!(subject.made(), "made by the agent\n");
    subject.is_at_the_model(header, prefix);
    subject.revert(&done);
    assert_eq!(subject.made(), "");
}

/// The model fails, and the task tells how it ended.
fn bears_what_the_model_does(subject: &Subject) {
    for prompt in ["RATE then", "CUT then"] {
        subject.run(prompt, &[]).made_the_file();
        subject.server.sh(&subject.sandbox, &format!("rm {MADE}"));
    }
    let failed = subject.run("ERROR then", &[]);
    assert_eq!((&failed.task["state"], failed.code), (&json!("failed"), Some(1)), "{failed:#?}");
    let result = failed.result();
    assert_eq!(result["failure_reason"], "agent_error", "{result}");
    let why = result["error_message"].as_str().unwrap_or_default();
    assert!(why.contains("The model refused, as the test wanted it."), "{result}");
}

/// Goes on with the conversation of the task before.
fn goes_on(subject: &Subject) {
    subject.run("remember the word lighthouse", &[]).succeeded();
    subject.run("what was it?", &["--continue"]).succeeded();
    let asked = subject.model.requests().into_iter().map(|request| request.body.to_string());
    let last = asked.rev().find(|body| body.contains("what was it?")).unwrap_or_default();
    assert!(last.contains("remember the word lighthouse"), "{last}");
}

/// A question is answered from elsewhere, by a server that was killed since it was asked.
fn asks_and_is_answered(subject: &mut Subject) {
    let task = subject.begin("ASK me");
    let waiting = subject.is(&task, &["waiting"]);
    assert_eq!(waiting["question"]["text"], "Which color?", "{waiting}");
    subject.server.kill();
    subject.server.restart();
    let again = subject.is(&task, &["waiting"]);
    assert_eq!(again["question"], waiting["question"], "the same one, not another");
    eventually("it is looked after again", DEADLINE, || {
        let answered = subject.sandbar(&["task", "answer", &task, "--option", "Blue"]);
        if answered.0 == Some(0) { Ok(()) } else { Err(answered) }
    });
    let done = subject.over(&task);
    done.succeeded();
    let last = done.result()["final_message"].as_str().unwrap_or_default();
    assert!(last.contains("Blue"), "{done:#?}");
    // Agents look for hosts of their own as well; whether those may be reached is asked apart.
    let mut asked = done.of_kind("question");
    asked.retain(|asked| asked["question"]["kind"] == "question");
    let mut answered = done.of_kind("answered");
    answered.retain(|answered| answered["question"] == waiting["question"]["id"]);
    let by: Vec<&Value> = answered.iter().map(|answered| &answered["by"]).collect();
    assert_eq!((asked.len(), by), (1, vec![&json!("person")]), "{done:#?}");
}

/// An agent that may not change anything unasked is told yes from another terminal; nothing was changed before.
fn asks_whether_it_may(subject: &Subject) {
    subject.server.sh(&subject.sandbox, &format!("rm -f {MADE}"));
    let (code, stdout, stderr) =
        subject.sandbar(&subject.words("EDIT please", &["--detach", "--ask"]));
    assert_eq!(code, Some(0), "{stderr}");
    let task: Value = serde_json::from_str(&stdout).expect("JSON");
    let task = task["id"].as_str().expect("an id").to_owned();
    let done = eventually("it is over, and was asked", DEADLINE, || {
        let now = subject.task(&task);
        let question = &now["question"];
        if question["kind"] == "permission" {
            let is_made = subject.server.exec(&subject.sandbox, &["test", "-e", MADE]);
            assert_ne!(is_made["exit_code"], 0, "{question}");
            let options = question["options"].as_array().expect("options");
            let yes = options.iter().find(|option| option["allows"] == true).expect("one says yes");
            let id = yes["id"].as_str().expect("text");
            let (code, _, stderr) = subject.sandbar(&["task", "answer", &task, "--option", id]);
            assert_eq!(code, Some(0), "{stderr}");
        }
        if now["state"] == "succeeded" { Ok(subject.over(&task)) } else { Err(now) }
    });
    let asked = done.of_kind("question").into_iter();
    assert!(
        asked.filter(|asked| asked["question"]["kind"] == "permission").count() > 0,
        "{done:#?}"
    );
    subject.server.sh(&subject.sandbox, &format!("test -e {MADE}"));
}

/// The server is killed while the agent speaks, when nobody inside has the key. The connection to the model goes with it;
/// the agent asks again by itself, and is ended.
fn bears_a_crash(subject: &mut Subject) {
    let task = subject.begin("SLOW please");
    eventually("it speaks", DEADLINE, || {
        let found = subject.events(&task);
        let speaks = found.iter().any(|event| event["agent"]["type"] == "message");
        if speaks { Ok(()) } else { Err(found) }
    });
    subject.is_nowhere();
    subject.sees_what_is_inside();
    subject.server.kill();
    let asked = subject.model.requests().len();
    subject.server.restart();
    eventually("it asks again", DEADLINE, || {
        let asks_again = subject.model.requests().len() > asked;
        if asks_again { Ok(()) } else { Err(subject.task(&task)) }
    });
    let (code, _, stderr) = subject.sandbar(&["task", "cancel", &task]);
    let done = subject.over(&task);
    assert_eq!(code, Some(0), "{stderr} {done:#?}");
    assert_eq!(done.task["state"], "cancelled", "{done:#?}");
    assert_eq!((done.of_kind("ended").len(), done.of_kind("done").len()), (1, 1), "{done:#?}");
}

/// Without a task: as somebody who sits in front of it.
fn works_without_a_task(subject: &Subject, words: &[&str]) {
    let run = [&["run", "--name", "by-hand", "--"], words].concat();
    let (code, stdout, stderr) = subject.sandbar(&run);
    assert_eq!(code, Some(0), "{stdout}\n{stderr}");
    let changes = subject.server.changes("by-hand");
    assert_eq!(changes["items"][0]["path"], MADE, "{changes}");
    let (code, _, stderr) = subject.sandbar(&["rm", "--force", "by-hand"]);
    assert_eq!(code, Some(0), "{stderr}");
}

#[test]
fn claude_code_edits_and_its_key_is_at_the_model_and_nowhere_else() {
    let Some(mut subject) = Subject::new("claude-code", "claude-code") else { return };
    edits_and_is_taken_back(&subject, ("x-api-key", ""));
    goes_on(&subject);
    bears_what_the_model_does(&subject);
    works_without_a_task(&subject, &["claude", "-p", "EDIT", "--permission-mode", "acceptEdits"]);
    bears_a_crash(&mut subject);
    asks_and_is_answered(&mut subject);
    asks_whether_it_may(&subject);
    subject.is_at_the_model("x-api-key", "");
    subject.is_nowhere();
}

#[test]
fn codex_edits_and_its_key_is_at_the_model_and_nowhere_else() {
    let Some(mut subject) = Subject::new("codex", "codex") else { return };
    edits_and_is_taken_back(&subject, ("authorization", "Bearer "));
    goes_on(&subject);
    bears_what_the_model_does(&subject);
    bears_a_crash(&mut subject);
    asks_and_is_answered(&mut subject);
    asks_whether_it_may(&subject);
    subject.is_at_the_model("authorization", "Bearer ");
    subject.is_nowhere();
}

#[test]
fn gemini_edits_and_its_key_is_at_the_model_and_nowhere_else() {
    let Some(mut subject) = Subject::new("gemini", "gemini") else { return };
    edits_and_is_taken_back(&subject, ("x-goog-api-key", ""));
    bears_what_the_model_does(&subject);
    asks_whether_it_may(&subject);
    bears_a_crash(&mut subject);
    subject.is_at_the_model("x-goog-api-key", "");
    subject.is_nowhere();
}

#[test]
fn opencode_edits_with_the_key_of_claude_code() {
    let Some(mut subject) = Subject::new("opencode", "claude-code") else { return };
    subject.asked = &["--model", "anthropic/claude-sonnet-4-5"];
    edits_and_is_taken_back(&subject, ("x-api-key", ""));
    asks_whether_it_may(&subject);
    bears_a_crash(&mut subject);
    subject.is_nowhere();
}
