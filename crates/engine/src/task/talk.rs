//! The talk with an agent over the bytes that it prints: what is to be done, in order. Knows no clock and does nothing.
//!
//! The same bytes, and the same answers, make the same things to do, wherever the bytes are parted: so a server that goes
//! on reads the log from its beginning and leaves out what was done before.

use std::collections::VecDeque;

use sandbar_agents::{Conversation, Step};
use sandbar_types::{AgentEvent, Answer, ExitStatus, QuestionId, TaskEventPayload};

use super::lines::{Line, Lines};

/// LIMIT: bytes of a text in one event. What an agent hands over in a file is in the file.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// LIMIT: bytes of standard error that are kept for who asks what went wrong.
const STDERR_BYTES_MAX: usize = 4 << 10;

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Do {
    /// Write down what it said or did.
    Tell(TaskEventPayload),
    /// What the conversation wants beside that.
    Step(Step),
}

/// The talk with one run of an agent.
#[derive(Debug)]
pub(super) struct Talk {
    conversation: Box<dyn Conversation>,
    stdout: Lines,
    stderr: Lines,
    /// The end of standard error.
    stderr_end: VecDeque<String>,
    stderr_bytes: usize,
}

impl Talk {
    pub(super) fn new(conversation: Box<dyn Conversation>) -> Self {
        Self {
            conversation,
            stdout: Lines::default(),
            stderr: Lines::default(),
            stderr_end: VecDeque::new(),
            stderr_bytes: 0,
        }
    }

    pub(super) fn begin(&mut self) -> Vec<Do> {
        self.conversation.begin().into_iter().map(of_step).collect()
    }

    pub(super) fn stdout(&mut self, bytes: &[u8]) -> Vec<Do> {
        let lines = self.stdout.push(bytes);
        lines.into_iter().flat_map(|line| self.line(line)).collect()
    }

    pub(super) fn stderr(&mut self, bytes: &[u8]) -> Vec<Do> {
        let lines = self.stderr.push(bytes);
        lines.into_iter().map(|line| self.stderr_line(line)).collect()
    }

    pub(super) fn answer(&mut self, question: &QuestionId, answer: &Answer) -> Vec<Do> {
        self.conversation.answer(question, answer).into_iter().map(of_step).collect()
    }

    pub(super) fn cancel(&mut self) -> Vec<Do> {
        self.conversation.cancel().into_iter().map(of_step).collect()
    }

    /// Bytes were lost: what was half a line is none, and what follows begins a new one.
    pub(super) fn gap(&mut self) -> Vec<Do> {
        (self.stdout, self.stderr) = (Lines::default(), Lines::default());
        vec![status("output of the agent was lost: it said more than is kept".to_owned())]
    }

    /// Nothing more comes: the last lines may have no break.
    pub(super) fn finish(&mut self) -> Vec<Do> {
        let mut to_do = Vec::new();
        if let Some(line) = self.stdout.finish() {
            to_do.extend(self.line(line));
        }
        if let Some(line) = self.stderr.finish() {
            to_do.push(self.stderr_line(line));
        }
        to_do
    }

    /// What came of it, after [`Talk::finish`].
    pub(super) fn ended(&mut self, status: ExitStatus) -> Result<String, String> {
        let stderr: Vec<String> = self.stderr_end.drain(..).collect();
        self.conversation.ended(status, &stderr.join("\n"))
    }

    fn line(&mut self, line: Line) -> Vec<Do> {
        let mut to_do: Vec<Do> =
            self.conversation.line(&line.text).into_iter().map(of_step).collect();
        if line.cut > 0 {
            to_do.push(status(format!(
                "a line was too long: {} bytes of it were left out",
                line.cut
            )));
        }
        to_do
    }

    fn stderr_line(&mut self, line: Line) -> Do {
        let text = cut(line.text, TEXT_BYTES_MAX);
        let short = cut(text.clone(), STDERR_BYTES_MAX);
        self.stderr_bytes += short.len();
        self.stderr_end.push_back(short);
        while self.stderr_bytes > STDERR_BYTES_MAX {
            let Some(first) = self.stderr_end.pop_front() else { break };
            self.stderr_bytes -= first.len();
        }
        Do::Tell(TaskEventPayload::Stderr { text })
    }
}

fn of_step(step: Step) -> Do {
    match step {
        Step::Event(event) => Do::Tell(TaskEventPayload::Agent { agent: shortened(event) }),
        Step::Send(_)
        | Step::CloseInput
        | Step::Ask(_)
        | Step::Unask(_)
        | Step::Session(_)
        | Step::Usage(_)
        | Step::Finished(_) => Do::Step(step),
    }
}

pub(super) fn status(text: String) -> Do {
    Do::Tell(TaskEventPayload::Agent { agent: AgentEvent::Status { text } })
}

fn shortened(event: AgentEvent) -> AgentEvent {
    let cut = |text| cut(text, TEXT_BYTES_MAX);
    match event {
        AgentEvent::Message { text } => AgentEvent::Message { text: cut(text) },
        AgentEvent::Thought { text } => AgentEvent::Thought { text: cut(text) },
        AgentEvent::ToolCall { id, tool, title, state, output } => AgentEvent::ToolCall {
            id: cut(id),
            tool: cut(tool),
            title: cut(title),
            state,
            output: output.map(cut),
        },
        AgentEvent::FileChange { path } => AgentEvent::FileChange { path: cut(path) },
        AgentEvent::Status { text } => AgentEvent::Status { text: cut(text) },
    }
}

/// At most so many bytes of a text, and how many were left out.
pub(super) fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let length = text.len();
        text.truncate(text.floor_char_boundary(bytes_max));
        let left_out = length - text.len();
        text.extend([" … (", &left_out.to_string(), " bytes more)"]);
    }
    text
}

#[cfg(test)]
mod tests {
    use sandbar_agents::Order;

    use super::*;

    fn talk() -> Talk {
        let order = Order { prompt: "do".to_owned(), ..Order::default() };
        Talk::new(sandbar_agents::by_name("command").unwrap().converse(&order))
    }

    fn told(to_do: Vec<Do>) -> Vec<String> {
        let texts = to_do.into_iter().filter_map(|to_do| match to_do {
            Do::Tell(TaskEventPayload::Agent {
                agent: AgentEvent::Message { text } | AgentEvent::Status { text },
            }) => Some(text),
            Do::Tell(TaskEventPayload::Stderr { text }) => Some(format!("! {text}")),
            Do::Tell(_) | Do::Step(_) => None,
        });
        texts.collect()
    }

    #[test]
    fn the_last_line_needs_no_break_and_what_was_half_said_before_a_gap_is_not_said() {
        let mut talk = talk();
        assert_eq!(talk.begin().last(), Some(&Do::Step(Step::CloseInput)));
        assert_eq!(told(talk.stdout(b"one\ntw")), ["one"]);
        assert_eq!(told(talk.stderr(b"oh")), Vec::<String>::new());
        assert_eq!(told(talk.gap()).len(), 1);
        assert_eq!(told(talk.stdout(b"o\xff\nend")), ["o\u{fffd}"]);
        assert_eq!(told(talk.stderr(b"no\n")), ["! no"]);
        assert_eq!(told(talk.finish()), ["end"]);
        let ended = talk.ended(ExitStatus::Exited { code: 3 }).unwrap_err();
        assert!(ended.contains('3') && ended.contains("no"), "{ended}");
    }

    #[test]
    fn a_text_is_cut_between_two_characters_and_that_is_said() {
        assert_eq!(cut("a\u{e9}".repeat(3), 9), "a\u{e9}".repeat(3));
        assert_eq!(cut("a\u{e9}\u{e9}".to_owned(), 4), "a\u{e9} … (2 bytes more)");
    }

    #[test]
    fn of_standard_error_only_the_end_is_kept() {
        let mut talk = talk();
        for number in 0..5000 {
            drop(talk.stderr(format!("line {number}\n").as_bytes()));
        }
        let ended = talk.ended(ExitStatus::Exited { code: 1 }).unwrap_err();
        assert!(ended.contains("line 4999") && !ended.contains("line 4000\n"));
        assert!(ended.len() < 2 * STDERR_BYTES_MAX);
    }
}
