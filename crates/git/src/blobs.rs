//! What a commit has at some paths.

use std::collections::BTreeMap;

use sandbar_types::WorkspacePath;

use crate::{Blob, GitError, command::Git, head::is_id};

/// LIMIT: bytes of one file; a larger one is left out.
const FILE_BYTES_MAX: usize = 4 << 20;
/// LIMIT: bytes of all of them; what is beyond is left out.
const TOTAL_BYTES_MAX: usize = 64 << 20;
/// LIMIT: bytes of paths that are given to git at once; the kernel takes some more.
const ARGUMENTS_MAX: usize = 64 << 10;

/// Reads the regular files that `commit` has at `paths`, which are relative to our working directory.
///
/// No filter is applied: it is what is in the repository.
pub(crate) fn read(commit: &str, paths: &[WorkspacePath]) -> Result<Vec<Blob>, GitError> {
    if !is_id(commit) {
        return Err(GitError::Failed {
            step: "read a commit".to_owned(),
            reason: "not an object id".to_owned(),
        });
    }
    let mut entries = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (index, path) in paths.iter().enumerate() {
        bytes += path.as_bytes().len() + 16;
        if bytes > ARGUMENTS_MAX {
            list(commit, &paths[first..index], &mut entries)?;
            (first, bytes) = (index, 0);
        }
    }
    list(commit, &paths[first..], &mut entries)?;
    contents(entries)
}

/// Lists the regular files among `paths`: object ids with the paths that have them.
fn list(
    commit: &str,
    paths: &[WorkspacePath],
    entries: &mut Vec<(String, WorkspacePath)>,
) -> Result<(), GitError> {
    if paths.is_empty() {
        return Ok(());
    }
    let mut git = Git::to("list a commit", &["--literal-pathspecs", "ls-tree", "-z", commit, "--"]);
    for path in paths {
        git = git.argument(path.as_bytes());
    }
    let listed = git.output()?;
    entries.extend(listed.split(|byte| *byte == 0).filter_map(entry));
    Ok(())
}

/// Reads `<mode> <type> <id>\t<path>`.
fn entry(line: &[u8]) -> Option<(String, WorkspacePath)> {
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let mut words = std::str::from_utf8(&line[..tab]).ok()?.split(' ');
    let is_file = words.next()?.starts_with("100") && words.next()? == "blob";
    let id = words.next()?.to_owned();
    let path = WorkspacePath::parse(&line[tab + 1..]).ok()?;
    is_file.then_some((id, path))
}

fn contents(entries: Vec<(String, WorkspacePath)>) -> Result<Vec<Blob>, GitError> {
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let ids: String = entries.iter().flat_map(|(id, _)| [id.as_str(), "\n"]).collect();
    let sizes = Git::to(
        "measure files of a commit",
        &["cat-file", "--batch-check=%(objectname) %(objectsize)"],
    )
    .stdin(ids.as_bytes())
    .output()?;
    let sizes = String::from_utf8_lossy(&sizes);
    let mut total = 0;
    // What a partial clone does not have is `missing`, which is no number.
    let wanted: BTreeMap<&str, ()> = sizes
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(id, size)| Some((id, size.parse::<usize>().ok()?)))
        .filter(|(_, size)| {
            let fits = *size <= FILE_BYTES_MAX && total + size <= TOTAL_BYTES_MAX;
            total += if fits { *size } else { 0 };
            fits
        })
        .map(|(id, _)| (id, ()))
        .collect();
    let asked: String = wanted.keys().flat_map(|id| [*id, "\n"]).collect();
    let read = Git::to("read files of a commit", &["cat-file", "--batch"])
        .stdin(asked.as_bytes())
        .output()?;
    let contents = parse(&read);
    let blob = |(id, path): (String, WorkspacePath)| {
        Some(Blob { path, content: (*contents.get(id.as_str())?).to_owned() })
    };
    Ok(entries.into_iter().filter_map(blob).collect())
}

/// Reads `<id> blob <size>\n<content>\n`, repeated.
fn parse(mut read: &[u8]) -> BTreeMap<&str, &[u8]> {
    let mut contents = BTreeMap::new();
    while let Some(end) = read.iter().position(|byte| *byte == b'\n') {
        let Ok(head) = std::str::from_utf8(&read[..end]) else { break };
        read = &read[end + 1..];
        let mut words = head.split(' ');
        let (Some(id), Some("blob"), Some(size)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let Some(size) = size.parse::<usize>().ok().filter(|size| *size < read.len()) else {
            break;
        };
        contents.insert(id, &read[..size]);
        read = &read[size + 1..];
    }
    contents
}
