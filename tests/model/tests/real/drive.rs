//! Starts an agent and talks with it, as the engine does.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use sandbar_agents::{Agent, Order, Step};
use sandbar_types::{AgentEvent, Answer, ExitStatus, Question, TaskUsage, ToolState};
use tempfile::TempDir;

/// How long an agent may take in all.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long it may take to end once it is done.
const FAREWELL: Duration = Duration::from_secs(10);

/// Where an agent of a test lives.
pub(crate) struct Place {
    dir: TempDir,
    pub(crate) program: PathBuf,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) extra: Vec<String>,
}

/// The folder of what `scripts/setup agents` installed, unless it did not.
pub(crate) fn installed(program: &str) -> Option<PathBuf> {
    let toolbox = "../../target/agents/.local/share/sandbar-toolbox/bin";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(toolbox).join(program);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: {program} is not installed; run scripts/setup agents");
    None
}

impl Place {
    pub(crate) fn new(program: PathBuf) -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["home", "work", "tmp"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir, program, env: Vec::new(), extra: Vec::new() }
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn order(&self, prompt: &str) -> Order {
        Order {
            prompt: prompt.to_owned(),
            workspace: self.work().to_str().unwrap().to_owned(),
            ..Order::default()
        }
    }

    /// What `EDIT` makes.
    pub(crate) fn made(&self) -> Option<String> {
        fs::read_to_string(self.work().join("made-by-agent.txt")).ok()
    }
}

/// What a test does when it sees a step.
pub(crate) enum React {
    Nothing,
    Answer(Answer),
    Cancel,
}

/// All that happened.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    pub(crate) events: Vec<AgentEvent>,
    pub(crate) questions: Vec<Question>,
    pub(crate) session: Option<String>,
    pub(crate) usage: Option<TaskUsage>,
    pub(crate) finished: Option<Result<String, String>>,
    pub(crate) outcome: Option<Result<String, String>>,
    pub(crate) stderr: String,
    pub(crate) lines: Vec<String>,
}

impl Ran {
    pub(crate) fn message(&self) -> String {
        let said = self.events.iter().filter_map(|event| match event {
            AgentEvent::Message { text } => Some(text.as_str()),
            AgentEvent::Thought { .. }
            | AgentEvent::ToolCall { .. }
            | AgentEvent::FileChange { .. }
            | AgentEvent::Status { .. } => None,
        });
        said.collect()
    }

    pub(crate) fn has_tool(&self, wanted: ToolState) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, AgentEvent::ToolCall { state, .. } if *state == wanted))
    }

    pub(crate) fn changed(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|event| match event {
                AgentEvent::FileChange { path } => Some(path.as_str()),
                AgentEvent::Message { .. }
                | AgentEvent::Thought { .. }
                | AgentEvent::ToolCall { .. }
                | AgentEvent::Status { .. } => None,
            })
            .collect()
    }

    pub(crate) fn statuses(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|event| match event {
                AgentEvent::Status { text } => Some(text.as_str()),
                AgentEvent::Message { .. }
                | AgentEvent::Thought { .. }
                | AgentEvent::ToolCall { .. }
                | AgentEvent::FileChange { .. } => None,
            })
            .collect()
    }

    /// The last message; the whole talk in the failure where there is none.
    pub(crate) fn succeeded(&self) -> &str {
        match &self.outcome {
            Some(Ok(message)) => message,
            Some(Err(_)) | None => panic!("it did not succeed: {self:#?}"),
        }
    }

    /// What went wrong.
    pub(crate) fn failed(&self) -> &str {
        match &self.outcome {
            Some(Err(error)) => error,
            Some(Ok(_)) | None => panic!("it did not fail: {self:#?}"),
        }
    }
}

/// Runs one order to its end.
pub(crate) fn run(
    agent: &dyn Agent,
    place: &Place,
    order: &Order,
    mut react: impl FnMut(&Step) -> React,
) -> Ran {
    let mut talk = agent.converse(order);
    let (mut child, lines) = start(agent, place, order);
    let mut stdin = child.stdin.take();
    let mut ran = Ran::default();
    let deadline = Instant::now() + PATIENCE;
    let mut until = deadline;
    let mut steps = talk.begin();
    loop {
        // An answer may lead to more steps, and they to more answers.
        while !steps.is_empty() {
            let mut more = Vec::new();
            for step in steps {
                match react(&step) {
                    React::Nothing => {}
                    React::Cancel => more.extend(talk.cancel()),
                    React::Answer(answer) => {
                        let Step::Ask(question) = &step else {
                            panic!("only a question is answered")
                        };
                        more.extend(talk.answer(&question.id, &answer));
                    }
                }
                if matches!(step, Step::Finished(_)) {
                    until = Instant::now() + FAREWELL;
                }
                ran.take(step, &mut stdin);
            }
            steps = more;
        }
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                steps = talk.line(&line);
                // Enough to see in a failure what it was.
                ran.lines.push(line.chars().take(500).collect());
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                assert!(ran.finished.is_some(), "it took too long: {ran:#?}\n{}", stderr(place));
                break;
            }
        }
    }
    let status = end(&mut child);
    ran.stderr = stderr(place);
    ran.outcome = Some(talk.ended(status, &ran.stderr));
    ran
}

impl Ran {
    fn take(&mut self, step: Step, stdin: &mut Option<ChildStdin>) {
        match step {
            Step::Send(text) => {
                if let Some(pipe) = stdin {
                    // It may have ended: what it says then is read all the same.
                    let _sent = pipe.write_all(text.as_bytes());
                }
            }
            Step::CloseInput => drop(stdin.take()),
            Step::Event(event) => self.events.push(event),
            Step::Ask(question) => self.questions.push(question),
            Step::Unask(_) => {}
            Step::Session(session) => self.session = Some(session),
            Step::Usage(usage) => self.usage = Some(usage),
            Step::Finished(outcome) => self.finished = Some(outcome),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test starts a program directly")]
fn start(agent: &dyn Agent, place: &Place, order: &Order) -> (Child, Receiver<String>) {
    let launch = agent.launch(order);
    for (path, text) in &launch.files {
        let path = place.home().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !path.exists() {
            fs::write(path, text).unwrap();
        }
    }
    // The first word is the program's name, and the programs of the tests have a path.
    let mut command = Command::new(&place.program);
    command
        .args(&launch.argv[1..])
        .args(&place.extra)
        .env_clear()
        .env("HOME", place.home())
        .env("PATH", std::env::var("PATH").unwrap())
        // OpenCode leaves a library of 5 MB there at each start.
        .env("TMPDIR", place.dir.path().join("tmp"))
        .env("LANG", "C.UTF-8")
        .env("TERM", "dumb")
        .envs(launch.env.iter().map(|(name, value)| (name.as_str(), value)))
        .envs(place.env.iter().map(|(name, value)| (name, value)))
        .current_dir(place.work())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(place.home().join("stderr")).unwrap())
        .process_group(0);
    let mut child = command.spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in stdout.split(b'\n') {
            let Ok(line) = line else { break };
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    (child, receiver)
}

fn end(child: &mut Child) -> ExitStatus {
    // Whatever it started dies with it.
    if let Some(group) = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()) {
        if child.try_wait().unwrap().is_none() {
            let _asked = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
            let deadline = Instant::now() + FAREWELL;
            while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
                thread::yield_now();
            }
        }
        let _killed = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let status = child.wait().unwrap();
    status.code().map_or_else(
        || ExitStatus::Signaled { signal: u8::try_from(status.signal().unwrap()).unwrap() },
        |code| ExitStatus::Exited { code: u8::try_from(code).unwrap() },
    )
}

fn stderr(place: &Place) -> String {
    let text = fs::read(place.home().join("stderr")).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}
