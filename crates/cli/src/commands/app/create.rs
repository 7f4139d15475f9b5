//! `sandbar app create`: a new app.

use sandbar_api::{App, AppCreateRequest, paths};
use sandbar_types::{AppName, AppTag, ExternalId, PresetName, Visibility};

use crate::{context::Context, failure::Failure, spec::parse_visibility};

/// Make an app: a named project that outlives its sandboxes. It has none until it is started.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sandbar app create shop --preset react-vite --tag demo")]
pub(crate) struct Args {
    /// Its name.
    name: AppName,
    /// What its sandboxes begin with: react-vite, nextjs, node-express, fastapi or worker; default: nothing.
    #[arg(long, value_name = "NAME")]
    preset: Option<PresetName>,
    /// File it under this. May be repeated.
    #[arg(long, value_name = "TAG")]
    tag: Vec<AppTag>,
    /// What it is, in words.
    #[arg(long, short, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// Who may see previews of its sandboxes, where they do not say: `public` or `private`; default: the server's.
    #[arg(long, value_name = "WHO", value_parser = parse_visibility)]
    visibility: Option<Visibility>,
    /// For whom of another program it is.
    #[arg(long, value_name = "ID")]
    external_user: Option<ExternalId>,
    /// For what of another program it is.
    #[arg(long, value_name = "ID")]
    external_project: Option<ExternalId>,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let request = AppCreateRequest {
        name: args.name,
        description: args.description,
        tags: args.tag,
        external_user_id: args.external_user,
        external_project_id: args.external_project,
        preset: args.preset,
        visibility: args.visibility,
    };
    let made: App = context.client.post(paths::APPS, &request).await?;
    if context.out.is_json() {
        context.out.json(&made)?;
    } else {
        context.out.line(made.name.as_str())?;
    }
    Ok(0)
}
