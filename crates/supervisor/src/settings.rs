//! The configuration, made ready for use: each exec takes it as it is.

use std::{collections::BTreeMap, ffi::CStr, io, path::PathBuf};

use rustix::process::{Resource, Rlimit, getrlimit};
use sandbar_linux::child::Ids;
use sandbar_protocol::{AgentIds, ResourceLimit, SupervisorConfig};

/// The `oom_score_adj` of execs: when memory is short they go before anything of the host, and before us.
pub(crate) const OOM_SCORE: &CStr = c"500";

/// Bytes of log kept at the least, so that every record fits.
pub(crate) const LOG_BYTES_MIN: u64 = 128 << 10;

/// What is the same for every exec.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) workspace: PathBuf,
    pub(crate) agent: Option<Ids>,
    pub(crate) limits: Vec<(Resource, Rlimit)>,
    pub(crate) log_bytes_max: u64,
    pub(crate) execs_max: u32,
}

impl Settings {
    pub(crate) fn from_config(config: SupervisorConfig) -> io::Result<Self> {
        let mut env: BTreeMap<String, String> =
            config.env.into_iter().map(|(name, value)| (name.into(), value)).collect();
        if let Some(home) = config.home.as_path().to_str() {
            env.entry("HOME".to_owned()).or_insert_with(|| home.to_owned());
        }
        let rlimits = config.rlimits;
        let limits = [
            (Resource::Nofile, rlimits.open_files),
            (Resource::Nproc, rlimits.processes),
            (Resource::Core, rlimits.core),
            (Resource::Memlock, rlimits.locked_memory),
            (Resource::Stack, rlimits.stack),
            (Resource::Fsize, rlimits.file_size),
            (Resource::Msgqueue, rlimits.message_queues),
            (Resource::Sigpending, rlimits.pending_signals),
            (Resource::Nice, rlimits.nice),
            (Resource::Rtprio, rlimits.realtime_priority),
        ];
        let limits = limits.into_iter().filter_map(|(resource, limit)| {
            Some((resource, lowered(limit?, getrlimit(resource).maximum)))
        });
        Ok(Self {
            env,
            workspace: config.workspace.as_path().to_owned(),
            agent: config.agent.map(ids).transpose()?,
            limits: limits.collect(),
            log_bytes_max: config.log_bytes_max.max(LOG_BYTES_MIN),
            execs_max: config.execs_max,
        })
    }

    /// LIMIT: connections at once: each exec has one, and a few viewers. Others wait in the socket's queue.
    pub(crate) fn connections_max(&self) -> usize {
        usize::try_from(self.execs_max).unwrap_or(usize::MAX / 8).saturating_mul(4) + 64
    }
}

fn ids(agent: AgentIds) -> io::Result<Ids> {
    let AgentIds { uid, gid } = agent;
    // An agent that is root inside would own what is ours.
    let is_unprivileged = uid != 0 && gid != 0 && uid != u32::MAX && gid != u32::MAX;
    is_unprivileged.then_some(Ids { uid, gid }).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// No process may raise a hard limit, so asking for more than there is would fail every exec.
fn lowered(wanted: ResourceLimit, hard: Option<u64>) -> Rlimit {
    let lower = |value: Option<u64>, cap: Option<u64>| match (value, cap) {
        (Some(value), Some(cap)) => Some(value.min(cap)),
        (value, None) => value,
        (None, cap) => cap,
    };
    let maximum = lower(wanted.hard, hard);
    Rlimit { current: lower(wanted.soft, maximum), maximum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_never_raised_beyond_what_there_is() {
        let wanted = ResourceLimit { soft: Some(100), hard: None };
        assert_eq!(lowered(wanted, Some(50)), Rlimit { current: Some(50), maximum: Some(50) });
        assert_eq!(lowered(wanted, None), Rlimit { current: Some(100), maximum: None });
        assert_eq!(
            lowered(ResourceLimit::both(9), Some(50)),
            Rlimit { current: Some(9), maximum: Some(9) }
        );
    }

    #[test]
    fn an_agent_is_never_root() {
        assert!(ids(AgentIds { uid: 0, gid: 5 }).is_err());
        assert!(ids(AgentIds { uid: 5, gid: 0 }).is_err());
        assert!(ids(AgentIds { uid: 5, gid: 5 }).is_ok());
    }
}
