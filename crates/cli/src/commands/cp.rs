//! `sandbar cp`: files and directories into a sandbox, and out of one.

mod download;
mod upload;

use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::PathBuf};

use sandbar_api::{FileEntry, FileKind, Sandbox, paths};
use sandbar_types::WorkspacePath;

use crate::{
    context::Context,
    failure::{Code, Failure},
    output::units::{counted, size},
    select,
};

/// Copy files or directories into a sandbox or out of one.
///
/// One side is written SANDBOX:PATH. PATH is relative to the workspace, or absolute inside it; `:PATH` means the only sandbox over the current directory.
/// Links, devices and sockets are left out, and said so.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar cp notes.md calm-bay:docs/\n  sandbar cp calm-bay:target/report ./report"
)]
pub(crate) struct Args {
    /// What to copy.
    #[arg(value_name = "FROM")]
    from: OsString,
    /// Where to; a directory that exists gets the copy inside it.
    #[arg(value_name = "TO")]
    to: OsString,
}

/// What was copied.
#[derive(Debug, Default)]
struct Tally {
    files: usize,
    bytes: u64,
}

/// One side of a copy.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Host(PathBuf),
    Sandbox { named: Option<String>, path: OsString },
}

pub(crate) async fn run(args: Args, context: &mut Context) -> Result<u8, Failure> {
    let tally = match (parse(args.from)?, parse(args.to)?) {
        (Place::Host(from), Place::Sandbox { named, path }) => {
            let (sandbox, path) = inside(context, named, path).await?;
            upload::run(context, &sandbox, &from, path).await?
        }
        (Place::Sandbox { named, path }, Place::Host(to)) => {
            let (sandbox, path) = inside(context, named, path).await?;
            download::run(context, &sandbox, path, &to).await?
        }
        (Place::Host(_), Place::Host(_)) => {
            return Err(Failure::usage("neither side is in a sandbox")
                .hint("write one of them as SANDBOX:PATH"));
        }
        (Place::Sandbox { .. }, Place::Sandbox { .. }) => {
            return Err(
                Failure::usage("both sides are in a sandbox").hint("copy to the host first")
            );
        }
    };
    context.out.say(&format!("copied {} ({})", counted(tally.files, "file"), size(tally.bytes)));
    Ok(0)
}

/// As `scp` reads it: a colon before the first slash parts a sandbox from a path.
fn parse(word: OsString) -> Result<Place, Failure> {
    let bytes = word.as_bytes();
    let colon = bytes.iter().take_while(|b| **b != b'/').position(|b| *b == b':');
    let Some(colon) = colon else {
        return Ok(Place::Host(PathBuf::from(word)));
    };
    let named = str::from_utf8(&bytes[..colon])
        .map_err(|_| Failure::usage("the name of a sandbox is not UTF-8"))?;
    let path = std::ffi::OsStr::from_bytes(&bytes[colon + 1..]).to_owned();
    Ok(Place::Sandbox { named: (!named.is_empty()).then(|| named.to_owned()), path })
}

async fn inside(
    context: &mut Context,
    named: Option<String>,
    path: OsString,
) -> Result<(Sandbox, Option<WorkspacePath>), Failure> {
    let sandbox = select::sandbox(context, named.as_deref()).await?;
    // Unlike the paths of `diff`, these are the sandbox's own: where we stand does not matter.
    let path = select::below_workspace(&sandbox, std::path::Path::new("/"), &path)?;
    Ok((sandbox, path))
}

fn address(sandbox: &Sandbox, what: &str, path: Option<&WorkspacePath>) -> String {
    let query = path.map_or_else(String::new, |path| format!("?{}", select::path_query(path)));
    format!("{}{query}", paths::below_sandbox(&sandbox.id.to_string(), what))
}

/// What is at `path`; the root of the workspace is a directory.
async fn kind(
    context: &mut Context,
    sandbox: &Sandbox,
    path: Option<&WorkspacePath>,
) -> Result<Option<FileKind>, Failure> {
    let Some(path) = path else {
        return Ok(Some(FileKind::Directory));
    };
    match context.client.fetch::<FileEntry>(&address(sandbox, "files/stat", Some(path))).await {
        Ok(entry) => Ok(Some(entry.kind)),
        Err(failure) if failure.code() == Code::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_before_the_first_slash_names_a_sandbox() {
        let sandbox = |named: Option<&str>, path: &str| Place::Sandbox {
            named: named.map(str::to_owned),
            path: path.into(),
        };
        for (word, place) in [
            ("a/b", Place::Host("a/b".into())),
            ("./a:b", Place::Host("./a:b".into())),
            ("calm-bay:a/b:c", sandbox(Some("calm-bay"), "a/b:c")),
            (":a", sandbox(None, "a")),
            ("calm-bay:", sandbox(Some("calm-bay"), "")),
        ] {
            assert_eq!(parse(word.into()).unwrap(), place, "{word}");
        }
    }
}
