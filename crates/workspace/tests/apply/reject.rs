//! Reject: the workspace is again what the source is, at the paths that were selected.

use std::{
    fs::{self, File},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, symlink},
    },
};

use sandbar_types::Selection;
use sandbar_workspace::{
    apply::Refused,
    reject::{RejectError, Rejected, reject},
};

use crate::scene::{Scene, memory, path, paths, sixteen, write};

fn run(scene: &Scene, selection: &Selection) -> Result<Rejected, RejectError> {
    let merged = File::open(scene.merged("")).unwrap();
    let source = File::open(scene.source("")).unwrap();
    let owner = merged.metadata().unwrap();
    let owner = (owner.uid(), owner.gid());
    reject(merged.as_fd(), Some(source.as_fd()), &scene.changes(), selection, owner)
}

#[test]
fn rejecting_everything_leaves_nothing_to_review() {
    let dir = memory();
    let scene = sixteen(dir.path());
    let source = scene.snapshot("source");
    let rejected = run(&scene, &Selection::All).unwrap();
    assert_eq!(rejected.left, []);
    assert_eq!(scene.snapshot("merged"), source);
    assert_eq!(scene.snapshot("source"), source, "the source is only read");
}

#[test]
fn rejecting_a_path_leaves_the_others_as_they_are() {
    let dir = memory();
    let scene = sixteen(dir.path());
    let before = scene.snapshot("merged");
    run(&scene, &paths(&["modified.txt", "gone/deep"])).unwrap();
    let after = scene.snapshot("merged");
    assert_eq!(fs::read(scene.merged("modified.txt")).unwrap(), b"one\n");
    assert_eq!(fs::read(scene.merged("gone/deep/er/b")).unwrap(), b"b");
    assert!(!scene.merged("gone/a").exists());
    let touched = ["modified.txt", "gone", "gone/deep", "gone/deep/er", "gone/deep/er/b"];
    for (name, seen) in before {
        if !touched.contains(&&*String::from_utf8_lossy(&name)) {
            assert_eq!(after.get(&name), Some(&seen), "{}", String::from_utf8_lossy(&name));
        }
    }
}

#[test]
fn a_reject_that_is_repeated_changes_nothing() {
    let dir = memory();
    let scene = sixteen(dir.path());
    let set = scene.changes();
    let merged = File::open(scene.merged("")).unwrap();
    let source = File::open(scene.source("")).unwrap();
    let owner = merged.metadata().unwrap();
    let owner = (owner.uid(), owner.gid());
    let twice = || {
        let selection = Selection::All;
        reject(merged.as_fd(), Some(source.as_fd()), &set, &selection, owner).unwrap()
    };
    assert_eq!(twice(), twice());
    assert_eq!(scene.snapshot("merged"), scene.snapshot("source"));
}

#[test]
fn protected_paths_can_always_be_rejected() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both(".git/config", b"[core]\n", 0o644);
    write(&scene.merged(".git/config"), b"[core]\nfsmonitor = evil\n", 0o644);
    write(&scene.merged(".git/hooks/pre-commit"), b"evil", 0o755);
    run(&scene, &Selection::All).unwrap();
    assert_eq!(scene.snapshot("merged"), scene.snapshot("source"));
}

#[test]
fn a_child_of_what_something_else_replaced_names_what_is_missing() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both("d/child", b"x", 0o644);
    fs::remove_dir_all(scene.merged("d")).unwrap();
    symlink("elsewhere", scene.merged("d")).unwrap();
    let error = run(&scene, &paths(&["d/child"])).unwrap_err();
    assert!(matches!(
        error,
        RejectError::Refused(Refused::Requires { missing }) if missing == [path("d")]
    ));
    run(&scene, &paths(&["d"])).unwrap();
    assert_eq!(scene.snapshot("merged"), scene.snapshot("source"));
}

#[test]
fn what_was_put_into_a_new_directory_since_is_not_removed_with_it() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    write(&scene.merged("new/a"), b"a", 0o644);
    let set = scene.changes();
    write(&scene.merged("new/unseen"), b"unseen", 0o644);
    let merged = File::open(scene.merged("")).unwrap();
    let source = File::open(scene.source("")).unwrap();
    let selection = Selection::All;
    let rejected = reject(merged.as_fd(), Some(source.as_fd()), &set, &selection, (0, 0)).unwrap();
    assert_eq!(rejected.left, [path("new")]);
    assert!(scene.merged("new/unseen").exists() && !scene.merged("new/a").exists());
}

#[test]
fn rejecting_in_a_workspace_without_a_source_removes() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    write(&scene.merged("a/b"), b"x", 0o644);
    let merged = File::open(scene.merged("")).unwrap();
    reject(merged.as_fd(), None, &scene.changes(), &Selection::All, (0, 0)).unwrap();
    assert!(scene.snapshot("merged").is_empty());
}
