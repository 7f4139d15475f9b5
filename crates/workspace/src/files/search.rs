//! Finding files by name and by content.

use std::io::Read;

use sandbar_types::{LineText, WorkspacePath};

use super::{FileKind, Files, FilesError, failed, kind};
use crate::{
    beneath,
    tree::{self, Tree},
};

/// What to look for. Both conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchSpec {
    /// The directory to look in; `None` is the top.
    pub under: Option<WorkspacePath>,
    /// What the last component must look like: `*` stands for any bytes, `?` for one.
    pub name: Option<Vec<u8>>,
    /// Bytes that a line of a text file must hold; each line that does is a match.
    pub text: Option<Vec<u8>>,
}

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchLimits {
    /// LIMIT: matches returned.
    pub matches_max: usize,
    /// LIMIT: directory entries looked at.
    pub entries_max: usize,
    /// LIMIT: bytes of one file; larger ones are not searched.
    pub file_bytes_max: u64,
    /// LIMIT: bytes read in all.
    pub total_bytes_max: u64,
    /// LIMIT: bytes of a line in a match; the rest is cut.
    pub line_bytes_max: usize,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self {
            matches_max: 1_000,
            entries_max: 200_000,
            file_bytes_max: 1 << 20,
            total_bytes_max: 256 << 20,
            line_bytes_max: 400,
        }
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchMatch {
    /// Where.
    pub path: WorkspacePath,
    /// The line's number, from 1, and its beginning; `None` where only the name was looked for.
    pub line: Option<(u64, LineText)>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchOutcome {
    /// The matches, ordered by path and line.
    pub matches: Vec<SearchMatch>,
    /// A limit was reached: there may be more.
    pub is_truncated: bool,
}

impl Files<'_> {
    /// Looks below a directory, following no link. Binary files have no lines.
    ///
    /// # Errors
    /// The directory is not there. What cannot be read below it is left out.
    pub fn search(
        &self,
        spec: &SearchSpec,
        limits: &SearchLimits,
    ) -> Result<SearchOutcome, FilesError> {
        let failed = failed(spec.under.as_ref());
        let under = spec.under.as_ref().map_or(&b""[..], WorkspacePath::as_bytes);
        let top = self.dir(under).map_err(&failed)?;
        let mut search = Search {
            tree: Tree::new(std::os::fd::AsFd::as_fd(&top)).map_err(&failed)?,
            under,
            spec,
            limits,
            entries_left: limits.entries_max,
            bytes_left: limits.total_bytes_max,
            outcome: SearchOutcome::default(),
        };
        let mut pending = vec![Vec::new()];
        while let Some(directory) = pending.pop() {
            let below = search.directory(&directory);
            if search.outcome.is_truncated {
                break;
            }
            pending.extend(below.into_iter().rev());
        }
        let mut outcome = search.outcome;
        // Stable: the lines of one file stay in their order.
        outcome.matches.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(outcome)
    }
}

struct Search<'a> {
    tree: Tree,
    under: &'a [u8],
    spec: &'a SearchSpec,
    limits: &'a SearchLimits,
    entries_left: usize,
    bytes_left: u64,
    outcome: SearchOutcome,
}

impl Search<'_> {
    /// Looks at what one directory holds, and returns the directories below it.
    fn directory(&mut self, directory: &[u8]) -> Vec<Vec<u8>> {
        let mut below = Vec::new();
        let names = match self.tree.dir(directory) {
            Ok(Some(dir)) => beneath::list(dir).unwrap_or_default(),
            Ok(None) | Err(_) => Vec::new(),
        };
        for name in names {
            let Some(left) = self.entries_left.checked_sub(1) else {
                self.outcome.is_truncated = true;
                break;
            };
            self.entries_left = left;
            let path = tree::join(directory, &name);
            let Ok(Some(dir)) = self.tree.dir(directory) else {
                break;
            };
            let Ok(Some(stat)) = beneath::stat(dir, &name) else {
                continue;
            };
            let is_named = self.spec.name.as_ref().is_none_or(|wanted| is_like(wanted, &name));
            match (&self.spec.text, kind(&stat)) {
                (None, _) if is_named => self.found(&path, None),
                (Some(text), FileKind::File) if is_named => {
                    self.file(&path, directory, &name, text);
                }
                (None | Some(_), _) => {}
            }
            if kind(&stat) == FileKind::Directory {
                below.push(path);
            }
        }
        below
    }

    fn file(&mut self, path: &[u8], directory: &[u8], name: &[u8], text: &[u8]) {
        let Ok(Some(dir)) = self.tree.dir(directory) else {
            return;
        };
        let Ok((file, stat)) = beneath::open_file(dir, name) else {
            return;
        };
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if size > self.limits.file_bytes_max {
            return;
        }
        let Some(left) = self.bytes_left.checked_sub(size) else {
            self.outcome.is_truncated = true;
            return;
        };
        self.bytes_left = left;
        let mut bytes = Vec::new();
        let read = file.take(self.limits.file_bytes_max).read_to_end(&mut bytes);
        if read.is_err() || !crate::lines::is_text(&bytes) {
            return;
        }
        for (number, line) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            if self.outcome.is_truncated {
                return;
            }
            if holds(line, text) {
                let cut = line.len().min(self.limits.line_bytes_max);
                self.found(path, Some((number, LineText(line[..cut].to_vec()))));
            }
        }
    }

    fn found(&mut self, path: &[u8], line: Option<(u64, LineText)>) {
        if self.outcome.matches.len() == self.limits.matches_max {
            self.outcome.is_truncated = true;
            return;
        }
        // A path that is too long to be named cannot be found by name either.
        if let Ok(path) = WorkspacePath::parse(tree::join(self.under, path)) {
            self.outcome.matches.push(SearchMatch { path, line });
        }
    }
}

fn holds(line: &[u8], text: &[u8]) -> bool {
    text.is_empty() || line.windows(text.len()).any(|window| window == text)
}

/// Whether `name` is like `pattern`. Takes at most the product of their lengths.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, n));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[n] => {
                p += 1;
                n += 1;
            }
            Some(_) | None => match retry {
                Some((after, taken)) => {
                    retry = Some((after, taken + 1));
                    p = after;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_like_patterns() {
        for (pattern, name, expected) in [
            ("*.rs", "main.rs", true),
            ("*.rs", "main.rsx", false),
            ("m?in*", "main", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "ba", false),
            ("", "", true),
            ("", "x", false),
            ("plain", "plain", true),
        ] {
            assert_eq!(is_like(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
