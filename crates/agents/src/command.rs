//! Any command: it gets the prompt on its standard input, what it prints is what it says, its exit code decides.

use sandbar_types::{Answer, ExitStatus, QuestionId};

use crate::{Agent, Conversation, Launch, Order, Step, speech::Speech};

/// The agent `command`.
#[derive(Debug)]
pub(crate) struct Command;

impl Agent for Command {
    fn name(&self) -> &'static str {
        "command"
    }

    fn label(&self) -> &'static str {
        "any command"
    }

    fn program(&self) -> Option<&'static str> {
        None
    }

    fn launch(&self, order: &Order) -> Launch {
        Launch { argv: order.command.clone(), stdin: true, ..Launch::default() }
    }

    fn converse(&self, order: &Order) -> Box<dyn Conversation> {
        Box::new(Talk {
            prompt: order.prompt.clone(),
            is_cancelled: false,
            speech: Speech::default(),
        })
    }
}

#[derive(Debug)]
struct Talk {
    prompt: String,
    is_cancelled: bool,
    speech: Speech,
}

impl Conversation for Talk {
    fn begin(&mut self) -> Vec<Step> {
        vec![Step::Send(format!("{}\n", self.prompt)), Step::CloseInput]
    }

    fn line(&mut self, line: &str) -> Vec<Step> {
        if line.trim().is_empty() {
            return Vec::new();
        }
        // Each line is a message of its own, and the last one is what came of it.
        self.speech.close();
        vec![self.speech.say(line)]
    }

    fn answer(&mut self, _question: &QuestionId, _answer: &Answer) -> Vec<Step> {
        Vec::new()
    }

    fn cancel(&mut self) -> Vec<Step> {
        // A signal has to do.
        self.is_cancelled = true;
        Vec::new()
    }

    fn ended(&mut self, status: ExitStatus, stderr: &str) -> Result<String, String> {
        if self.is_cancelled {
            return Err("cancelled".to_owned());
        }
        // A command that did its work may be silent.
        let said = self.speech.outcome().unwrap_or_default();
        if status == (ExitStatus::Exited { code: 0 }) {
            return Ok(said);
        }
        let why = [stderr.trim(), said.as_str()].into_iter().find(|text| !text.is_empty());
        Err(why.map_or_else(
            || format!("the command {status}"),
            |why| format!("the command {status}: {}", crate::speech::end(why)),
        ))
    }
}
