//! The talk with one run of an agent.

use std::fmt;

use sandbar_types::{AgentEvent, Answer, ExitStatus, Question, QuestionId, TaskUsage};

/// What is to be done next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Write this to its standard input, a line break included.
    Send(String),
    /// End its standard input.
    CloseInput,
    /// It said or did something.
    Event(AgentEvent),
    /// It asks, and waits. The id is the same whenever the same lines are read.
    Ask(Question),
    /// It takes back a question that was not answered.
    Unask(QuestionId),
    /// It can be gone on with by this name.
    Session(String),
    /// What was used so far.
    Usage(TaskUsage),
    /// It is done with the order; its process may live on, and is ended.
    Finished(Result<String, String>),
}

/// A state machine over what an agent prints. The same calls in the same order give the same steps.
pub trait Conversation: fmt::Debug + Send {
    /// The first steps, before anything was printed.
    fn begin(&mut self) -> Vec<Step>;

    /// Takes one line of standard output, without its line break. What is not UTF-8 was replaced, what is too long cut.
    fn line(&mut self, line: &str) -> Vec<Step>;

    /// Takes the answer to a question that was asked and not answered yet.
    fn answer(&mut self, question: &QuestionId, answer: &Answer) -> Vec<Step>;

    /// Asks it to stop; nothing where it knows no way, and a signal has to do.
    fn cancel(&mut self) -> Vec<Step>;

    /// It ended. Returns its last message, or what went wrong: what it said before, or the end of `stderr`.
    fn ended(&mut self, status: ExitStatus, stderr: &str) -> Result<String, String>;
}
