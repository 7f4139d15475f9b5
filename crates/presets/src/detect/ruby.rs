//! Projects in Ruby: Rails, and what else Rack runs.

use super::scan;
use crate::{
    Confidence, Framework, Guess, Install, Manager, ProjectFiles, Readiness, Reason, Suggestion,
};

pub(super) fn rails(files: &dyn ProjectFiles) -> Option<Suggestion> {
    let reason = gem(files, "rails")?;
    if !files.has("bin/rails") && !files.has("config/application.rb") {
        return None;
    }
    let run = Guess::new(
        "bundle exec rails server --binding 127.0.0.1 --port 3000".to_owned(),
        reason.clone(),
    );
    let port = Guess::new(3000, Reason::usual("Rails uses it unless told otherwise"));
    let mut suggestion =
        Suggestion::new(Guess::new(Framework::Rails, reason), Confidence::High, run, port);
    let routes = files.read("config/routes.rb").unwrap_or_default();
    if routes.contains("rails/health#show") {
        let path = scan::quoted_path(&routes, &["/up"]).unwrap_or("/up").to_owned();
        let reason = Reason::in_file("config/routes.rb", "rails/health#show");
        suggestion.ready = Guess::new(Readiness::Path(path), reason);
    }
    suggestion.install = Some(install(files));
    Some(suggestion)
}

pub(super) fn rack(files: &dyn ProjectFiles) -> Option<Suggestion> {
    let reason =
        ["sinatra", "rack", "roda", "hanami"].into_iter().find_map(|name| gem(files, name))?;
    if !files.has("config.ru") {
        return None;
    }
    let run = Guess::new(
        "bundle exec rackup --host 127.0.0.1 --port 9292".to_owned(),
        Reason::file("config.ru"),
    );
    let port = Guess::new(9292, Reason::usual("rackup uses it unless told otherwise"));
    let mut suggestion =
        Suggestion::new(Guess::new(Framework::Rack, reason), Confidence::Medium, run, port);
    suggestion.install = Some(install(files));
    Some(suggestion)
}

fn gem(files: &dyn ProjectFiles, name: &str) -> Option<Reason> {
    let text = files.read("Gemfile")?;
    let line = text.lines().map(str::trim).find(|line| {
        line.strip_prefix("gem").is_some_and(|rest| {
            let rest = rest.trim_start_matches([' ', '(']);
            rest.strip_prefix(['"', '\''])
                .and_then(|rest| rest.strip_prefix(name))
                .is_some_and(|rest| rest.starts_with(['"', '\'']))
        })
    })?;
    Some(Reason::in_file("Gemfile", line))
}

fn install(files: &dyn ProjectFiles) -> Guess<Install> {
    let lock = files.has("Gemfile.lock").then_some("Gemfile.lock");
    let reason = Reason::file(lock.unwrap_or("Gemfile"));
    Guess::new(Install::new(Manager::Bundler, std::iter::once("Gemfile").chain(lock)), reason)
}
