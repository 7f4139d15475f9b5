//! Files that need no program of their own, and hints that belong to no language.

use super::scan;
use crate::{Confidence, Framework, Guess, ProjectFiles, Reason, Suggestion};

/// A directory with a page in it.
pub(super) fn static_site(files: &dyn ProjectFiles) -> Option<Suggestion> {
    let (index, root) = [
        ("index.html", ""),
        ("public/index.html", " --directory public"),
        ("site/index.html", " --directory site"),
        ("docs/index.html", " --directory docs"),
    ]
    .into_iter()
    .find(|(index, _)| files.has(index))?;
    let run = format!("python3 -m http.server 8000 --bind 127.0.0.1{root}");
    let port = Guess::new(8000, Reason::usual("the server is told so"));
    // An index.html beside a package.json is mostly one that a bundler fills.
    let confidence = if files.has("package.json") { Confidence::Low } else { Confidence::Medium };
    let framework = Guess::new(Framework::StaticSite, Reason::file(index));
    let mut suggestion =
        Suggestion::new(framework, confidence, Guess::new(run, Reason::file(index)), port);
    suggestion.set_env(
        "PYTHONUNBUFFERED",
        "1",
        Reason::usual("what it prints is in the log at once"),
    );
    Some(suggestion)
}

/// The port that a `Dockerfile` exposes.
pub(super) fn exposed_port(files: &dyn ProjectFiles) -> Option<Guess<u16>> {
    let text = files.read("Dockerfile")?;
    text.lines().find_map(|line| {
        let (word, rest) = line.trim().split_once(char::is_whitespace)?;
        let digits = rest.trim().split(['/', ' ']).next()?;
        let port = scan::port(digits).filter(|_| word.eq_ignore_ascii_case("EXPOSE"))?;
        Some(Guess::new(port, Reason::in_file("Dockerfile", line.trim())))
    })
}
