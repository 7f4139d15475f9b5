//! The whole way over a real overlay: what the workspace changed is found, approved or rejected, and then settled.

use std::{
    fs,
    os::{fd::AsFd, unix::fs::symlink},
    path::Path,
};

use sandbar_types::Selection;
use sandbar_workspace::{
    apply::{apply, plan},
    journal::Journal,
    reject::reject,
};

use crate::{
    overlay::Overlay,
    scene::{all_flags, approve_id, limits, write},
};

fn fill(source: &Path) {
    write(&source.join("modified"), b"old", 0o644);
    write(&source.join("gone/deep/file"), b"old", 0o644);
    write(&source.join("replaced/old"), b"old", 0o644);
    write(&source.join("replaced/same"), b"same", 0o644);
    write(&source.join("moved/inside"), b"moved", 0o644);
    write(&source.join("file"), b"old", 0o644);
    symlink("modified", source.join("link")).unwrap();
}

fn edit(inside: &Path) {
    write(&inside.join("modified"), &[0, 255, 3], 0o644);
    fs::remove_dir_all(inside.join("gone")).unwrap();
    fs::remove_dir_all(inside.join("replaced")).unwrap();
    write(&inside.join("replaced/same"), b"same", 0o644);
    write(&inside.join("replaced/new"), b"new", 0o755);
    fs::rename(inside.join("moved"), inside.join("renamed")).unwrap();
    fs::remove_file(inside.join("file")).unwrap();
    write(&inside.join("file/child"), b"child", 0o644);
    fs::remove_file(inside.join("link")).unwrap();
    symlink("renamed/inside", inside.join("link")).unwrap();
}

#[test]
fn what_is_approved_over_an_overlay_is_in_the_source_and_no_change_any_more() {
    let mut overlay = Overlay::new(fill);
    edit(&overlay.inside());
    let set = overlay.changes();
    let plan = plan(&set, &Selection::All, &all_flags(), limits()).unwrap();
    let journals = overlay.beside("journal");
    fs::create_dir(&journals).unwrap();
    let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let parent = fs::File::open(journals).unwrap();
    let journal = Journal::create(&parent, approve_id(), owner).unwrap();
    let source = fs::File::open(overlay.source()).unwrap();
    let merged = overlay.layers().merged;
    let report = apply(source.as_fd(), merged, &journal, approve_id(), &plan).unwrap();
    let read = |name: &str| fs::read(overlay.source().join(name)).unwrap();
    assert_eq!(read("modified"), [0, 255, 3]);
    assert_eq!(read("renamed/inside"), b"moved");
    assert_eq!((read("replaced/new"), read("replaced/same")), (b"new".to_vec(), b"same".to_vec()));
    assert_eq!(read("file/child"), b"child");
    for gone in ["gone", "moved", "replaced/old"] {
        assert!(!overlay.source().join(gone).exists(), "{gone}");
    }
    let approved = report.applied.into_iter().map(|one| (one.path, one.base));
    overlay.base.approved.extend(approved);
    assert_eq!(overlay.changes().changes, [], "nothing is left to review");
}

#[test]
fn what_is_rejected_over_an_overlay_in_use_is_as_it_was() {
    let overlay = Overlay::new(fill);
    edit(&overlay.inside());
    let set = overlay.changes();
    let layers = overlay.layers();
    let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let rejected = reject(layers.merged, layers.lower, &set, &Selection::All, owner).unwrap();
    assert_eq!(rejected.left, []);
    assert_eq!(overlay.changes().changes, [], "nothing is left to review");
    assert_eq!(fs::read(overlay.inside().join("gone/deep/file")).unwrap(), b"old");
    assert_eq!(fs::read(overlay.inside().join("moved/inside")).unwrap(), b"moved");
}
