//! From the host into a sandbox.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody};
use hyper::{Method, body::Frame};
use sandbar_api::{FileEntry, FileKind, MkdirRequest, Sandbox, paths};
use sandbar_types::WorkspacePath;

use super::{Tally, address, kind};
use crate::{client::read, context::Context, failure::Failure, output::visible};

/// LIMIT: bytes that are read at once.
const PIECE_BYTES: usize = 64 << 10;

pub(super) async fn run(
    context: &mut Context,
    sandbox: &Sandbox,
    from: &Path,
    to: Option<WorkspacePath>,
) -> Result<Tally, Failure> {
    let metadata = fs::metadata(from).map_err(|error| unreadable(from, &error))?;
    let to = match kind(context, sandbox, to.as_ref()).await? {
        Some(FileKind::Directory) => {
            let name = from.file_name().ok_or_else(|| {
                Failure::usage(format!("`{}` has no name to copy it under", from.display()))
            })?;
            below(to.as_ref(), name.as_bytes())?
        }
        Some(FileKind::File | FileKind::Symlink | FileKind::Special) | None => {
            to.expect("the root is a directory")
        }
    };
    let mut tally = Tally::default();
    // A stack, not recursion: the depth of a tree is not ours to choose.
    let mut pending = vec![(from.to_owned(), to, metadata.file_type())];
    while let Some((from, to, file_type)) = pending.pop() {
        if file_type.is_dir() {
            make_directory(context, sandbox, &to).await?;
            for entry in fs::read_dir(&from).map_err(|error| unreadable(&from, &error))? {
                let entry = entry.map_err(|error| unreadable(&from, &error))?;
                let file_type =
                    entry.file_type().map_err(|error| unreadable(&entry.path(), &error))?;
                pending.push((
                    entry.path(),
                    below(Some(&to), entry.file_name().as_bytes())?,
                    file_type,
                ));
            }
        } else if file_type.is_file() {
            tally.bytes += write_file(context, sandbox, &from, &to).await?;
            tally.files += 1;
        } else {
            context.out.say(&format!(
                "left out {}: neither a file nor a directory",
                visible::line(from.as_os_str().as_bytes())
            ));
        }
    }
    Ok(tally)
}

fn below(dir: Option<&WorkspacePath>, name: &[u8]) -> Result<WorkspacePath, Failure> {
    let path = match dir {
        Some(dir) => dir.join(name),
        None => WorkspacePath::parse(name),
    };
    path.map_err(|error| {
        Failure::usage(format!("`{}` cannot be a path inside", visible::line(name)))
            .caused_by(&error)
    })
}

async fn make_directory(
    context: &mut Context,
    sandbox: &Sandbox,
    path: &WorkspacePath,
) -> Result<(), Failure> {
    let request = MkdirRequest { path: path.clone() };
    let address = paths::below_sandbox(&sandbox.id.to_string(), "files/mkdir");
    context.client.order(Method::POST, &address, Some(&request)).await
}

async fn write_file(
    context: &mut Context,
    sandbox: &Sandbox,
    from: &Path,
    to: &WorkspacePath,
) -> Result<u64, Failure> {
    let file = File::open(from).map_err(|error| unreadable(from, &error))?;
    let metadata = file.metadata().map_err(|error| unreadable(from, &error))?;
    let mode = metadata.permissions().mode() & 0o777;
    let address = format!("{}&mode={mode:o}", address(sandbox, "files/content", Some(to)));
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let length = file.read(&mut piece)?;
        piece.truncate(length);
        Ok::<_, io::Error>((length > 0).then(|| (Frame::data(Bytes::from(piece)), file)))
    });
    let body = StreamBody::new(pieces).boxed_unsync();
    let what = format!("writing {}", visible::line(to.as_bytes()));
    let out = context.out;
    let response = out
        .during(
            &what,
            context.client.send(Method::PUT, &address, Some(("application/octet-stream", body))),
        )
        .await?;
    // The answer is what was written; only that it was matters.
    let _entry: Option<FileEntry> = serde_json::from_slice(&read(response).await?).ok();
    Ok(metadata.len())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot read `{}`", path.display());
    let failure = if error.kind() == io::ErrorKind::NotFound {
        Failure::not_found(message)
    } else {
        Failure::unexpected(message)
    };
    failure.caused_by(error)
}
