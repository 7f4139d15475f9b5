//! What the project's own ignore rules leave out of a review, as `.gitignore` says it (see gitignore(5)).
//!
//! Only the source's rules count: what a sandbox writes into a `.gitignore` hides nothing. And nothing is omitted: an
//! ignored change is listed and flagged, and stays pending until somebody asks for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    os::fd::BorrowedFd,
    path::Path,
    sync::Arc,
};

use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use sandbar_types::{
    Change, ChangeFlag, ChangeSet, Confirmed, Entry, Selection, Skipped, WorkspacePath,
};

use super::{ChangesError, Layer};
use crate::{beneath, tree::Tree};

/// LIMIT: bytes of one file of rules; a larger one is taken for none, so that nothing is left out by mistake.
const RULES_BYTES_MAX: u64 = 256 << 10;

/// Takes what is ignored out of `set`, unless the person means it: said yes to the flag, or named a path below which
/// nothing else changed. The rest is what there is to decide about; the id stays that of the whole. Of the selected
/// paths that are left, those not below another one are named.
#[must_use]
pub fn leave_ignored(
    set: &ChangeSet,
    selection: &Selection,
    confirmed: &Confirmed,
) -> (ChangeSet, Vec<Skipped>) {
    let is_ignored = |change: &Change| change.flags.contains(&ChangeFlag::Ignored);
    let named: Option<BTreeSet<_>> = selection.paths().map(|paths| paths.into_iter().collect());
    let named_above = |path: &WorkspacePath| -> Vec<WorkspacePath> {
        std::iter::successors(Some(path.clone()), WorkspacePath::parent)
            .filter(|above| named.as_ref().is_some_and(|named| named.contains(above)))
            .collect()
    };
    let others = set.changes.iter().filter(|change| !is_ignored(change));
    let mixed: BTreeSet<_> = others.flat_map(|change| named_above(&change.path)).collect();
    let is_meant = |change: &Change| {
        confirmed.allows(&change.path, ChangeFlag::Ignored)
            || named_above(&change.path).iter().any(|path| !mixed.contains(path))
    };
    let (left, changes): (Vec<_>, Vec<_>) =
        set.changes.iter().cloned().partition(|change| is_ignored(change) && !is_meant(change));
    let mut skipped: Vec<Skipped> = Vec::new();
    for Change { path, .. } in left {
        let is_selected = named.is_none() || !named_above(&path).is_empty();
        // Ordered: what is below a path comes right after it.
        let is_said = skipped.last().is_some_and(|last| path.is_within(&last.path));
        if is_selected && !is_said {
            skipped.push(Skipped { path, flag: ChangeFlag::Ignored });
        }
    }
    (ChangeSet { diff_id: set.diff_id, changes }, skipped)
}

/// Flags what the rules of the source leave out. `changes` are ordered by path.
pub(super) fn flag(
    source: Option<BorrowedFd<'_>>,
    changes: &mut [Change],
) -> Result<(), ChangesError> {
    let Some(source) = source else {
        return Ok(());
    };
    let tree =
        Tree::new(source).map_err(|source| ChangesError::Top { layer: Layer::Lower, source })?;
    let mut rules = Rules { tree, directories: BTreeMap::new() };
    // A directory that goes takes what is ignored in it along: nobody deletes it to keep its build output.
    let mut going: Option<WorkspacePath> = None;
    for change in changes {
        if going.as_ref().is_some_and(|top| change.path.is_within(top)) {
            continue;
        }
        let is_directory = |entry: &Option<Entry>| matches!(entry, Some(Entry::Directory { .. }));
        let (was, is) = (is_directory(&change.old), is_directory(&change.new));
        if rules.ignores(change.path.as_bytes(), was || is) {
            change.flags.insert(ChangeFlag::Ignored);
        } else if was && !is {
            going = Some(change.path.clone());
        }
    }
    Ok(())
}

/// What counts below one directory.
#[derive(Clone)]
enum Level {
    /// It is ignored itself, and so is all of it, whatever is said further down.
    Ignored,
    /// The rules from the top down to it, the nearest last.
    Ruled(Vec<Arc<Own>>),
}

/// The rules of one directory.
struct Own {
    /// Bytes of the directory's path and the slash after it.
    prefix_bytes: usize,
    matcher: Gitignore,
}

struct Rules {
    tree: Tree,
    directories: BTreeMap<Vec<u8>, Level>,
}

impl Rules {
    fn ignores(&mut self, path: &[u8], is_directory: bool) -> bool {
        match self.level(parent(path)) {
            Level::Ignored => true,
            Level::Ruled(rules) => decide(&rules, path, is_directory),
        }
    }

    /// What counts below the directory `path`, its own rules included.
    fn level(&mut self, path: &[u8]) -> Level {
        if let Some(known) = self.directories.get(path) {
            return known.clone();
        }
        let above = match path {
            [] => Level::Ruled(self.read(b".git/info", b"exclude", 0).into_iter().collect()),
            _ => self.level(parent(path)),
        };
        let level = match above {
            Level::Ruled(rules) if !path.is_empty() && decide(&rules, path, true) => Level::Ignored,
            Level::Ruled(mut rules) => {
                let prefix_bytes = if path.is_empty() { 0 } else { path.len() + 1 };
                rules.extend(self.read(path, b".gitignore", prefix_bytes));
                Level::Ruled(rules)
            }
            Level::Ignored => Level::Ignored,
        };
        self.directories.insert(path.to_vec(), level.clone());
        level
    }

    /// The rules in a file of the source. What cannot be read or understood rules nothing.
    fn read(&mut self, directory: &[u8], name: &[u8], prefix_bytes: usize) -> Option<Arc<Own>> {
        let dir = self.tree.dir(directory).ok()??;
        let (file, stat) = beneath::open_file(dir, name).ok()?;
        if u64::try_from(stat.st_size).ok()? > RULES_BYTES_MAX {
            return None;
        }
        let mut bytes = Vec::new();
        file.take(RULES_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        let matcher = matcher(&bytes)?;
        Some(Arc::new(Own { prefix_bytes, matcher }))
    }
}

fn matcher(bytes: &[u8]) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    for line in bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).split(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let Ok(line) = std::str::from_utf8(line) {
            // One line that is no pattern does not take the others along; git is as lenient.
            let _not_a_pattern = builder.add_line(None, line);
        }
    }
    builder.build().ok().filter(|matcher| !matcher.is_empty())
}

/// The last rule of the nearest directory that says anything decides.
fn decide(rules: &[Arc<Own>], path: &[u8], is_directory: bool) -> bool {
    for own in rules.iter().rev() {
        let below: &Path = beneath::as_path(&path[own.prefix_bytes..]);
        match own.matcher.matched(below, is_directory) {
            Match::Ignore(_) => return true,
            Match::Whitelist(_) => return false,
            Match::None => {}
        }
    }
    false
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|byte| *byte == b'/').map_or(&[], |at| &path[..at])
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsFd};

    use sandbar_types::{ChangeKind, DiffId, Sha256};

    use super::*;

    const DIRECTORY: Option<Entry> = Some(Entry::Directory { mode: 0o755 });

    fn change(path: &str, old: Option<Entry>, new: Option<Entry>) -> Change {
        Change {
            path: WorkspacePath::parse(path).unwrap(),
            kind: crate::changes::kind(old.as_ref(), new.as_ref()).unwrap_or(ChangeKind::Modified),
            old,
            new,
            binary: false,
            lines: None,
            renamed_from: None,
            flags: BTreeSet::new(),
        }
    }

    fn file() -> Option<Entry> {
        Some(Entry::File { size: 1, mode: 0o644, sha256: Sha256([0; 32]) })
    }

    fn added(paths: &[&str]) -> Vec<Change> {
        let entry = |path: &&str| if path.ends_with('/') { DIRECTORY } else { file() };
        paths.iter().map(|path| change(path.trim_end_matches('/'), None, entry(path))).collect()
    }

    fn ignored(changes: &[Change]) -> Vec<String> {
        let is_ignored = |change: &&Change| change.flags.contains(&ChangeFlag::Ignored);
        changes.iter().filter(is_ignored).map(|change| change.path.to_string()).collect()
    }

    fn flagged(source: &Path, mut changes: Vec<Change>) -> Vec<Change> {
        let dir = fs::File::open(source).unwrap();
        flag(Some(dir.as_fd()), &mut changes).unwrap();
        changes
    }

    fn project(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn the_rules_of_the_source_say_what_is_ignored() {
        let project = project(&[
            (".gitignore", b"\xef\xbb\xbfnode_modules/\r\n*.log\n!keep.log\n/out\n\xff\n[bad\n"),
            ("web/.gitignore", b"!debug.log\n/dist\n"),
            (".git/info/exclude", b"notes.txt\n"),
        ]);
        let changes = added(&[
            "a.log",
            "keep.log",
            "notes.txt",
            "out",
            "src/out",
            "web/",
            "web/debug.log",
            "web/dist/",
            "web/dist/app.js",
            "web/node_modules/",
            "web/node_modules/keep.log",
        ]);
        assert_eq!(
            ignored(&flagged(project.path(), changes)),
            [
                "a.log",
                "notes.txt",
                "out",
                "web/dist",
                "web/dist/app.js",
                "web/node_modules",
                "web/node_modules/keep.log",
            ]
        );
    }

    #[test]
    fn what_a_sandbox_writes_hides_nothing_and_a_link_is_not_followed() {
        let project = project(&[("rules", b"*\n")]);
        std::os::unix::fs::symlink("rules", project.path().join(".gitignore")).unwrap();
        let changes = added(&[".gitignore", "a", "new/", "new/.gitignore", "new/b"]);
        assert_eq!(ignored(&flagged(project.path(), changes)), Vec::<String>::new());
    }

    #[test]
    fn a_directory_that_goes_takes_what_is_ignored_in_it_along() {
        let project = project(&[(".gitignore", b"target/\n"), ("old/target/x", b"x")]);
        let gone = ["old", "old/target"].map(|path| change(path, DIRECTORY, None));
        let mut changes = gone.to_vec();
        changes.push(change("old/target/x", file(), None));
        changes.push(change("target", DIRECTORY, None));
        assert_eq!(ignored(&flagged(project.path(), changes)), ["target"]);
    }

    #[test]
    fn what_is_ignored_waits_until_it_is_meant() {
        let project = project(&[(".gitignore", b"target/\n")]);
        let changes =
            flagged(project.path(), added(&["a", "web/", "web/b", "web/target/", "web/target/x"]));
        let set = ChangeSet { diff_id: DiffId(Sha256([1; 32])), changes };
        let named = |path| Selection::Paths(vec![WorkspacePath::parse(path).unwrap()]);
        let left = |selection, confirmed: Confirmed| {
            let (kept, skipped) = leave_ignored(&set, &selection, &confirmed);
            assert_eq!(kept.diff_id, set.diff_id);
            (kept.changes.len(), skipped.len())
        };
        assert_eq!(left(Selection::All, Confirmed::default()), (3, 1));
        assert_eq!(left(Selection::All, [ChangeFlag::Ignored].into()), (5, 0));
        assert_eq!(left(named("web"), Confirmed::default()), (3, 1));
        assert_eq!(left(named("a"), Confirmed::default()), (3, 0));
        assert_eq!(left(named("web/target"), Confirmed::default()), (5, 0));
        assert_eq!(left(named("web/target/x"), Confirmed::default()), (4, 0));
    }
}
