//! Which sandbox, and which paths of it, the user means.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Component, Path, PathBuf},
};

use sandbar_api::{App, ErrorCode, Sandbox, paths};
use sandbar_types::{AppId, AppName, HostPath, SandboxId, Source, WorkspacePath};

use crate::{
    context::Context,
    failure::{Code, Failure},
    output::visible,
};

/// LIMIT: digits of a short id; fewer fit too many to be meant.
const SHORT_ID_MIN: usize = 4;

/// Every sandbox, newest first.
pub(crate) async fn list(context: &mut Context, query: &str) -> Result<Vec<Sandbox>, Failure> {
    let query = query.trim_start_matches('&');
    context.client.all(&format!("{}?{query}", paths::SANDBOXES)).await
}

/// The sandbox that is named, or the only one over the current directory.
///
/// # Errors
/// There is none, or the name or the directory fits several.
pub(crate) async fn sandbox(
    context: &mut Context,
    named: Option<&str>,
) -> Result<Sandbox, Failure> {
    match named {
        Some(name) => context.client.fetch(&paths::sandbox(name)).await,
        None => {
            let all = list(context, "").await?;
            only_over(&current_dir()?, all)
        }
    }
}

/// Each of the named ones, or the only one over the current directory. All are looked up before anything is done.
pub(crate) async fn several(
    context: &mut Context,
    named: Vec<String>,
) -> Result<Vec<Sandbox>, Failure> {
    if named.is_empty() {
        return Ok(vec![sandbox(context, None).await?]);
    }
    let mut found = Vec::with_capacity(named.len());
    for name in &named {
        found.push(sandbox(context, Some(name)).await?);
    }
    Ok(found)
}

/// What to put into an address for a sandbox: the name as it is, since the server looks it up by itself.
pub(crate) async fn reference(
    context: &mut Context,
    named: Option<&str>,
) -> Result<String, Failure> {
    match named {
        Some(name) => Ok(name.to_owned()),
        None => Ok(sandbox(context, None).await?.id.to_string()),
    }
}

/// Parts `[SANDBOX] [PATH…]`: the first word is a sandbox if there is one of that name, else the first path.
pub(crate) async fn sandbox_and_paths(
    context: &mut Context,
    words: &[OsString],
) -> Result<(Sandbox, Vec<OsString>), Failure> {
    let all = list(context, "").await?;
    if let Some(first) = words.first().and_then(|word| word.to_str()) {
        let found = match named(first, &all)? {
            // Its app may be about another one by now: the server knows.
            Some(found) if found.app_id.is_some() => Some(sandbox(context, Some(first)).await?),
            Some(found) => Some(found.clone()),
            None => of_app(context, first, &all).await?,
        };
        if let Some(found) = found {
            return Ok((found, words[1..].to_vec()));
        }
    }
    let sandbox = only_over(&current_dir()?, all).map_err(|failure| match words.first() {
        // Whoever mistyped a name should not read about directories.
        Some(first) => failure.with_note(format!("and no sandbox is called `{}`", first.display())),
        None => failure,
    })?;
    Ok((sandbox, words.to_vec()))
}

/// The sandbox of the app that `word` names; `None` where it names none that has one.
async fn of_app(
    context: &mut Context,
    word: &str,
    all: &[Sandbox],
) -> Result<Option<Sandbox>, Failure> {
    let can_be = word.parse::<AppName>().is_ok() || word.parse::<AppId>().is_ok();
    if !can_be || all.iter().all(|sandbox| sandbox.app_id.is_none()) {
        return Ok(None);
    }
    let is_unknown = |failure: &Failure| {
        failure.problem().is_some_and(|problem| problem.code == ErrorCode::AppNotFound)
    };
    match context.client.fetch::<App>(&paths::app(word)).await {
        Ok(app) => {
            Ok(all.iter().find(|sandbox| Some(sandbox.id) == app.current_sandbox_id).cloned())
        }
        Err(failure) if is_unknown(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Which paths of the workspace are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Paths {
    /// Everything: none were given, or the root.
    All,
    /// These, as the API writes them.
    Some(Vec<WorkspacePath>),
}

/// Reads paths as the user sees them: relative to where they stand, if that is inside the source, else to its root.
///
/// # Errors
/// A path leads out of the workspace.
pub(crate) fn workspace_paths(sandbox: &Sandbox, words: &[OsString]) -> Result<Paths, Failure> {
    let here = current_dir()?;
    let mut out = Vec::new();
    for word in words {
        match below_workspace(sandbox, &here, word)? {
            None => return Ok(Paths::All),
            Some(path) => out.push(path),
        }
    }
    Ok(if out.is_empty() { Paths::All } else { Paths::Some(out) })
}

/// One path as in [`workspace_paths`]; `None` is the root.
pub(crate) fn below_workspace(
    sandbox: &Sandbox,
    here: &Path,
    word: &OsStr,
) -> Result<Option<WorkspacePath>, Failure> {
    let outside = || {
        Failure::usage(format!("`{}` is not in the workspace of {}", word.display(), sandbox.name))
    };
    let source = source_path(sandbox);
    let roots = [source, Some(sandbox.workspace_path.as_path())];
    let start = source.filter(|source| here.starts_with(source)).map(|_source| here);
    let absolute = match (Path::new(word).is_absolute(), start) {
        (true, _) => normalized(Path::new(word)),
        (false, Some(start)) => normalized(&start.join(word)),
        (false, None) => normalized(&sandbox.workspace_path.as_path().join(word)),
    };
    let relative = roots
        .into_iter()
        .flatten()
        .find_map(|root| absolute.strip_prefix(root).ok())
        .ok_or_else(outside)?;
    if relative.as_os_str().is_empty() {
        return Ok(None);
    }
    WorkspacePath::parse(relative.as_os_str().as_bytes())
        .map(Some)
        .map_err(|error| outside().caused_by(&error))
}

/// The query of a path.
pub(crate) fn path_query(path: &WorkspacePath) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};

    match str::from_utf8(path.as_bytes()) {
        Ok(text) => format!("path={}", paths::escape(text.as_bytes())),
        Err(_) => format!(
            "path_b64={}",
            paths::escape(BASE64_STANDARD.encode(path.as_bytes()).as_bytes())
        ),
    }
}

/// The directory that a new sandbox is to be a view of, with links resolved.
///
/// # Errors
/// It is not there, or is no directory.
pub(crate) fn source_dir(given: Option<&Path>) -> Result<HostPath, Failure> {
    let path = given.unwrap_or(Path::new("."));
    let shown = path.display();
    // The kernel says where an open directory is: no second look at a path that may have changed by then.
    let real = rustix::fs::open(
        path,
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )
    .and_then(|dir| {
        rustix::fs::readlink(
            format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir)),
            Vec::new(),
        )
    })
    .map_err(|errno| match errno {
        rustix::io::Errno::NOENT => Failure::not_found(format!("source `{shown}` does not exist")),
        rustix::io::Errno::NOTDIR => Failure::usage(format!("source `{shown}` is not a directory")),
        errno => Failure::usage(format!("source `{shown}` cannot be used")).caused_by(&errno),
    })?;
    HostPath::parse(OsString::from_vec(real.into_bytes())).map_err(|error| {
        Failure::usage(format!("source `{shown}` cannot be used")).caused_by(&error)
    })
}

/// Where the user stands, as the kernel says it.
pub(crate) fn current_dir() -> Result<PathBuf, Failure> {
    env::current_dir()
        .map_err(|error| Failure::usage("the current directory cannot be used").caused_by(&error))
}

/// The directory of the host that a sandbox is a view of.
pub(crate) fn source_path(sandbox: &Sandbox) -> Option<&Path> {
    match &sandbox.source {
        Source::Directory { path } => Some(path.as_path()),
        Source::Empty | Source::Preset { .. } => None,
    }
}

/// The one that `word` names: by name, by id, or by the beginning of an id; `None` without any.
fn named<'a>(word: &str, all: &'a [Sandbox]) -> Result<Option<&'a Sandbox>, Failure> {
    if let Some(found) =
        all.iter().find(|sandbox| sandbox.name.as_str() == word || sandbox.id.to_string() == word)
    {
        return Ok(Some(found));
    }
    let is_short =
        word.strip_prefix(SandboxId::PREFIX).is_some_and(|digits| digits.len() >= SHORT_ID_MIN);
    let fitting: Vec<_> =
        all.iter().filter(|sandbox| is_short && sandbox.id.to_string().starts_with(word)).collect();
    match fitting[..] {
        [] => Ok(None),
        [found] => Ok(Some(found)),
        [..] => Err(ambiguous(&format!("`{word}` is the beginning of several ids"), &fitting)),
    }
}

fn only_over(here: &Path, all: Vec<Sandbox>) -> Result<Sandbox, Failure> {
    let shown = here.display();
    let mut over: Vec<_> = all
        .into_iter()
        .filter(|sandbox| source_path(sandbox).is_some_and(|source| here.starts_with(source)))
        .collect();
    match over.len() {
        1 => Ok(over.remove(0)),
        0 => Err(Failure::not_found(format!("no sandbox over `{shown}`"))
            .hint("name one (`sandbar ls` lists them), or make one with `sandbar run`")),
        _ => Err(ambiguous(
            &format!("several sandboxes are over `{shown}`"),
            &over.iter().collect::<Vec<_>>(),
        )),
    }
}

fn ambiguous(message: &str, fitting: &[&Sandbox]) -> Failure {
    let names: Vec<_> = fitting
        .iter()
        .map(|sandbox| {
            format!(
                "\n  {} ({}, {})",
                sandbox.name,
                crate::output::state_name(&sandbox.state),
                visible::line(sandbox.id.to_string())
            )
        })
        .collect();
    Failure::new(Code::Usage, format!("{message}:{}", names.concat()))
        .hint("name the one that you mean")
}

/// Resolves `.` and `..` by the text alone, as a shell shows paths.
pub(crate) fn normalized(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => out.push(component),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::sandbox;

    #[test]
    fn a_name_an_id_and_the_beginning_of_an_id_are_found() {
        let all = [sandbox("calm-bay", Some("/code/shop")), sandbox("other", Some("/code"))];
        let id = all[0].id.to_string();
        // Ids made in one millisecond differ late: only the whole of one is sure to be unique.
        for word in ["calm-bay", &id, &id[..34]] {
            assert_eq!(
                named(word, &all).unwrap().map(|found| found.name.as_str()),
                Some("calm-bay"),
                "{word}"
            );
        }
        for word in ["", "sb_", "sb_00", "calm", "shop"] {
            assert!(named(word, &all).unwrap().is_none(), "{word}");
        }
    }

    #[test]
    fn the_only_sandbox_over_a_directory_needs_no_name() {
        let all = || {
            vec![
                sandbox("shop", Some("/code/shop")),
                sandbox("empty", None),
                sandbox("old", Some("/code/shop_old")),
            ]
        };
        assert_eq!(only_over(Path::new("/code/shop/src"), all()).unwrap().name.as_str(), "shop");
        assert_eq!(only_over(Path::new("/elsewhere"), all()).unwrap_err().code(), Code::NotFound);
        let two = [all(), all()].concat();
        let failure = only_over(Path::new("/code/shop"), two).unwrap_err();
        assert_eq!(failure.code(), Code::Usage);
        assert_eq!(failure.render().matches("\n  shop (").count(), 2);
    }

    #[test]
    fn paths_are_read_from_where_the_user_stands() {
        let sandbox = sandbox("shop", Some("/code/shop"));
        let read = |here: &str, word: &str| {
            below_workspace(&sandbox, Path::new(here), OsStr::new(word))
                .map(|path| path.map(|path| path.to_string()))
        };
        for (here, word, path) in [
            ("/code/shop/src", "main.rs", Some("src/main.rs")),
            ("/code/shop/src", "../README", Some("README")),
            ("/code/shop/src", "..", None),
            ("/code/shop", ".", None),
            ("/home/me", "src/main.rs", Some("src/main.rs")),
            ("/home/me", "/code/shop/a", Some("a")),
        ] {
            assert_eq!(read(here, word).unwrap().as_deref(), path, "{here} {word}");
        }
        for (here, word) in [("/code/shop", "../x"), ("/", "/etc/passwd"), ("/home/me", "..")] {
            assert!(read(here, word).is_err(), "{here} {word}");
        }
    }
}
