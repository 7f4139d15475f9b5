//! What frames mean.

use std::net::Ipv4Addr;

use sandbar_types::{AppSpec, ExecId, ExecSpec, ProcessName, ProcessStatus, TerminalSize};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{FrameError, encode_frame};

/// Bytes of standard input in one [`Input::Stdin`] at the most; a sender cuts longer input.
pub const STDIN_BYTES_MAX: usize = 64 << 10;

/// First byte of a frame that carries standard input as it is. JSON never begins with it.
const STDIN_TAG: u8 = 0;

/// A frame whose payload is not what the phase expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not the JSON of such a message, or not a message at all.
    #[error("not a message of this phase")]
    Malformed,
    /// More standard input than [`STDIN_BYTES_MAX`] in one frame.
    #[error("more than {STDIN_BYTES_MAX} bytes of standard input in one frame")]
    StdinTooLong,
}

/// What a new connection is for: its first frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "open", rename_all = "snake_case", deny_unknown_fields)]
pub enum Open {
    /// Starts a command. One descriptor comes along: its log, an empty regular file open for reading and writing.
    Exec {
        /// Chosen by the host.
        id: ExecId,
        /// What to start.
        spec: ExecSpec,
    },
    /// Follows a running exec from the first record at or after `offset` of its log.
    Attach {
        /// Which one.
        id: ExecId,
        /// A file offset; 0 is the oldest record that is left.
        offset: u64,
    },
    /// Gives a process of the app its log. One descriptor comes along: a regular file open for reading and writing,
    /// empty or a log of earlier runs, which goes on at its end. The answer is one [`ControlReply`].
    ProcessLog {
        /// Whose log.
        name: ProcessName,
    },
    /// Follows the log of a process from the first record at or after `offset`; it ends with the connection.
    Follow {
        /// Which process.
        name: ProcessName,
        /// A file offset; 0 is the oldest record that is left.
        offset: u64,
    },
    /// Asks for [`AppStatus`] frames: one at once, and one after each change.
    Watch {},
    /// Connects to a port of the loopback inside. The answer is one [`Dialed`], with the connected socket where it is
    /// [`Dialed::Connected`].
    Dial {
        /// From 1.
        port: u16,
    },
    /// Asks for the listening socket of the egress proxy, at [`sandbar_types::EGRESS_PORT`]. The answer is one [`ControlReply`], with
    /// the socket where it is [`ControlReply::Done`].
    Egress {},
    /// Asks for a new socket at an address of the loopback inside: another door of the egress proxy. The answer is one
    /// [`ControlReply`], with the socket where it is [`ControlReply::Done`].
    ///
    /// A supervisor that is older than this request closes the connection, and the door is not there.
    Listen {
        /// Of `127.0.0.0/8`.
        address: Ipv4Addr,
        /// From 1.
        port: u16,
        /// What comes in.
        transport: Transport,
    },
    /// Asks one thing; the answer is one [`ControlReply`], and the connection closes.
    Control {
        /// What is asked.
        request: Control,
    },
}

/// What comes to a socket of [`Open::Listen`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// Connections: it listens.
    Tcp,
    /// Datagrams: it is bound.
    Udp,
}

/// The answer to [`Open::Exec`], [`Open::Attach`] and [`Open::Follow`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "opened", rename_all = "snake_case")]
pub enum Opened {
    /// The command was started, or will be told as not started by its end; log records follow, this offset first.
    Streaming {
        /// Offset of the first record that follows.
        offset: u64,
    },
    /// Nothing was started, and the connection closes.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}

/// Why the supervisor refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// As many execs or connections as the sandbox may have are there already.
    #[error("the sandbox already has {limit} at once")]
    LimitReached {
        /// The limit.
        limit: u32,
    },
    /// The sandbox is being stopped.
    #[error("the sandbox is being stopped")]
    Stopping,
    /// No such exec runs, or the app has no such process.
    #[error("there is no such exec or process")]
    NotFound,
    /// An exec of this id runs already.
    #[error("an exec of this id runs already")]
    Exists,
    /// The request cannot be met as it is.
    #[error("{what}")]
    Invalid {
        /// What is wrong with it.
        what: String,
    },
    /// The working directory cannot be entered, or is not a place inside.
    #[error("the working directory cannot be used (errno {errno})")]
    Cwd {
        /// What the kernel said.
        errno: i32,
    },
    /// The kernel refused something that the supervisor needs.
    #[error("{what} (errno {errno})")]
    Failed {
        /// What the supervisor was doing.
        what: String,
        /// What the kernel said.
        errno: i32,
    },
}

/// A question about the sandbox as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub enum Control {
    /// Whether it answers.
    Ping,
    /// Which execs run.
    List,
    /// Sends a signal to the process group of an exec.
    Signal {
        /// Which one.
        id: ExecId,
        /// The signal's number, 1 to 64.
        signal: u8,
    },
    /// Stops every process by SIGSTOP, for hosts without a freezer; answered when all have stopped.
    Freeze,
    /// Lets them go on.
    Thaw,
    /// Makes the app what it says: starts what is new, restarts what changed, ends what is not named any more. Each
    /// process must have been given its log.
    Apply {
        /// The whole app.
        app: AppSpec,
    },
    /// How the processes of the app are.
    Processes,
    /// Starts a process that was stopped, has given up or has exited.
    ProcessStart {
        /// Which one.
        name: ProcessName,
    },
    /// Ends a process and keeps it ended.
    ProcessStop {
        /// Which one.
        name: ProcessName,
    },
    /// Ends a process, where it runs, and starts it.
    ProcessRestart {
        /// Which one.
        name: ProcessName,
    },
}

/// The answer to a [`Control`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum ControlReply {
    /// It answers, and speaks this version.
    Pong {
        /// See [`crate::PROTOCOL`].
        protocol: u32,
    },
    /// The execs that run.
    Execs {
        /// In no order.
        execs: Vec<RunningExec>,
    },
    /// The processes of the app, in the order in which it names them.
    Processes {
        /// One each.
        processes: Vec<ProcessStatus>,
    },
    /// It was done.
    Done,
    /// It was not done.
    Refused {
        /// Why.
        refusal: Refusal,
    },
}

/// How an app is, as [`Open::Watch`] tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStatus {
    /// The processes, in the order in which the app names them.
    pub processes: Vec<ProcessStatus>,
}

/// What came of [`Open::Dial`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "dialed", rename_all = "snake_case")]
pub enum Dialed {
    /// The socket comes along.
    Connected {},
    /// Nobody listens there, on 127.0.0.1 or ::1, or the kernel refused.
    Refused {
        /// What the kernel said.
        errno: i32,
        /// Ports on which somebody listens, for the hint; sorted, at most 16.
        listening: Vec<u16>,
    },
}

/// An exec as the supervisor sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningExec {
    /// Its id.
    pub id: ExecId,
    /// Its process, as numbered inside.
    pub pid: u32,
    /// When it was started, in microseconds since 1970.
    pub started_us: u64,
}

/// What a client sends to a running exec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Bytes for standard input; at most [`STDIN_BYTES_MAX`].
    Stdin(Vec<u8>),
    /// Standard input ends here.
    StdinEnd,
    /// The terminal has another size now.
    Resize(TerminalSize),
    /// A signal for the exec's process group.
    Signal(u8),
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case", deny_unknown_fields)]
enum InputJson {
    StdinEnd,
    Resize { size: TerminalSize },
    Signal { signal: u8 },
}

impl Input {
    /// Encodes it as one frame. Standard input travels as it is, all else as JSON.
    ///
    /// # Errors
    /// Standard input is longer than [`STDIN_BYTES_MAX`].
    pub fn to_frame(&self) -> Result<Vec<u8>, FrameError> {
        let json = match self {
            Self::Stdin(bytes) if bytes.len() > STDIN_BYTES_MAX => {
                return Err(FrameError::TooLong { bytes: bytes.len() });
            }
            Self::Stdin(bytes) => {
                let mut payload = Vec::with_capacity(1 + bytes.len());
                payload.push(STDIN_TAG);
                payload.extend_from_slice(bytes);
                return encode_frame(&payload);
            }
            Self::StdinEnd => InputJson::StdinEnd,
            Self::Resize(size) => InputJson::Resize { size: *size },
            Self::Signal(signal) => InputJson::Signal { signal: *signal },
        };
        encode_frame(&self::json(&json))
    }

    /// Decodes the payload of one frame.
    ///
    /// # Errors
    /// It is not an input.
    pub fn from_payload(payload: &[u8]) -> Result<Self, MessageError> {
        match payload.split_first() {
            Some((&STDIN_TAG, bytes)) if bytes.len() > STDIN_BYTES_MAX => {
                Err(MessageError::StdinTooLong)
            }
            Some((&STDIN_TAG, bytes)) => Ok(Self::Stdin(bytes.to_vec())),
            Some(_) | None => Ok(match parse(payload)? {
                InputJson::StdinEnd => Self::StdinEnd,
                InputJson::Resize { size } => Self::Resize(size),
                InputJson::Signal { signal } => Self::Signal(signal),
            }),
        }
    }
}

macro_rules! json_message {
    ($($name:ident),*) => {$(
        impl $name {
            /// Encodes it as one frame.
            ///
            /// # Errors
            /// It is longer than a frame may be.
            pub fn to_frame(&self) -> Result<Vec<u8>, FrameError> {
                encode_frame(&json(self))
            }

            /// Decodes the payload of one frame.
            ///
            /// # Errors
            /// It is not such a message.
            pub fn from_payload(payload: &[u8]) -> Result<Self, MessageError> {
                parse(payload)
            }
        }
    )*};
}
json_message!(Open, Opened, ControlReply, AppStatus, Dialed);

pub(crate) fn json(message: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(message).expect("messages are maps with text keys, which JSON always has")
}

pub(crate) fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, MessageError> {
    serde_json::from_slice(payload).map_err(|_| MessageError::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn input() -> impl Strategy<Value = Input> {
        prop_oneof![
            vec(any::<u8>(), 0..512).prop_map(Input::Stdin),
            Just(Input::StdinEnd),
            (any::<u16>(), any::<u16>())
                .prop_map(|(rows, cols)| Input::Resize(TerminalSize { rows, cols })),
            any::<u8>().prop_map(Input::Signal),
        ]
    }

    proptest! {
        #[test]
        fn inputs_read_back(input in input()) {
            let frame = input.to_frame().unwrap();
            prop_assert_eq!(Input::from_payload(&frame[4..]), Ok(input));
        }

        #[test]
        fn a_spec_reads_back(argv in vec(".*", 1..5), stdin: bool, timeout_ms in any::<Option<u64>>(), offset: u64) {
            let id = ExecId::generate();
            let spec = ExecSpec { argv, env: Default::default(), cwd: None, terminal: None, stdin, timeout_ms };
            for open in [Open::Exec { id, spec }, Open::Attach { id, offset }] {
                let frame = open.to_frame().unwrap();
                prop_assert_eq!(Open::from_payload(&frame[4..]), Ok(open));
            }
        }

        #[test]
        fn garbage_is_refused_and_never_panics(payload in vec(any::<u8>(), 0..128)) {
            prop_assert!(Open::from_payload(&payload).is_err());
            prop_assert!(Opened::from_payload(&payload).is_err());
            prop_assert!(ControlReply::from_payload(&payload).is_err());
            drop(Input::from_payload(&payload));
        }
    }

    #[test]
    fn controls_read_back() {
        let id = ExecId::generate();
        for request in [
            Control::Ping,
            Control::List,
            Control::Signal { id, signal: 15 },
            Control::Freeze,
            Control::Thaw,
        ] {
            let open = Open::Control { request };
            let frame = open.to_frame().unwrap();
            assert_eq!(Open::from_payload(&frame[4..]), Ok(open));
        }
        let reply = ControlReply::Refused { refusal: Refusal::LimitReached { limit: 3 } };
        let frame = reply.to_frame().unwrap();
        assert_eq!(ControlReply::from_payload(&frame[4..]), Ok(reply));
    }

    #[test]
    fn standard_input_beyond_the_cap_is_refused_on_both_sides() {
        assert!(Input::Stdin(vec![0; STDIN_BYTES_MAX + 1]).to_frame().is_err());
        assert_eq!(
            Input::from_payload(&vec![0; STDIN_BYTES_MAX + 2]),
            Err(MessageError::StdinTooLong)
        );
    }
}
