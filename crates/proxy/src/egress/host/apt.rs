//! The archives that the host's own packages come from.

use super::configuration::{CallerFiles, HostConfiguration, read_text};

/// LIMIT: files of one directory that are read.
const FILES_MAX: usize = 64;

pub(super) fn read(files: &CallerFiles, found: &mut HostConfiguration) {
    let directory = files.etc.join("apt/sources.list.d");
    let entries = std::fs::read_dir(&directory).into_iter().flatten().flatten().take(FILES_MAX);
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths.push(files.etc.join("apt/sources.list"));
    for path in paths {
        let is_read = path.extension().is_some_and(|kind| kind == "list" || kind == "sources");
        let text = if is_read { read_text(&path) } else { None };
        for address in text.as_deref().unwrap_or_default().lines().flat_map(addresses) {
            found.registry(&path.display().to_string(), address, None);
        }
    }
}

/// The addresses of a line of either format: `deb [options] ADDRESS suite …`, `URIs: ADDRESS …`.
fn addresses(line: &str) -> Vec<&str> {
    let mut words = line.split_whitespace();
    match words.next() {
        Some("deb" | "deb-src" | "URIs:") => words.filter(|word| word.contains("://")).collect(),
        Some(_) | None => Vec::new(),
    }
}
