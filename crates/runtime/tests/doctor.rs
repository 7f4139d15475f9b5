//! The probes, for real: as root where the tests are, and as nobody in particular.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test that starts the probes as another user, and says what it skips"
)]

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
};

use sandbar_runtime::{
    doctor::{Examination, Finding, Verdict, examine},
    native::cgroup::Hierarchies,
};

/// An ordinary user; nothing of the host belongs to it.
const NOBODY: u32 = 65_534;

fn harness() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.join("examples/launch_harness")
}

fn verdict(findings: &[Finding], code: &str) -> Verdict {
    let found = findings.iter().find(|one| one.code == code);
    found.unwrap_or_else(|| panic!("{code} is not among {findings:#?}")).verdict
}

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: only root can become nobody");
    }
    is_root
}

fn probe_as_nobody(name: &str, data: &Path) -> Vec<Finding> {
    // Where the tests are built, below `/root` for one, nobody may not be able to look.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("launch_harness");
    fs::copy(harness(), &copy).unwrap();
    let output = Command::new(copy)
        .args(["__launch", "probe", name])
        .arg(data)
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_host_that_runs_these_tests_can_hold_sandboxes() {
    let data = tempfile::tempdir().unwrap();
    let instance = format!("examine{}", std::process::id());
    let findings = examine(&Examination {
        data: data.path().to_owned(),
        exe: harness(),
        instance: instance.clone(),
    });
    Hierarchies::discover().unwrap().remove_instance(&instance).unwrap();
    for code in [
        "kernel",
        "user_namespaces",
        "namespaces",
        "overlay",
        "exchange",
        "pidfd",
        "close_range",
        "seccomp",
    ] {
        assert_eq!(verdict(&findings, code), Verdict::Ok, "{findings:#?}");
    }
    for one in &findings {
        assert!(one.verdict != Verdict::Missing, "{one:?}");
    }
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "a probe left something");
}

#[test]
fn an_ordinary_user_learns_what_is_weaker() {
    if !is_root() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    chown(data.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let namespaces = probe_as_nobody("namespaces", data.path());
    assert_eq!(verdict(&namespaces, "user_namespaces"), Verdict::Ok);
    let mounts = probe_as_nobody("mounts", data.path());
    assert_eq!(verdict(&mounts, "overlay"), Verdict::Degraded, "{mounts:#?}");
    assert_eq!(verdict(&probe_as_nobody("seccomp", data.path()), "seccomp"), Verdict::Ok);
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0, "a probe left something");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_missing() {
    if !is_root() {
        return;
    }
    let data = tempfile::tempdir().unwrap();
    let found = probe_as_nobody("files", data.path());
    assert_eq!(verdict(&found, "data_directory"), Verdict::Missing);
}
