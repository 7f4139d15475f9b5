//! `sandbar app ls`: the apps.

use std::fmt::Write as _;

use jiff::Timestamp;
use sandbar_api::{App, StateName, paths};
use sandbar_types::{AppTag, ExternalId, PresetName};

use crate::{commands::ls::age, context::Context, failure::Failure, output::table::Table};

/// List apps, the newest first.
///
/// Columns: name, state of its sandbox, preset, tags, age, id.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar app ls --tag demo")]
pub(crate) struct Args {
    /// Only those that are filed under this. May be repeated: under all of them.
    #[arg(long, value_name = "TAG")]
    tag: Vec<AppTag>,
    /// Only those whose name or description holds this.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those for this user of another program.
    #[arg(long, value_name = "ID")]
    external_user: Option<ExternalId>,
    /// Only those for this project of another program.
    #[arg(long, value_name = "ID")]
    external_project: Option<ExternalId>,
}

impl Args {
    fn path(&self) -> String {
        let mut path = format!("{}?", paths::APPS);
        let mut add = |name: &str, value: &str| {
            let value = paths::escape(value.as_bytes());
            write!(path, "{name}={value}&").expect("a String takes every write");
        };
        self.tag.iter().for_each(|tag| add("tag", tag.as_str()));
        self.search.iter().for_each(|text| add("q", text));
        self.external_user.iter().for_each(|id| add("external_user_id", id.as_str()));
        self.external_project.iter().for_each(|id| add("external_project_id", id.as_str()));
        path.pop();
        path
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let apps = context.client.all::<App>(&args.path()).await?;
    let out = context.out;
    if out.is_json() {
        out.json(&apps)?;
        return Ok(0);
    }
    if apps.is_empty() {
        out.say("no apps; make one with `sandbar app create NAME`");
        return Ok(0);
    }
    let now = Timestamp::now();
    let mut table = Table::new(&["NAME", "STATE", "PRESET", "TAGS", "AGE", "ID"]);
    for app in &apps {
        table.push([
            app.name.as_str(),
            app.current_sandbox_state.map_or("-", StateName::as_str),
            app.preset.map_or("-", PresetName::as_str),
            &tags(app),
            &age(app.created_at, now),
            &app.id.to_string(),
        ]);
    }
    out.table(&table)?;
    Ok(0)
}

/// What an app is filed under, in one cell.
pub(super) fn tags(app: &App) -> String {
    if app.tags.is_empty() {
        return "-".to_owned();
    }
    app.tags.iter().map(AppTag::as_str).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_escaped() {
        let args = Args {
            tag: vec!["a/b".parse().unwrap(), "c".parse().unwrap()],
            search: Some("x&y=z".to_owned()),
            external_user: None,
            external_project: None,
        };
        assert_eq!(args.path(), "/v1/apps?tag=a%2Fb&tag=c&q=x%26y%3Dz");
        let args = Args { tag: Vec::new(), search: None, ..args };
        assert_eq!(args.path(), "/v1/apps");
    }
}
