//! Which hunks and lines a command is about: `--hunk`, `--parts`, `--patch`.

use std::{
    ffi::{OsStr, OsString},
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use sandbar_api::{FileHunks, Sandbox, paths};
use sandbar_types::{ChangeSet, HunkId, HunkPick, Part, WorkspacePath};

use crate::{
    client::Client,
    failure::Failure,
    output::visible,
    patch::{self, PatchKind, Unmatched},
    select,
};

/// LIMIT: bytes of a patch or of a list of parts; that of a request.
const INPUT_BYTES_MAX: u64 = 8 << 20;
/// LIMIT: lines that one `--hunk` picks.
const LINES_MAX: u32 = 1_000_000;

/// Parts of files. Each excludes the others, `--all` and paths.
#[derive(Debug, Default, clap::Args)]
#[group(id = "picks", multiple = false)]
pub(crate) struct Args {
    /// Only these hunks, or only lines of one: PATH:ID[,ID…] or PATH:ID:LINES, as `sandbar changes --hunks` lists them
    /// (lines like 3-5,8). May be repeated.
    #[arg(long, value_name = "PATH:ID")]
    hunk: Vec<OsString>,
    /// Only the lines that this unified diff has, all of which must be pending; `-` reads stdin.
    #[arg(long, value_name = "FILE")]
    patch: Option<PathBuf>,
    /// Only these parts: JSON as the API takes it, [{"path": …, "hunks": [{"id": …}]}]; `-` reads stdin.
    #[arg(long, value_name = "FILE")]
    parts: Option<PathBuf>,
}

impl Args {
    pub(crate) fn is_given(&self) -> bool {
        !self.hunk.is_empty() || self.patch.is_some() || self.parts.is_some()
    }

    /// The parts of `set` that are meant.
    ///
    /// # Errors
    /// They cannot be read, or are not pending.
    pub(crate) async fn parts(
        &self,
        client: &mut Client,
        sandbox: &Sandbox,
        set: &ChangeSet,
    ) -> Result<Vec<Part>, Failure> {
        if let Some(file) = &self.parts {
            let bytes = read(file)?;
            return serde_json::from_slice(&bytes).map_err(|error| {
                Failure::usage(format!("`{}` is no list of parts", file.display()))
                    .caused_by(&error)
            });
        }
        if let Some(file) = &self.patch {
            return of_patch(client, sandbox, set, &read(file)?).await;
        }
        let here = select::current_dir()?;
        let mut parts: Vec<Part> = Vec::new();
        for word in &self.hunk {
            let (path, picks) = parse_hunk(word)
                .map_err(|why| Failure::usage(format!("`{}`: {why}", word.display())))?;
            let path = select::below_workspace(sandbox, &here, path)?
                .ok_or_else(|| Failure::usage(format!("`{}` names no file", word.display())))?;
            match parts.iter_mut().find(|part| part.path == path) {
                Some(part) => part.hunks.extend(picks),
                None => parts.push(Part { path, hunks: picks }),
            }
        }
        Ok(parts)
    }
}

/// The hunks of a file.
pub(crate) async fn fetch_hunks(
    client: &mut Client,
    sandbox: &str,
    path: &WorkspacePath,
) -> Result<FileHunks, Failure> {
    let address = paths::below_sandbox(sandbox, "changes/hunks");
    client.fetch(&format!("{address}?{}", select::path_query(path))).await
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let shown = file.display();
    let failed =
        |error: std::io::Error| Failure::usage(format!("cannot read `{shown}`")).caused_by(&error);
    let mut bytes = Vec::new();
    let limit = INPUT_BYTES_MAX + 1;
    if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(file).map_err(failed)?;
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    }
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(Failure::usage(format!("`{shown}` is larger than 8 MiB")));
    }
    Ok(bytes)
}

/// Reads `PATH:ID[,ID…]` or `PATH:ID:LINES`, from the end: a path may hold colons.
fn parse_hunk(word: &OsStr) -> Result<(&OsStr, Vec<HunkPick>), &'static str> {
    let wrong = "not PATH:ID[,ID…] or PATH:ID:LINES";
    let (path, last) = split_last(word.as_bytes()).ok_or(wrong)?;
    if let Some(ids) = ids(last) {
        let picks = ids.into_iter().map(|id| HunkPick { id, lines: None }).collect();
        return Ok((OsStr::from_bytes(path), picks));
    }
    let (path, id) = split_last(path).ok_or(wrong)?;
    let [id] = ids(id).ok_or(wrong)?[..] else {
        return Err("lines are those of one hunk");
    };
    let lines = lines(last).ok_or("not lines, such as 3-5,8")?;
    Ok((OsStr::from_bytes(path), vec![HunkPick { id, lines: Some(lines) }]))
}

fn split_last(text: &[u8]) -> Option<(&[u8], &str)> {
    let at = text.iter().rposition(|byte| *byte == b':').filter(|at| *at > 0)?;
    Some((&text[..at], str::from_utf8(&text[at + 1..]).ok()?))
}

fn ids(text: &str) -> Option<Vec<HunkId>> {
    text.split(',').map(|id| id.parse().ok()).collect()
}

fn lines(text: &str) -> Option<Vec<u32>> {
    let mut lines = std::collections::BTreeSet::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last < first || last >= LINES_MAX {
            return None;
        }
        lines.extend(first..=last);
    }
    Some(lines.into_iter().collect())
}

/// Numbers as [`lines`] reads them.
pub(crate) fn line_ranges(numbers: impl Iterator<Item = u32>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_first, last)) if *last + 1 == number => *last = number,
            Some(_) | None => ranges.push((number, number)),
        }
    }
    let shown = |(first, last): (u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ranges.into_iter().map(shown).collect::<Vec<_>>().join(",")
}

async fn of_patch(
    client: &mut Client,
    sandbox: &Sandbox,
    set: &ChangeSet,
    bytes: &[u8],
) -> Result<Vec<Part>, Failure> {
    let files = patch::parse(bytes).map_err(|malformed| {
        Failure::usage(format!("line {} of the patch: {}", malformed.line, malformed.why))
    })?;
    let id = sandbox.id.to_string();
    let mut parts = Vec::with_capacity(files.len());
    for file in files {
        let shown = visible::line(&file.path);
        let change = WorkspacePath::parse(&file.path)
            .ok()
            .and_then(|path| set.changes.iter().find(|change| change.path == path))
            .ok_or_else(|| {
                Failure::not_found(format!("the patch changes {shown}, where nothing is pending"))
            })?;
        let pending = fetch_hunks(client, &id, &change.path).await?;
        let part = patch::parts_of(&file, change, &pending)
            .map_err(|unmatched| refused(&shown, &unmatched))?;
        parts.push(part);
    }
    Ok(parts)
}

fn refused(path: &str, unmatched: &Unmatched) -> Failure {
    let why = match unmatched {
        Unmatched::Line(line) => {
            let (sign, text) = match line.kind {
                PatchKind::Added => ('+', &line.text),
                PatchKind::Removed => ('-', &line.text),
            };
            format!("`{sign}{}` at line {} is not pending", visible::line(text), line.place)
        }
        Unmatched::ModeOfPart => {
            "it comes, goes or changes its mode as a whole, but the patch has only some of its lines"
                .to_owned()
        }
        Unmatched::Nothing => "the patch has no line of it".to_owned(),
    };
    Failure::not_found(format!("the patch does not fit {path}: {why}"))
        .hint("make it from what is pending: `sandbar diff`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hunk_is_read_from_its_end() {
        let id = |text: &str| text.parse::<HunkId>().unwrap();
        let (a, b) = ("00000000000000aa", "00000000000000bb");
        let whole = |id| HunkPick { id, lines: None };
        let some = |id, lines: &[u32]| HunkPick { id, lines: Some(lines.to_vec()) };
        for (word, path, picks) in [
            (format!("src/a.rs:{a}"), "src/a.rs", vec![whole(id(a))]),
            (format!("x:y:{a},{b}"), "x:y", vec![whole(id(a)), whole(id(b))]),
            (format!("x:{a}:8,3-5,4"), "x", vec![some(id(a), &[3, 4, 5, 8])]),
        ] {
            assert_eq!(parse_hunk(OsStr::new(&word)), Ok((OsStr::new(path), picks)), "{word}");
        }
        for word in [
            "x",
            ":00000000000000aa",
            "x:1",
            "x:00000000000000aa:5-3",
            "x:00000000000000aa:",
            "x:00000000000000aa,00000000000000bb:1",
        ] {
            assert!(parse_hunk(OsStr::new(word)).is_err(), "{word}");
        }
    }

    #[test]
    fn lines_are_written_as_they_are_read() {
        assert_eq!(line_ranges([1, 2, 3, 5, 7, 8].into_iter()), "1-3,5,7-8");
        assert_eq!(lines("1-3,5,7-8"), Some(vec![1, 2, 3, 5, 7, 8]));
        assert_eq!(lines("0-4000000000"), None);
    }
}
