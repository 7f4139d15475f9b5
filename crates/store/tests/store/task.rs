//! Tasks: of their tenant alone, in the order in which they came, and gone with the history of their sandbox.

use jiff::Timestamp;
use sandbar_store::{
    SandboxRow, TaskFilter, TaskRow, Update, WriteTxn, sandbox_insert_in_txn, sandbox_prune_in_txn,
    task_count_open, task_fetch, task_fetch_of_tenant, task_find_session, task_insert_in_txn,
    task_list, task_list_finished_before, task_list_open, task_list_open_sandboxes,
    task_remove_in_txn, task_update_in_txn,
};
use sandbar_types::{
    ExecId, Generation, Question, QuestionKind, SandboxId, TaskId, TaskResult, TaskSpec, TaskState,
    TenantId,
};

use crate::{
    sandbox::row as sandbox,
    support::{Fresh, on_both},
};

on_both!(
    what_is_recorded_of_a_task_is_what_is_read_and_by_its_tenant_alone,
    a15_tasks_come_in_the_order_in_which_they_were_asked_for,
    tasks_go_with_the_history_of_their_sandbox_and_not_before,
    tasks_that_are_not_over_are_counted_by_state,
);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn task(sandbox_id: SandboxId) -> TaskRow {
    TaskRow {
        id: TaskId::generate(),
        sandbox_id,
        spec: serde_json::from_value::<TaskSpec>(serde_json::json!({
            "prompt": "say \"hé\"\n", "command": ["cat"], "timeout_ms": 5, "continue": true,
        }))
        .unwrap(),
        agent: "command".parse().unwrap(),
        state: TaskState::Queued,
        is_cancel_asked: false,
        exec_id: None,
        session: None,
        question: None,
        result: None,
        generation: Generation::FIRST,
        created_at: at(0),
        started_at: None,
        finished_at: None,
    }
}

async fn with_sandbox(txn: &mut WriteTxn, name: &str) -> SandboxRow {
    let row = sandbox(name);
    sandbox_insert_in_txn(txn, &row).await.unwrap();
    row
}

async fn what_is_recorded_of_a_task_is_what_is_read_and_by_its_tenant_alone(
    Fresh { store, .. }: &Fresh,
) {
    let mut txn = store.begin().await.unwrap();
    let owner = with_sandbox(&mut txn, "one").await;
    let mut row = task(owner.id);
    task_insert_in_txn(&mut txn, &row).await.unwrap();
    let own = task_fetch_of_tenant(&mut txn, owner.tenant_id, row.id).await.unwrap();
    assert_eq!(own.as_ref(), Some(&row));
    let other = task_fetch_of_tenant(&mut txn, TenantId::generate(), row.id).await.unwrap();
    assert_eq!(other, None);
    let late = row.clone();
    row.state = TaskState::Waiting;
    row.is_cancel_asked = true;
    row.exec_id = Some(ExecId::generate());
    row.session = Some("s-1".to_owned());
    row.question = Some(Question {
        id: "q1".parse().unwrap(),
        kind: QuestionKind::Question,
        text: "which?".to_owned(),
        options: Vec::new(),
        free_text: true,
    });
    row.result = Some(TaskResult { duration_ms: 7, ..TaskResult::default() });
    row.started_at = Some(at(1));
    row.finished_at = Some(at(2));
    let next = Generation::FIRST.next();
    assert_eq!(task_update_in_txn(&mut txn, &row).await.unwrap(), Update::Applied(next));
    assert_eq!(task_update_in_txn(&mut txn, &late).await.unwrap(), Update::Stale);
    row.generation = next;
    assert_eq!(task_fetch(&mut txn, row.id).await.unwrap(), Some(row.clone()));
    let found =
        task_find_session(&mut txn, owner.id, &row.agent, TaskId::generate()).await.unwrap();
    assert_eq!(found, Some(row.clone()));
    let other = "codex".parse().unwrap();
    assert_eq!(
        task_find_session(&mut txn, owner.id, &other, TaskId::generate()).await.unwrap(),
        None
    );
    assert_eq!(task_find_session(&mut txn, owner.id, &row.agent, row.id).await.unwrap(), None);
    drop(txn);
    store.close().await;
}

async fn a15_tasks_come_in_the_order_in_which_they_were_asked_for(Fresh { store, .. }: &Fresh) {
    let mut txn = store.begin().await.unwrap();
    let (one, two) =
        (with_sandbox(&mut txn, "one").await.id, with_sandbox(&mut txn, "two").await.id);
    let mut rows: Vec<TaskRow> = [one, one, two, one].map(task).into();
    for row in &rows {
        task_insert_in_txn(&mut txn, row).await.unwrap();
    }
    rows[0].state = TaskState::Succeeded;
    assert!(matches!(task_update_in_txn(&mut txn, &rows[0]).await.unwrap(), Update::Applied(_)));
    let ids = |rows: Vec<TaskRow>| rows.into_iter().map(|row| row.id).collect::<Vec<_>>();
    let open = task_list_open(&mut txn, one, 9).await.unwrap();
    assert_eq!(ids(open), [rows[1].id, rows[3].id]);
    assert_eq!(ids(task_list_open(&mut txn, one, 1).await.unwrap()), [rows[1].id]);
    let mut both = [one, two];
    both.sort_unstable();
    assert_eq!(task_list_open_sandboxes(&mut txn).await.unwrap(), both);
    let all = TaskFilter { sandbox: one, state: None, before: None };
    let listed = task_list(&mut txn, &all, 2).await.unwrap();
    assert_eq!(ids(listed), [rows[3].id, rows[1].id]);
    let rest = TaskFilter { before: Some(rows[1].id), ..all };
    assert_eq!(ids(task_list(&mut txn, &rest, 2).await.unwrap()), [rows[0].id]);
    let done = TaskFilter { state: Some(TaskState::Succeeded), ..all };
    assert_eq!(ids(task_list(&mut txn, &done, 9).await.unwrap()), [rows[0].id]);
    drop(txn);
    store.close().await;
}

async fn tasks_go_with_the_history_of_their_sandbox_and_not_before(Fresh { store, .. }: &Fresh) {
    let mut txn = store.begin().await.unwrap();
    let gone = SandboxRow { deleted_at: Some(at(10)), ..sandbox("gone") };
    sandbox_insert_in_txn(&mut txn, &gone).await.unwrap();
    sandbar_store::sandbox_update_in_txn(&mut txn, &gone).await.map(drop).unwrap();
    let mut rows = [task(gone.id), task(gone.id)];
    for (second, row) in (1..).zip(&mut rows) {
        task_insert_in_txn(&mut txn, row).await.unwrap();
        row.state = TaskState::Failed;
        row.finished_at = Some(at(second));
        task_update_in_txn(&mut txn, row).await.map(drop).unwrap();
    }
    let old = task_list_finished_before(&mut txn, at(2), 9).await.unwrap();
    assert_eq!(old, [(rows[0].id, gone.id)]);
    task_remove_in_txn(&mut txn, rows[0].id).await.unwrap();
    assert_eq!(task_fetch(&mut txn, rows[0].id).await.unwrap(), None);
    sandbox_prune_in_txn(&mut txn, at(9)).await.unwrap();
    assert!(task_fetch(&mut txn, rows[1].id).await.unwrap().is_some());
    sandbox_prune_in_txn(&mut txn, at(11)).await.unwrap();
    assert_eq!(task_fetch(&mut txn, rows[1].id).await.unwrap(), None);
    drop(txn);
    store.close().await;
}

async fn tasks_that_are_not_over_are_counted_by_state(Fresh { store, .. }: &Fresh) {
    let mut txn = store.begin().await.unwrap();
    let owner = with_sandbox(&mut txn, "one").await;
    let states = [TaskState::Queued, TaskState::Waiting, TaskState::Waiting, TaskState::Failed];
    for (number, state) in states.into_iter().enumerate() {
        let mut row = task(owner.id);
        task_insert_in_txn(&mut txn, &row).await.unwrap();
        row.state = state;
        row.question = (number == 2).then(|| Question {
            id: "q1".parse().unwrap(),
            kind: QuestionKind::Question,
            text: "which?".to_owned(),
            options: Vec::new(),
            free_text: true,
        });
        assert!(matches!(task_update_in_txn(&mut txn, &row).await, Ok(Update::Applied(_))));
    }
    let counts = task_count_open(&mut txn).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|one| (one.state, one.tasks, one.asking)).collect();
    assert_eq!(counts, [(TaskState::Queued, 1, 0), (TaskState::Waiting, 2, 1)]);
}
