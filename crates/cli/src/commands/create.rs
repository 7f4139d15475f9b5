//! `sandbar create`: a sandbox that waits for commands.

use sandbar_api::{Sandbox, paths};
use sandbar_types::{AppStart, Source};

use crate::{commands::manifest, context::Context, failure::Failure, spec::SpecArgs};

/// Make a sandbox over this directory, and print its name.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar create --name shop --scope src --reserve src\n  sandbar create --git https://example.org/shop.git --branch next"
)]
pub(crate) struct Args {
    #[command(flatten)]
    spec: SpecArgs,
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let out = context.out;
    let (spec, clone) = args.spec.into_spec(AppStart::Auto, out).await?;
    let sandbox: Sandbox =
        out.during("creating the sandbox", context.client.post(paths::SANDBOXES, &spec)).await?;
    if let Some(clone) = clone {
        clone.keep(out);
    }
    if let (Source::Directory { path }, AppStart::Auto) = (&spec.source, spec.app) {
        manifest::remark(path.as_path(), out);
    }
    if out.is_json() {
        out.json(&sandbox)?;
    } else {
        out.line(sandbox.name.as_str())?;
    }
    Ok(0)
}
