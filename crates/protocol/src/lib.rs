//! What the host and the supervisor of a sandbox say to each other: bytes in, values out.
//!
//! Nothing here opens, reads or writes anything. Three conversations:
//!
//! - *keeper and supervisor*, once at the start: a [`SupervisorConfig`] in a memfd, a [`Hello`] back, one byte [`GO`].
//! - *server and supervisor*, a new connection for each thing: the first frame is an [`Open`], answered by an
//!   [`Opened`] (or by a [`ControlReply`]), and from then on the connection is the stream: [`Input`] frames towards the
//!   supervisor, raw log records ([`log`]) towards the server.
//! - *supervisor and disk*: the log file of an exec ([`log`]), which outlives both.
//!
//! The supervisor inside an old sandbox is frozen; the host adapts to its [`PROTOCOL`] number. The host believes
//! nothing that a supervisor says: every size is capped, and every decoder refuses what comes early, twice or after the end.

mod config;
mod frame;
pub mod log;
mod message;
mod stream;

pub use crate::{
    config::{AgentIds, GO, Hello, PROTOCOL, ResourceLimit, ResourceLimits, SupervisorConfig, fd},
    frame::{FRAME_BYTES_MAX, FrameDecoder, FrameError, encode_frame},
    message::{
        AppStatus, Control, ControlReply, Dialed, Input, MessageError, Open, Opened, Refusal,
        RunningExec, STDIN_BYTES_MAX, Transport,
    },
    stream::{StreamDecoder, StreamError, StreamEvent},
};
