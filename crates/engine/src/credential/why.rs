//! Says which credential a request would get, and why not the others.

use sandbar_types::{CredentialName, EnvName, RuleMiss, SandboxId, Target};

use super::{trust, wire};
use crate::{Engine, Error, Result};

/// A request that somebody wonders about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhyRequest {
    /// Where it goes.
    pub target: Target,
    /// The method, in capitals.
    pub method: String,
    /// The path.
    pub path: String,
}

/// What a credential has to do with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialWhy {
    /// Which one.
    pub name: CredentialName,
    /// The variable that has its placeholder inside.
    pub env: Option<EnvName>,
    /// Why the request does not get it, of the rule that came closest; `None`: it does.
    pub miss: Option<RuleMiss>,
    /// Whether the programs inside believe who would put it in: not before the sandbox was started once more, where an
    /// earlier version started it.
    pub is_trusted: bool,
}

/// How far a request came with a rule.
const fn progress(miss: RuleMiss) -> u8 {
    match miss {
        RuleMiss::Host => 0,
        RuleMiss::Port => 1,
        RuleMiss::Method => 2,
        RuleMiss::Path => 3,
        RuleMiss::AmbiguousPath => 4,
    }
}

impl Engine {
    /// Says of every credential that reaches a sandbox whether `request` would get it; those that it would get first.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn credential_why(
        &self,
        sandbox: SandboxId,
        request: &WhyRequest,
    ) -> Result<Vec<CredentialWhy>> {
        self.inner.actor(sandbox)?;
        let is_trusted = trust::key(&self.inner, sandbox).map_err(Error::internal)?.is_some();
        let WhyRequest { target, method, path } = request;
        let rows = wire::rows(&self.inner, sandbox).await?;
        let mut found: Vec<CredentialWhy> = rows
            .into_iter()
            .map(|row| {
                let misses = row.rules.iter().map(|rule| rule.admits(target, method, path));
                let closest = misses.max_by_key(|miss| miss.map_or_else(progress, |()| u8::MAX));
                let miss = closest.unwrap_or(Err(RuleMiss::Host)).err();
                CredentialWhy { name: row.name, env: row.env, miss, is_trusted }
            })
            .collect();
        found.sort_by_key(|why| std::cmp::Reverse(why.miss.map_or(u8::MAX, progress)));
        Ok(found)
    }
}
