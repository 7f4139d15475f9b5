//! Questions of a task about the network, over the fake host.

use std::{sync::Arc, time::Duration};

use sandbar_engine::{EgressDenied, EgressEntry, Engine};
use sandbar_types::{
    Answer, AnsweredBy, QuestionId, QuestionKind, SandboxId, Task, TaskEvent, TaskEventPayload,
    TaskId, TaskState, TenantId,
};

use crate::{
    network::{Way, engine},
    support::{House, create, eventually, in_a_server_that_is_killed},
    tasks::{fetch, history, over, running, submit},
};

const TENANT: TenantId = TenantId::DEFAULT;
const DRAIN: Duration = Duration::from_secs(5);

async fn working(engine: &Engine, house: &House) -> (SandboxId, TaskId) {
    let sandbox = create(engine, house.spec()).await.unwrap().id;
    let task = submit(engine, sandbox, &["sleep"]).await;
    running(engine, task).await;
    (sandbox, task)
}

async fn refuse(way: &Arc<Way>, host: &str, reason: &str) {
    eventually("it is served", async || way.told().is_some()).await;
    let (host, reason) = (host.to_owned(), reason.to_owned());
    let denied = EgressEntry::Denied(EgressDenied { host, port: 443, reason });
    way.told().unwrap().send(denied).await.unwrap();
}

/// Has the sandbox refused a host until the task asks about it: who listens may not have begun.
async fn asked(engine: &Engine, way: &Arc<Way>, (task, host): (TaskId, &str)) -> Task {
    let is_asked = |event: &TaskEvent| matches!(&event.payload, TaskEventPayload::Question { question, .. } if question.text.contains(host));
    eventually("it is asked", async || {
        refuse(way, host, "host_not_allowed").await;
        tokio::task::yield_now().await;
        history(engine, task).await.iter().any(is_asked)
    })
    .await;
    eventually("it is shown", async || fetch(engine, task).await.question.is_some()).await;
    fetch(engine, task).await
}

async fn answer(engine: &Engine, task: TaskId, (id, option): (&str, &str)) -> Result<(), String> {
    let id: QuestionId = id.parse().unwrap();
    let answer = (Some(id), Answer::Option(option.to_owned()));
    engine.task_answer(TENANT, task, answer).await.map(drop).map_err(|err| err.code().to_owned())
}

fn answered(events: &[TaskEvent]) -> Vec<(String, AnsweredBy)> {
    let of = |event: &TaskEvent| {
        let TaskEventPayload::Answered { question, by, .. } = &event.payload else { return None };
        Some((question.to_string(), *by))
    };
    events.iter().filter_map(of).collect()
}

#[tokio::test]
async fn k6_a_refusal_is_asked_about_while_the_agent_works_on() {
    let (house, way) = (House::new(), Arc::<Way>::default());
    let engine = engine(&house, &way).await;
    let (sandbox, task) = working(&engine, &house).await;
    let found = asked(&engine, &way, (task, "a.example")).await;
    assert_eq!(found.state, TaskState::Running);
    let question = found.question.unwrap();
    assert_eq!((question.kind, question.id.as_str()), (QuestionKind::Network, "n1"));
    // What no rule lifts is no question, and the same one is asked once.
    refuse(&way, "b.example", "special_address").await;
    refuse(&way, "a.example", "host_not_allowed").await;
    asked(&engine, &way, (task, "c.example")).await;
    assert_eq!(answer(&engine, task, ("n1", "perhaps")).await, Err("invalid_value".to_owned()));
    assert_eq!(answer(&engine, task, ("n1", "allow_host")).await, Ok(()));
    let rules = engine.sandbox_fetch(sandbox).unwrap().spec.network.allow;
    assert_eq!(rules, ["a.example:443"]);
    assert_eq!(answer(&engine, task, ("n1", "deny")).await, Err("question_answered".to_owned()));
    assert_eq!(fetch(&engine, task).await.question.unwrap().id.as_str(), "n2");
    assert_eq!(answer(&engine, task, ("n2", "deny")).await, Ok(()));
    assert_eq!(engine.sandbox_fetch(sandbox).unwrap().spec.network.allow, rules);
    assert_eq!(fetch(&engine, task).await.question, None);
    assert_eq!(answer(&engine, task, ("n3", "deny")).await, Err("question_not_found".to_owned()));
    engine.task_cancel(TENANT, task).await.unwrap();
    over(&engine, task).await;
    let person = |id: &str| (id.to_owned(), AnsweredBy::Person);
    assert_eq!(answered(&history(&engine, task).await), [person("n1"), person("n2")]);
    // Who comes late hears the same when the agent, and with it the task, has ended in between.
    assert_eq!(answer(&engine, task, ("n1", "deny")).await, Err("question_answered".to_owned()));
    assert_eq!(answer(&engine, task, ("n3", "deny")).await, Err("task_finished".to_owned()));
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn what_nobody_answers_in_time_is_left_refused() {
    let (house, way) = (House::new(), Arc::<Way>::default());
    let engine = engine(&house, &way).await;
    let (sandbox, task) = working(&engine, &house).await;
    asked(&engine, &way, (task, "a.example")).await;
    house.clock.advance(Duration::from_secs(2 * 60 * 60));
    // Another refusal has the task look at the clock of this test.
    refuse(&way, "b.example", "host_not_allowed").await;
    eventually("its time is over", async || !answered(&history(&engine, task).await).is_empty())
        .await;
    assert_eq!(answered(&history(&engine, task).await)[0].1, AnsweredBy::Deadline);
    assert_eq!(
        answer(&engine, task, ("n1", "allow_host")).await,
        Err("question_expired".to_owned())
    );
    assert!(engine.sandbox_fetch(sandbox).unwrap().spec.network.allow.is_empty());
    engine.drain(DRAIN).await;
}

#[test]
fn a_question_about_the_network_outlives_a_server_and_is_withdrawn_at_the_end() {
    let (house, way) = (House::new(), Arc::<Way>::default());
    let (sandbox, task) = in_a_server_that_is_killed(async {
        let engine = engine(&house, &way).await;
        let (sandbox, task) = working(&engine, &house).await;
        asked(&engine, &way, (task, "a.example")).await;
        asked(&engine, &way, (task, "b.example")).await;
        (sandbox, task)
    });
    in_a_server_that_is_killed(async {
        let way = Arc::<Way>::default();
        let engine = engine(&house, &way).await;
        eventually("it is answered", async || {
            answer(&engine, task, ("n1", "allow_host")).await == Ok(())
        })
        .await;
        let rules = engine.sandbox_fetch(sandbox).unwrap().spec.network.allow;
        assert_eq!(rules, ["a.example:443"]);
        // What was asked about before is not asked about again.
        let third = asked(&engine, &way, (task, "c.example")).await;
        assert_eq!(third.question.unwrap().id.as_str(), "n2");
        engine.task_cancel(TENANT, task).await.unwrap();
        let over = over(&engine, task).await;
        assert_eq!((over.state, over.question), (TaskState::Cancelled, None));
        let withdrawn = |id: &str| (id.to_owned(), AnsweredBy::Withdrawn);
        let answered = answered(&history(&engine, task).await);
        assert_eq!(answered[1..], [withdrawn("n2"), withdrawn("n3")]);
        engine.drain(DRAIN).await;
    });
}
