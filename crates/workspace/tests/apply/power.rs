//! The power goes at every step of an approve: ext4 without what was not synced, mounted again, recovered.

use std::{fs, path::Path, process::Command};

use crate::{
    crash::{assert_whole, finish, is_full, prepared, start, steps},
    host::{Mount, start_held},
    scene::{Scene, memory},
};

/// A file with a file system in it, mounted by loop.
fn mount(image: &Path, at: &Path) -> Option<Mount> {
    Mount::new(at, &["-o", "loop", image.to_str().unwrap()])
}

fn run(program: &str, args: &[&str]) -> bool {
    let done = Command::new(program).args(args).output();
    done.is_ok_and(|done| done.status.success())
}

/// `FS_IOC_SHUTDOWN` with `NOLOGFLUSH`: from now on nothing reaches the disk, and the journal is as it was written last.
fn cut_power(at: &Path) {
    let cut = run("xfs_io", &["-x", "-c", "shutdown", at.to_str().unwrap()]);
    assert!(cut, "xfs_io can shut {} down", at.display());
}

fn sync(at: &Path) {
    rustix::fs::syncfs(fs::File::open(at).unwrap()).unwrap();
}

#[test]
fn a_power_cut_at_any_step_leaves_the_old_tree_or_the_new_one() {
    let dir = memory();
    let (image, at) = (dir.path().join("image"), dir.path().join("mount"));
    fs::create_dir(&at).unwrap();
    fs::File::create(&image).unwrap().set_len(48 << 20).unwrap();
    if !run("mkfs.ext4", &["-q", image.to_str().unwrap()]) || !run("xfs_io", &["-V"]) {
        eprintln!("skipped: needs mkfs.ext4 and xfs_io");
        return;
    }
    let pristine = prepared(&dir.path().join("pristine"));
    let (old, new) = (pristine.snapshot("source"), pristine.snapshot("merged"));
    let whole = pristine.copy_to(&dir.path().join("whole"));
    let child = start(&whole, "apply", None);
    finish(&whole, child).unwrap().unwrap();
    let total = steps(&whole).len();
    let stride = if is_full() { 1 } else { 6 };
    let mut cuts = 0;
    // One more than there are steps: acknowledged, and then the power goes.
    for step in (1..=total).step_by(stride).chain([total + 1]) {
        let Some(mounted) = mount(&image, &at) else {
            return;
        };
        let scene = pristine.copy_to(&at.join("scene"));
        drop(scene.journal());
        sync(&at);
        if step > total {
            let child = start(&scene, "apply", None);
            finish(&scene, child).unwrap().unwrap();
            cut_power(&at);
        } else {
            let (mut child, held) = start_held(&scene, step);
            cut_power(&at);
            child.kill().unwrap();
            child.wait().unwrap();
            drop(held);
        }
        drop(mounted);
        let mounted = mount(&image, &at).expect("it could be mounted before");
        let scene = Scene::new(at.join("scene"));
        let why = format!("power cut at {step} of {total}");
        scene.recover().unwrap_or_else(|error| panic!("{why}: {error}"));
        assert_whole(&scene, &old, &new, &why);
        if step > total {
            assert_eq!(scene.snapshot("source"), new, "acknowledged, and lost");
        }
        fs::remove_dir_all(at.join("scene")).unwrap();
        drop(mounted);
        cuts += 1;
    }
    println!("{cuts} power cuts, none torn");
}
