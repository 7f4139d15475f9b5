//! Which files the processes of a sandbox may use, as Landlock rules: the second wall behind the mounts.
//!
//! Nothing here is the only thing that protects a file: what must not be seen is not mounted, and what must not be
//! written is mounted read-only. The rules hold when one of those is wrong.

use std::path::Path;

use sandbar_linux::landlock::{Access, PathRule};

/// The paths of one sandbox that differ from sandbox to sandbox; all as seen inside, after the pivot.
#[derive(Debug, Clone, Copy)]
pub struct Layout<'a> {
    /// The workspace.
    pub workspace: &'a Path,
    /// The home directory.
    pub home: &'a Path,
    /// Where toolchains were mounted, and `/nix/store` and the like. A copy-on-write one belongs below `home`.
    pub toolchains: &'a [&'a Path],
}

/// The same in every sandbox. That something is listed does not mean that it is there.
const COMMON: &[(&str, Access)] = &[
    // A name may be listed anywhere: only what is shown is mounted, and tools walk up from where they are.
    ("/", Access::List),
    ("/usr", Access::ReadExecute),
    ("/bin", Access::ReadExecute),
    ("/sbin", Access::ReadExecute),
    ("/lib", Access::ReadExecute),
    ("/lib32", Access::ReadExecute),
    ("/lib64", Access::ReadExecute),
    ("/libx32", Access::ReadExecute),
    ("/opt", Access::ReadExecute),
    // Alternatives and hooks of interpreters are run from there.
    ("/etc", Access::ReadExecute),
    ("/tmp", Access::ReadWrite),
    ("/var/tmp", Access::ReadWrite),
    ("/run", Access::ReadWrite),
    ("/dev", Access::Device),
    ("/dev/shm", Access::ReadWrite),
    // Read only, though some tools name threads or adjust their score there: core_pattern is near.
    ("/proc", Access::Read),
    ("/sys", Access::Read),
];

/// Returns the rules for `layout`, to be given to [`sandbar_linux::landlock::restrict`].
#[must_use]
pub fn rules(layout: Layout<'_>) -> Vec<PathRule> {
    let common = COMMON.iter().map(|(path, access)| (Path::new(path), *access));
    let own = [(layout.workspace, Access::ReadWrite), (layout.home, Access::ReadWrite)];
    let toolchains = layout.toolchains.iter().map(|path| (*path, Access::ReadExecute));
    common
        .chain(own)
        .chain(toolchains)
        .map(|(path, access)| PathRule { path: path.to_owned(), access })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_the_sandbox_may_be_written() {
        let rules = rules(Layout {
            workspace: Path::new("/home/ann/project"),
            home: Path::new("/home/ann"),
            toolchains: &[Path::new("/nix/store")],
        });
        let mut writable: Vec<&str> = rules
            .iter()
            .filter(|rule| rule.access == Access::ReadWrite)
            .filter_map(|rule| rule.path.to_str())
            .collect();
        writable.sort_unstable();
        let expected = ["/dev/shm", "/home/ann", "/home/ann/project", "/run", "/tmp", "/var/tmp"];
        assert_eq!(writable, expected);
        assert!(
            rules.contains(&PathRule { path: "/nix/store".into(), access: Access::ReadExecute })
        );
    }
}
