//! A unified diff, read to say which of the pending lines are meant.
//!
//! Strict: what is not understood is refused with its line, because somebody decides by it. No patch is ever applied
//! here; the lines of the patch are looked up among the pending ones, and those are what the server is asked for.

mod pending;
mod quoted;

pub(crate) use pending::{Unmatched, parts_of};

/// What a patch says about one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FilePatch {
    /// The path, below the root.
    pub(crate) path: Vec<u8>,
    pub(crate) lines: Vec<PatchLine>,
    /// Whether the heading says that the file comes, goes or changes its mode.
    pub(crate) has_mode: bool,
}

/// A line that comes or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PatchLine {
    pub(crate) kind: PatchKind,
    /// Lines of the source that are before it, itself included if it goes: its place.
    pub(crate) place: u64,
    pub(crate) text: Vec<u8>,
    pub(crate) has_newline: bool,
}

/// Whether a line comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PatchKind {
    Added,
    Removed,
}

/// A patch that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Number of the line, from 1.
    pub(crate) line: usize,
    pub(crate) why: &'static str,
}

/// Reads a patch as `sandbar diff`, git and diff write it.
///
/// # Errors
/// It is cut off, has a binary part, a rename, or lines that belong to nothing.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<FilePatch>, Malformed> {
    let mut reader = Reader { files: Vec::new(), hunk: None, number: 0 };
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if !text.is_empty() {
        for line in text.split(|byte| *byte == b'\n') {
            reader.number += 1;
            reader.line(line)?;
        }
    }
    reader.number += 1;
    match reader.hunk {
        Some(hunk) if hunk.is_open() => Err(reader.malformed("the patch is cut off in a hunk")),
        Some(_) | None if reader.files.iter().any(|file| file.path.is_empty()) => {
            Err(reader.malformed("a file has no name"))
        }
        Some(_) | None => Ok(reader.files),
    }
}

/// How many lines of a hunk are still to come, and where they stand.
#[derive(Debug, Clone, Copy)]
struct Open {
    old_left: u64,
    new_left: u64,
    place: u64,
}

impl Open {
    fn is_open(self) -> bool {
        self.old_left > 0 || self.new_left > 0
    }
}

struct Reader {
    files: Vec<FilePatch>,
    hunk: Option<Open>,
    number: usize,
}

impl Reader {
    fn malformed(&self, why: &'static str) -> Malformed {
        Malformed { line: self.number, why }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Malformed> {
        if line.starts_with(b"\\ ") && self.hunk.is_some() {
            if let Some(last) = self.files.last_mut().and_then(|file| file.lines.last_mut()) {
                last.has_newline = false;
            }
            return Ok(());
        }
        if self.hunk.is_some_and(Open::is_open) { self.in_hunk(line) } else { self.heading(line) }
    }

    fn in_hunk(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let malformed = self.malformed("a hunk has other lines than its heading says");
        let (Some(hunk), Some(file)) = (&mut self.hunk, self.files.last_mut()) else {
            return Err(malformed);
        };
        // Some mail programs cut the blank of an empty line.
        let (sign, text) = line.split_first().map_or((b' ', line), |(sign, text)| (*sign, text));
        let (old, new) = match sign {
            b' ' => (1, 1),
            b'-' => (1, 0),
            b'+' => (0, 1),
            _ => return Err(malformed),
        };
        let left = hunk.old_left.checked_sub(old).zip(hunk.new_left.checked_sub(new));
        (hunk.old_left, hunk.new_left) = left.ok_or(malformed)?;
        hunk.place += old;
        let kind = match sign {
            b'-' => PatchKind::Removed,
            b'+' => PatchKind::Added,
            _ => return Ok(()),
        };
        let text = text.to_vec();
        file.lines.push(PatchLine { kind, place: hunk.place, text, has_newline: true });
        Ok(())
    }

    fn heading(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let starts = |word: &str| line.starts_with(word.as_bytes());
        if starts("@@ ") {
            let hunk = ranges(line).ok_or_else(|| self.malformed("not the heading of a hunk"))?;
            if self.files.last().is_none_or(|file| file.path.is_empty()) {
                return Err(self.malformed("a hunk of no file"));
            }
            self.hunk = Some(hunk);
        } else if starts("diff --git ") {
            self.hunk = None;
            let path = quoted::both(&line[b"diff --git ".len()..]).unwrap_or_default();
            self.files.push(FilePatch { path, ..FilePatch::default() });
        } else if starts("--- ") {
            // A patch without `diff --git` begins a file here.
            let is_begun = self.hunk.is_none() && !self.files.is_empty();
            if !is_begun {
                self.files.push(FilePatch::default());
            }
            self.hunk = None;
            self.name(&line[4..], b"a/")?;
        } else if starts("+++ ") {
            self.name(&line[4..], b"b/")?;
        } else if ["new file", "deleted file", "old mode", "new mode"].iter().any(|w| starts(w)) {
            if let Some(file) = self.files.last_mut() {
                file.has_mode = true;
            }
        } else if ["rename ", "copy ", "similarity "].iter().any(|word| starts(word)) {
            return Err(self.malformed("a rename is two changes: make the patch without renames"));
        } else if starts("GIT binary patch") || starts("Binary files") {
            return Err(self.malformed("a binary file is decided about as a whole: name its path"));
        } else if !(line.is_empty() || starts("index ")) {
            return Err(self.malformed("this line belongs to nothing"));
        }
        Ok(())
    }

    /// The name of one side; `/dev/null` is that of no side.
    fn name(&mut self, text: &[u8], prefix: &[u8]) -> Result<(), Malformed> {
        let malformed = self.malformed("not the name of a file");
        let name = quoted::name(text).ok_or_else(|| malformed.clone())?;
        if name == b"/dev/null" {
            if let Some(file) = self.files.last_mut() {
                file.has_mode = true;
            }
            return Ok(());
        }
        let path = name.strip_prefix(prefix).unwrap_or(&name).to_vec();
        let file = self.files.last_mut().ok_or_else(|| malformed.clone())?;
        if !file.path.is_empty() && file.path != path {
            return Err(malformed);
        }
        file.path = path;
        Ok(())
    }
}

/// Reads `@@ -1,2 +3,4 @@`; a missing length is 1.
fn ranges(line: &[u8]) -> Option<Open> {
    let text = str::from_utf8(line).ok()?.strip_prefix("@@ -")?;
    let (ranges, _rest) = text.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |text: &str| -> Option<(u64, u64)> {
        let (start, length) = text.split_once(',').unwrap_or((text, "1"));
        Some((start.parse().ok()?, length.parse().ok()?))
    };
    let ((start, old_left), (_start, new_left)) = (range(old)?, range(new)?);
    // A hunk without old lines names the line before it.
    let place = if old_left == 0 { start } else { start.checked_sub(1)? };
    Some(Open { old_left, new_left, place })
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
