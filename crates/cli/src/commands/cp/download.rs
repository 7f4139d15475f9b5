//! Out of a sandbox onto the host.
//!
//! What is written was chosen by a sandbox, so a name that is already a link is replaced, never followed, special
//! permission bits are dropped, and a file is whole or not there.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use http_body_util::BodyExt;
use hyper::Method;
use sandbar_api::{FileEntry, FileKind, FileList, Sandbox};
use sandbar_types::WorkspacePath;

use super::{Tally, address};
use crate::{client::lost, context::Context, failure::Failure, output::visible};

pub(super) async fn run(
    context: &mut Context,
    sandbox: &Sandbox,
    from: Option<WorkspacePath>,
    to: &Path,
) -> Result<Tally, Failure> {
    let entry = match &from {
        Some(path) => Some(
            context.client.fetch::<FileEntry>(&address(sandbox, "files/stat", Some(path))).await?,
        ),
        None => None,
    };
    let to = match (to.is_dir(), &from) {
        (true, Some(from)) => to.join(std::ffi::OsStr::from_bytes(from.name())),
        (true, None) => to.join(sandbox.name.as_str()),
        (false, _) => to.to_owned(),
    };
    let mut tally = Tally::default();
    let root =
        entry.as_ref().map_or((FileKind::Directory, 0o755), |entry| (entry.kind, entry.mode));
    let mut pending = vec![(from, to, root)];
    while let Some((from, to, (kind, mode))) = pending.pop() {
        match (kind, &from) {
            (FileKind::Directory, _) => {
                make_directory(&to)?;
                for entry in list(context, sandbox, from.as_ref()).await? {
                    let Some(path) = entry.path else { continue };
                    let to = to.join(std::ffi::OsStr::from_bytes(path.name()));
                    pending.push((Some(path), to, (entry.kind, entry.mode)));
                }
            }
            (FileKind::File, Some(path)) => {
                tally.bytes += read_file(context, sandbox, path, &to, mode).await?;
                tally.files += 1;
            }
            (FileKind::Symlink | FileKind::Special, Some(path)) => {
                context.out.say(&format!(
                    "left out {}: neither a file nor a directory",
                    visible::line(path.as_bytes())
                ));
            }
            (FileKind::File | FileKind::Symlink | FileKind::Special, None) => {
                return Err(Failure::unexpected("the workspace is no directory"));
            }
        }
    }
    Ok(tally)
}

async fn list(
    context: &mut Context,
    sandbox: &Sandbox,
    path: Option<&WorkspacePath>,
) -> Result<Vec<FileEntry>, Failure> {
    let list: FileList = context.client.fetch(&address(sandbox, "files", path)).await?;
    if list.is_truncated {
        let shown =
            path.map_or_else(|| "the workspace".to_owned(), |path| visible::line(path.as_bytes()));
        return Err(Failure::unexpected(format!(
            "{shown} holds more entries than the server lists"
        ))
        .hint("pack it inside (`sandbar exec … -- tar`), then copy the archive"));
    }
    Ok(list.items)
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    match DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => Ok(()),
        // A link to a directory is not one: following it might lead anywhere.
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists
                && fs::symlink_metadata(path).is_ok_and(|there| there.is_dir()) =>
        {
            Ok(())
        }
        Err(error) => Err(unwritable(path, &error)),
    }
}

async fn read_file(
    context: &mut Context,
    sandbox: &Sandbox,
    from: &WorkspacePath,
    to: &Path,
    mode: u32,
) -> Result<u64, Failure> {
    let what = format!("reading {}", visible::line(from.as_bytes()));
    let out = context.out;
    let response = out
        .during(
            &what,
            context.client.send(Method::GET, &address(sandbox, "files/content", Some(from)), None),
        )
        .await?;
    let mut body = response.into_body();
    let staged = staging_path(to)?;
    let mut file = create(&staged, mode & 0o777).map_err(|error| unwritable(&staged, &error))?;
    let copied = async {
        let mut bytes = 0_u64;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| lost("the file was cut off").caused_by(&error))?;
            if let Ok(data) = frame.into_data() {
                file.write_all(&data).map_err(|error| unwritable(&staged, &error))?;
                bytes += data.len() as u64;
            }
        }
        fs::rename(&staged, to).map_err(|error| unwritable(to, &error))?;
        Ok(bytes)
    };
    let copied = copied.await;
    if copied.is_err() {
        // Best effort: the failure is what the user must see.
        fs::remove_file(&staged).ok();
    }
    copied
}

fn create(path: &Path, mode: u32) -> io::Result<File> {
    // A leftover of a killed copy is in the way of nobody but us.
    fs::remove_file(path).ok();
    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

/// The name beside `to` under which a file is written before it is whole.
fn staging_path(to: &Path) -> Result<PathBuf, Failure> {
    let name = to
        .file_name()
        .ok_or_else(|| Failure::usage(format!("`{}` cannot be written", to.display())))?;
    let mut staged = b".sandbar-cp-".to_vec();
    // Cut, so that a long name stays a name.
    staged.extend_from_slice(&name.as_bytes()[..name.len().min(200)]);
    staged.extend_from_slice(format!("-{}", std::process::id()).as_bytes());
    Ok(to.with_file_name(std::ffi::OsString::from_vec(staged)))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::unexpected(format!("cannot write `{}`", path.display())).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_way_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/", &link).unwrap();
        assert!(make_directory(&link).is_err());
        assert!(make_directory(&dir.path().join("new")).is_ok());
        assert!(make_directory(&dir.path().join("new")).is_ok());
    }

    #[test]
    fn a_staged_name_lies_beside_its_target() {
        let staged = staging_path(Path::new("a/b")).unwrap();
        assert_eq!(staged.parent(), Some(Path::new("a")));
        let long = "x".repeat(255);
        assert!(staging_path(Path::new(&long)).unwrap().as_os_str().len() <= 255);
    }
}
