//! What the launcher tells the supervisor before it runs anything, and the supervisor's greeting.

use std::collections::BTreeMap;

use sandbar_types::{EnvName, HostPath};
use serde::{Deserialize, Serialize};

use crate::{FrameError, MessageError, encode_frame, message};

/// Version of everything in this crate; settled by [`Hello`].
pub const PROTOCOL: u32 = 2;

/// The byte on [`fd::KEEPER`] after which the supervisor accepts connections.
///
/// The keeper sends it when it has read the sandbox back from the kernel: no user byte runs before.
pub const GO: u8 = b'g';

/// Numbers of the descriptors that the supervisor is started with; 0, 1 and 2 are `/dev/null`.
pub mod fd {
    /// A listening unix stream socket; only the server can reach its path.
    pub const LISTENER: i32 = 3;
    /// A `SOCK_SEQPACKET` socket to the keeper.
    pub const KEEPER: i32 = 4;
    /// A memfd with a [`SupervisorConfig`](super::SupervisorConfig) as JSON, read from its first byte.
    pub const CONFIG: i32 = 5;
}

/// Everything the supervisor of one sandbox must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorConfig {
    /// The complete environment of every exec (`PATH`, `HOME`, `USER`, `LANG` and so on); an exec's own values win.
    pub env: BTreeMap<EnvName, String>,
    /// Home directory inside; becomes `HOME` where `env` has none.
    pub home: HostPath,
    /// Where the workspace is inside; the default directory of execs, and what relative ones are relative to.
    pub workspace: HostPath,
    /// Whom execs run as; `None` where the supervisor's own ids are the only ones (user mode).
    pub agent: Option<AgentIds>,
    /// Limits of every process of an exec; each is lowered to the hard limit that the supervisor has.
    pub rlimits: ResourceLimits,
    /// Bytes kept of the output of one exec; the oldest are dropped, and counted.
    pub log_bytes_max: u64,
    /// Execs that run at once; one more is refused.
    pub execs_max: u32,
    /// The name inside.
    pub hostname: String,
}

impl SupervisorConfig {
    /// Encodes it for the memfd.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        message::json(self)
    }

    /// Decodes what the memfd holds.
    ///
    /// # Errors
    /// It is no configuration.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MessageError> {
        message::parse(bytes)
    }
}

/// User and group of an exec, as seen inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentIds {
    /// User id; not 0.
    pub uid: u32,
    /// Group id; not 0. There are no supplementary groups.
    pub gid: u32,
}

/// Soft and hard value of one limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimit {
    /// What applies; `None` is unlimited.
    pub soft: Option<u64>,
    /// How far a process may raise it; `None` is unlimited.
    pub hard: Option<u64>,
}

impl ResourceLimit {
    /// One value for both.
    #[must_use]
    pub const fn both(value: u64) -> Self {
        Self { soft: Some(value), hard: Some(value) }
    }
}

/// Limits of one process, as setrlimit(2) names them; `None` leaves what the supervisor has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceLimits {
    /// `RLIMIT_NOFILE`.
    pub open_files: Option<ResourceLimit>,
    /// `RLIMIT_NPROC`; counted for each user namespace.
    pub processes: Option<ResourceLimit>,
    /// `RLIMIT_CORE`, in bytes.
    pub core: Option<ResourceLimit>,
    /// `RLIMIT_MEMLOCK`, in bytes.
    pub locked_memory: Option<ResourceLimit>,
    /// `RLIMIT_STACK`, in bytes.
    pub stack: Option<ResourceLimit>,
    /// `RLIMIT_FSIZE`, in bytes.
    pub file_size: Option<ResourceLimit>,
    /// `RLIMIT_MSGQUEUE`, in bytes.
    pub message_queues: Option<ResourceLimit>,
    /// `RLIMIT_SIGPENDING`.
    pub pending_signals: Option<ResourceLimit>,
    /// `RLIMIT_NICE`.
    pub nice: Option<ResourceLimit>,
    /// `RLIMIT_RTPRIO`.
    pub realtime_priority: Option<ResourceLimit>,
}

/// The supervisor's first and only message to the keeper: it read its configuration and waits for [`GO`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version that this supervisor speaks.
    pub protocol: u32,
}

impl Hello {
    /// Encodes it as one frame, to be sent as one `SOCK_SEQPACKET` message.
    ///
    /// # Errors
    /// Never in practice: a greeting is far below the cap.
    pub fn to_frame(self) -> Result<Vec<u8>, FrameError> {
        encode_frame(&message::json(&self))
    }

    /// Decodes one message of the keeper's socket.
    ///
    /// # Errors
    /// It is not exactly one frame with a greeting in it.
    pub fn from_frame(bytes: &[u8]) -> Result<Self, MessageError> {
        let (length, payload) = bytes.split_first_chunk::<4>().ok_or(MessageError::Malformed)?;
        if u32::from_le_bytes(*length) as usize != payload.len() {
            return Err(MessageError::Malformed);
        }
        message::parse(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_reads_back_and_half_of_one_does_not() {
        let hello = Hello { protocol: PROTOCOL };
        let frame = hello.to_frame().unwrap();
        assert_eq!(Hello::from_frame(&frame), Ok(hello));
        for cut in 0..frame.len() {
            assert!(Hello::from_frame(&frame[..cut]).is_err(), "{cut}");
        }
    }
}
