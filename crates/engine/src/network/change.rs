//! Looking at what a sandbox may reach, and changing it while it runs.

use sandbar_types::{Generation, NetworkChange, NetworkEntry, NetworkWhy, SandboxId};

use super::NetworkQuestion;
use crate::{Engine, Error, ErrorKind, Result, Sandbox, actor::Ordinary, credential};

impl Engine {
    /// Changes what a sandbox may reach, if its record is still the one that was seen. When this returns the change holds,
    /// and connections that it no longer allows are being closed.
    ///
    /// # Errors
    /// `sandbox_not_found`, `stale_generation`, `invalid_value` for a rule that is none; nothing is changed then.
    pub async fn network_change(
        &self,
        id: SandboxId,
        seen: Option<Generation>,
        change: NetworkChange,
    ) -> Result<Sandbox> {
        let handle = self.inner.actor(id)?;
        handle.ask(|reply| Ordinary::Network { seen, change: Box::new(change), reply }).await?;
        self.inner.config.network.refresh(id).await;
        self.sandbox_fetch(id)
    }

    /// Lets a sandbox reach `rule`, whatever it could before: what the answer to a question does.
    ///
    /// # Errors
    /// As [`Engine::network_change`].
    pub async fn network_allow(&self, id: SandboxId, rule: &str) -> Result<Sandbox> {
        self.network_change(id, None, NetworkChange::allowing(rule)).await
    }

    /// Returns at most `count` lines of the log of a sandbox's network with numbers below `before`, the newest first.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn network_log(
        &self,
        id: SandboxId,
        before: Option<u64>,
        count: u32,
    ) -> Result<Vec<NetworkEntry>> {
        self.inner.actor(id)?;
        let journal = super::journal::Journal::of(&self.inner.layout.sandbox(id).0);
        journal.newest(before, count as usize).await.map_err(Error::internal)
    }

    /// Says what would be decided now about `host` at `port`, or at the usual one, and why.
    ///
    /// # Errors
    /// `sandbox_not_found`, `invalid_value` where it is no host.
    pub async fn network_why(
        &self,
        id: SandboxId,
        host: &str,
        port: Option<u16>,
    ) -> Result<NetworkWhy> {
        let row = self.inner.actor(id)?.row();
        let bound = credential::bound(&self.inner, id).await?;
        let (sandbox, spec) = (&row.name, &row.spec.network);
        let question = NetworkQuestion { sandbox, spec, bound: &bound, host, port };
        let why = self.inner.config.network.why(question).await;
        why.map_err(|what| Error::new(ErrorKind::Invalid, "invalid_value", what))
    }
}
