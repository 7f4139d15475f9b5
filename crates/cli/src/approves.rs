//! Which approves the user means: of which directory, and below which path.

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sandbar_api::{Approve, paths};
use sandbar_types::{Actor, HostPath, WorkspacePath};

use crate::{
    client::Client,
    context::Context,
    failure::Failure,
    output::visible,
    select::{current_dir, path_query, source_dir},
};

/// The directory that is named, or the nearest one above where the user stands that something was approved to.
///
/// # Errors
/// There is none.
pub(crate) async fn source(
    context: &mut Context,
    named: Option<&Path>,
) -> Result<HostPath, Failure> {
    if named.is_some() {
        return source_dir(named);
    }
    let here = current_dir()?;
    for above in here.ancestors() {
        let Ok(source) = HostPath::parse(above) else {
            continue;
        };
        if !list(&mut context.client, &source, None, 1).await?.is_empty() {
            return Ok(source);
        }
    }
    let shown = visible::line(here.as_os_str().as_encoded_bytes());
    Err(Failure::not_found(format!("nothing was approved to `{shown}` or a directory above it"))
        .hint("name the directory with --source"))
}

/// At most `count` approves of `source`, the newest first.
pub(crate) async fn list(
    client: &mut Client,
    source: &HostPath,
    path: Option<&WorkspacePath>,
    count: usize,
) -> Result<Vec<Approve>, Failure> {
    let bytes = source.as_path().as_os_str().as_encoded_bytes();
    let source = paths::escape(BASE64_STANDARD.encode(bytes).as_bytes());
    let path = path.map_or_else(String::new, |path| format!("&{}", path_query(path)));
    let query = format!("{}?source_b64={source}{path}", paths::APPROVES);
    client.first(&query, count).await
}

/// The last approve of `source` that was not undone, if there is one.
pub(crate) async fn standing(
    client: &mut Client,
    source: &HostPath,
) -> Result<Option<Approve>, Failure> {
    let all = list(client, source, None, usize::MAX).await?;
    Ok(all.into_iter().find(|one| one.undoes.is_none() && one.undone_by.is_none()))
}

/// As [`standing`].
///
/// # Errors
/// There is none.
pub(crate) async fn last(context: &mut Context, source: &HostPath) -> Result<Approve, Failure> {
    standing(&mut context.client, source).await?.ok_or_else(|| {
        let shown = visible::line(source.as_path().as_os_str().as_encoded_bytes());
        Failure::not_found(format!("nothing is left to undo in `{shown}`"))
            .hint("`sandbar log` shows what was approved")
    })
}

/// The path of `source` that a word means where the user stands; `None` for all of it.
///
/// # Errors
/// It lies outside.
pub(crate) fn below(source: &HostPath, word: &Path) -> Result<Option<WorkspacePath>, Failure> {
    let here = current_dir()?;
    // From elsewhere, a path is one of the directory that was named.
    let start = if here.starts_with(source.as_path()) { &here } else { source.as_path() };
    let full = crate::select::normalized(&start.join(word));
    let outside = || {
        Failure::usage(format!("`{}` is not in `{}`", word.display(), source.as_path().display()))
    };
    let rest = full.strip_prefix(source.as_path()).map_err(|_outside| outside())?;
    let rest = rest.as_os_str().as_encoded_bytes();
    if rest.is_empty() {
        return Ok(None);
    }
    WorkspacePath::parse(rest).map(Some).map_err(|error| outside().caused_by(&error))
}

/// Who it was, for people.
pub(crate) fn actor(actor: &Actor) -> String {
    match actor {
        Actor::User { name: Some(name), .. } => visible::line(name),
        Actor::User { uid, name: None } => format!("user {uid}"),
        Actor::Rules => "the rules of the sandbox".to_owned(),
        Actor::Token => "whoever has the token".to_owned(),
        Actor::Account { name, .. } => name.to_string(),
        Actor::ApiKey { name, .. } => format!("the key `{name}`"),
        Actor::Unknown => "unknown".to_owned(),
    }
}
