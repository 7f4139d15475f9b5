//! Following a task to its end: what it says as it comes, one line that lives at the bottom of a terminal, and a question
//! asked where it can be answered.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use sandbar_api::paths;
use sandbar_types::{
    AgentEvent, Question, QuestionKind, Task, TaskEvent, TaskEventPayload, TaskFailure, TaskState,
    ToolState,
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{answer, asking::Asking, draw, draw::Printer};
use crate::{
    client::lost,
    context::Context,
    desktop,
    failure::Failure,
    output::{units, visible},
    signals::Signals,
    terminal,
};

/// How often the living line moves.
const TICK: Duration = Duration::from_millis(120);
const SPINNER: [&str; 8] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧"];
/// The task was canceled, or we were told to leave it.
const CODE_CANCELED: u8 = 130;
const CODE_FAILED: u8 = 1;

/// Follows `task`, and returns the exit code that says how it ended.
pub(super) async fn watch(context: &mut Context, task: &Task) -> Result<u8, Failure> {
    let mut signals = Signals::listen()?;
    let path = paths::below_task(&task.id.to_string(), "events");
    let mut events = context.client.feed(&path, 0).await?;
    let mut screen = Screen::new(context, task);
    let mut asking = Asking::default();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event? else { break };
                screen.show(&draw::event(&event.data)?, &mut asking)?;
            }
            request = asking.answer() => {
                if let Some(asked) = &request.question
                    && let Some(next) = asking.forget(asked).cloned()
                {
                    screen.ask_again(&next);
                }
                if let Err(failure) = answer::send(context, task.id, request).await {
                    screen.clear();
                    context.out.say(failure.render().trim_end());
                }
            }
            code = signals.end() => {
                screen.clear();
                let id = task.id;
                context.out.say(&format!("it goes on: `sandbar task logs -f {id}` follows it, `sandbar task cancel {id}` ends it"));
                return Ok(code);
            }
            _now = tick.tick() => screen.draw(asking.is_asking()),
        }
    }
    screen.clear();
    screen.printer.finish()?;
    screen.code.ok_or_else(|| {
        lost("the server ended the stream")
            .hint(format!("`sandbar task show {}` says how it is", task.id))
    })
}

/// What is shown.
struct Screen<'t> {
    task: &'t Task,
    printer: Printer,
    /// Whether there is a line that lives.
    is_alive: bool,
    is_drawn: bool,
    /// Whether somebody can be asked right here.
    is_interactive: bool,
    doing: String,
    since: Instant,
    turn: usize,
    state: TaskState,
    code: Option<u8>,
}

impl<'t> Screen<'t> {
    fn new(context: &Context, task: &'t Task) -> Self {
        let out = context.out;
        Self {
            task,
            printer: Printer::new(out, task),
            is_alive: out.talks_to_terminal() && !out.is_json(),
            is_drawn: false,
            is_interactive: terminal::is_interactive() && !out.is_json(),
            doing: String::new(),
            since: Instant::now(),
            turn: 0,
            state: task.state,
            code: None,
        }
    }

    fn show(&mut self, event: &TaskEvent, asking: &mut Asking) -> Result<(), Failure> {
        self.clear();
        self.printer.print(event)?;
        match &event.payload {
            TaskEventPayload::State { state } => self.state = *state,
            TaskEventPayload::Agent { agent: AgentEvent::ToolCall { title, state, .. } } => {
                let is_running = *state == ToolState::Running;
                self.doing = if is_running { visible::line(title) } else { String::new() };
            }
            TaskEventPayload::Question { question, .. } => self.ask(question, asking),
            TaskEventPayload::Answered { question, .. } => {
                if let Some(next) = asking.forget(question).cloned() {
                    self.ask_again(&next);
                }
            }
            TaskEventPayload::Done { result } => {
                self.code = Some(self.code_of(result.failure_reason));
                self.call("the task is over");
                if self.is_alive {
                    desktop::notify(match result.failure_reason {
                        None => "the task is over",
                        Some(_) => "the task failed",
                    });
                }
            }
            TaskEventPayload::Agent { .. }
            | TaskEventPayload::Stderr { .. }
            | TaskEventPayload::Checkpoint { .. }
            | TaskEventPayload::Ended { .. }
            | TaskEventPayload::Build { .. }
            | TaskEventPayload::Health { .. } => {}
        }
        Ok(())
    }

    fn code_of(&self, failed: Option<TaskFailure>) -> u8 {
        match (self.state, failed) {
            (TaskState::Cancelled, _) => CODE_CANCELED,
            (_, None) => 0,
            (_, Some(_)) => CODE_FAILED,
        }
    }

    fn ask(&mut self, question: &Question, asking: &mut Asking) {
        self.call(match question.kind {
            QuestionKind::Network => "the task may not reach a host",
            QuestionKind::Permission | QuestionKind::Question => "the task waits for an answer",
        });
        if self.is_alive {
            // As the terminal would show it: what is deceptive there is so on a desktop, too.
            let first = question.text.trim().lines().next().unwrap_or_default();
            desktop::notify(&visible::line(first));
        }
        if self.is_interactive {
            asking.ask(question.clone());
        }
        self.say_how(question);
    }

    /// Shows a question once more that had to wait for another one.
    fn ask_again(&self, question: &Question) {
        if self.is_alive {
            let lines = draw::question_lines(question).join("\n");
            let lines = visible::escape(lines.as_bytes(), visible::Place::Text);
            drop(writeln!(io::stderr().lock(), "? {lines}"));
        }
        self.say_how(question);
    }

    fn say_how(&self, question: &Question) {
        let how = visible::line(draw::how_to_answer(self.task, question));
        if self.is_alive {
            let here = if self.is_interactive {
                "type the answer here, or elsewhere"
            } else {
                "answer it"
            };
            drop(writeln!(io::stderr().lock(), "  {here}: {how}"));
        }
    }

    /// Draws a person's attention: the bell, and a notification where the terminal knows how.
    fn call(&self, what: &str) {
        if self.is_alive {
            drop(write!(io::stderr().lock(), "\x07\x1b]9;sandbar: {what}\x07"));
        }
    }

    /// Takes the living line away.
    fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            drop(write!(io::stderr().lock(), "\r\x1b[K"));
        }
    }

    fn draw(&mut self, is_asking: bool) {
        // What a person types is not to be written over, and neither is half a line of the agent.
        if !self.is_alive || is_asking || self.printer.is_open() {
            return;
        }
        self.is_drawn = true;
        self.turn = (self.turn + 1) % SPINNER.len();
        let elapsed = units::duration(self.since.elapsed());
        let doing = if self.doing.is_empty() { self.state.as_str() } else { &self.doing };
        let room = usize::from(terminal::size().cols).saturating_sub(elapsed.len() + 5);
        let doing: String = doing.chars().take(room).collect();
        drop(write!(io::stderr().lock(), "\r\x1b[K{} {elapsed}  {doing}", SPINNER[self.turn]));
    }
}
