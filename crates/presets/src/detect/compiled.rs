//! Projects that are compiled when they start: Go and Rust. Both check what they fetch, and fetch again what is missing.

use toml::{Table, Value};

use super::{plain::exposed_port, scan};
use crate::{
    Confidence, Framework, Guess, ProjectFiles, Readiness, Reason, Suggestion, project::first_of,
};

pub(super) fn go(files: &dyn ProjectFiles) -> Option<Suggestion> {
    let module = files.read("go.mod")?;
    let (main, package) =
        [("main.go", "."), ("cmd/server/main.go", "./cmd/server"), ("cmd/main.go", "./cmd")]
            .into_iter()
            .find(|(main, _)| files.has(main))?;
    let text = files.read(main).unwrap_or_default();
    let libraries = [
        ("github.com/gin-gonic/gin", 8080),
        ("github.com/labstack/echo", 1323),
        ("github.com/gofiber/fiber", 3000),
        ("github.com/go-chi/chi", 8080),
    ];
    let library = libraries.into_iter().find(|(name, _)| module.contains(name));
    let serves = library.is_some() || text.contains("net/http");
    let reason =
        library.map_or_else(|| Reason::file("go.mod"), |(name, _)| Reason::in_file("go.mod", name));
    let port = port(files, main, &text, library.map_or(8080, |(_, port)| port));
    let confidence = if serves { Confidence::Medium } else { Confidence::Low };
    let run = Guess::new(format!("go run {package}"), Reason::file(main));
    let mut suggestion = Suggestion::new(Guess::new(Framework::Go, reason), confidence, run, port);
    suggestion.ready = ready(main, &text);
    suggestion.build = Guess::new(Some("go build ./...".to_owned()), Reason::file("go.mod"));
    Some(suggestion)
}

pub(super) fn cargo(files: &dyn ProjectFiles) -> Option<Suggestion> {
    let manifest = files.read("Cargo.toml")?.parse::<Table>().ok()?;
    let dependencies = manifest.get("dependencies").and_then(Value::as_table)?;
    let libraries =
        [("axum", 3000), ("actix-web", 8080), ("rocket", 8000), ("warp", 3030), ("poem", 3000)];
    let (library, usual) =
        libraries.into_iter().find(|(name, _)| dependencies.contains_key(*name))?;
    let main = first_of(files, ["src/main.rs"])?;
    let text = files.read(main).unwrap_or_default();
    let run = Guess::new("cargo run".to_owned(), Reason::file(main));
    let reason = Reason::in_file("Cargo.toml", format!("dependencies.{library}"));
    let mut suggestion = Suggestion::new(
        Guess::new(Framework::Cargo, reason),
        Confidence::Medium,
        run,
        port(files, main, &text, usual),
    );
    suggestion.ready = ready(main, &text);
    suggestion.build = Guess::new(Some("cargo build".to_owned()), Reason::file("Cargo.toml"));
    Some(suggestion)
}

fn port(files: &dyn ProjectFiles, main: &str, text: &str, usual: u16) -> Guess<u16> {
    let written = scan::port_of_address(text)
        .or_else(|| scan::port_after(text, &["PORT", "port", "0, 0, 0, 0]", "0, 0, 1]"]));
    if let Some(port) = written {
        return Guess::new(port, Reason::in_file(main, format!("it names the port {port}")));
    }
    exposed_port(files).unwrap_or_else(|| {
        Guess::new(usual, Reason::usual("no port was found, and this is a usual one"))
    })
}

fn ready(main: &str, text: &str) -> Guess<Readiness> {
    match scan::quoted_path(text, &["/health", "/healthz", "/"]) {
        Some(path) => {
            let reason = Reason::in_file(main, format!("it has a route `{path}`"));
            Guess::new(Readiness::Path(path.to_owned()), reason)
        }
        None => Guess::new(Readiness::Port, Reason::usual("no path is known that answers")),
    }
}
