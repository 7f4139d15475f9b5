//! Every step of a launch broken once: an error is said, and nothing is left.
#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use sandbar_runtime::{LaunchError, Runtime};

use crate::rig::{Rig, eventually, host_mounts};

const STEPS: [&str; 25] = [
    "user_namespace",
    "cgroup",
    "init",
    "network",
    "directories",
    "limits",
    "source",
    "idmap",
    "overlay",
    "binds",
    "sockets",
    "order",
    "mount_namespace",
    "root",
    "mounts",
    "sysctl",
    "pivot",
    "hostname",
    "keyring",
    "landlock",
    "capabilities",
    "seccomp",
    "exec",
    "hello",
    "read_back",
];

/// Processes of sandboxes: whose user id is in the band that ranges are given out of.
fn processes_in_ranges(base: std::ops::Range<u32>) -> usize {
    let uid = |entry: &std::fs::DirEntry| {
        std::os::unix::fs::MetadataExt::uid(&entry.metadata().ok()?).into()
    };
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| uid(&entry))
        .filter(|uid: &u32| base.contains(uid))
        .count()
}

async fn break_every_step(how: &str) {
    let rig = Rig::with_pool(0);
    let mounts = host_mounts();
    for step in STEPS.iter().chain(&["record", "go"]) {
        rig.runtime().set_failpoint(Some(format!("launch.{step}:{how}")));
        let spec = rig.spec();
        let result = rig.runtime().launch(spec.clone()).await;
        match (how, result) {
            (_, Ok(_)) => panic!("`{step}` did not break"),
            ("error", Err(LaunchError::Step { step: broken, .. })) => assert_eq!(&broken, step),
            ("error", Err(err)) => panic!("`{step}`: {err:?}"),
            (_, Err(_)) => {}
        }
        eventually(&format!("`{step}` leaves no group"), || rig.slots().is_empty());
        assert_eq!(host_mounts(), mounts, "`{step}` leaves no mount");
        for socket in ["keeper.sock", "supervisor.sock"] {
            assert!(
                how == "kill" || !spec.dir.0.join("run").join(socket).exists(),
                "`{step}` leaves no {socket}"
            );
        }
        rig.runtime().release(&spec.dir, spec.id).await.unwrap();
        assert_eq!(rig.observe(&spec).await, None, "`{step}`");
    }
    rig.runtime().set_failpoint(None);
    let spec = rig.spec();
    let launched = rig.launch(&spec).await;
    rig.stop(&spec).await;
    let base = launched.uid_base.unwrap();
    eventually("no process is left", || {
        processes_in_ranges(base - (40 << 16)..base + (1 << 16)) == 0
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_is_named_and_leaves_nothing() {
    break_every_step("error").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_launcher_that_dies_at_any_step_leaves_nothing() {
    break_every_step("kill").await;
}
