//! Checkpoints around a task. There are none yet: each of these says so.

use sandbar_types::CheckpointId;

use super::run::Run;

/// What differs between both checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// At most [`sandbar_types::TaskResult::FILES_MAX`] paths.
    pub(super) files: Vec<String>,
    /// How many there are.
    pub(super) count: u64,
}

/// Makes the one before the agent begins.
#[expect(clippy::unused_async, reason = "a checkpoint takes its time")]
pub(super) async fn before(_run: &Run) -> Option<CheckpointId> {
    None
}

/// Makes the one after it has ended.
#[expect(clippy::unused_async, reason = "a checkpoint takes its time")]
pub(super) async fn after(_run: &Run) -> Option<CheckpointId> {
    None
}

/// What the task changed; `None` where nobody can tell.
#[expect(clippy::unused_async, reason = "a comparison takes its time")]
pub(super) async fn difference(
    _run: &Run,
    _before: CheckpointId,
    _after: CheckpointId,
) -> Option<Difference> {
    None
}
