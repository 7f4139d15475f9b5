//! Stop, wait, freeze, view, and what is left when somebody dies.

use std::{io, os::fd::AsFd, time::Duration};

use rustix::fs::{Mode, OFlags, openat};
use sandbar_runtime::{LaunchError, Observed, Runtime, StopOutcome};
use sandbar_types::ExitStatus;

use crate::rig::{Rig, eventually, is_alive, kill, read, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_sandbox_is_gone_and_a_second_stop_is_no_error() {
    let rig = Rig::with_pool(0);
    let spec = rig.spec();
    let launched = rig.launch(&spec).await;
    rig.shell(
        &spec,
        "setsid sleep 1000 >/dev/null 2>&1 & setsid sh -c 'trap \"\" TERM; sleep 1000' >/dev/null 2>&1 &",
    ).await;
    assert!(!rig.slots().is_empty());
    rig.stop(&spec).await;
    assert!(!is_alive(launched.supervisor_pid));
    assert_eq!(rig.slots(), Vec::<std::path::PathBuf>::new());
    assert_eq!(
        rig.runtime().stop(&spec.dir, spec.id, Duration::ZERO).await.unwrap(),
        StopOutcome::NotRunning
    );
    let killed = ExitStatus::Signaled { signal: 9 };
    assert_eq!(rig.observe(&spec).await, Some(Observed::Remains { exit: Some(killed) }));
    rig.runtime().release(&spec.dir, spec.id).await.unwrap();
    assert_eq!(rig.observe(&spec).await, None);
    rig.runtime().release(&spec.dir, spec.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_when_asked_exited_and_wait_says_so_now_and_later() {
    let rig = Rig::new();
    let spec = rig.spec();
    rig.launch(&spec).await;
    let (runtime, grace) = (rig.runtime(), Duration::from_secs(10));
    let (waited, stopped) =
        tokio::join!(runtime.wait(&spec.dir, spec.id), runtime.stop(&spec.dir, spec.id, grace));
    assert_eq!(stopped.unwrap(), StopOutcome::Exited);
    assert_eq!(waited.unwrap(), Some(ExitStatus::Exited { code: 0 }));
    assert_eq!(
        runtime.wait(&spec.dir, spec.id).await.unwrap(),
        Some(ExitStatus::Exited { code: 0 })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_ran_cannot_be_waited_for() {
    let rig = Rig::with_pool(0);
    let spec = rig.spec();
    let waited = rig.runtime().wait(&spec.dir, spec.id).await;
    assert_eq!(waited.unwrap_err().kind(), io::ErrorKind::NotConnected);
    assert_eq!(rig.observe(&spec).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_sandbox_stands_still_and_can_still_be_stopped() {
    let rig = Rig::new();
    let spec = rig.spec();
    rig.launch(&spec).await;
    rig.shell(&spec, "setsid sh -c 'while :; do date +%N > tick; done' >/dev/null 2>&1 &").await;
    let tick = spec.dir.0.join("upper/tick");
    eventually("it ticks", || std::fs::read(&tick).is_ok_and(|text| !text.is_empty()));
    rig.runtime().freeze(&spec.dir, spec.id).await.unwrap();
    assert_eq!(
        rig.observe(&spec).await,
        Some(Observed::Running { nonce: "n1".to_owned(), paused: true })
    );
    let before = read(&tick);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(read(&tick), before);
    rig.runtime().thaw(&spec.dir, spec.id).await.unwrap();
    eventually("it ticks again", || {
        std::fs::read_to_string(&tick).is_ok_and(|text| !text.is_empty() && text != before)
    });
    rig.runtime().freeze(&spec.dir, spec.id).await.unwrap();
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_counts_what_runs() {
    let rig = Rig::new();
    let spec = rig.spec();
    rig.launch(&spec).await;
    let usage = rig.runtime().usage(&spec.dir, spec.id).await.unwrap();
    assert!(usage.pids.is_some_and(|pids| pids >= 1), "{usage:?}");
    assert!(usage.memory_bytes.is_some_and(|bytes| bytes > 0), "{usage:?}");
    rig.stop(&spec).await;
}

fn text(dir: &impl AsFd, name: &str) -> io::Result<String> {
    let file = openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    io::read_to_string(std::fs::File::from(file))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_is_the_same_while_it_runs_and_at_rest() {
    let rig = Rig::new();
    let mut spec = rig.spec();
    let launched = rig.launch(&spec).await;
    rig.shell(&spec, "echo new > readme; mv src lib").await;
    spec.uid_base = launched.uid_base;
    for moment in ["running", "at rest"] {
        let view = rig.runtime().view(&spec).await.unwrap();
        assert_eq!(text(&view.merged, "readme").unwrap(), "new\n", "{moment}");
        assert_eq!(text(&view.upper, "readme").unwrap(), "new\n", "{moment}");
        assert_eq!(text(&view.lower.unwrap(), "readme").unwrap(), "old", "{moment}");
        assert!(openat(&view.merged, "lib", OFlags::PATH, Mode::empty()).is_ok(), "{moment}");
        let agent = launched.uid_base.unwrap() + 1000;
        assert_eq!(view.owner, (agent, agent), "{moment}");
        if moment == "running" {
            rig.stop(&spec).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_there_after_another_launch() {
    let rig = Rig::new();
    let mut spec = rig.spec();
    let launched = rig.launch(&spec).await;
    rig.shell(&spec, "echo new > readme; echo kept > ~/kept").await;
    rig.stop(&spec).await;
    spec.uid_base = launched.uid_base;
    spec.nonce = "n2".to_owned();
    let again = rig.launch(&spec).await;
    assert_eq!(again.uid_base, launched.uid_base);
    assert_eq!(
        rig.shell(&spec, "cat readme ~/kept; echo more >> readme && cat readme").await,
        "new\nkept\nnew\nmore\n"
    );
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_outlives_its_server() {
    let mut rig = Rig::new();
    let spec = rig.spec();
    let launched = rig.launch(&spec).await;
    rig.restart();
    assert_eq!(
        rig.observe(&spec).await,
        Some(Observed::Running { nonce: "n1".to_owned(), paused: false })
    );
    assert!(is_alive(launched.supervisor_pid));
    assert_eq!(rig.shell(&spec, "cat readme").await, "old");
    // Even one that is not asked about is seen.
    let all = rig.runtime().observe(&[]).await.unwrap();
    assert!(all.contains_key(&spec.id), "{all:?}");
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_dies_with_its_keeper_and_its_files_stay() {
    let rig = Rig::with_pool(0);
    let spec = rig.spec();
    let launched = rig.launch(&spec).await;
    rig.shell(&spec, "echo new > readme; setsid sleep 1000 >/dev/null 2>&1 &").await;
    let keeper = status(launched.supervisor_pid, "PPid").unwrap().parse().unwrap();
    kill(keeper);
    eventually("the supervisor is gone", || !is_alive(launched.supervisor_pid));
    let outcome = rig.runtime().stop(&spec.dir, spec.id, Duration::ZERO).await.unwrap();
    assert!(matches!(outcome, StopOutcome::NotRunning | StopOutcome::Killed));
    eventually("no process is in its groups", || {
        rig.slots().iter().all(|slot| {
            std::fs::read_to_string(slot.join("cgroup.procs")).is_ok_and(|pids| pids.is_empty())
        })
    });
    assert_eq!(rig.observe(&spec).await, Some(Observed::Remains { exit: None }));
    rig.runtime().release(&spec.dir, spec.id).await.unwrap();
    assert_eq!(rig.observe(&spec).await, None);
    assert_eq!(rig.slots(), Vec::<std::path::PathBuf>::new());
    assert_eq!(read(spec.dir.0.join("upper/readme")), "new\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_sandbox_is_not_released() {
    let rig = Rig::new();
    let spec = rig.spec();
    rig.launch(&spec).await;
    let released = rig.runtime().release(&spec.dir, spec.id).await;
    assert_eq!(released.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_init_is_reported_and_cleaned_up() {
    let rig = Rig::with_pool(0);
    let spec = rig.spec();
    let launched = rig.launch(&spec).await;
    kill(launched.supervisor_pid);
    assert_eq!(
        rig.runtime().wait(&spec.dir, spec.id).await.unwrap(),
        Some(ExitStatus::Signaled { signal: 9 })
    );
    eventually("its groups are gone", || rig.slots().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn launches_at_once_get_ranges_of_their_own() {
    let rig = Rig::with_pool(2);
    let specs: Vec<_> = (0..6).map(|_| rig.spec()).collect();
    let (a, b, c, d, e, f) = tokio::join!(
        rig.launch(&specs[0]),
        rig.launch(&specs[1]),
        rig.launch(&specs[2]),
        rig.launch(&specs[3]),
        rig.launch(&specs[4]),
        rig.launch(&specs[5]),
    );
    let bases: std::collections::BTreeSet<_> =
        [a, b, c, d, e, f].iter().map(|launched| launched.uid_base).collect();
    assert_eq!(bases.len(), specs.len());
    for spec in &specs {
        assert_eq!(rig.shell(spec, "cat readme").await, "old");
        rig.stop(spec).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_not_given_to_another_while_the_files_are_there() {
    let rig = Rig::with_pool(0);
    let (mut one, mut two) = (rig.spec(), rig.spec());
    let base = rig.launch(&one).await.uid_base;
    rig.stop(&one).await;
    two.uid_base = base;
    let refused = rig.runtime().launch(two.clone()).await;
    assert!(
        matches!(&refused, Err(LaunchError::Step { step, .. }) if step == "user_namespace"),
        "{refused:?}"
    );
    two.uid_base = None;
    assert_ne!(rig.launch(&two).await.uid_base, base);
    one.uid_base = base;
    rig.launch(&one).await;
    rig.stop(&one).await;
    rig.stop(&two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_runs_is_not_launched_again_over_itself() {
    let rig = Rig::new();
    let spec = rig.spec();
    rig.launch(&spec).await;
    let again = rig.runtime().launch(spec.clone()).await;
    assert!(
        matches!(&again, Err(LaunchError::Step { step, source }) if step == "directories" && source.kind() == io::ErrorKind::WouldBlock),
        "{again:?}"
    );
    assert_eq!(rig.shell(&spec, "echo unharmed").await, "unharmed\n");
    rig.stop(&spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keeper_that_stands_still_does_not_hide_its_sandbox_nor_others() {
    let rig = Rig::new();
    let spec = rig.spec();
    let launched = rig.launch(&spec).await;
    let keeper: i32 = status(launched.supervisor_pid, "PPid").unwrap().parse().unwrap();
    let keeper = rustix::process::Pid::from_raw(keeper).unwrap();
    rustix::process::kill_process(keeper, rustix::process::Signal::STOP).unwrap();
    assert_eq!(
        rig.observe(&spec).await,
        Some(Observed::Running { nonce: "n1".to_owned(), paused: false })
    );
    rustix::process::kill_process(keeper, rustix::process::Signal::CONT).unwrap();
    rig.stop(&spec).await;
}
