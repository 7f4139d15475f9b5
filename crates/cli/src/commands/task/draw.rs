//! A task in words: what is printed of its events, and of what came of it. All that an agent chose is escaped.

use std::time::Duration;

use sandbar_types::{
    AgentEvent, Answer, AnsweredBy, Question, QuestionKind, Task, TaskEvent, TaskEventPayload,
    TaskResult, TaskState, ToolState,
};

use crate::{
    failure::Failure,
    output::{
        Output,
        units::{self, counted},
        visible,
    },
};

/// Reads an event.
pub(super) fn event(text: &str) -> Result<TaskEvent, Failure> {
    serde_json::from_str(text).map_err(|error| {
        Failure::unexpected("cannot understand an event of the server").caused_by(&error)
    })
}

/// The facts of a task, name and value.
pub(super) fn facts(task: &Task) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("task", task.id.to_string()),
        ("sandbox", task.sandbox_id.to_string()),
        ("agent", task.agent.to_string()),
        ("state", task.state.to_string()),
        ("prompt", task.spec.prompt.clone()),
    ];
    if let Some(question) = &task.question {
        facts.push(("question", question_lines(question).join("\n\t")));
        facts.push(("answer", how_to_answer(task, question)));
    }
    if let Some(result) = &task.result {
        facts.extend(of_result(result));
    }
    facts
}

fn of_result(result: &TaskResult) -> Vec<(&'static str, String)> {
    let yes = |is_so: bool| if is_so { "yes" } else { "no" }.to_owned();
    let files = result.files_changed.as_ref().map(|files| files.join("\n\t"));
    let facts = [
        ("failure", result.failure_reason.map(|reason| reason.to_string())),
        ("error", result.error_message.clone()),
        ("message", result.final_message.clone()),
        ("files", files.filter(|files| !files.is_empty())),
        ("build", result.build_status.map(|status| status.to_string())),
        ("build error", result.build_error_message.clone()),
        ("app healthy", result.app_healthy.map(yes)),
        ("preview", result.preview_ok.map(yes)),
        ("cost", result.usage.and_then(|usage| usage.cost_usd).map(|cost| format!("${cost:.4}"))),
        ("took", Some(units::duration(Duration::from_millis(result.duration_ms)))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// A question with its options, a line each.
pub(super) fn question_lines(question: &Question) -> Vec<String> {
    let mut lines = vec![question.text.clone()];
    let options = question.options.iter().enumerate();
    lines.extend(
        options.map(|(at, option)| format!("  {}) {} [{}]", at + 1, option.label, option.id)),
    );
    lines
}

/// What to type to answer it.
pub(super) fn how_to_answer(task: &Task, question: &Question) -> String {
    // One about the network need not be the one that the task waits for.
    let which = match question.kind {
        QuestionKind::Network => format!(" --question {}", question.id),
        QuestionKind::Permission | QuestionKind::Question => String::new(),
    };
    match question.options.first() {
        Some(option) => format!("sandbar task answer {}{which} --option {}", task.id, option.id),
        None => format!("sandbar task answer {}{which} \"…\"", task.id),
    }
}

/// Prints what happens, an event after the other: what the agent says on stdout, everything around it on stderr.
#[derive(Debug)]
pub(super) struct Printer {
    out: Output,
    /// Whether each message is a line of its own, or a piece of one.
    is_linewise: bool,
    /// Whether the last thing printed was a piece without a line break.
    is_open: bool,
}

impl Printer {
    pub(super) fn new(out: Output, task: &Task) -> Self {
        Self { out, is_linewise: task.agent.as_str() == "command", is_open: false }
    }

    pub(super) fn print(&mut self, event: &TaskEvent) -> Result<(), Failure> {
        if self.out.is_json() {
            let line = serde_json::to_string(event)
                .map_err(|error| Failure::unexpected("cannot write JSON").caused_by(&error))?;
            return Ok(self.out.line(&line)?);
        }
        if let TaskEventPayload::Agent { agent: AgentEvent::Message { text } } = &event.payload {
            let text = visible::escape(text.as_bytes(), visible::Place::Text);
            if self.is_linewise {
                return Ok(self.out.line(&text)?);
            }
            self.out.raw(text.as_bytes())?;
            self.is_open = !text.ends_with('\n');
            return Ok(());
        }
        if let Some(line) = line(&event.payload) {
            self.finish()?;
            self.out.say(&visible::escape(line.as_bytes(), visible::Place::Text));
        }
        Ok(())
    }

    /// Whether half a line was printed last.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Ends a line that is open.
    pub(super) fn finish(&mut self) -> Result<(), Failure> {
        if std::mem::take(&mut self.is_open) {
            self.out.line("")?;
        }
        Ok(())
    }
}

/// What is said of an event beside what the agent itself says; `None`: nothing.
fn line(payload: &TaskEventPayload) -> Option<String> {
    match payload {
        TaskEventPayload::State { state } => match state {
            TaskState::Queued => Some("queued".to_owned()),
            TaskState::Running
            | TaskState::Waiting
            | TaskState::Succeeded
            | TaskState::Failed
            | TaskState::Cancelled => None,
        },
        TaskEventPayload::Agent { agent } => of_agent(agent),
        TaskEventPayload::Stderr { text } => Some(format!("! {text}")),
        TaskEventPayload::Checkpoint { checkpoint, is_before } => {
            let when = if *is_before { "before" } else { "after" };
            Some(format!("checkpoint {when}: {checkpoint}"))
        }
        TaskEventPayload::Question { question, .. } => {
            Some(format!("? {}", question_lines(question).join("\n")))
        }
        TaskEventPayload::Answered { answer, by, .. } => Some(answered(answer, *by)),
        TaskEventPayload::Ended { .. } => None,
        TaskEventPayload::Build { status, message } => {
            let message = message.as_ref().map(|text| format!("\n{text}")).unwrap_or_default();
            Some(format!("build {status}{message}"))
        }
        TaskEventPayload::Health { app_healthy, .. } => {
            Some(if *app_healthy { "the app is well" } else { "the app is not well" }.to_owned())
        }
        TaskEventPayload::Done { result } => Some(done(result)),
    }
}

fn of_agent(event: &AgentEvent) -> Option<String> {
    match event {
        AgentEvent::Message { .. } | AgentEvent::Thought { .. } => None,
        AgentEvent::ToolCall { tool, title, state, .. } => {
            let title = if title.is_empty() { tool } else { title };
            match state {
                ToolState::Running => Some(format!("• {title}")),
                ToolState::Completed => None,
                ToolState::Failed => Some(format!("✗ {title}")),
            }
        }
        AgentEvent::FileChange { path } => Some(format!("± {path}")),
        AgentEvent::Status { text } => Some(format!("({text})")),
    }
}

fn answered(answer: &Answer, by: AnsweredBy) -> String {
    let (Answer::Option(text) | Answer::Text(text)) = answer;
    match by {
        AnsweredBy::Person => format!("answered: {text}"),
        AnsweredBy::Withdrawn => "nobody answered before the task was over".to_owned(),
        AnsweredBy::Deadline => format!("nobody answered in time; the answer is: {text}"),
    }
}

/// What came of it, in a line.
fn done(result: &TaskResult) -> String {
    let mut parts = Vec::new();
    if let Some(reason) = result.failure_reason {
        let why = result.error_message.as_deref().unwrap_or("no reason was given");
        parts.push(format!("failed ({reason}): {why}"));
    }
    if let Some(count) = result.files_changed_count {
        parts.push(format!(
            "{} changed",
            counted(usize::try_from(count).unwrap_or(usize::MAX), "file")
        ));
    }
    if let Some(status) = &result.build_status {
        parts.push(format!("build {status}"));
    }
    parts.push(format!("took {}", units::duration(Duration::from_millis(result.duration_ms))));
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use sandbar_types::{CheckStatus, TaskFailure};

    use super::*;

    #[test]
    fn what_came_of_it_is_said_in_a_line() {
        let failed = TaskResult {
            failure_reason: Some(TaskFailure::AgentError),
            error_message: Some("no key".to_owned()),
            build_status: Some(CheckStatus::Failed),
            files_changed_count: Some(1),
            duration_ms: 1500,
            ..TaskResult::default()
        };
        let said = done(&failed);
        assert!(
            said.starts_with("failed (agent_error): no key; 1 file changed; build failed; took "),
            "{said}"
        );
    }
}
