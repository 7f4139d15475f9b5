//! The source moved on, or an approve was done: what is a change then, and what is flagged.

use std::{fs, os::fd::AsFd, path::Path};

use sandbar_types::{ChangeFlag, ChangeSet};
use sandbar_workspace::{Approved, entry};

use crate::overlay::{Overlay, at, path, paths};

fn is_drifted(set: &ChangeSet, name: &str) -> bool {
    at(set, name).flags.contains(&ChangeFlag::BaseDrifted)
}

fn fill(source: &Path) {
    for name in ["quiet", "edited", "replaced", "removed", "both_gone", "deleted"] {
        fs::write(source.join(name), name).unwrap();
    }
}

#[test]
fn a_path_that_the_host_touched_since_is_flagged_and_no_other() {
    let overlay = Overlay::new(fill);
    let inside = overlay.inside();
    for name in ["quiet", "edited", "replaced", "removed", "added", "new"] {
        fs::write(inside.join(name), "inside").unwrap();
    }
    fs::remove_file(inside.join("deleted")).unwrap();
    fs::remove_file(inside.join("both_gone")).unwrap();
    let source = overlay.source();
    fs::write(source.join("edited"), "host").unwrap();
    fs::write(source.join("other"), "host").unwrap();
    fs::rename(source.join("other"), source.join("replaced")).unwrap();
    fs::remove_file(source.join("removed")).unwrap();
    fs::remove_file(source.join("both_gone")).unwrap();
    fs::write(source.join("added"), "host").unwrap();
    fs::write(source.join("deleted"), "host").unwrap();
    let set = overlay.changes();
    assert_eq!(paths(&set), ["added", "deleted", "edited", "new", "quiet", "removed", "replaced"]);
    for name in ["added", "deleted", "edited", "removed", "replaced"] {
        assert!(is_drifted(&set, name), "{name}");
    }
    assert!(!is_drifted(&set, "quiet") && !is_drifted(&set, "new"));
}

/// Writes to the source what the workspace has, and remembers it, as an approve does.
fn approve(overlay: &mut Overlay, name: &str) {
    let (inside, source) = (overlay.inside().join(name), overlay.source().join(name));
    if inside.is_dir() {
        fs::create_dir(&source).unwrap();
    } else if inside.exists() {
        fs::write(&source, fs::read(&inside).unwrap()).unwrap();
    } else {
        fs::remove_file(&source).unwrap();
    }
    let layers = overlay.layers();
    let entry = entry::read_below(layers.merged.as_fd(), &path(name)).unwrap();
    let lower = layers.lower.unwrap();
    let host = entry::stamp_below(lower, &path(name)).unwrap().map(|stamp| stamp.host());
    overlay.base.approved.insert(path(name), Approved { entry, host });
}

#[test]
fn what_was_approved_is_no_change_even_when_the_host_moves_on() {
    let mut overlay = Overlay::new(fill);
    fs::write(overlay.inside().join("edited"), "inside").unwrap();
    fs::remove_file(overlay.inside().join("deleted")).unwrap();
    approve(&mut overlay, "edited");
    approve(&mut overlay, "deleted");
    assert!(paths(&overlay.changes()).is_empty());
    fs::write(overlay.source().join("edited"), "the host went on").unwrap();
    fs::write(overlay.source().join("deleted"), "made anew").unwrap();
    assert!(paths(&overlay.changes()).is_empty());
}

#[test]
fn a_second_edit_of_an_approved_path_is_a_change_without_drift_until_the_host_edits() {
    let mut overlay = Overlay::new(fill);
    fs::write(overlay.inside().join("edited"), "inside").unwrap();
    approve(&mut overlay, "edited");
    fs::write(overlay.inside().join("edited"), "inside again").unwrap();
    let set = overlay.changes();
    assert!(!is_drifted(&set, "edited"));
    fs::write(overlay.source().join("edited"), "host").unwrap();
    assert!(is_drifted(&overlay.changes(), "edited"));
}

#[test]
fn what_the_host_adds_to_an_approved_directory_is_not_deleted_by_the_workspace() {
    let mut overlay = Overlay::new(fill);
    fs::create_dir(overlay.inside().join("made")).unwrap();
    fs::write(overlay.inside().join("made/inside"), "i").unwrap();
    approve(&mut overlay, "made");
    approve(&mut overlay, "made/inside");
    fs::write(overlay.source().join("made/host"), "h").unwrap();
    fs::create_dir(overlay.source().join("made/dir")).unwrap();
    fs::write(overlay.source().join("made/dir/host"), "h").unwrap();
    assert!(paths(&overlay.changes()).is_empty());
}

#[test]
fn the_base_survives_the_store() {
    let mut overlay = Overlay::new(fill);
    fs::write(overlay.inside().join("edited"), "inside").unwrap();
    approve(&mut overlay, "edited");
    overlay.base.approved.insert(path(b"\xff"), Approved { entry: None, host: None });
    let json = serde_json::to_string(&overlay.base).unwrap();
    assert_eq!(serde_json::from_str::<sandbar_workspace::Base>(&json).unwrap(), overlay.base);
}

#[test]
fn what_the_workspace_moved_or_linked_is_not_taken_for_what_the_host_removed() {
    let overlay = Overlay::new(|source| {
        fill(source);
        fs::create_dir_all(source.join("dir/sub")).unwrap();
        fs::write(source.join("dir/sub/file"), "f").unwrap();
    });
    let inside = overlay.inside();
    fs::write(inside.join("edited"), "edited first").unwrap();
    fs::rename(inside.join("edited"), inside.join("renamed")).unwrap();
    fs::hard_link(inside.join("quiet"), inside.join("linked")).unwrap();
    fs::write(inside.join("dir/sub/file"), "edited").unwrap();
    fs::rename(inside.join("dir"), inside.join("moved")).unwrap();
    // The host works on, in the same directory.
    fs::write(overlay.source().join("unrelated"), "u").unwrap();
    let set = overlay.changes();
    for change in &set.changes {
        assert!(!change.flags.contains(&ChangeFlag::BaseDrifted), "{change:?}");
    }
    assert_eq!(at(&set, "moved/sub/file").kind, sandbar_types::ChangeKind::Added);
}

#[test]
fn a_copy_in_a_directory_that_the_host_removed_is_flagged() {
    let overlay = Overlay::new(|source| {
        fs::create_dir(source.join("dir")).unwrap();
        fs::write(source.join("dir/file"), "f").unwrap();
    });
    fs::write(overlay.inside().join("dir/file"), "edited").unwrap();
    fs::write(overlay.inside().join("dir/new"), "new").unwrap();
    fs::remove_dir_all(overlay.source().join("dir")).unwrap();
    let set = overlay.changes();
    assert!(is_drifted(&set, "dir") && is_drifted(&set, "dir/file"));
    assert!(!is_drifted(&set, "dir/new"));
}

#[test]
fn a_directory_drifts_by_what_happens_to_itself_not_by_names_in_it() {
    let overlay = Overlay::new(|source| {
        for dir in ["entered", "swapped", "other"] {
            fs::create_dir(source.join(dir)).unwrap();
            fs::write(source.join(dir).join("file"), "f").unwrap();
        }
    });
    for dir in ["entered", "swapped"] {
        fs::remove_dir_all(overlay.inside().join(dir)).unwrap();
    }
    let source = overlay.source();
    fs::write(source.join("entered/new"), "n").unwrap();
    fs::rename(source.join("swapped"), source.join("away")).unwrap();
    fs::rename(source.join("other"), source.join("swapped")).unwrap();
    let set = overlay.changes();
    assert!(!is_drifted(&set, "entered") && is_drifted(&set, "entered/new"));
    assert!(is_drifted(&set, "swapped"));
}
