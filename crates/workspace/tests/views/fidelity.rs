//! The change set against an independent comparison of everything.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
};

use sandbar_types::{ChangeFlag, ChangeKind};

use crate::overlay::{Overlay, at, path};

/// Type, permission bits and content of everything below `root`.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<Vec<u8>, (char, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let full = entry.unwrap().path();
            let meta = fs::symlink_metadata(&full).unwrap();
            let mode = meta.mode() & 0o7777;
            let what = if meta.is_dir() {
                pending.push(full.clone());
                ('d', mode, Vec::new())
            } else if meta.is_symlink() {
                ('l', 0, fs::read_link(&full).unwrap().as_os_str().as_bytes().to_vec())
            } else if meta.is_file() {
                ('f', mode, fs::read(&full).unwrap())
            } else {
                assert!(meta.file_type().is_fifo() || meta.file_type().is_socket());
                ('p', 0, Vec::new())
            };
            let relative = full.strip_prefix(root).unwrap();
            found.insert(relative.as_os_str().as_bytes().to_vec(), what);
        }
    }
    found
}

/// What differs between two snapshots.
fn compare(
    old: &BTreeMap<Vec<u8>, (char, u32, Vec<u8>)>,
    new: &BTreeMap<Vec<u8>, (char, u32, Vec<u8>)>,
) -> BTreeMap<Vec<u8>, ChangeKind> {
    let mut kinds = BTreeMap::new();
    for name in old.keys().chain(new.keys()) {
        let kind = match (old.get(name), new.get(name)) {
            (None, _) => ChangeKind::Added,
            (_, None) => ChangeKind::Deleted,
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) if old.0 != new.0 => ChangeKind::TypeChanged,
            (Some(old), Some(new)) if old.2 == new.2 => ChangeKind::ModeChanged,
            (Some(_), Some(_)) => ChangeKind::Modified,
        };
        kinds.insert(name.clone(), kind);
    }
    kinds
}

pub(crate) fn assert_faithful(overlay: &Overlay, source: &BTreeMap<Vec<u8>, (char, u32, Vec<u8>)>) {
    let expected = compare(source, &snapshot(&overlay.inside()));
    let found: BTreeMap<Vec<u8>, ChangeKind> = overlay
        .changes()
        .changes
        .iter()
        .filter(|change| change.kind != ChangeKind::XattrChanged)
        .map(|change| (change.path.as_bytes().to_vec(), change.kind))
        .collect();
    let show = |map: &BTreeMap<Vec<u8>, ChangeKind>| -> Vec<String> {
        map.iter().map(|(k, v)| format!("{} {v:?}", k.escape_ascii())).collect()
    };
    assert_eq!(show(&found), show(&expected));
}

fn fill(source: &Path) {
    let files = [
        "modified",
        "deleted",
        "executable",
        "private",
        "truncated",
        "appended",
        "untouched",
        "file_to_directory",
        "file_to_link",
        "renamed",
        "touched",
        "reverted",
        "hidden_twin",
    ];
    for name in files {
        fs::write(source.join(name), format!("{name} one\n{name} two\n")).unwrap();
    }
    fs::hard_link(source.join("hidden_twin"), source.join("twin")).unwrap();
    for dir in ["to_file", "to_link", "moved/deep", "replaced/old", "gone/deep", "mode", "empty"] {
        fs::create_dir_all(source.join(dir)).unwrap();
        fs::write(source.join(dir).join("kept"), dir).unwrap();
    }
    fs::remove_file(source.join("empty/kept")).unwrap();
    symlink("untouched", source.join("link")).unwrap();
    symlink("nowhere", source.join("link_to_directory")).unwrap();
    fs::write(source.join("attributed"), "a").unwrap();
}

fn edit(inside: &Path) {
    let write = |name: &str, content: &[u8]| fs::write(inside.join(name), content).unwrap();
    let chmod = |name: &str, mode| {
        fs::set_permissions(inside.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write("added", b"new\n");
    write("modified", b"other content\n");
    fs::remove_file(inside.join("deleted")).unwrap();
    chmod("executable", 0o755);
    chmod("private", 0o600);
    write("truncated", b"");
    write("appended", b"appended one\nappended two\nthree\n");
    symlink("untouched", inside.join("new_link")).unwrap();
    fs::remove_file(inside.join("link")).unwrap();
    symlink("modified", inside.join("link")).unwrap();
    fs::remove_file(inside.join("file_to_directory")).unwrap();
    fs::create_dir(inside.join("file_to_directory")).unwrap();
    write("file_to_directory/child", b"c");
    fs::remove_dir_all(inside.join("to_file")).unwrap();
    write("to_file", b"was a directory\n");
    fs::remove_file(inside.join("file_to_link")).unwrap();
    symlink("untouched", inside.join("file_to_link")).unwrap();
    fs::remove_file(inside.join("link_to_directory")).unwrap();
    fs::create_dir(inside.join("link_to_directory")).unwrap();
    write("link_to_directory/child", b"c");
    fs::remove_dir_all(inside.join("to_link")).unwrap();
    symlink("replaced", inside.join("to_link")).unwrap();
    fs::rename(inside.join("renamed"), inside.join("renamed_file")).unwrap();
    fs::rename(inside.join("moved"), inside.join("moved_directory")).unwrap();
    write("moved_directory/deep/more", b"m");
    fs::remove_dir_all(inside.join("replaced")).unwrap();
    fs::create_dir(inside.join("replaced")).unwrap();
    write("replaced/new", b"n");
    fs::remove_dir_all(inside.join("gone")).unwrap();
    chmod("mode", 0o700);
    write("hidden_twin", b"split\n");
    fs::create_dir_all(inside.join("new/empty")).unwrap();
    let sparse = fs::File::create(inside.join("sparse")).unwrap();
    sparse.set_len(1 << 22).unwrap();
    write("zero_byte", b"");
    let binary: Vec<u8> =
        (0..10_u32 << 20).map(|i| (i.wrapping_mul(i) >> 7).to_be_bytes()[3]).collect();
    write("binary", &binary);
    write("touched", b"touched one\ntouched two\n");
    write("reverted", b"something\n");
    write("reverted", b"reverted one\nreverted two\n");
    rustix::fs::setxattr(
        inside.join("attributed"),
        "user.note",
        b"v",
        rustix::fs::XattrFlags::empty(),
    )
    .unwrap();
}

#[test]
fn the_change_set_equals_a_full_comparison() {
    let overlay = Overlay::new(fill);
    let source = snapshot(&overlay.source());
    edit(&overlay.inside());
    assert_faithful(&overlay, &source);
    assert_eq!(snapshot(&overlay.source()), source);
    let set = overlay.changes();
    assert_eq!(at(&set, "renamed_file").renamed_from, Some(path("renamed")));
    let attributed = at(&set, "attributed");
    assert_eq!(attributed.kind, ChangeKind::XattrChanged);
    assert!(attributed.flags.contains(&ChangeFlag::XattrDropped));
    assert!(at(&set, "binary").binary);
    assert_eq!(at(&set, "appended").lines.unwrap().added, 1);
    assert_eq!(at(&set, "appended").lines.unwrap().removed, 0);
    assert!(set.changes.is_sorted_by(|one, other| one.path < other.path));
}

#[test]
fn the_change_set_equals_a_full_comparison_with_the_marks_of_user_mode() {
    let overlay = Overlay::with(sandbar_workspace::OverlayMarks::User, fill);
    let source = snapshot(&overlay.source());
    let inside = overlay.inside();
    fs::remove_dir_all(inside.join("replaced")).unwrap();
    fs::create_dir(inside.join("replaced")).unwrap();
    fs::write(inside.join("replaced/new"), "n").unwrap();
    fs::remove_dir_all(inside.join("gone")).unwrap();
    fs::write(inside.join("modified"), "m").unwrap();
    assert_faithful(&overlay, &source);
    assert!(at(&overlay.changes(), "replaced/old/kept").flags.contains(&ChangeFlag::Opaque));
}

mod random {
    use proptest::prelude::*;

    use super::*;

    /// One edit, on names that are few, so that edits meet.
    #[derive(Debug, Clone)]
    enum Edit {
        Write(String, u8),
        Remove(String),
        MakeDirectory(String),
        Link(String, String),
        Rename(String, String),
        Mode(String, u32),
    }

    fn name() -> impl Strategy<Value = String> {
        "[ab](/[ab](/[ab])?)?"
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            4 => (name(), 0..3_u8).prop_map(|(n, c)| Edit::Write(n, c)),
            3 => name().prop_map(Edit::Remove),
            2 => name().prop_map(Edit::MakeDirectory),
            1 => (name(), name()).prop_map(|(n, t)| Edit::Link(n, t)),
            3 => (name(), name()).prop_map(|(a, b)| Edit::Rename(a, b)),
            1 => (name(), prop_oneof![Just(0o755), Just(0o644)]).prop_map(|(n, m)| Edit::Mode(n, m)),
        ]
    }

    /// Does the edit where it can be done. Links are never followed by accident: their targets dangle.
    fn apply(root: &Path, edit: &Edit) {
        // An edit that cannot be done is none.
        let _unused = match edit {
            Edit::Write(name, content) => {
                let full = root.join(name);
                if full.is_symlink() {
                    return;
                }
                fs::write(full, vec![b'0' + content; 3])
            }
            Edit::Remove(name) => {
                let full = root.join(name);
                fs::remove_file(&full).or_else(|_| fs::remove_dir_all(&full))
            }
            Edit::MakeDirectory(name) => fs::create_dir_all(root.join(name)),
            Edit::Link(name, target) => {
                symlink(format!("dangling-{}", target.replace('/', "-")), root.join(name))
            }
            Edit::Rename(from, to) => fs::rename(root.join(from), root.join(to)),
            Edit::Mode(name, mode) => {
                let full = root.join(name);
                if full.is_symlink() || full.is_dir() {
                    return;
                }
                fs::set_permissions(full, fs::Permissions::from_mode(*mode))
            }
        };
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        #[test]
        fn any_edits_of_any_tree_are_found(
            before in proptest::collection::vec(edit(), 0..20),
            after in proptest::collection::vec(edit(), 0..20),
        ) {
            let overlay = Overlay::new(|source| before.iter().for_each(|edit| apply(source, edit)));
            let source = snapshot(&overlay.source());
            after.iter().for_each(|edit| apply(&overlay.inside(), edit));
            assert_faithful(&overlay, &source);
        }
    }
}
