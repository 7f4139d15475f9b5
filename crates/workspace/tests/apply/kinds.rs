//! What an approve writes for every kind of change, byte for byte.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use sandbar_types::{ChangeFlag, Selection};
use sandbar_workspace::apply::{ApplyError, ApplyLimits, Refused, plan};

use crate::scene::{Scene, Seen, all_flags, limits, memory, path, paths, sixteen, write};

#[test]
fn every_kind_of_change_arrives_as_the_workspace_has_it() {
    let dir = memory();
    let scene = sixteen(dir.path());
    let report = scene.approve_all();
    assert_eq!(scene.snapshot("source"), scene.snapshot("merged"));
    assert!(scene.changes().changes.is_empty());
    assert!(scene.stage_exists(), "the replaced content is the undo");
    assert!(report.outcome.skipped.is_empty());
    let there = report.applied.iter().filter(|one| one.entry.is_some());
    assert!(there.into_iter().all(|one| one.base.host.is_some_and(|host| host.ino != 0)));
}

#[test]
fn b13_new_binary_survives_approve() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    write(&scene.merged("logo.png"), &bytes, 0o644);
    scene.approve_all();
    assert_eq!(fs::read(scene.source("logo.png")).unwrap(), bytes);
}

#[test]
fn b13_modified_and_deleted_binaries_in_any_order() {
    let names = ["a", "b", "c"];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let dir = memory();
        let scene = Scene::new(dir.path());
        let [modified, deleted, text] = order.map(|at| names[at]);
        scene.both(modified, &[0, 255, 1], 0o644);
        scene.both(deleted, &[0, 254, 2], 0o644);
        scene.both(text, b"text\n", 0o644);
        write(&scene.merged(modified), &[255, 0, 7, 13, 10], 0o644);
        fs::remove_file(scene.merged(deleted)).unwrap();
        write(&scene.merged(text), b"other text", 0o644);
        scene.approve_all();
        assert_eq!(scene.snapshot("source"), scene.snapshot("merged"), "{order:?}");
    }
}

#[test]
fn b14_replaced_directories_modes_and_dangling_links_are_applied() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both("replaced/old/deep", b"x", 0o644);
    scene.both("run.sh", b"#!/bin/sh\n", 0o644);
    scene.both("tidy/a", b"a", 0o644);
    fs::remove_dir_all(scene.merged("replaced")).unwrap();
    write(&scene.merged("replaced/new"), b"y", 0o644);
    fs::set_permissions(scene.merged("run.sh"), Permissions::from_mode(0o755)).unwrap();
    fs::remove_dir_all(scene.merged("tidy")).unwrap();
    symlink("nowhere/at/all", scene.merged("dangling")).unwrap();
    scene.approve_all();
    assert_eq!(scene.snapshot("source"), scene.snapshot("merged"));
}

#[test]
fn approving_a_file_brings_the_new_directories_that_hold_it_and_nothing_else() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    write(&scene.merged("a/b/wanted"), b"w", 0o644);
    write(&scene.merged("a/b/other"), b"o", 0o644);
    let plan = scene.plan(&paths(&["a/b/wanted"])).unwrap();
    scene.apply_plan(&plan).unwrap();
    assert!(scene.source("a/b/wanted").exists());
    assert!(!scene.source("a/b/other").exists());
}

#[test]
fn a_child_of_a_replacement_names_the_replacement_that_is_missing() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both("thing", b"file", 0o644);
    fs::remove_file(scene.merged("thing")).unwrap();
    write(&scene.merged("thing/child"), b"c", 0o644);
    let refused = scene.plan(&paths(&["thing/child"])).unwrap_err();
    assert_eq!(refused, Refused::Requires { missing: vec![path("thing")] });
    let plan = scene.plan(&paths(&["thing"])).unwrap();
    scene.apply_plan(&plan).unwrap();
    assert_eq!(scene.snapshot("source"), scene.snapshot("merged"));
}

#[test]
fn a_path_without_a_change_is_refused_by_name() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    write(&scene.merged("real"), b"x", 0o644);
    let refused = scene.plan(&paths(&["real", "typo"])).unwrap_err();
    assert_eq!(refused, Refused::Unchanged { paths: vec![path("typo")] });
}

#[test]
fn protected_and_special_paths_are_left_and_said_so() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both(".git/config", b"[core]\n", 0o644);
    scene.both("sub/.git", b"gitdir: elsewhere\n", 0o644);
    scene.both("sub/code", b"x", 0o644);
    write(&scene.merged(".git/config"), b"[core]\nfsmonitor = evil\n", 0o644);
    write(&scene.merged(".git/hooks/pre-commit"), b"#!/bin/sh\n", 0o755);
    fs::remove_dir_all(scene.merged("sub")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        scene.merged("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    write(&scene.merged("plain"), b"x", 0o644);
    let report = scene.approve_all();
    let skipped: Vec<_> =
        report.outcome.skipped.iter().map(|one| (one.path.to_string(), one.flag)).collect();
    assert_eq!(
        skipped,
        [
            (".git/config".to_owned(), ChangeFlag::Protected),
            (".git/hooks".to_owned(), ChangeFlag::Protected),
            (".git/hooks/pre-commit".to_owned(), ChangeFlag::Protected),
            ("pipe".to_owned(), ChangeFlag::Special),
            ("sub".to_owned(), ChangeFlag::Protected),
            ("sub/.git".to_owned(), ChangeFlag::Protected),
        ]
    );
    assert_eq!(fs::read(scene.source(".git/config")).unwrap(), b"[core]\n");
    assert!(scene.source("sub/.git").exists() && !scene.source("sub/code").exists());
    assert!(!scene.source("pipe").exists() && scene.source("plain").exists());
}

#[test]
fn what_the_host_would_obey_and_links_out_of_the_tree_need_an_explicit_yes() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    write(&scene.merged(".envrc"), b"evil", 0o644);
    symlink("/etc/passwd", scene.merged("absolute")).unwrap();
    symlink("../outside", scene.merged("external")).unwrap();
    let set = scene.changes();
    let refused = plan(&set, &Selection::All, &[].into(), limits()).unwrap_err();
    let Refused::Unconfirmed { changes } = refused else {
        panic!("{refused:?}");
    };
    let flags: Vec<_> = changes.into_iter().map(|(path, flag)| (path.to_string(), flag)).collect();
    assert_eq!(
        flags,
        [
            (".envrc".to_owned(), ChangeFlag::ExecOnOpen),
            ("absolute".to_owned(), ChangeFlag::SymlinkAbsolute),
            ("external".to_owned(), ChangeFlag::SymlinkExternal),
        ]
    );
    let plan = plan(&set, &Selection::All, &all_flags(), limits()).unwrap();
    scene.apply_plan(&plan).unwrap();
    assert_eq!(scene.snapshot("source"), scene.snapshot("merged"));
}

#[test]
fn a_link_that_leaves_the_tree_through_another_link_is_found_out() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both_link("innocent", "..");
    symlink("innocent/secret", scene.merged("sly")).unwrap();
    let plan = plan(&scene.changes(), &Selection::All, &[].into(), limits()).unwrap();
    let error = scene.apply_plan(&plan).unwrap_err();
    assert!(
        matches!(&error, ApplyError::LinkLeavesTree { path } if path.name() == b"sly"),
        "{error}"
    );
    assert!(scene.source("sly").symlink_metadata().is_err() && !scene.stage_exists());
}

#[test]
fn modes_are_the_hosts_with_the_executable_bit_of_the_workspace() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both("private", b"a", 0o600);
    scene.both("suid", b"a", 0o4755);
    write(&scene.merged("private"), b"b", 0o777);
    write(&scene.merged("suid"), b"b", 0o4755);
    write(&scene.merged("new"), b"n", 0o6777);
    write(&scene.merged("dir/x"), b"n", 0o666);
    fs::set_permissions(scene.merged("dir"), Permissions::from_mode(0o1777)).unwrap();
    scene.approve_all();
    let mode = |name: &str| fs::metadata(scene.source(name)).unwrap().mode() & 0o7777;
    assert_eq!(
        ["private", "suid", "new", "dir", "dir/x"].map(mode),
        [0o700, 0o755, 0o755, 0o755, 0o644]
    );
}

#[test]
fn holes_stay_holes() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::new(dir.path());
    let file = fs::File::create(scene.merged("sparse")).unwrap();
    file.set_len(256 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"island", 100 << 20).unwrap();
    fs::set_permissions(scene.merged("sparse"), Permissions::from_mode(0o644)).unwrap();
    scene.approve_all();
    assert_eq!(scene.snapshot("source"), scene.snapshot("merged"));
    let blocks = fs::metadata(scene.source("sparse")).unwrap().blocks();
    assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
}

#[test]
fn what_is_too_large_is_refused_before_anything_happens() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    write(&scene.merged("big"), &[1; 5000], 0o644);
    let set = scene.changes();
    let small = ApplyLimits { file_bytes_max: 4096, ..limits() };
    let refused = plan(&set, &Selection::All, &all_flags(), small).unwrap_err();
    assert_eq!(refused, Refused::TooLarge { path: path("big"), size: 5000, limit: 4096 });
    let full = ApplyLimits { free_bytes_min: u64::MAX, ..limits() };
    let plan = plan(&set, &Selection::All, &all_flags(), full).unwrap();
    let error = scene.apply_plan(&plan).unwrap_err();
    assert!(matches!(error, ApplyError::NoSpace { needed: 5000, free: 0 }), "{error}");
    assert!(scene.state().is_none() && !scene.stage_exists());
}

#[test]
fn v9_content_changed_after_review_is_not_applied() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both("reviewed", b"old", 0o644);
    scene.both("first", b"old", 0o644);
    write(&scene.merged("reviewed"), b"shown", 0o644);
    write(&scene.merged("first"), b"shown", 0o644);
    let before = scene.snapshot("source");
    let plan = scene.plan(&Selection::All).unwrap();
    // As long, so that no length gives it away.
    write(&scene.merged("reviewed"), b"other", 0o644);
    let error = scene.apply_plan(&plan).unwrap_err();
    assert!(matches!(&error, ApplyError::WorkspaceChanged { path } if path.name() == b"reviewed"));
    assert_eq!(scene.snapshot("source"), before);
    assert!(!scene.stage_exists());
}

#[test]
fn what_the_source_keeps_open_and_writes_late_is_not_forgotten() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both("log", b"old", 0o644);
    write(&scene.merged("log"), b"new", 0o644);
    let late = fs::OpenOptions::new().append(true).open(scene.source("log")).unwrap();
    scene.approve_all();
    std::io::Write::write_all(&mut &late, b", and a late line").unwrap();
    let forgotten = scene.forget();
    assert_eq!(forgotten.written_late, [path("log")]);
    assert!(scene.stage_exists());
}

#[test]
fn forgetting_removes_the_stage_and_nothing_else() {
    let dir = memory();
    let scene = sixteen(dir.path());
    scene.approve_all();
    let tree = scene.snapshot("source");
    assert_eq!(scene.forget().written_late, []);
    assert_eq!(scene.forget().written_late, []);
    assert!(!scene.stage_exists());
    assert_eq!(scene.snapshot("source"), tree);
    assert!(matches!(tree.get(&b"new.txt"[..]), Some(Seen::File(0o644, _))));
}

#[test]
#[ignore = "a measurement: run it with --release and --nocapture"]
fn approving_a_thousand_files() {
    let dir = tempfile::tempdir().unwrap();
    let scene = Scene::new(dir.path());
    for at in 0..1000 {
        let name = format!("dir{}/file{at}", at % 20);
        scene.both(&name, format!("old {at}\n").repeat(100).as_bytes(), 0o644);
        write(&scene.merged(&name), format!("new {at}\n").repeat(100).as_bytes(), 0o644);
    }
    rustix::fs::sync();
    let plan = scene.plan(&Selection::All).unwrap();
    let began = std::time::Instant::now();
    let report = scene.apply_plan(&plan).unwrap();
    println!("{} files with fsync in {:?}", report.applied.len(), began.elapsed());
    assert_eq!(scene.snapshot("source"), scene.snapshot("merged"));
}
