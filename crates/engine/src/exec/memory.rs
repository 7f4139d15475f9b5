//! Whether the kernel killed for memory while an exec ran: the supervisor inside cannot see it, the control group counts it.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use sandbar_types::{ExecEnd, ExecId, SandboxId};

use crate::engine::Inner;

/// What a shell shows for SIGKILL, the command's own or that of a command it ran.
const KILLED: u8 = 137;

/// LIMIT: execs that are remembered, the latest; far more than can run at once.
const REMEMBERED_MAX: usize = 4096;

/// The kernel's count as far as it is known, now and when each exec that runs began.
///
/// It is asked only when a command was killed, so a kill in the background is first seen, and then named, with the next
/// command that was killed.
#[derive(Debug, Default)]
pub(crate) struct MemoryKills {
    seen: AtomicU64,
    before: Mutex<BTreeMap<ExecId, u64>>,
}

impl MemoryKills {
    /// An exec begins.
    pub(crate) fn begin(&self, exec: ExecId) {
        let mut before = self.before_mut();
        before.insert(exec, self.seen.load(Ordering::Relaxed));
        // Not at its end: several may read it, and each is to hear the same of it.
        if before.len() > REMEMBERED_MAX {
            before.pop_first();
        }
    }

    /// The sandbox was launched anew, and with it the count begins anew.
    pub(crate) fn restart(&self) {
        self.seen.store(0, Ordering::Relaxed);
    }

    /// Says of `end` whether it was for memory.
    pub(crate) async fn judge(
        &self,
        inner: &Inner,
        sandbox: SandboxId,
        exec: ExecId,
        end: ExecEnd,
    ) -> ExecEnd {
        if end.oom_killed || end.status.shell_code() != KILLED {
            return end;
        }
        let Some(kills) = self.look(inner, sandbox).await else {
            return end;
        };
        let before = self.before_mut().get(&exec).copied();
        let before = before.unwrap_or_else(|| self.seen.load(Ordering::Relaxed));
        self.seen.fetch_max(kills, Ordering::Relaxed);
        ExecEnd { oom_killed: kills > before, ..end }
    }

    /// A server that was restarted takes the count as it finds it.
    pub(crate) async fn adopt(&self, inner: &Inner, sandbox: SandboxId) {
        let Some(kills) = self.look(inner, sandbox).await else {
            return;
        };
        self.seen.fetch_max(kills, Ordering::Relaxed);
        for before in self.before_mut().values_mut() {
            *before = kills.max(*before);
        }
    }

    /// `None`: nobody counts, or nothing of it runs any more.
    async fn look(&self, inner: &Inner, sandbox: SandboxId) -> Option<u64> {
        let dir = inner.layout.sandbox(sandbox);
        inner.config.runtime.usage(&dir, sandbox).await.ok()?.oom_kills
    }

    fn before_mut(&self) -> MutexGuard<'_, BTreeMap<ExecId, u64>> {
        self.before.lock().expect("nobody panics while holding the counts")
    }
}
