//! What is done just now, and who wants to hear of it. In memory: a server that was restarted reads it from the store.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sandbar_types::{Answer, QuestionId, SandboxId, TaskId};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::Result;

/// LIMIT: answers that wait for one task; more than a person gives.
const ANSWERS_MAX: usize = 16;

/// Every lane, every task that runs, and everybody who follows one.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Sandboxes whose tasks somebody does; whether one was added since that one looked.
    lanes: Mutex<BTreeMap<SandboxId, bool>>,
    running: Mutex<BTreeMap<TaskId, Live>>,
    followers: Mutex<HashMap<TaskId, watch::Sender<Told>>>,
}

/// Speaks to a task that runs.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) cancel: CancellationToken,
    pub(super) answers: mpsc::Sender<Answering>,
}

/// The other end of it.
#[derive(Debug)]
pub(super) struct Wishes {
    pub(super) cancel: CancellationToken,
    pub(super) answers: mpsc::Receiver<Answering>,
}

/// What who follows a task is told; to be told it again is news, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Something happened.
    News,
    /// The store says that it is over, so the history grows no more.
    Over,
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) question: QuestionId,
    pub(super) answer: Answer,
    pub(super) reply: oneshot::Sender<Result<()>>,
}

/// What nobody panics while holding, and is whole if somebody did.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work {
    /// Says that a sandbox has a task; returns whether somebody has to begin doing its tasks.
    pub(super) fn add(&self, sandbox: SandboxId) -> bool {
        let mut lanes = locked(&self.lanes);
        let is_new = !lanes.contains_key(&sandbox);
        lanes.insert(sandbox, true);
        is_new
    }

    /// Before somebody looks for the next task.
    pub(super) fn looks(&self, sandbox: SandboxId) {
        locked(&self.lanes).insert(sandbox, false);
    }

    /// There was none: returns whether that is still so, and then nobody does its tasks any more.
    pub(super) fn leave(&self, sandbox: SandboxId) -> bool {
        let mut lanes = locked(&self.lanes);
        let is_over = lanes.get(&sandbox) != Some(&true);
        if is_over {
            lanes.remove(&sandbox);
        }
        is_over
    }

    /// A task begins to be done.
    pub(super) fn begin(&self, task: TaskId) -> Wishes {
        let (cancel, (answers, receiver)) = (CancellationToken::new(), mpsc::channel(ANSWERS_MAX));
        let live = Live { cancel: cancel.clone(), answers };
        locked(&self.running).insert(task, live);
        Wishes { cancel, answers: receiver }
    }

    /// It is done no longer.
    pub(super) fn end(&self, task: TaskId) {
        locked(&self.running).remove(&task);
    }

    pub(super) fn live(&self, task: TaskId) -> Option<Live> {
        locked(&self.running).get(&task).cloned()
    }

    /// Begins to wait for events of a task. Of what was told before, nothing is told again.
    pub(super) fn follow(&self, task: TaskId) -> watch::Receiver<Told> {
        let mut followers = locked(&self.followers);
        followers.retain(|_, told| told.receiver_count() > 0);
        followers.entry(task).or_insert_with(|| watch::Sender::new(Told::News)).subscribe()
    }

    /// Tells everybody who waits for events of a task.
    pub(super) fn tell(&self, task: TaskId, what: Told) {
        if let Some(told) = locked(&self.followers).get(&task) {
            told.send_modify(|known| match what {
                Told::News => {}
                Told::Over => *known = Told::Over,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a15_a_task_that_is_added_while_its_lane_looks_is_not_left_lying() {
        let (work, sandbox) = (Work::default(), SandboxId::generate());
        assert!(work.add(sandbox));
        work.looks(sandbox);
        assert!(!work.add(sandbox), "one lane for each sandbox");
        assert!(!work.leave(sandbox), "one was added since");
        work.looks(sandbox);
        assert!(work.leave(sandbox));
        assert!(work.add(sandbox), "and after the lane has left, another one begins");
    }

    #[test]
    fn who_follows_no_longer_is_forgotten_and_what_is_over_stays_so() {
        let (work, one, two) = (Work::default(), TaskId::generate(), TaskId::generate());
        let (mut first, second) = (work.follow(one), work.follow(one));
        work.tell(one, Told::News);
        assert!(first.has_changed().unwrap() && second.has_changed().unwrap());
        assert_eq!(*first.borrow_and_update(), Told::News);
        for what in [Told::Over, Told::News] {
            work.tell(one, what);
            assert!(first.has_changed().unwrap());
            assert_eq!(*first.borrow_and_update(), Told::Over);
        }
        drop((first, second));
        let _other = work.follow(two);
        assert_eq!(locked(&work.followers).len(), 1);
    }
}
