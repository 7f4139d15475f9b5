//! What the model does, by the word that stands in the last prompt:
//!
//! | Word | What |
//! |---|---|
//! | `EDIT` | writes `made-by-agent.txt` with a tool that the agent offers, then says that it is done |
//! | `ASK` | asks `Which color?` with a tool that the agent offers, then repeats the answer |
//! | `RATE` | answers 429 once, then as `EDIT` |
//! | `ERROR` | answers 400, always |
//! | `BROKEN` | answers 500, always |
//! | `CUT` | cuts the connection in the middle once, then as `EDIT` |
//! | `SLOW` | says a word each tenth of a second, for an hour |
//!
//! Without a word, and where a request offers no tools (agents ask for titles and summaries so), it says a sentence.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

/// The file that `EDIT` makes.
pub(crate) const FILE: &str = "made-by-agent.txt";
const CONTENT: &str = "made by the agent\n";

/// What an agent sent, as far as it matters.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// The last words of the person.
    pub(crate) prompt: String,
    /// What the last tool gave, where one was used since.
    pub(crate) result: Option<String>,
    /// The tools that are offered.
    pub(crate) tools: Vec<Tool>,
    /// The schema that the answer has to fit, where one is given.
    pub(crate) schema: Option<Value>,
}

/// A tool that an agent offers.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// The group that it is in.
    pub(crate) namespace: Option<String>,
    /// Whether it takes plain text in place of an object.
    pub(crate) is_text: bool,
}

impl Tool {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), namespace: None, is_text: false }
    }
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Reply {
    Words(String),
    Tool {
        tool: Tool,
        input: Value,
    },
    Refused {
        status: u16,
    },
    /// Some words, then nothing: the connection ends.
    Cut,
    Slow,
}

/// Knows what was done once already.
#[derive(Debug, Default)]
pub(crate) struct Script {
    done: Mutex<BTreeMap<String, u64>>,
}

impl Script {
    /// Decides what is answered.
    pub(crate) fn reply(&self, turn: &Turn) -> Reply {
        let has = |word: &str| {
            turn.prompt.split(|c: char| !c.is_alphanumeric()).any(|token| token == word)
        };
        if let Some(schema) = &turn.schema {
            return Reply::Words(fitting(schema).to_string());
        }
        if turn.tools.is_empty() {
            return Reply::Words("A short title".to_owned());
        }
        if let Some(result) = &turn.result {
            return Reply::Words(format!("I am done, and the tool said: {}", result.trim()));
        }
        if has("ERROR") {
            return Reply::Refused { status: 400 };
        }
        if has("BROKEN") {
            return Reply::Refused { status: 500 };
        }
        if has("SLOW") {
            return Reply::Slow;
        }
        if has("RATE") && self.is_first(&turn.prompt) {
            return Reply::Refused { status: 429 };
        }
        if has("CUT") && self.is_first(&turn.prompt) {
            return Reply::Cut;
        }
        let used = if has("EDIT") || has("RATE") || has("CUT") {
            edit(&turn.tools)
        } else if has("ASK") {
            ask(&turn.tools)
        } else {
            return Reply::Words(format!(
                "I read {} bytes, and there is nothing to do.",
                turn.prompt.len()
            ));
        };
        used.map_or_else(
            || {
                let names: Vec<_> = turn.tools.iter().map(|tool| tool.name.as_str()).collect();
                Reply::Words(format!("I have no tool for that, only: {}", names.join(", ")))
            },
            |(tool, input)| Reply::Tool { tool, input },
        )
    }

    fn is_first(&self, prompt: &str) -> bool {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let count = done.entry(prompt.to_owned()).or_default();
        *count += 1;
        *count == 1
    }
}

/// The text of a person, and not what an agent puts around it.
pub(crate) fn is_prompt(text: &str) -> bool {
    let text = text.trim_start();
    !text.is_empty() && !text.starts_with('<') && !text.starts_with("# AGENTS")
}

fn edit(tools: &[Tool]) -> Option<(Tool, Value)> {
    let shell = format!("printf '{}' > {FILE}", CONTENT.replace('\n', "\\n"));
    let patch = format!("*** Begin Patch\n*** Add File: {FILE}\n+{CONTENT}*** End Patch\n");
    [
        ("Write", json!({ "file_path": FILE, "content": CONTENT })),
        ("write", json!({ "filePath": FILE, "content": CONTENT })),
        ("write_file", json!({ "file_path": FILE, "content": CONTENT })),
        ("apply_patch", json!(patch)),
        // Codex's newer models write programs, which call the tools.
        ("exec", json!(format!("text(await tools.apply_patch({}));", json!(patch)))),
        ("exec_command", json!({ "cmd": shell })),
        ("shell_command", json!({ "command": shell })),
        ("shell", json!({ "command": ["sh", "-c", shell] })),
        ("bash", json!({ "command": shell, "description": "Writes a file" })),
        ("run_shell_command", json!({ "command": shell })),
    ]
    .into_iter()
    .find_map(|(name, input)| offered(tools, name).map(|tool| (tool, input)))
}

fn ask(tools: &[Tool]) -> Option<(Tool, Value)> {
    let options = json!([
        { "label": "Red", "description": "like a rose" },
        { "label": "Blue", "description": "like the sea" },
    ]);
    let question = json!({
        "id": "color",
        "header": "Color",
        "question": "Which color?",
        "options": options,
    });
    let with = |key: &str, value: Value| {
        let mut question = question.clone();
        question[key] = value;
        if key != "id"
            && let Some(fields) = question.as_object_mut()
        {
            fields.remove("id");
        }
        json!({ "questions": [question] })
    };
    [
        ("AskUserQuestion", with("multiSelect", json!(false))),
        ("question", with("multiple", json!(false))),
        ("ask_user", with("type", json!("choice"))),
        ("request_user_input", with("id", json!("color"))),
    ]
    .into_iter()
    .find_map(|(name, input)| offered(tools, name).map(|tool| (tool, input)))
}

/// Some value that fits.
fn fitting(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str().map(str::to_lowercase).as_deref() {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            properties.map(|(name, schema)| (name.clone(), fitting(schema))).collect()
        }
        Some("array") => json!([]),
        Some("number" | "integer") => json!(1),
        Some("boolean") => json!(false),
        Some(_) | None => json!("as the test wanted it"),
    }
}

fn offered(tools: &[Tool], name: &str) -> Option<Tool> {
    tools.iter().find(|tool| tool.name == name).cloned()
}
