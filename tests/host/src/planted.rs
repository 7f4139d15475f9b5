//! A value that must not leak, and where one looks for it.

use std::{
    fs,
    io::{Read as _, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::Path,
};

/// LIMIT: how much of a process's memory is looked at in one piece.
const PIECE_BYTES: usize = 1 << 20;

/// A value that is nowhere by chance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planted(pub String);

impl Planted {
    /// Whether `bytes` hold it.
    #[must_use]
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        memchr::memmem::find(bytes, self.0.as_bytes()).is_some()
    }

    /// Files below `dir` that hold it; links are not followed.
    #[must_use]
    pub fn in_files(&self, dir: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => found.extend(self.in_files(&path)),
                Ok(kind) if kind.is_file() && self.is_in(&fs::read(&path).unwrap_or_default()) => {
                    found.push(path.display().to_string());
                }
                Ok(_) | Err(_) => {}
            }
        }
        found
    }

    /// Command lines of the host's processes whose `what` (`environ`, `cmdline`) holds it.
    ///
    /// # Panics
    /// If the host cannot be read.
    #[must_use]
    pub fn in_processes(&self, what: &str) -> Vec<String> {
        let found = fs::read_dir("/proc").expect("proc is there").filter_map(|entry| {
            let pid = entry.ok()?.file_name().to_str()?.parse::<u32>().ok()?;
            let bytes = fs::read(format!("/proc/{pid}/{what}")).ok()?;
            self.is_in(&bytes).then(|| command_line(pid))
        });
        found.collect()
    }

    /// Whether memory that a process can write to holds it; `None` for one that is gone.
    #[must_use]
    pub fn is_in_memory(&self, pid: u32) -> Option<bool> {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
        let mut memory = fs::File::open(format!("/proc/{pid}/mem")).ok()?;
        let pages = fs::File::open(format!("/proc/{pid}/pagemap")).ok()?;
        let mut seen = false;
        for (start, end) in maps.lines().filter_map(readable) {
            let mut piece = Vec::new();
            let mut at = start;
            while at < end {
                // What lies across two pieces is found as well.
                let kept = piece.len().saturating_sub(self.0.len());
                piece.drain(..kept);
                let wanted = (end - at).min(PIECE_BYTES as u64);
                if !is_used(&pages, at, wanted) {
                    piece.clear();
                    at += wanted;
                    continue;
                }
                if memory.seek(SeekFrom::Start(at)).is_err() {
                    break;
                }
                let Ok(count) = memory.by_ref().take(wanted).read_to_end(&mut piece) else {
                    break;
                };
                if count == 0 {
                    break;
                }
                seen = true;
                if self.is_in(&piece) {
                    return Some(true);
                }
                at += count as u64;
            }
        }
        seen.then_some(false)
    }
}

/// Whether there is anything at those addresses: runtimes set aside far more than they ever touch, and reading that would
/// make it.
fn is_used(pages: &fs::File, at: u64, bytes: u64) -> bool {
    const ENTRY_BYTES: u64 = 8;
    /// It is in memory, or was swapped out.
    const USED: u64 = 0b11 << 62;
    let page = rustix::param::page_size() as u64;
    let entries = usize::try_from(bytes.div_ceil(page)).expect("a piece is small");
    let mut words = vec![0; entries * 8];
    let found = pages.read_at(&mut words, at / page * ENTRY_BYTES);
    // What cannot be known is looked at.
    found.is_err()
        || words
            .chunks_exact(8)
            .any(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")) & USED != 0)
}

/// The command line of a process.
#[must_use]
pub fn command_line(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// The range of a line of `/proc/<pid>/maps` that the process can write to: what it computes is nowhere else.
fn readable(line: &str) -> Option<(u64, u64)> {
    let (range, rest) = line.split_once(' ')?;
    let (start, end) = range.split_once('-')?;
    let is_its_own = rest.starts_with("rw");
    let parse = |text| u64::from_str_radix(text, 16).ok();
    is_its_own.then_some((parse(start)?, parse(end)?))
}
