//! `sandbar app edit`: an app, changed.

use hyper::Method;
use sandbar_api::{App, AppUpdateRequest, paths};
use sandbar_types::{AppName, AppTag, ExternalId, PresetName, Visibility};

use super::show;
use crate::{context::Context, failure::Failure, spec::parse_visibility};

/// What takes a value away where one can be given.
const NOTHING: &str = "none";

/// Change an app. What is not named stays as it is; `none` takes a value away.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar app edit shop --tag live --preset none")]
pub(crate) struct Args {
    /// Its name or id.
    app: String,
    /// Call it this.
    #[arg(long, value_name = "NAME")]
    name: Option<AppName>,
    /// What its sandboxes begin with, or `none`.
    #[arg(long, value_name = "NAME", value_parser = or_none::<PresetName>)]
    preset: Option<Given<PresetName>>,
    /// File it under this, and under nothing else. May be repeated.
    #[arg(long, value_name = "TAG")]
    tag: Vec<AppTag>,
    /// File it under nothing.
    #[arg(long, conflicts_with = "tag")]
    no_tags: bool,
    /// What it is, in words.
    #[arg(long, short, value_name = "TEXT")]
    description: Option<String>,
    /// Who may see previews of its sandboxes: `public`, `private`, or `none` for the server's default.
    #[arg(long, value_name = "WHO", value_parser = visibility)]
    visibility: Option<Given<Visibility>>,
    /// For whom of another program it is, or `none`.
    #[arg(long, value_name = "ID", value_parser = or_none::<ExternalId>)]
    external_user: Option<Given<ExternalId>>,
    /// For what of another program it is, or `none`.
    #[arg(long, value_name = "ID", value_parser = or_none::<ExternalId>)]
    external_project: Option<Given<ExternalId>>,
}

/// A value, or that there shall be none. A type of its own: clap reads meaning into an option in an option.
#[derive(Debug, Clone)]
struct Given<T>(Option<T>);

fn or_none<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<Given<T>, String> {
    if text == NOTHING {
        return Ok(Given(None));
    }
    text.parse().map(|value| Given(Some(value))).map_err(|error: T::Err| error.to_string())
}

fn visibility(text: &str) -> Result<Given<Visibility>, String> {
    if text == NOTHING {
        Ok(Given(None))
    } else {
        parse_visibility(text).map(|who| Given(Some(who)))
    }
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let tags = (args.no_tags || !args.tag.is_empty()).then_some(args.tag);
    let request = AppUpdateRequest {
        name: args.name,
        description: args.description,
        tags,
        external_user_id: args.external_user.map(|given| given.0),
        external_project_id: args.external_project.map(|given| given.0),
        preset: args.preset.map(|given| given.0),
        visibility: args.visibility.map(|given| given.0),
    };
    let path = paths::app(&args.app);
    let app: App = context.client.call(Method::PATCH, &path, Some(&request)).await?;
    show::show(&app, context.out)?;
    Ok(0)
}
