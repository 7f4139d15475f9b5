//! A `Procfile`: it names the processes of an app, one a line.

use super::{plain::exposed_port, scan};
use crate::{
    Confidence, Framework, Guess, ProjectFiles, Readiness, Reason, Suggestion, suggestion::Worker,
};

const FILES: [&str; 2] = ["Procfile.dev", "Procfile"];

/// LIMIT: workers that are taken over; a manifest takes no more than 31 beside `web`.
const WORKERS_MAX: usize = 16;

/// One line: the name of a process, and its command.
#[derive(Debug)]
struct Line {
    file: &'static str,
    name: String,
    command: String,
}

pub(super) fn detect(files: &dyn ProjectFiles) -> Option<Suggestion> {
    let line = lines(files).into_iter().find(|line| line.name == "web")?;
    let port = match scan::port_after(&line.command, &["--port", "-p", "PORT"])
        .or_else(|| scan::port_of_address(&format!("{}\"", line.command)))
    {
        Some(port) => Guess::new(port, line.reason()),
        None => exposed_port(files).unwrap_or_else(|| {
            Guess::new(5000, Reason::usual("what reads a Procfile sets PORT to it"))
        }),
    };
    let mut suggestion = Suggestion::new(
        Guess::new(Framework::Procfile, Reason::file(line.file)),
        Confidence::Low,
        Guess::new(line.command.clone(), line.reason()),
        port,
    );
    suggestion.ready = Guess::new(Readiness::Port, Reason::usual("no path is known that answers"));
    suggestion.notes.push("the packages that it needs have to be there".to_owned());
    Some(suggestion)
}

/// What a `Procfile` runs beside `web` belongs to the project, whoever serves.
pub(super) fn add_workers(files: &dyn ProjectFiles, suggestion: &mut Suggestion) {
    suggestion.workers = lines(files)
        .into_iter()
        // A release is done once, and `web` is the one that serves.
        .filter(|line| !matches!(line.name.as_str(), "web" | "release"))
        .take(WORKERS_MAX)
        .map(|line| Worker {
            command: Guess::new(line.command.clone(), line.reason()),
            name: line.name,
        })
        .collect();
}

impl Line {
    fn reason(&self) -> Reason {
        Reason::in_file(self.file, format!("{}: {}", self.name, self.command))
    }
}

fn lines(files: &dyn ProjectFiles) -> Vec<Line> {
    let Some((file, text)) = FILES.into_iter().find_map(|file| Some((file, files.read(file)?)))
    else {
        return Vec::new();
    };
    let mut found: Vec<Line> = Vec::new();
    for line in text.lines() {
        let Some((name, command)) = line.split_once(':') else { continue };
        let (name, command) = (name.trim(), command.trim());
        let is_new = found.iter().all(|line| line.name != name);
        let is_odd = command.is_empty() || command.chars().any(char::is_control);
        if name.parse::<sandbar_types::ProcessName>().is_ok() && is_new && !is_odd {
            found.push(Line { file, name: name.to_owned(), command: command.to_owned() });
        }
    }
    found
}
