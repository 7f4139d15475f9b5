//! Which package manager a project declares: by name in `package.json`, else by its lock file, else npm.

use super::package::{self, Package};
use crate::{Guess, Install, Manager, ProjectFiles, Reason};

const LOCK_FILES: [(&str, Manager); 6] = [
    ("pnpm-lock.yaml", Manager::Pnpm),
    ("bun.lock", Manager::Bun),
    ("bun.lockb", Manager::Bun),
    ("yarn.lock", Manager::Yarn),
    ("package-lock.json", Manager::Npm),
    ("npm-shrinkwrap.json", Manager::Npm),
];

/// How the packages are installed.
pub(super) fn install(files: &dyn ProjectFiles, package: &Package) -> Guess<Install> {
    let named = package
        .named_manager()
        .and_then(|(name, version, reason)| Some((by_name(name, version)?, version, reason)));
    let lock = LOCK_FILES.into_iter().find(|(file, manager)| {
        files.has(file) && named.as_ref().is_none_or(|(named, ..)| is_same(*named, *manager))
    });
    let (manager, version, reason) = match (named, lock) {
        (Some((manager, version, reason)), _) => {
            (manager, version.filter(|version| is_version(version)).map(str::to_owned), reason)
        }
        (None, Some((file, manager))) => {
            let (manager, version) = by_lock_file(files, file, manager);
            (manager, version, Reason::file(file))
        }
        (None, None) => {
            (Manager::Npm, None, Reason::usual("it comes with Node, and nothing names another"))
        }
    };
    let inputs = std::iter::once(package::FILE).chain(lock.map(|(file, _)| file));
    Guess::new(Install { version, ..Install::new(manager, inputs) }, reason)
}

/// What a person should know about the choice.
pub(super) fn notes(files: &dyn ProjectFiles, install: &Install) -> Option<String> {
    let others: Vec<&str> = LOCK_FILES
        .into_iter()
        .filter(|(file, manager)| files.has(file) && !is_same(install.manager, *manager))
        .map(|(file, _)| file)
        .collect();
    (!others.is_empty()).then(|| {
        format!(
            "{} is there too, and is not used by {}",
            others.join(", "),
            install.manager.label()
        )
    })
}

fn by_name(name: &str, version: Option<&str>) -> Option<Manager> {
    match name {
        "npm" => Some(Manager::Npm),
        "pnpm" => Some(Manager::Pnpm),
        "yarn" if version.is_some_and(|version| version.starts_with("1.") || version == "1") => {
            Some(Manager::Yarn)
        }
        "yarn" => Some(Manager::YarnBerry),
        "bun" => Some(Manager::Bun),
        _ => None,
    }
}

/// The same file is written by different majors of a manager, and none reads those of all.
fn by_lock_file(
    files: &dyn ProjectFiles,
    file: &str,
    manager: Manager,
) -> (Manager, Option<String>) {
    let text = files.read(file).unwrap_or_default();
    let mut head = text.lines().take(12);
    match file {
        "yarn.lock" if head.any(|line| line.starts_with("__metadata:")) => {
            (Manager::YarnBerry, None)
        }
        "pnpm-lock.yaml" if head.any(|line| is_lock_version(line, &["5.", "6."])) => {
            (manager, Some("8".to_owned()))
        }
        _ => (manager, None),
    }
}

fn is_lock_version(line: &str, versions: &[&str]) -> bool {
    line.strip_prefix("lockfileVersion:").is_some_and(|version| {
        let version = version.trim().trim_matches(['\'', '"']);
        versions.iter().any(|prefix| version.starts_with(prefix))
    })
}

fn is_same(one: Manager, other: Manager) -> bool {
    one.label() == other.label()
}

/// It goes into a command, so it is nothing but a version.
fn is_version(text: &str) -> bool {
    (1..=40).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}
