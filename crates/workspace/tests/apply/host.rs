//! The host does something meanwhile: it is never lost, and nothing is half done.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use rustix::fs::{CWD, FileType, Mode, OFlags, RenameFlags};
use sandbar_types::{ConflictReason, Selection};
use sandbar_workspace::{
    apply::{ApplyError, Recovered},
    journal::State,
};

use crate::{
    crash::{assert_whole, finish, prepared, start, steps},
    scene::{Scene, Seen, memory, path, paths, sixteen, write},
};

#[test]
fn b16_uncommitted_host_change_is_protected() {
    let dir = memory();
    let scene = sixteen(dir.path());
    let plan = scene.plan(&Selection::All).unwrap();
    write(&scene.source("modified.txt"), b"the host's own", 0o644);
    write(&scene.source("new.txt"), b"the host's too", 0o644);
    fs::remove_file(scene.source("mode.sh")).unwrap();
    write(&scene.source("gone/deep/unknown"), b"the host's third", 0o644);
    fs::remove_file(scene.source("link")).unwrap();
    fs::create_dir(scene.source("link")).unwrap();
    let before = scene.snapshot("source");
    let error = scene.apply_plan(&plan).unwrap_err();
    let ApplyError::Conflict { conflicts, .. } = error else {
        panic!("{error}");
    };
    let mut found: Vec<_> =
        conflicts.iter().map(|one| (one.path.to_string(), one.reason)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        found,
        [
            ("gone/deep/unknown".to_owned(), ConflictReason::HostAdded),
            ("link".to_owned(), ConflictReason::HostTypeChanged),
            ("mode.sh".to_owned(), ConflictReason::HostDeleted),
            ("modified.txt".to_owned(), ConflictReason::HostModified),
            ("new.txt".to_owned(), ConflictReason::HostAdded),
        ]
    );
    assert_eq!(scene.snapshot("source"), before, "nothing is applied");
    assert!(!scene.stage_exists());
    assert!(matches!(scene.state(), Some(State::Conflict { .. })));
}

#[test]
fn b16_the_rest_can_be_approved_without_what_is_in_conflict() {
    let dir = memory();
    let scene = sixteen(dir.path());
    let plan = scene.plan(&paths(&["binary.bin", "file-to-dir"])).unwrap();
    write(&scene.source("modified.txt"), b"the host's own", 0o644);
    scene.apply_plan(&plan).unwrap();
    assert_eq!(fs::read(scene.source("modified.txt")).unwrap(), b"the host's own");
    assert_eq!(fs::read(scene.source("file-to-dir/child/deep")).unwrap(), b"deep");
}

/// Runs the approve with a stop at each step called `name`, and `edit` done to the source there.
fn interrupted_at_each(
    name: &str,
    edit: impl Fn(&Scene),
    check: impl Fn(&Scene, Result<Recovered, ApplyError>),
) {
    let dir = memory();
    let pristine = prepared(&dir.path().join("pristine"));
    let whole = pristine.copy_to(&dir.path().join("whole"));
    let child = start(&whole, "apply", None);
    finish(&whole, child).unwrap().unwrap();
    let steps = steps(&whole);
    let at = (1..).zip(&steps).filter(|(_, step)| *step == name).map(|(at, _)| at);
    let mut count = 0;
    for step in at {
        let scene = pristine.copy_to(&dir.path().join("edited"));
        let (child, held) = start_held(&scene, step);
        edit(&scene);
        drop(held);
        check(&scene, finish(&scene, child).unwrap());
        fs::remove_dir_all(&scene.root).unwrap();
        count += 1;
    }
    assert!(count > 0, "no step is called {name}");
}

/// Starts the victim, and returns once it waits at `step`, where it stays until the file is closed.
pub(crate) fn start_held(scene: &Scene, step: usize) -> (Child, File) {
    let fifo = scene.root.join("fifo");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let child = start(scene, "apply", Some(&format!("{step}:{}", fifo.display())));
    let held = hold(&fifo);
    (child, held)
}

/// Waits until somebody reads from `fifo`, and keeps them there until what it returns is closed.
pub(crate) fn hold(fifo: &Path) -> File {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        // ENXIO as long as nobody reads.
        match rustix::fs::open(fifo, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()) {
            Ok(held) => return File::from(held),
            Err(error) => assert!(Instant::now() < deadline, "nobody got there: {error}"),
        }
        std::thread::yield_now();
    }
}

#[test]
fn an_edit_between_the_check_and_the_exchange_is_never_lost() {
    for edited in
        ["modified.txt", "binary.bin", "gone/a", "dir-to-file/b/c", "partly/go", "new.txt"]
    {
        let saved = std::cell::Cell::new(false);
        interrupted_at_each(
            "execute.rename",
            |scene| {
                // Below what was replaced already there is nothing to save to.
                let parent = scene.source(edited);
                saved.set(parent.parent().unwrap().is_dir());
                if saved.get() {
                    write(&scene.source(edited), b"saved meanwhile", 0o644);
                }
            },
            |scene, ended| {
                if !saved.get() {
                    return;
                }
                // Where the step of this path is over already, the edit is one of the new version.
                if ended.is_ok() {
                    assert_eq!(fs::read(scene.source(edited)).unwrap(), b"saved meanwhile");
                    return;
                }
                assert!(matches!(ended, Err(ApplyError::Conflict { .. })), "{ended:?}");
                let mut tree = scene.snapshot("source");
                let kept = tree.insert(edited.into(), Seen::Special);
                let saved = Seen::File(0o644, b"saved meanwhile".to_vec());
                assert_eq!(kept, Some(saved), "{edited} lost");
            },
        );
    }
}

#[test]
fn an_edit_before_its_own_exchange_takes_everything_back() {
    let dir = memory();
    let before = sixteen(dir.path()).snapshot("source");
    let (conflicts, moved) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    // One of the last steps, so that nearly everything has to be taken back.
    interrupted_at_each(
        "execute.rename",
        |scene| write(&scene.source("replaced/old"), b"saved meanwhile", 0o644),
        |scene, ended| {
            if ended.is_ok() {
                return;
            }
            let mut expected = before.clone();
            let saved = Seen::File(0o644, b"saved meanwhile".to_vec());
            expected.insert(b"replaced/old".to_vec(), saved);
            assert_eq!(scene.snapshot("source"), expected);
            assert!(!scene.stage_exists());
            // What was moved there and back is the same to the byte, and looks new to whoever compares ctimes.
            let restored = scene.journal().restored().unwrap();
            moved.set(moved.get() + restored.len());
            for one in restored {
                let now = fs::symlink_metadata(scene.root.join("source").join(one.path.as_path()));
                assert_eq!(one.base.host.map(|host| host.ino), now.ok().map(|now| now.ino()));
            }
            conflicts.set(conflicts.get() + 1);
        },
    );
    assert!(conflicts.get() > 5 && moved.get() > 5);
}

#[test]
fn a_directory_that_becomes_a_link_meanwhile_is_not_followed() {
    interrupted_at_each(
        "execute.look",
        |scene| {
            let outside = scene.root.join("outside");
            fs::create_dir_all(&outside).unwrap();
            write(&outside.join("go"), b"go", 0o644);
            fs::rename(scene.source("partly"), scene.source("moved")).unwrap();
            symlink("../outside", scene.source("partly")).unwrap();
        },
        |scene, _| {
            assert_eq!(fs::read(scene.root.join("outside/go")).unwrap(), b"go");
        },
    );
}

#[test]
fn a_directory_swapped_with_a_link_all_the_time_never_lets_anything_out() {
    let dir = memory();
    let swapping = AtomicBool::new(true);
    let canary = dir.path().join("canary");
    write(&canary.join("x"), b"canary", 0o644);
    let root = dir.path().join("scene");
    let scene = Scene::new(&root);
    scene.both("d/x", b"old", 0o644);
    symlink(&canary, scene.source("l")).unwrap();
    symlink(&canary, scene.merged("l")).unwrap();
    let (d, l) = (scene.source("d"), scene.source("l"));
    let mut applied = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while swapping.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &d, CWD, &l, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for turn in 0..200 {
            write(&scene.merged("d/x"), format!("new {turn}").as_bytes(), 0o644);
            // What the source has is read where it is now, under whichever name.
            let at = if d.symlink_metadata().unwrap().is_dir() { &d } else { &l };
            let Ok(old) = fs::read(at.join("x")) else {
                continue;
            };
            if old == b"canary" {
                continue;
            }
            let plan = plan_of_one(&old, format!("new {turn}").as_bytes());
            match scene.apply_plan(&plan) {
                Ok(_) => applied += 1,
                Err(ApplyError::Conflict { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            assert_eq!(fs::read(canary.join("x")).unwrap(), b"canary");
            fs::remove_dir_all(root.join("journal")).unwrap();
            fs::create_dir(root.join("journal")).unwrap();
            drop(fs::remove_dir_all(
                scene.source(&format!(".sandbar-stage-{}", crate::scene::APPROVE)),
            ));
        }
        swapping.store(false, Ordering::Relaxed);
    });
    assert!(applied > 0, "the race is never won, so nothing is shown");
    assert_eq!(fs::read_dir(&canary).unwrap().count(), 1);
}

fn plan_of_one(old: &[u8], new: &[u8]) -> sandbar_workspace::apply::ApplyPlan {
    let file = |content: &[u8]| Seen::File(0o644, content.to_vec());
    let before = [(b"d/x".to_vec(), file(old))].into();
    let after = [(b"d/x".to_vec(), file(new))].into();
    let set = crate::scene::compare(&before, &after);
    let flags = crate::scene::all_flags();
    sandbar_workspace::apply::plan(&set, &Selection::All, &flags, crate::scene::limits()).unwrap()
}

#[test]
fn two_approves_over_one_source_are_one_after_the_other() {
    let dir = memory();
    let scene = Scene::new(dir.path());
    scene.both("x", b"old", 0o644);
    write(&scene.merged("x"), b"new", 0o644);
    let plan = scene.plan(&Selection::All).unwrap();
    // The same request sixteen times at once: one does it, and everybody gets its answer.
    let reports: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| scene.apply_plan(&plan))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    assert!(reports.iter().all(|report| *report == reports[0]));
    assert_eq!(reports[0].outcome.applied, [path("x")]);
}

#[test]
fn a_disk_that_fills_up_at_any_point_takes_everything_back() {
    let dir = memory();
    let mut failed = 0;
    for pages in 0..8 {
        let Some(_mount) = Mount::tmpfs(dir.path(), "size=256k") else {
            return;
        };
        let scene = Scene::new(dir.path());
        scene.both("kept", b"old", 0o644);
        write(&scene.merged("kept"), b"new", 0o644);
        let plan = scene.plan(&Selection::All).unwrap();
        let filler = dir.path().join("filler");
        fill(&filler, pages);
        let before = scene.snapshot("source");
        let ended = scene.apply_plan(&plan);
        fs::remove_file(filler).unwrap();
        let Err(error) = ended else {
            assert_eq!(scene.snapshot("source"), scene.snapshot("merged"));
            continue;
        };
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        let cause = cause.unwrap_or_else(|| error.to_string());
        assert!(cause.contains("No space left") || cause.contains("free"), "{pages}: {cause}");
        scene.recover().unwrap();
        if matches!(error, ApplyError::Unfinished { .. }) {
            assert_whole(&scene, &before, &scene.snapshot("merged"), &cause);
        } else {
            assert_eq!(scene.snapshot("source"), before);
        }
        failed += 1;
    }
    assert!(failed > 2, "only {failed} runs out of eight found no room");
}

/// Fills the file system up to `pages` pages.
fn fill(at: &Path, pages: u64) {
    let mut file = fs::File::create(at).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    let size = file.metadata().unwrap().len();
    file.set_len(size / 4096 * 4096 - pages * 4096).unwrap();
}

#[test]
fn what_must_not_be_changed_takes_everything_back() {
    let dir = tempfile::tempdir().unwrap();
    let scene = sixteen(dir.path());
    let plan = scene.plan(&Selection::All).unwrap();
    let before = scene.snapshot("source");
    let attribute = |flag: &str| {
        let done = Command::new("chattr").arg(flag).arg(scene.source("replaced/old")).output();
        done.is_ok_and(|done| done.status.success())
    };
    if !attribute("+i") {
        eprintln!("skipped: this file system has no immutable files");
        return;
    }
    let error = scene.apply_plan(&plan);
    assert!(attribute("-i"));
    let error = error.unwrap_err();
    assert!(
        matches!(&error, ApplyError::Step { path: Some(at), .. } if *at == path("replaced/old")),
        "{error}"
    );
    assert_eq!(scene.snapshot("source"), before);
    assert!(!scene.stage_exists());
}

/// A file system that is unmounted when it goes.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// `None`, and a word about it, where we may not mount.
    fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        Self::new(at, &["-t", "tmpfs", "-o", options, "tmpfs"])
    }

    pub(crate) fn new(at: &Path, args: &[&str]) -> Option<Self> {
        let done = Command::new("mount").args(args).arg(at).output().unwrap();
        if done.status.success() {
            return Some(Self(at.to_owned()));
        }
        eprintln!("skipped: {}", String::from_utf8_lossy(&done.stderr));
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // A process that is just being started by another test may still have a descriptor of it.
        let deadline = Instant::now() + Duration::from_secs(10);
        let unmounted = || Command::new("umount").arg(&self.0).output().unwrap().status.success();
        while !unmounted() {
            assert!(Instant::now() < deadline, "{} stays mounted", self.0.display());
        }
    }
}
