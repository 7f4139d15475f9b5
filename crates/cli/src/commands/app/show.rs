//! `sandbar app show`: everything about one app.

use std::fmt::Write as _;

use jiff::Timestamp;
use sandbar_api::{App, StateName, paths};
use sandbar_types::{AppName, Visibility};

use super::list::tags;
use crate::{
    commands::ls::age,
    context::Context,
    failure::Failure,
    output::{Output, visible},
};

/// Show everything about an app.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar app show shop")]
pub(crate) struct Args {
    /// Its name or id.
    app: String,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let app: App = context.client.fetch(&paths::app(&args.app)).await?;
    show(&app, context.out)?;
    Ok(0)
}

/// Prints an app: as JSON, or for people.
pub(super) fn show(app: &App, out: Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.json(app);
    }
    Ok(out.raw(describe(app, Timestamp::now()).as_bytes())?)
}

fn describe(app: &App, now: Timestamp) -> String {
    let sandbox = match (app.current_sandbox_id, app.current_sandbox_state) {
        (Some(id), state) => format!("{id} ({})", state.map_or("gone", StateName::as_str)),
        (None, _) => "none; `sandbar app start` makes one".to_owned(),
    };
    let mut rows = vec![
        ("name", AppName::to_string(&app.name)),
        ("id", app.id.to_string()),
        ("sandbox", sandbox),
        ("preset", app.preset.map_or_else(|| "none".to_owned(), |preset| preset.to_string())),
        ("tags", tags(app)),
        ("previews", previews(app.visibility).to_owned()),
        ("created", format!("{} ({} ago)", app.created_at, age(app.created_at, now))),
    ];
    if !app.description.is_empty() {
        rows.push(("description", visible::line(&app.description)));
    }
    rows.extend(app.external_user_id.iter().map(|id| ("user", id.to_string())));
    rows.extend(app.external_project_id.iter().map(|id| ("project", id.to_string())));
    rows.iter().fold(String::new(), |mut out, (name, value)| {
        writeln!(out, "{name:11} {value}").expect("a String takes every write");
        out
    })
}

const fn previews(visibility: Option<Visibility>) -> &'static str {
    match visibility {
        None => "as the server says",
        Some(Visibility::Public) => "public",
        Some(Visibility::Private) => "private",
    }
}

#[cfg(test)]
mod tests {
    use sandbar_types::{AppId, Generation};

    use super::*;

    #[test]
    fn an_app_without_a_sandbox_says_how_to_make_one_and_shows_no_control_characters() {
        let app = App {
            id: AppId::generate(),
            name: "shop".parse().unwrap(),
            generation: Generation::FIRST,
            description: "Sells\x1b[2J things".to_owned(),
            tags: vec!["demo".parse().unwrap(), "web".parse().unwrap()],
            external_user_id: Some("auth0|7".parse().unwrap()),
            external_project_id: None,
            preset: None,
            visibility: Some(Visibility::Private),
            current_sandbox_id: None,
            current_sandbox_state: None,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        let shown = describe(&app, Timestamp::UNIX_EPOCH);
        for line in ["tags        demo,web", "user        auth0|7", "previews    private"] {
            assert!(shown.lines().any(|shown| shown == line), "{shown}");
        }
        assert!(
            shown.contains("`sandbar app start` makes one") && !shown.contains('\x1b'),
            "{shown}"
        );
    }
}
