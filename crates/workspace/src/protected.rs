//! Names that an approve never writes, and names that something on the host may obey.
//!
//! A name is compared in the form that the loosest file system or tool could take it for:
//! composed, case folded, without the code points that HFS+ ignores, without the tail that Windows drops.
//! Folding too much refuses a strange name; folding too little writes a hook.

use std::collections::BTreeSet;

use sandbar_types::{ChangeFlag, LinkTarget, WorkspacePath};
use unicode_normalization::UnicodeNormalization;

/// Version control metadata, in its folded form. `git~1` is the 8.3 name of `.git` on FAT.
const METADATA: [&str; 5] = [".git", "git~1", ".hg", ".svn", ".bzr"];
/// Our own names: the stage of an approve, and what later versions may need.
const OURS: &str = ".sandbar";

/// Directories whose whole content is obeyed by editors, agents, hooks or CI.
const OBEYED_DIRECTORIES: [&str; 9] = [
    ".vscode",
    ".idea",
    ".devcontainer",
    ".circleci",
    ".husky",
    ".claude",
    ".cursor",
    ".codex",
    ".gemini",
];

/// File names that a shell, a build, a package manager, git, an editor or an agent obeys.
const OBEYED_FILES: [&str; 30] = [
    // A directory with this, `objects` and `refs` is a repository to git, and its `config` names programs.
    "head",
    ".gitlab-ci.yml",
    "jenkinsfile",
    ".pre-commit-config.yaml",
    ".envrc",
    ".mise.toml",
    "mise.toml",
    ".tool-versions",
    ".npmrc",
    ".pnpmfile.cjs",
    "build.rs",
    ".gitattributes",
    ".gitmodules",
    ".gitconfig",
    ".bazelrc",
    "pyvenv.cfg",
    "conftest.py",
    "sitecustomize.py",
    "usercustomize.py",
    ".mcp.json",
    "agents.md",
    "claude.md",
    "gemini.md",
    "sandbox.yaml",
    "sandbar.yaml",
    "makefile",
    "gnumakefile",
    "justfile",
    "package.json",
    ".lldbinit",
];

/// Beginnings of such file names.
const OBEYED_PREFIXES: [&str; 2] = [".yarnrc", "rust-toolchain"];

/// Decides what the name of a path alone says a person should know.
///
/// Of [`ChangeFlag`] it can set `protected`, `exec_on_open`, `name_control_chars`, `name_bidi` and `name_non_utf8`.
#[must_use]
pub fn flags(path: &WorkspacePath) -> BTreeSet<ChangeFlag> {
    let folded: Vec<String> = path.components().map(fold).collect();
    let mut flags = BTreeSet::new();
    if folded.iter().any(|name| is_protected(name)) {
        flags.insert(ChangeFlag::Protected);
    }
    if is_obeyed(&folded) {
        flags.insert(ChangeFlag::ExecOnOpen);
    }
    match str::from_utf8(path.as_bytes()) {
        Err(_) => {
            flags.insert(ChangeFlag::NameNonUtf8);
        }
        Ok(text) => {
            if text.chars().any(char::is_control) {
                flags.insert(ChangeFlag::NameControlChars);
            }
            if text.chars().any(is_invisible) {
                flags.insert(ChangeFlag::NameBidi);
            }
        }
    }
    flags
}

/// Decides what the target of the link at `path` says, by its text alone: nothing is resolved.
///
/// A target that has version control metadata among its components makes the link `protected`.
#[must_use]
pub fn link_flags(path: &WorkspacePath, target: &LinkTarget) -> BTreeSet<ChangeFlag> {
    let mut flags = BTreeSet::new();
    let components = || target.0.split(|byte| *byte == b'/');
    if components().map(fold).any(|name| is_protected(&name)) {
        flags.insert(ChangeFlag::Protected);
    }
    if target.0.first() == Some(&b'/') {
        flags.insert(ChangeFlag::SymlinkAbsolute);
        return flags;
    }
    let mut depth = path.components().count() - 1;
    for name in components() {
        match name {
            b"" | b"." => {}
            b".." if depth == 0 => {
                flags.insert(ChangeFlag::SymlinkExternal);
                return flags;
            }
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    flags
}

/// The loosest form of a name.
///
/// Upper case first and then lower: `ſ` and the Kelvin sign reach ASCII only through their upper case.
pub(crate) fn fold(name: &[u8]) -> String {
    // Nearly every name, and most of the cost of a long list.
    if let Ok(text) = str::from_utf8(name)
        && name.is_ascii()
    {
        let name = text.split(':').next().unwrap_or_default();
        return name.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    }
    let text = String::from_utf8_lossy(name);
    let folded: String = text
        .nfc()
        .filter(|c| !is_ignored_by_hfs(*c))
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfc()
        .collect();
    // NTFS takes what follows a colon for the name of a stream of the file before it.
    let name = folded.split(':').next().unwrap_or_default();
    name.trim_end_matches(['.', ' ']).to_owned()
}

fn is_protected(folded: &str) -> bool {
    METADATA.contains(&folded) || folded.starts_with(OURS)
}

fn is_obeyed(folded: &[String]) -> bool {
    let pair = |parent: &str, child: fn(&str) -> bool| {
        folded.windows(2).any(|two| two[0] == parent && child(&two[1]))
    };
    let name = folded.last().map_or("", String::as_str);
    folded.iter().any(|name| OBEYED_DIRECTORIES.contains(&name.as_str()))
        || pair(".github", |name| name == "workflows" || name == "actions")
        || pair(".cargo", |name| name.starts_with("config"))
        || OBEYED_FILES.contains(&name)
        || OBEYED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.strip_suffix(".pth").is_some_and(|stem| !stem.is_empty())
}

/// The code points that HFS+ leaves out when it compares names.
fn is_ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// Whether a reader would not see `c`, or would see what follows in another order.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(bytes: impl AsRef<[u8]>) -> WorkspacePath {
        WorkspacePath::parse(bytes).unwrap()
    }

    fn has(bytes: impl AsRef<[u8]>, flag: ChangeFlag) -> bool {
        flags(&path(bytes)).contains(&flag)
    }

    #[test]
    fn every_disguise_of_metadata_is_protected() {
        for name in [
            ".git",
            ".GIT",
            ".Git/hooks/pre-commit",
            "sub/.git",
            "a/.git/config",
            "git~1",
            "GIT~1",
            ".git.",
            ".git ",
            ".git . .",
            ".git::$INDEX_ALLOCATION",
            ".g\u{200c}it",
            "\u{feff}.git",
            ".gi\u{206f}t",
            ".hg/hgrc",
            ".svn",
            ".bzr",
            ".\u{17f}vn",
            ".sandbar-stage-x",
            ".SANDBAR",
            ".sandbar",
        ] {
            assert!(has(name, ChangeFlag::Protected), "{name:?}");
        }
    }

    #[test]
    fn names_that_only_look_similar_are_not_protected() {
        for name in [
            ".gitignore",
            ".github/x",
            "git",
            "a.git",
            ".gitx",
            "git~2",
            "sandbar",
            "x.sandbar",
            "..git",
            ".git-blame-ignore-revs",
        ] {
            assert!(!has(name, ChangeFlag::Protected), "{name:?}");
        }
        assert!(!has(b".g\xffit", ChangeFlag::Protected));
    }

    #[test]
    fn what_the_host_obeys_is_flagged_at_any_depth() {
        for name in [
            ".vscode/tasks.json",
            "a/.idea/x",
            ".github/workflows/ci.yml",
            ".cargo/config.toml",
            "sub/.cargo/config",
            ".envrc",
            "build.rs",
            "a/Makefile",
            "x/evil.pth",
            ".yarnrc.yml",
            "rust-toolchain.toml",
            "package.json",
            "CLAUDE.md",
            ".husky/pre-commit",
            "Jenkinsfile",
            "planted/HEAD",
        ] {
            assert!(has(name, ChangeFlag::ExecOnOpen), "{name:?}");
        }
        for name in
            ["src/main.rs", ".github/README", ".cargo/bin", ".pth", "makefile.txt", "vscode/a"]
        {
            assert!(!has(name, ChangeFlag::ExecOnOpen), "{name:?}");
        }
    }

    #[test]
    fn names_that_deceive_the_eye_are_flagged() {
        assert!(has("a\nb", ChangeFlag::NameControlChars));
        assert!(has("a\u{202e}txt", ChangeFlag::NameBidi));
        assert!(has(b"\xff", ChangeFlag::NameNonUtf8));
        assert!(flags(&path("plain.txt")).is_empty());
    }

    #[test]
    fn a_link_is_judged_from_where_it_lies() {
        for (at, target, expected) in [
            ("l", "../x", Some(ChangeFlag::SymlinkExternal)),
            ("d/l", "../x", None),
            ("d/l", "../../x", Some(ChangeFlag::SymlinkExternal)),
            ("d/l", "e/../../../x", Some(ChangeFlag::SymlinkExternal)),
            ("l", "/etc/passwd", Some(ChangeFlag::SymlinkAbsolute)),
            ("d/l", ".git/config", Some(ChangeFlag::Protected)),
            ("l", "a/b", None),
        ] {
            let expected: BTreeSet<_> = expected.into_iter().collect();
            assert_eq!(
                link_flags(&path(at), &LinkTarget(target.into())),
                expected,
                "{at} -> {target}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_added_below_or_above_makes_metadata_writable(
            before in "[a-z]{0,4}", after in "[a-z]{0,4}", ignored in "[\u{200c}\u{200d}\u{feff}]{0,3}", tail in "[. ]{0,3}",
        ) {
            let name = path(format!("{before}/.GI{ignored}T{tail}/{after}").trim_start_matches('/'));
            prop_assert!(flags(&name).contains(&ChangeFlag::Protected));
        }
    }
}
