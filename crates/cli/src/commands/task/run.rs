//! `sandbar task run`: asks, and follows.

use std::{
    ffi::OsString,
    io::{self, Read},
    time::Duration,
};

use sandbar_api::paths;
use sandbar_types::{AgentName, Permissions, Task, TaskSpec};

use super::watch;
use crate::{
    context::Context, failure::Failure, output::units::parse_duration, select, spec::millis,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What is to be done; a first word of several that names a sandbox or an app says where, `.` means the only sandbox over the current directory. `-` reads stdin.
    #[arg(value_name = "PROMPT", required = true)]
    words: Vec<OsString>,
    /// Which agent, for example claude-code, codex, opencode, gemini, command.
    #[arg(long, value_name = "NAME")]
    agent: Option<AgentName>,
    /// Which model, as the agent names it.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// End it after so much work, for example 30m; default 10m. Time that it waits for an answer does not count.
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Go on with the conversation of the last task of the same agent.
    #[arg(long = "continue")]
    continues: bool,
    /// Have the agent ask you before it changes and runs what it would ask for itself; default: it may, inside.
    #[arg(long)]
    ask: bool,
    /// Print the id, and do not wait.
    #[arg(long, short)]
    detach: bool,
    /// For the agents that are any command: the command and its arguments.
    #[arg(value_name = "COMMAND", last = true)]
    command: Vec<String>,
}

pub(super) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let Args { words, agent, model, timeout, continues, ask, detach, command } = args;
    let (sandbox, words) = place(context, words).await?;
    let prompt = prompt(&words)?;
    let timeout_ms = timeout.map(millis);
    let permissions = if ask { Permissions::Ask } else { Permissions::AllowInside };
    let spec = TaskSpec { prompt, agent, model, timeout_ms, continues, command, permissions };
    let path = paths::below_sandbox(&sandbox, "tasks");
    let task: Task = context.client.post(&path, &spec).await?;
    if !detach {
        return watch::watch(context, &task).await;
    }
    if context.out.is_json() {
        context.out.json(&task)?;
    } else {
        context.out.line(&task.id.to_string())?;
    }
    Ok(0)
}

/// Where, and what. One word alone is what is to be done, whatever it is.
async fn place(
    context: &mut Context,
    mut words: Vec<OsString>,
) -> Result<(String, Vec<OsString>), Failure> {
    if words.len() > 1 && words[0] == "." {
        words.remove(0);
    } else if words.len() > 1 {
        let (sandbox, words) = select::sandbox_and_paths(context, &words).await?;
        return Ok((sandbox.id.to_string(), words));
    }
    Ok((select::reference(context, None).await?, words))
}

fn prompt(words: &[OsString]) -> Result<String, Failure> {
    if let [word] = words
        && word == "-"
    {
        let mut text = String::new();
        // One byte more than may be sent tells that it is too much.
        let most = TaskSpec::PROMPT_BYTES_MAX as u64 + 1;
        let read = io::stdin().lock().take(most).read_to_string(&mut text);
        read.map_err(|error| Failure::usage("cannot read the prompt").caused_by(&error))?;
        return Ok(text);
    }
    let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
    words.map(|words| words.join(" ")).ok_or_else(|| Failure::usage("the prompt is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_prompt() {
        let words = ["add", "a cart", "page"].map(OsString::from);
        assert_eq!(prompt(&words).unwrap(), "add a cart page");
    }
}
