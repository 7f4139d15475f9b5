//! `sandbar task answer`.

use sandbar_api::{TaskAnswerRequest, paths};
use sandbar_types::{Answer, QuestionId, Task, TaskId};

use crate::{context::Context, failure::Failure};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Id of the task.
    #[arg(value_name = "TASK")]
    task: TaskId,
    /// The answer in words.
    #[arg(value_name = "TEXT", required_unless_present = "option", conflicts_with = "option")]
    text: Vec<String>,
    /// The id of one of the options that the question has.
    #[arg(long, value_name = "ID")]
    option: Option<String>,
    /// Which question; default: the one that the task waits for.
    #[arg(long, value_name = "QUESTION")]
    question: Option<QuestionId>,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let Args { task, text, option, question } = args;
    let answer = option.map_or_else(|| Answer::Text(text.join(" ")), Answer::Option);
    let task = send(context, task, TaskAnswerRequest { question, answer }).await?;
    if context.out.is_json() {
        context.out.json(&task)?;
    } else {
        context.out.say("answered");
    }
    Ok(0)
}

/// Sends an answer.
pub(super) async fn send(
    context: &mut Context,
    task: TaskId,
    request: TaskAnswerRequest,
) -> Result<Task, Failure> {
    context.client.post(&paths::below_task(&task.to_string(), "answer"), &request).await
}
