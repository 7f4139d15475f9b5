//! Projects for Deno. It fetches what is missing when it starts.

use super::scan;
use crate::{
    Confidence, Framework, Guess, ProjectFiles, Readiness, Reason, Suggestion, project::first_of,
};

pub(super) fn detect(files: &dyn ProjectFiles) -> Option<Suggestion> {
    let file = first_of(files, ["deno.json", "deno.jsonc"])?;
    let text = files.read(file).unwrap_or_default();
    // Looked for as text: comments are allowed in the one, and JSON has none.
    let tasks = text.find("\"tasks\"").map_or("", |at| &text[at..]);
    let task =
        ["dev", "start", "serve"].into_iter().find(|task| tasks.contains(&format!("\"{task}\"")));
    let main = first_of(files, ["main.ts", "main.tsx", "server.ts", "mod.ts", "main.js"]);
    let (run, confidence) = match (task, main) {
        (Some(task), _) => (
            Guess::new(format!("deno task {task}"), Reason::in_file(file, format!("tasks.{task}"))),
            Confidence::High,
        ),
        (None, Some(main)) => (
            Guess::new(
                format!("deno run --watch --allow-net --allow-read --allow-env {main}"),
                Reason::file(main),
            ),
            Confidence::Medium,
        ),
        (None, None) => return None,
    };
    let source = main.and_then(|main| files.read(main)).unwrap_or_default();
    let port = match (main, scan::port_after(&source, &["port", "PORT"])) {
        (Some(main), Some(port)) => {
            Guess::new(port, Reason::in_file(main, format!("it names the port {port}")))
        }
        _ => Guess::new(8000, Reason::usual("Deno uses it unless told otherwise")),
    };
    let framework = Guess::new(Framework::Deno, Reason::file(file));
    let mut suggestion = Suggestion::new(framework, confidence, run, port);
    suggestion.ready = Guess::new(Readiness::Port, Reason::usual("no path is known that answers"));
    Some(suggestion)
}
