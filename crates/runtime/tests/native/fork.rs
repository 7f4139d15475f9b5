//! A throw-away copy of a sandbox that runs: it begins with that one's files, and changes none of them.

use sandbar_runtime::{LaunchSpec, Runtime, SandboxDir, StopOutcome};
use sandbar_types::SandboxId;

use crate::rig::{Rig, is_alive};

/// A copy of what `launched` says of `parent`.
fn fork_of(rig: &Rig, parent: &LaunchSpec, uid_base: Option<u32>) -> LaunchSpec {
    let id = SandboxId::generate();
    LaunchSpec {
        id,
        dir: SandboxDir(rig.config.data_dir.join("checks").join(id.to_string())),
        fork_of: Some(parent.dir.clone()),
        uid_base,
        ..parent.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_begins_with_the_files_of_its_parent_and_changes_none_of_them() {
    let rig = Rig::with_pool(0);
    std::fs::create_dir(rig.source().join("old")).unwrap();
    std::fs::write(rig.source().join("old/page"), "page").unwrap();
    std::fs::write(rig.source().join("gone"), "gone").unwrap();
    let parent = rig.spec();
    let launched = rig.launch(&parent).await;
    let make = "echo new >readme; rm gone; mv old moved; echo more >moved/more; mkdir -p ~/.cache; echo kept >~/.cache/kept";
    assert_eq!(rig.shell(&parent, make).await, "");

    let fork = fork_of(&rig, &parent, launched.uid_base);
    std::fs::create_dir_all(&fork.dir.0).unwrap();
    let forked = rig.launch(&fork).await;
    assert_eq!(forked.uid_base, launched.uid_base);
    let look = "cat readme moved/page moved/more ~/.cache/kept; ls; id -u; stat -c %u readme . ~";
    let seen = rig.shell(&fork, look).await;
    assert_eq!(seen, "new\npagemore\nkept\nmoved\nreadme\nsrc\n1000\n1000\n1000\n1000\n");

    let change = "rm -rf moved; echo built >readme; echo out >out; rm ~/.cache/kept; ls";
    assert_eq!(rig.shell(&fork, change).await, "out\nreadme\nsrc\n");
    assert_eq!(rig.shell(&parent, look).await, seen, "the parent sees nothing of it");
    // The parent writes on, and so does the fork.
    assert_eq!(
        rig.shell(&parent, "echo later >moved/later; rm readme; echo again >readme").await,
        ""
    );
    assert_eq!(
        rig.shell(&fork, "cat readme; echo more >>readme; cat readme").await,
        "built\nbuilt\nmore\n"
    );

    rig.stop(&fork).await;
    assert!(!is_alive(forked.supervisor_pid) && is_alive(launched.supervisor_pid));
    rig.runtime().release(&fork.dir, fork.id).await.unwrap();
    assert_eq!(rig.shell(&parent, "cat readme moved/later").await, "again\nlater\n");
    rig.stop(&parent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_over_an_empty_workspace_and_without_its_server_is_killed_by_its_name() {
    let mut rig = Rig::with_pool(0);
    let parent = LaunchSpec { source: None, ..rig.spec() };
    let launched = rig.launch(&parent).await;
    rig.shell(&parent, "echo a >a").await;
    let fork = fork_of(&rig, &parent, launched.uid_base);
    std::fs::create_dir_all(&fork.dir.0).unwrap();
    let forked = rig.launch(&fork).await;
    assert_eq!(rig.shell(&fork, "cat a; (setsid sleep 1000 >/dev/null 2>&1 &)").await, "a\n");
    rig.restart();
    let stopped = rig.runtime().stop(&fork.dir, fork.id, std::time::Duration::ZERO).await;
    assert_eq!(stopped.unwrap(), StopOutcome::Killed);
    rig.runtime().release(&fork.dir, fork.id).await.unwrap();
    assert!(!is_alive(forked.supervisor_pid) && is_alive(launched.supervisor_pid));
    // In each hierarchy there may be one.
    let slots = rig.slots();
    let names: std::collections::BTreeSet<_> = slots.iter().map(|path| path.file_name()).collect();
    assert_eq!(names.len(), 1, "the parent's is left: {slots:?}");
    rig.stop(&parent).await;
}
