//! Diffs, taken by the real `git apply`.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{PermissionsExt, symlink},
    },
    path::Path,
    process::Command,
};

use sandbar_types::{HunkLine, Hunks, Selection};
use sandbar_workspace::{
    ChangeLimits,
    diff::{self, Contents},
    proposal::{Composed, Proposal},
};

use crate::{
    fidelity::snapshot,
    overlay::{Overlay, at, path, paths},
};

fn write(overlay: &Overlay, limits: &ChangeLimits) -> (Vec<u8>, diff::DiffOutcome) {
    let mut out = Vec::new();
    let proposal = Proposal::of(overlay.changes());
    let selection = Selection::All;
    let outcome = diff::write(&overlay.layers(), &proposal, &selection, limits, &mut out).unwrap();
    (out, outcome)
}

/// Files and links as git sees them: directories do not count, modes do by their executable bit.
fn as_git_sees(root: &Path) -> BTreeMap<String, (char, u32, Vec<u8>)> {
    let all = snapshot(root).into_iter();
    all.filter(|(name, (what, ..))| *what != 'd' && *what != 'p' && !name.starts_with(b".git"))
        .map(|(name, (what, mode, content))| {
            (name.escape_ascii().to_string(), (what, mode & 0o100, content))
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "tests run the real git as the referee")]
fn git(dir: &Path, args: &[&str]) {
    let output = Command::new("git")
        .args(["-c", "core.hooksPath=/dev/null"])
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {args:?}: {error}");
}

/// Applies the diff of everything to a copy of the source, which must then be what the workspace is.
fn assert_applies(overlay: &Overlay, limits: &ChangeLimits) {
    let copy = overlay.beside("copy");
    copy_tree(&overlay.source(), &copy);
    let (patch, _) = write(overlay, limits);
    let file = overlay.beside("patch");
    fs::write(&file, &patch).unwrap();
    git(&copy, &["init", "-q"]);
    if !patch.is_empty() {
        git(&copy, &["apply", "--whitespace=nowarn", file.to_str().unwrap()]);
    }
    let (applied, inside) = (as_git_sees(&copy), as_git_sees(&overlay.inside()));
    assert_eq!(applied, inside, "{}", patch.escape_ascii());
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (full, target) = (entry.path(), to.join(entry.file_name()));
        if full.is_symlink() {
            symlink(fs::read_link(full).unwrap(), target).unwrap();
        } else if full.is_dir() {
            copy_tree(&full, &target);
        } else {
            fs::copy(full, target).unwrap();
        }
    }
}

const BINARY: &[u8] = b"\x00\x01\x02binary\xff\r\n\x00";

#[test]
fn b13_binaries_new_modified_and_deleted_between_texts_come_out_equal() {
    let overlay = Overlay::new(|source| {
        for name in ["a_text", "b_modified", "c_text", "d_deleted", "z_text"] {
            let content = if name.ends_with("text") { b"text\n" } else { BINARY };
            fs::write(source.join(name), content).unwrap();
        }
        fs::write(source.join("e_text_to_binary"), "text\n").unwrap();
        fs::write(source.join("f_binary_to_text"), BINARY).unwrap();
    });
    let inside = overlay.inside();
    for (name, content) in [
        ("a_text", &b"text\nmore\n"[..]),
        ("b_modified", b"\x00other\xfe"),
        ("c_text", b"changed\n"),
        ("c_new", BINARY),
        ("e_text_to_binary", BINARY),
        ("f_binary_to_text", b"text\n"),
        ("y_empty", b""),
        ("z_text", b""),
    ] {
        fs::write(inside.join(name), content).unwrap();
    }
    fs::remove_file(inside.join("d_deleted")).unwrap();
    let large: Vec<u8> =
        (0..300_000_u32).flat_map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect();
    fs::write(inside.join("x_large"), large).unwrap();
    assert_applies(&overlay, &ChangeLimits::default());
}

#[test]
fn what_is_too_large_to_show_is_written_exactly_all_the_same() {
    let overlay = Overlay::new(|source| fs::write(source.join("f"), "line\n".repeat(50)).unwrap());
    fs::write(overlay.inside().join("f"), "line\nother\n".repeat(50)).unwrap();
    let limits = ChangeLimits { display_bytes_max: 10, ..ChangeLimits::default() };
    assert!(write(&overlay, &limits).0.windows(16).any(|at| at == b"GIT binary patch"));
    assert_applies(&overlay, &limits);
}

#[test]
fn types_modes_and_ends_of_lines_come_out_equal() {
    let overlay = Overlay::new(|source| {
        for name in ["to_link", "to_dir", "exec", "crlf", "no_end", "end"] {
            fs::write(source.join(name), "one\r\ntwo\n").unwrap();
        }
        symlink("end", source.join("link_to_file")).unwrap();
        symlink("end", source.join("link")).unwrap();
        symlink("end", source.join("link_to_dir")).unwrap();
        fs::create_dir(source.join("dir_to_file")).unwrap();
        fs::write(source.join("dir_to_file/f"), "f").unwrap();
    });
    let inside = overlay.inside();
    for name in ["to_link", "to_dir", "link_to_file", "link", "link_to_dir"] {
        fs::remove_file(inside.join(name)).unwrap();
    }
    symlink("../outside", inside.join("to_link")).unwrap();
    symlink("crlf", inside.join("link")).unwrap();
    for dir in ["to_dir", "link_to_dir"] {
        fs::create_dir(inside.join(dir)).unwrap();
        fs::write(inside.join(dir).join("child"), "c\n").unwrap();
    }
    fs::write(inside.join("link_to_file"), "file\n").unwrap();
    fs::remove_dir_all(inside.join("dir_to_file")).unwrap();
    fs::write(inside.join("dir_to_file"), "now a file").unwrap();
    fs::set_permissions(inside.join("exec"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(inside.join("crlf"), "one\r\ntwo\r\n").unwrap();
    fs::write(inside.join("no_end"), "one\r\ntwo").unwrap();
    assert_applies(&overlay, &ChangeLimits::default());
}

#[test]
fn names_with_spaces_come_out_equal_where_only_the_header_says_them() {
    let names = ["in the middle", "end ", " start", "dir /f", "a dir/f", "dir  / /f"];
    let overlay = Overlay::new(|source| {
        for name in names {
            let full = source.join(name);
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(full, "text\n").unwrap();
        }
    });
    for name in names {
        let full = overlay.inside().join(name);
        // Neither a mode nor an empty file has `---` and `+++` lines.
        fs::set_permissions(&full, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(full.with_file_name("new"), "").unwrap();
    }
    assert_applies(&overlay, &ChangeLimits::default());
}

#[test]
fn what_git_has_no_words_for_is_named() {
    let overlay = Overlay::new(|source| fs::write(source.join("f"), "f").unwrap());
    let inside = overlay.inside();
    fs::create_dir_all(inside.join("full/empty")).unwrap();
    fs::write(inside.join("full/file"), "f").unwrap();
    fs::set_permissions(inside.join("f"), fs::Permissions::from_mode(0o600)).unwrap();
    let (_, outcome) = write(&overlay, &ChangeLimits::default());
    assert_eq!(outcome.left_out, [path("f"), path("full/empty")]);
}

#[test]
fn a_selected_directory_stands_for_what_it_holds() {
    let overlay = Overlay::new(|_| {});
    for name in ["a", "dir", "dir_not"] {
        fs::create_dir(overlay.inside().join(name)).unwrap();
        fs::write(overlay.inside().join(name).join("f"), name).unwrap();
    }
    let set = overlay.changes();
    let selection = Selection::Paths(vec![path("dir"), path("nothing")]);
    let mut out = Vec::new();
    let limits = ChangeLimits::default();
    let proposal = Proposal::of(set.clone());
    let outcome = diff::write(&overlay.layers(), &proposal, &selection, &limits, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(text.matches("diff --git").count(), 1);
    assert!(text.starts_with("diff --git a/dir/f b/dir/f\n") && outcome.left_out.is_empty());
    assert_eq!(
        diff::unmatched(&set, &selection).into_iter().collect::<Vec<_>>(),
        [path("nothing")]
    );
}

#[test]
fn a_stale_list_is_refused() {
    let overlay = Overlay::new(|_| {});
    fs::write(overlay.inside().join("f"), "one").unwrap();
    let set = Proposal::of(overlay.changes());
    fs::write(overlay.inside().join("f"), "two").unwrap();
    let limits = ChangeLimits::default();
    let refused = diff::write(&overlay.layers(), &set, &Selection::All, &limits, &mut Vec::new());
    assert!(matches!(refused, Err(diff::DiffError::Stale { path: at }) if at == path("f")));
}

#[test]
fn hunks_hold_the_lines_with_their_ends() {
    let text: String = (1..=40).map(|i| format!("line {i}\n")).collect();
    let overlay = Overlay::new(|source| fs::write(source.join("f"), &text).unwrap());
    let edited =
        text.replace("line 5\n", "five\r\n").replace("line 30\n", "").replace("line 40\n", "end");
    fs::write(overlay.inside().join("f"), edited).unwrap();
    let set = overlay.changes();
    let limits = ChangeLimits::default();
    let contents = Contents { layers: &overlay.layers(), composed: &Composed::default() };
    let hunks = diff::hunks(contents, at(&set, "f"), &limits).unwrap();
    let Hunks::Text { hunks } = hunks else {
        panic!("{hunks:?}");
    };
    let places: Vec<_> =
        hunks.iter().map(|h| (h.old_start, h.old_lines, h.new_start, h.new_lines)).collect();
    assert_eq!(places, [(2, 7, 2, 7), (27, 7, 27, 6), (37, 4, 36, 4)]);
    let added: Vec<&[u8]> = hunks
        .iter()
        .flat_map(|hunk| &hunk.lines)
        .filter_map(|line| match line {
            HunkLine::Added(text) => Some(&text.0[..]),
            HunkLine::Context(_) | HunkLine::Removed(_) => None,
        })
        .collect();
    assert_eq!(added, [&b"five\r\n"[..], b"end"]);
    assert_eq!(at(&set, "f").lines.map(|l| (l.added, l.removed)), Some((2, 3)));
}

mod random {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Node {
        File { content: Vec<u8>, is_executable: bool },
        Link(Vec<u8>),
    }

    fn content() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            8 => prop::sample::select(vec!["a", "b", "c", "", "+x", "-- y", "@@ -1 +1 @@", "a\r", "\t ", "é"])
                .prop_map(|line| line.as_bytes().to_vec()),
            1 => prop::collection::vec(1..=255_u8, 0..5),
        ];
        let text = (prop::collection::vec(line, 0..30), any::<bool>()).prop_map(|(lines, ends)| {
            let mut text = lines.join(&b'\n');
            if ends && !text.is_empty() {
                text.push(b'\n');
            }
            text
        });
        prop_oneof![5 => text, 1 => prop::collection::vec(any::<u8>(), 0..200)]
    }

    fn node() -> impl Strategy<Value = Node> {
        prop_oneof![
            6 => (content(), any::<bool>())
                .prop_map(|(content, is_executable)| Node::File { content, is_executable }),
            // No name of a tree: `git apply` cannot look behind a link that leads to itself.
            1 => "[x-z]{1,3}".prop_map(|target| Node::Link(target.into_bytes())),
        ]
    }

    fn tree() -> impl Strategy<Value = BTreeMap<Vec<u8>, Node>> {
        let component = prop::sample::select(vec![
            &b"a"[..],
            b"b",
            b"c d",
            b"q\"q",
            b"new\nline",
            b"\xff",
            "é".as_bytes(),
            b"e ",
            b"b\\s",
        ]);
        let name = prop::collection::vec(component, 1..4).prop_map(|parts| parts.join(&b'/'));
        prop::collection::vec((name, node()), 0..8).prop_map(|nodes| {
            let mut tree: BTreeMap<Vec<u8>, Node> = BTreeMap::new();
            for (name, node) in nodes {
                let below = |one: &[u8], other: &[u8]| {
                    one.starts_with(other) && one.get(other.len()) == Some(&b'/')
                };
                if !tree.keys().any(|at| below(at, &name) || below(&name, at)) {
                    tree.insert(name, node);
                }
            }
            tree
        })
    }

    fn build(root: &Path, tree: &BTreeMap<Vec<u8>, Node>) {
        for (name, node) in tree {
            let full = root.join(OsStr::from_bytes(name));
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            match node {
                Node::Link(target) => symlink(OsStr::from_bytes(target), full).unwrap(),
                Node::File { content, is_executable } => {
                    fs::write(&full, content).unwrap();
                    let mode = if *is_executable { 0o755 } else { 0o644 };
                    fs::set_permissions(full, fs::Permissions::from_mode(mode)).unwrap();
                }
            }
        }
    }

    fn clear(root: &Path) {
        for entry in fs::read_dir(root).unwrap() {
            let full = entry.unwrap().path();
            if full.is_dir() && !full.is_symlink() {
                fs::remove_dir_all(full).unwrap();
            } else {
                fs::remove_file(full).unwrap();
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]

        #[test]
        fn any_diff_turns_the_source_into_the_workspace(before in tree(), after in tree()) {
            let overlay = Overlay::new(|source| build(source, &before));
            clear(&overlay.inside());
            build(&overlay.inside(), &after);
            assert_applies(&overlay, &ChangeLimits::default());
        }

        #[test]
        fn any_two_texts_of_one_file_are_told_apart(before in content(), after in content()) {
            let overlay = Overlay::new(|source| fs::write(source.join("f"), &before).unwrap());
            fs::write(overlay.inside().join("f"), &after).unwrap();
            prop_assert_eq!(paths(&overlay.changes()).is_empty(), before == after);
            assert_applies(&overlay, &ChangeLimits::default());
        }
    }
}
