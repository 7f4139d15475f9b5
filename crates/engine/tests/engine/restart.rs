use std::time::Duration;

use sandbar_runtime::fake::Fault;
use sandbar_types::{ExecState, ExitStatus, FailureReason, SandboxId, SandboxState, TenantId};

use crate::support::{House, command, create, eventually, in_a_server_that_is_killed, params};

const DRAIN: Duration = Duration::from_secs(5);

#[test]
fn what_ran_is_adopted_with_its_execs_after_the_server_was_killed() {
    let house = House::new();
    let (id, exec) = in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let id = create(&engine, house.spec()).await.unwrap().id;
        let session = engine.exec_start(id, command(&["sleep"])).await.unwrap();
        (id, session.exec.id)
    });
    assert!(house.host.is_running(id), "sandboxes outlive the server");
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        eventually("it is adopted", async || {
            engine.sandbox_fetch(id).unwrap().state == SandboxState::Running
        })
        .await;
        assert_eq!(house.host.calls(id), ["launch"], "an adopted sandbox was touched");
        engine.exec_signal(id, exec, 9).await.unwrap();
        eventually("the end of its exec is learned", async || {
            let state = engine.exec_fetch(id, exec).await.unwrap().state;
            matches!(state, ExecState::Ended { end } if end.status == ExitStatus::Signaled { signal: 9 })
        })
        .await;
    });
}

#[test]
fn b8_the_end_of_an_exec_is_known_although_nobody_was_there() {
    let house = House::new();
    let (id, exec) = in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let id = create(&engine, house.spec()).await.unwrap().id;
        (id, engine.exec_start(id, command(&["sleep"])).await.unwrap().exec.id)
    });
    // Ended, and its sandbox with it, while no server ran: only the log knows.
    let log = house.sandbox_dir(id).0.join(format!("logs/{exec}.log"));
    let end = sandbar_types::ExecEnd {
        status: ExitStatus::Exited { code: 5 },
        oom_killed: false,
        dropped_bytes: 0,
    };
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend(sandbar_protocol::log::encode_end(&end, 3));
    std::fs::write(&log, bytes).unwrap();
    house.host.end_supervisor(id, ExitStatus::Exited { code: 0 });
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        eventually("its end is recorded", async || {
            engine.exec_fetch(id, exec).await.unwrap().state == ExecState::Ended { end }
        })
        .await;
        assert!(matches!(engine.sandbox_fetch(id).unwrap().state, SandboxState::Failed { .. }));
    });
}

#[test]
fn a_launch_whose_answer_was_lost_is_adopted() {
    let house = House::new();
    house.host.fail(Fault::LaunchReplyLost);
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let params = params(house.spec());
        let creating = tokio::spawn(async move { engine.sandbox_create(params).await });
        eventually("it is launched", async || !house.host.is_clean()).await;
        creating.abort();
    });
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let id = engine.sandbox_list(TenantId::DEFAULT)[0].id;
        eventually("it runs", async || {
            engine.sandbox_fetch(id).unwrap().state == SandboxState::Running
        })
        .await;
    });
}

#[test]
fn a_launch_that_a_crash_interrupted_is_undone() {
    let house = House::new();
    house.host.fail(Fault::LaunchHangs);
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let params = params(house.spec());
        let creating = tokio::spawn(async move { engine.sandbox_create(params).await });
        let data = house.dir.path().join("data/sandboxes");
        eventually("its directory is made", async || {
            std::fs::read_dir(&data).unwrap().next().is_some()
        })
        .await;
        creating.abort();
    });
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        eventually("nothing is left", async || engine.sandbox_list(TenantId::DEFAULT).is_empty())
            .await;
        let data = house.dir.path().join("data/sandboxes");
        assert!(std::fs::read_dir(data).unwrap().next().is_none() && house.host.is_clean());
    });
}

#[test]
fn v3_what_nobody_recorded_is_killed_and_what_is_gone_is_said() {
    let house = House::new();
    let stranger = SandboxId::generate();
    let id = in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        create(&engine, house.spec()).await.unwrap().id
    });
    house.host.kill_keeper(id);
    house.host.leave_orphan(stranger);
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        let failed = |state| {
            matches!(
                state,
                SandboxState::Failed { reason: FailureReason::SupervisorExited { status: None } }
            )
        };
        eventually("it failed", async || failed(engine.sandbox_fetch(id).unwrap().state)).await;
        eventually("the host is clean", async || house.host.is_clean()).await;
        assert!(house.sandbox_dir(id).0.exists(), "its files are kept");
    });
}

#[test]
fn a_review_that_a_crash_interrupted_leaves_nothing_frozen() {
    let house = House::new();
    let id = in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        create(&engine, house.spec()).await.unwrap().id
    });
    house.host.leave_frozen(id);
    in_a_server_that_is_killed(async {
        let engine = house.engine().await;
        eventually("it is thawed", async || !house.host.is_frozen(id)).await;
        assert_eq!(engine.sandbox_fetch(id).unwrap().state, SandboxState::Running);
        engine.drain(DRAIN).await;
    });
}
