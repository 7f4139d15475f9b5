//! Undo: what an approve replaced is back, whole, whatever is killed in between; and no edit of the host is lost to it.

use std::{
    fs::{self, File, Permissions},
    os::{
        fd::AsFd,
        unix::fs::{MetadataExt, PermissionsExt, symlink},
    },
};

use sandbar_types::{ApproveId, ConflictReason, Selection};
use sandbar_workspace::{
    apply::{ApplyError, ApplyReport, Forgotten, Recovered, forget, recover, undo},
    journal::{Journal, State},
};

use crate::{
    crash::{finish, is_full, run, start, steps},
    host::Mount,
    scene::{Scene, Snapshot, memory, path, sixteen, write},
};

const UNDO: &str = "ap_00000000000070008000000000000002";

impl Scene {
    fn undo_journal(&self) -> Journal {
        let parent = File::open(self.root.join("journal")).unwrap();
        let owner = fs::metadata(self.source("")).unwrap();
        Journal::create(&parent, undo_id(), (owner.uid(), owner.gid())).unwrap()
    }

    pub(crate) fn undo(&self) -> Result<ApplyReport, ApplyError> {
        let source = File::open(self.source("")).unwrap();
        undo(source.as_fd(), &self.journal(), &self.undo_journal(), undo_id())
    }

    pub(crate) fn recover_undo(&self) -> Result<Recovered, ApplyError> {
        let source = File::open(self.source("")).unwrap();
        recover(source.as_fd(), &self.undo_journal())
    }

    fn forget_undo(&self) -> Forgotten {
        let source = File::open(self.source("")).unwrap();
        forget(source.as_fd(), &self.undo_journal()).unwrap()
    }

    fn undo_stage_exists(&self) -> bool {
        self.source(&format!(".sandbar-stage-{UNDO}")).exists()
    }

    fn kept(&self) -> bool {
        self.journal().kept().unwrap().is_some()
    }

    /// What is in the way of an undo; nothing may be touched.
    fn refused(&self) -> Vec<(String, ConflictReason)> {
        let before = self.snapshot("source");
        let error = self.undo().unwrap_err();
        let ApplyError::Conflict { conflicts, kept } = error else {
            panic!("{error}");
        };
        assert!(kept.is_empty());
        assert_eq!(self.snapshot("source"), before, "a refused undo wrote something");
        assert!(!self.undo_stage_exists());
        conflicts.iter().map(|one| (one.path.to_string(), one.reason)).collect()
    }
}

fn undo_id() -> ApproveId {
    UNDO.parse().unwrap()
}

/// A scene whose workspace makes `new` of `old`, approved and kept.
fn approved(files: &[(&str, Option<&str>, Option<&str>)]) -> (tempfile::TempDir, Scene) {
    let dir = memory();
    let scene = Scene::new(dir.path());
    for (name, old, new) in files {
        if let Some(old) = old {
            scene.both(name, old.as_bytes(), 0o644);
        }
        match new {
            Some(new) => write(&scene.merged(name), new.as_bytes(), 0o644),
            None => fs::remove_file(scene.merged(name)).unwrap(),
        }
    }
    scene.approve_all();
    assert!(scene.forget().kept.is_some());
    (dir, scene)
}

/// The sixteen, with bits that stand in the way of whoever copies carelessly.
fn stubborn(root: &std::path::Path) -> Scene {
    let scene = sixteen(root);
    scene.both("gone/sealed/inside", b"sealed", 0o400);
    fs::remove_dir_all(scene.merged("gone")).unwrap();
    fs::set_permissions(scene.source("gone/sealed"), Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(scene.source("modified.txt"), Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(scene.merged("modified.txt"), Permissions::from_mode(0o640)).unwrap();
    scene
}

fn prepared(root: &std::path::Path) -> Scene {
    let scene = stubborn(root);
    let plan = scene.plan(&Selection::All).unwrap();
    fs::write(scene.root.join("plan.json"), serde_json::to_vec(&plan).unwrap()).unwrap();
    scene
}

#[test]
fn everything_is_as_it_was_before_the_approve() {
    let dir = memory();
    let scene = stubborn(dir.path());
    let (old, new) = (scene.snapshot("source"), scene.snapshot("merged"));
    let approved = scene.approve_all();
    assert_eq!(scene.snapshot("source"), new);
    let forgotten = scene.forget();
    assert!(forgotten.written_late.is_empty() && forgotten.kept.unwrap().bytes > 0);
    assert!(!scene.stage_exists(), "something of ours is left in the tree");
    assert_eq!(scene.forget(), forgotten, "keeping is not repeatable");
    let undone = scene.undo().unwrap();
    assert_eq!(scene.snapshot("source"), old);
    assert_eq!(undone.outcome.applied, approved.outcome.applied);
    for (one, other) in undone.applied.iter().zip(&approved.applied) {
        assert_eq!((&one.before, &one.entry), (&other.entry, &other.before), "{:?}", one.path);
    }
    assert_eq!(scene.undo().unwrap(), undone, "a repeated undo is another one");
    scene.forget_undo();
    assert!(!scene.undo_stage_exists());
    assert_eq!(scene.snapshot("source"), old);
}

#[test]
fn before_it_is_kept_and_after_it_is_gone_there_is_no_undo() {
    let dir = memory();
    let scene = sixteen(dir.path());
    scene.approve_all();
    assert!(matches!(scene.undo(), Err(ApplyError::NotKept)), "the stage still has it");
    scene.forget();
    let parent = File::open(scene.root.join("journal")).unwrap();
    Journal::remove(&parent, crate::scene::approve_id()).unwrap();
    assert!(!scene.root.join("journal").join(crate::scene::APPROVE).exists());
    assert!(matches!(scene.undo(), Err(ApplyError::NotKept)));
}

#[test]
fn on_another_file_system_what_was_replaced_is_copied() {
    let dir = memory();
    let scene = stubborn(dir.path());
    let Some(_mounted) = Mount::new(&scene.root.join("journal"), &["-t", "tmpfs", "none"]) else {
        return;
    };
    let old = scene.snapshot("source");
    scene.approve_all();
    assert!(scene.forget().kept.is_some());
    assert!(!scene.stage_exists());
    scene.undo().unwrap();
    assert_eq!(scene.snapshot("source"), old);
}

#[test]
fn a_later_edit_elsewhere_in_the_file_is_merged() {
    let (_dir, scene) = approved(&[("f", Some("1\n2\n3\n4\n5\n"), Some("1\n2\n3\n4\nfive\n"))]);
    write(&scene.source("f"), b"one\n2\n3\n4\nfive\n", 0o644);
    let report = scene.undo().unwrap();
    assert_eq!(fs::read(scene.source("f")).unwrap(), b"one\n2\n3\n4\n5\n");
    assert_eq!(report.composed, [path("f")]);
    let base = &report.applied[0].base;
    assert_eq!(base.host.unwrap().ino, 0, "the host's edit would pass for the workspace's base");
}

#[test]
fn nothing_is_lost_where_a_later_edit_overlaps() {
    let (_dir, scene) = approved(&[
        ("f", Some("1\n2\n3\n"), Some("1\ntwo\n3\n")),
        ("other", Some("a\n"), Some("b\n")),
    ]);
    write(&scene.source("f"), b"1\nzwei\n3\n", 0o644);
    assert_eq!(scene.refused(), [("f".to_owned(), ConflictReason::HostModified)]);
    // Once the edit is out of the way, it can be undone.
    write(&scene.source("f"), b"1\ntwo\n3\n", 0o644);
    scene.root.join("journal").join(UNDO).exists().then(|| {
        let parent = File::open(scene.root.join("journal")).unwrap();
        Journal::remove(&parent, undo_id()).unwrap();
    });
    scene.undo().unwrap();
    assert_eq!(fs::read(scene.source("f")).unwrap(), b"1\n2\n3\n");
}

#[test]
fn each_kind_of_later_work_of_the_host_is_in_the_way() {
    let dir = memory();
    let scene = sixteen(dir.path());
    scene.approve_all();
    scene.forget();
    write(&scene.source("binary.bin"), &[9, 0, 255, 254, 10, 13, 1], 0o644);
    write(&scene.source("made/hosts"), b"the host's", 0o644);
    write(&scene.source("gone/hosts"), b"the host's", 0o644);
    fs::remove_file(scene.source("link")).unwrap();
    fs::create_dir(scene.source("link")).unwrap();
    fs::remove_file(scene.source("modified.txt")).unwrap();
    fs::remove_dir_all(scene.source("partly")).unwrap();
    let mut refused = scene.refused();
    refused.retain(|(path, _)| !path.starts_with("gone/") || path == "gone/hosts");
    assert_eq!(
        refused,
        [
            ("binary.bin".to_owned(), ConflictReason::HostModified),
            ("gone".to_owned(), ConflictReason::HostAdded),
            ("gone/hosts".to_owned(), ConflictReason::HostAdded),
            ("link".to_owned(), ConflictReason::HostTypeChanged),
            ("made/hosts".to_owned(), ConflictReason::HostAdded),
            ("modified.txt".to_owned(), ConflictReason::HostDeleted),
            ("partly/go".to_owned(), ConflictReason::HostDeleted),
        ]
    );
}

#[test]
fn what_the_host_took_back_itself_is_in_nobodys_way() {
    let (_dir, scene) = approved(&[
        ("f", Some("old\n"), Some("new\n")),
        ("added", None, Some("added\n")),
        ("deleted", Some("deleted\n"), None),
    ]);
    write(&scene.source("f"), b"old\n", 0o644);
    fs::remove_file(scene.source("added")).unwrap();
    write(&scene.source("deleted"), b"deleted\n", 0o644);
    let before = scene.snapshot("source");
    scene.undo().unwrap();
    assert_eq!(scene.snapshot("source"), before);
}

#[test]
fn bits_and_content_are_undone_apart() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both("script", b"\0binary\n", 0o644);
    scene.both("text", b"old\n", 0o644);
    fs::set_permissions(scene.merged("script"), Permissions::from_mode(0o755)).unwrap();
    write(&scene.merged("text"), b"new\n", 0o644);
    scene.approve_all();
    scene.forget();
    // The approve changed the bits, the host the content; and the other way round.
    write(&scene.source("script"), b"\0other\n", 0o755);
    fs::set_permissions(scene.source("text"), Permissions::from_mode(0o600)).unwrap();
    scene.undo().unwrap();
    let seen = |name: &str| {
        let full = scene.source(name);
        (fs::read(&full).unwrap(), fs::metadata(&full).unwrap().mode() & 0o777)
    };
    assert_eq!(seen("script"), (b"\0other\n".to_vec(), 0o644));
    assert_eq!(seen("text"), (b"old\n".to_vec(), 0o600));
}

#[test]
fn an_edit_between_look_and_exchange_takes_the_undo_back() {
    let (_dir, scene) = approved(&[("f", Some("old\n"), Some("new\n"))]);
    let fifo = scene.root.join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let child = start(&scene, "undo", Some(&format!("execute.rename:{}", fifo.display())));
    let held = crate::host::hold(&fifo);
    write(&scene.source("f"), b"the host's own\n", 0o644);
    drop(held);
    let ended = finish(&scene, child).unwrap();
    assert!(matches!(ended, Err(ApplyError::Conflict { .. })), "{ended:?}");
    assert_eq!(fs::read(scene.source("f")).unwrap(), b"the host's own\n");
}

#[test]
fn a_link_in_the_place_of_a_directory_leads_nowhere() {
    let outside = memory();
    write(&outside.path().join("x"), b"outside", 0o644);
    let (_dir, scene) = approved(&[("d/x", Some("old\n"), Some("new\n"))]);
    fs::remove_dir_all(scene.source("d")).unwrap();
    symlink(outside.path(), scene.source("d")).unwrap();
    assert_eq!(scene.refused(), [("d/x".to_owned(), ConflictReason::HostDeleted)]);
    assert_eq!(fs::read(outside.path().join("x")).unwrap(), b"outside");
}

/// Approved, and killed at each step of keeping.
#[test]
fn killed_at_every_step_of_keeping_it_can_still_be_undone() {
    let dir = memory();
    let pristine = prepared(&dir.path().join("pristine"));
    let old = pristine.snapshot("source");
    pristine.approve_all();
    let new = pristine.snapshot("source");
    let whole = pristine.copy_to(&dir.path().join("whole"));
    assert!(run(&whole, "forget", "0:kill").unwrap().is_ok());
    let total = steps(&whole).len();
    for first in 1..=total {
        let scene = pristine.copy_to(&dir.path().join("killed"));
        assert!(run(&scene, "forget", &format!("{first}:kill")).is_none());
        let why = format!("killed at {first} of {total}");
        assert!(scene.kept() || scene.stage_exists(), "{why}: neither kept nor in the stage");
        let mut second = 1;
        // And again, at every step of the second attempt, until one is not killed.
        while (is_full() || (first + second) % 5 == 0)
            && run(&scene, "forget", &format!("{second}:kill")).is_none()
        {
            second += 1;
        }
        assert!(matches!(scene.recover(), Ok(Recovered::Applied { .. })), "{why}");
        assert_eq!(scene.snapshot("source"), new, "{why}");
        assert!(scene.forget().written_late.is_empty(), "{why}");
        assert!(scene.kept() && !scene.stage_exists(), "{why}");
        scene.undo().unwrap_or_else(|error| panic!("{why}: {error}"));
        assert_eq!(scene.snapshot("source"), old, "{why}");
        fs::remove_dir_all(&scene.root).unwrap();
    }
    println!("{total} steps of keeping, none lost anything");
}

#[test]
fn killed_at_every_step_of_an_undo_and_of_its_recovery_nothing_is_torn() {
    let dir = memory();
    let pristine = prepared(&dir.path().join("pristine"));
    let old = pristine.snapshot("source");
    pristine.approve_all();
    pristine.forget();
    // Something has to be composed as well.
    write(&pristine.source("modified.txt"), b"two\n", 0o600);
    let new = pristine.snapshot("source");
    let whole = pristine.copy_to(&dir.path().join("whole"));
    assert!(matches!(run(&whole, "undo", "0:kill"), Some(Ok(Recovered::Applied { .. }))));
    let undone = whole.snapshot("source");
    assert_ne!(undone, new);
    assert_eq!(undone.len(), old.len());
    let total = steps(&whole).len();
    let mut runs = 0;
    for first in 1..=total {
        let killed = pristine.copy_to(&dir.path().join("killed"));
        assert!(run(&killed, "undo", &format!("{first}:kill")).is_none());
        for second in std::iter::once(0)
            .chain((1..=total).filter(|second| is_full() || (first * 7 + second) % 41 == 0))
        {
            let again = killed.copy_to(&dir.path().join("again"));
            let why = format!("killed at {first} of {total}, then at {second}");
            if run(&again, "recover undo", &format!("{second}:kill")).is_none() {
                again.recover_undo().unwrap_or_else(|error| panic!("{why}: {error}"));
            }
            assert_ended(&again, &new, &undone, &why);
            fs::remove_dir_all(&again.root).unwrap();
            runs += 1;
        }
        fs::remove_dir_all(&killed.root).unwrap();
    }
    println!("{total} steps of an undo, {runs} runs, none torn");
}

#[test]
fn an_error_at_any_step_of_an_undo_leaves_the_approved_tree() {
    let dir = memory();
    let pristine = prepared(&dir.path().join("pristine"));
    pristine.approve_all();
    pristine.forget();
    let new = pristine.snapshot("source");
    let mut failed = 0;
    for step in 1.. {
        let scene = pristine.copy_to(&dir.path().join("failing"));
        let ended = run(&scene, "undo", &format!("{step}:error")).expect("nobody killed it");
        let why = format!("an error at step {step}");
        match ended {
            Ok(_) => {
                assert!(steps(&scene).len() < step, "{why} was swallowed");
                break;
            }
            Err(_) => {
                scene.recover_undo().unwrap_or_else(|error| panic!("{why}: {error}"));
                let is_applied =
                    matches!(scene.undo_journal().state().unwrap(), Some(State::Applied { .. }));
                assert!(is_applied || scene.snapshot("source") == new, "{why}");
            }
        }
        failed += 1;
        fs::remove_dir_all(&scene.root).unwrap();
    }
    assert!(failed > 50, "only {failed} steps can fail");
}

/// The tree is whole, and where it was not undone, it still can be.
fn assert_ended(scene: &Scene, new: &Snapshot, undone: &Snapshot, why: &str) {
    let tree = scene.snapshot("source");
    match scene.undo_journal().state().unwrap() {
        Some(State::Applied { .. }) => assert!(tree == *undone, "{why}: undone, but not whole"),
        None | Some(State::Aborted { .. }) => {
            assert!(tree == *new, "{why}: aborted, but the tree is not the approved one");
            assert!(!scene.undo_stage_exists(), "{why}: the stage is still there");
            let parent = File::open(scene.root.join("journal")).unwrap();
            Journal::remove(&parent, undo_id()).unwrap();
            scene.undo().unwrap_or_else(|error| panic!("{why}: not to be undone: {error}"));
            assert!(scene.snapshot("source") == *undone, "{why}: undone at last, but not whole");
        }
        other => panic!("{why}: ended in {other:?}"),
    }
}
