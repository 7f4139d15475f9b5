use std::time::Duration;

use sandbar_engine::{ExecItem, SandboxCreated};
use sandbar_types::{ExecState, ExitStatus};

use crate::support::{House, command, create, eventually, params};

const DRAIN: Duration = Duration::from_secs(5);

#[tokio::test]
async fn output_and_the_real_status_come_back() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    let echoed = engine.exec_run(id, command(&["echo", "hello"]), 3).await.unwrap();
    assert_eq!((echoed.stdout.bytes.as_slice(), echoed.stdout.truncated_bytes), (&b"hel"[..], 2));
    for (argv, code) in [(&["exit", "7"][..], 7), (&["not-there"], 127)] {
        let ended = engine.exec_run(id, command(argv), 100).await.unwrap();
        assert_eq!(ended.end().unwrap().status.shell_code(), code);
    }
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn an_exec_that_nobody_reads_still_has_its_end_recorded() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    let session = engine.exec_start(id, command(&["sleep"])).await.unwrap();
    let exec = session.exec.id;
    drop(session);
    engine.exec_signal(id, exec, 15).await.unwrap();
    let status = ExitStatus::Signaled { signal: 15 };
    eventually("its end is recorded", async || {
        matches!(engine.exec_fetch(id, exec).await.unwrap().state, ExecState::Ended { end } if end.status == status)
    })
    .await;
    let waited = engine.exec_wait(id, exec, 100).await.unwrap();
    assert_eq!(waited.end().unwrap().status, status);
    engine.exec_signal(id, exec, 9).await.expect("a signal to what has ended is no error");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn b7_stop_ends_every_exec_and_leaves_nothing() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    let mut session = engine.exec_start(id, command(&["sleep"])).await.unwrap();
    let exec = session.exec.id;
    engine.sandbox_stop(id, None).await.unwrap();
    assert!(!house.host.is_running(id) && house.host.is_clean());
    assert_eq!(engine.exec_fetch(id, exec).await.unwrap().state, ExecState::Lost);
    assert!(session.reader.next().await.is_err(), "a broken stream is not an end");
    let mut recorded = engine.exec_attach(id, exec, 0).await.unwrap();
    assert_eq!(recorded.reader.next().await.unwrap(), Some(ExecItem::Lost));
    let refused = engine.exec_start(id, command(&["exit", "0"])).await.unwrap_err();
    assert_eq!(refused.code(), "state_conflict");
    assert!(refused.hint_text().unwrap().contains("start"));
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn as_many_execs_run_as_allowed_and_a_refused_one_leaves_nothing() {
    let house = House::new();
    let engine = house.engine().await;
    let mut spec = house.spec();
    spec.limits.execs_max = 1;
    let created = engine.sandbox_create(params(spec)).await.unwrap();
    let (SandboxCreated::New(sandbox) | SandboxCreated::Replayed(sandbox)) = created;
    let id = sandbox.id;
    house.host.fail(sandbar_runtime::fake::Fault::ExecFails);
    assert_eq!(
        engine.exec_start(id, command(&["sleep"])).await.unwrap_err().code(),
        "invalid_value"
    );
    assert!(engine.exec_list(id).await.unwrap().is_empty());
    eventually("the refused one is no longer counted", async || {
        engine.exec_start(id, command(&["sleep"])).await.is_ok()
    })
    .await;
    assert_eq!(
        engine.exec_start(id, command(&["sleep"])).await.unwrap_err().code(),
        "limit_reached"
    );
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn values_of_variables_are_never_stored() {
    let house = House::new();
    let engine = house.engine().await;
    let id = create(&engine, house.spec()).await.unwrap().id;
    engine.exec_run(id, command(&["exit", "0"]), 1).await.unwrap();
    assert_eq!(engine.exec_list(id).await.unwrap()[0].spec.env.values().collect::<Vec<_>>(), [""]);
    engine.drain(DRAIN).await;
    for name in ["sandbar.db", "sandbar.db-wal"] {
        let bytes = std::fs::read(house.dir.path().join("data").join(name)).unwrap_or_default();
        assert!(!bytes.windows(7).any(|window| window == b"hunter2"), "{name}");
    }
}
