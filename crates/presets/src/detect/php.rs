//! Projects in PHP.

use crate::{
    Confidence, Framework, Guess, Install, Manager, ProjectFiles, Readiness, Reason, Suggestion,
};

pub(super) fn laravel(files: &dyn ProjectFiles) -> Option<Suggestion> {
    if !files.has("artisan") || !files.has("composer.json") {
        return None;
    }
    let run = Guess::new(
        "php artisan serve --host=127.0.0.1 --port=8000".to_owned(),
        Reason::file("artisan"),
    );
    let port = Guess::new(8000, Reason::usual("Laravel uses it unless told otherwise"));
    let framework = Guess::new(Framework::Laravel, Reason::file("artisan"));
    let mut suggestion = Suggestion::new(framework, Confidence::High, run, port);
    if files.read("bootstrap/app.php").is_some_and(|text| text.contains("health: '/up'")) {
        let reason = Reason::in_file("bootstrap/app.php", "health: '/up'");
        suggestion.ready = Guess::new(Readiness::Path("/up".to_owned()), reason);
    }
    suggestion.install = Some(install(files));
    Some(suggestion)
}

/// Files that PHP's own server can serve.
pub(super) fn plain(files: &dyn ProjectFiles) -> Option<Suggestion> {
    let (index, root) = [("public/index.php", " -t public"), ("index.php", "")]
        .into_iter()
        .find(|(index, _)| files.has(index))?;
    let run = Guess::new(format!("php -S 127.0.0.1:8000{root}"), Reason::file(index));
    let port = Guess::new(8000, Reason::usual("PHP's own server is told so"));
    let framework = Guess::new(Framework::Php, Reason::file(index));
    let mut suggestion = Suggestion::new(framework, Confidence::Medium, run, port);
    if files.has("composer.json") {
        suggestion.install = Some(install(files));
    }
    Some(suggestion)
}

fn install(files: &dyn ProjectFiles) -> Guess<Install> {
    let lock = files.has("composer.lock").then_some("composer.lock");
    let reason = Reason::file(lock.unwrap_or("composer.json"));
    Guess::new(
        Install::new(Manager::Composer, std::iter::once("composer.json").chain(lock)),
        reason,
    )
}
