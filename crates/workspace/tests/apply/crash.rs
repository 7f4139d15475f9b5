//! SIGKILL and I/O errors at every step of an approve, and at every step of the recovery from that.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use sandbar_types::Selection;
use sandbar_workspace::{
    apply::{ApplyError, ApplyPlan, Recovered, failpoints_passed},
    journal::State,
};

use crate::scene::{Scene, Snapshot, memory, sixteen};

const SCENE: &str = "SANDBAR_TEST_SCENE";
const DO: &str = "SANDBAR_TEST_DO";

/// The process that is killed: this test program again, with this one test.
#[test]
#[ignore = "started by the tests that kill it"]
fn victim() {
    let Some(root) = std::env::var_os(SCENE) else {
        return;
    };
    let scene = Scene::new(root);
    let result = match std::env::var(DO).as_deref() {
        Ok("apply") => {
            let plan = fs::read(scene.root.join("plan.json")).unwrap();
            let plan: ApplyPlan = serde_json::from_slice(&plan).unwrap();
            let result = scene.apply_plan(&plan);
            result.map(|report| Recovered::Applied { report })
        }
        Ok("forget") => {
            scene.try_forget().map(|forgotten| Recovered::Aborted { kept: forgotten.written_late })
        }
        Ok("undo") => scene.undo().map(|report| Recovered::Applied { report }),
        Ok("recover undo") => scene.recover_undo(),
        _ => scene.recover(),
    };
    fs::write(scene.root.join("steps"), failpoints_passed().join("\n")).unwrap();
    fs::write(scene.root.join("result.json"), serde_json::to_vec(&result).unwrap()).unwrap();
}

/// Starts the victim over `scene`, to do `what`, with `failpoint` armed.
pub(crate) fn start(scene: &Scene, what: &str, failpoint: Option<&str>) -> Child {
    for name in ["steps", "result.json"] {
        // There is none before the first run.
        drop(fs::remove_file(scene.root.join(name)));
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "crash::victim", "--ignored", "--nocapture", "--test-threads=1"])
        .env(SCENE, &scene.root)
        .env(DO, what)
        .env_remove("SANDBAR_FAILPOINT")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(failpoint) = failpoint {
        command.env("SANDBAR_FAILPOINT", failpoint);
    }
    command.spawn().unwrap()
}

/// The victim's result; `None` where it was killed.
pub(crate) fn finish(scene: &Scene, mut child: Child) -> Option<Result<Recovered, ApplyError>> {
    let status = child.wait().unwrap();
    if status.signal() == Some(9) {
        return None;
    }
    assert!(status.success(), "the victim failed by itself: {status}");
    let result = fs::read(scene.root.join("result.json")).unwrap();
    Some(serde_json::from_slice(&result).unwrap())
}

pub(crate) fn run(
    scene: &Scene,
    what: &str,
    failpoint: &str,
) -> Option<Result<Recovered, ApplyError>> {
    let child = start(scene, what, Some(failpoint));
    finish(scene, child)
}

pub(crate) fn steps(scene: &Scene) -> Vec<String> {
    let steps = fs::read_to_string(scene.root.join("steps")).unwrap();
    steps.lines().map(str::to_owned).collect()
}

pub(crate) fn prepared(root: &Path) -> Scene {
    let scene = sixteen(root);
    let plan = scene.plan(&Selection::All).unwrap();
    fs::write(scene.root.join("plan.json"), serde_json::to_vec(&plan).unwrap()).unwrap();
    scene
}

pub(crate) fn is_full() -> bool {
    std::env::var_os("SANDBAR_TEST_FULL").is_some()
}

/// The tree is the old or the new one, whole, and the journal says which.
pub(crate) fn assert_whole(scene: &Scene, old: &Snapshot, new: &Snapshot, why: &str) {
    let tree = scene.snapshot("source");
    match scene.state() {
        Some(State::Applied { .. }) => {
            assert!(tree == *new, "{why}: applied, but the tree is not the new one");
        }
        None | Some(State::Aborted { .. }) => {
            assert!(tree == *old, "{why}: aborted, but the tree is not the old one");
            assert!(!scene.stage_exists(), "{why}: aborted, but the stage is still there");
        }
        other => panic!("{why}: ended in {other:?}"),
    }
}

#[test]
fn killed_at_every_step_and_again_at_every_step_of_recovery_nothing_is_torn() {
    let dir = memory();
    let pristine = prepared(&dir.path().join("pristine"));
    let (old, new) = (pristine.snapshot("source"), pristine.snapshot("merged"));
    let whole = pristine.copy_to(&dir.path().join("whole"));
    assert!(matches!(run(&whole, "apply", "0:kill"), Some(Ok(Recovered::Applied { .. }))));
    assert_eq!(whole.snapshot("source"), new);
    let total = steps(&whole).len();
    let mut runs = 0;
    for first in 1..=total {
        let killed = pristine.copy_to(&dir.path().join("killed"));
        assert!(run(&killed, "apply", &format!("{first}:kill")).is_none());
        let mut second = 0;
        loop {
            // Without the second kill at the first turn: it also counts the steps of recovery.
            if second == 0 || is_full() || (first * 7 + second) % 23 == 0 {
                let again = killed.copy_to(&dir.path().join("again"));
                let ended = run(&again, "recover", &format!("{second}:kill"));
                let why = format!("killed at {first} of {total}, then at {second}");
                if ended.is_none() {
                    again.recover().unwrap_or_else(|error| panic!("{why}: {error}"));
                }
                assert_whole(&again, &old, &new, &why);
                runs += 1;
                if second == 0 {
                    fs::rename(again.root.join("steps"), dir.path().join("steps")).unwrap();
                }
                fs::remove_dir_all(&again.root).unwrap();
            }
            second += 1;
            let steps = fs::read_to_string(dir.path().join("steps")).unwrap();
            if second > steps.lines().count() {
                break;
            }
        }
        fs::remove_dir_all(&killed.root).unwrap();
    }
    println!("{total} steps, {runs} runs, none torn");
}

#[test]
fn an_error_at_any_step_leaves_the_old_tree_and_no_stage() {
    let dir = memory();
    let pristine = prepared(&dir.path().join("pristine"));
    let (old, new) = (pristine.snapshot("source"), pristine.snapshot("merged"));
    let mut failed = 0;
    for step in 1.. {
        let scene = pristine.copy_to(&dir.path().join("failing"));
        let ended = run(&scene, "apply", &format!("{step}:error")).expect("nobody killed it");
        let why = format!("an error at step {step}");
        match ended {
            Ok(_) => {
                assert!(steps(&scene).len() < step, "{why} was swallowed");
                break;
            }
            // The journal has the last word, and recovery gives it.
            Err(ApplyError::Unfinished { .. }) => {
                scene.recover().unwrap_or_else(|error| panic!("{why}: {error}"));
                assert_whole(&scene, &old, &new, &why);
            }
            Err(_) => {
                assert_eq!(scene.snapshot("source"), old, "{why}");
                assert!(!scene.stage_exists(), "{why}: the stage is still there");
                scene.recover().unwrap();
                assert_eq!(scene.snapshot("source"), old, "{why}, then recovery");
            }
        }
        failed += 1;
        fs::remove_dir_all(&scene.root).unwrap();
    }
    assert!(failed > 50, "only {failed} steps can fail");
}

#[test]
fn a_repeated_approve_answers_as_the_first_did_and_does_nothing() {
    let dir = memory();
    let scene = prepared(dir.path());
    let plan = scene.plan(&Selection::All).unwrap();
    let first = scene.apply_plan(&plan).unwrap();
    let host_edit = scene.source("modified.txt");
    fs::write(&host_edit, "the host goes on").unwrap();
    assert_eq!(scene.apply_plan(&plan).unwrap(), first);
    assert_eq!(fs::read(&host_edit).unwrap(), b"the host goes on");
}
