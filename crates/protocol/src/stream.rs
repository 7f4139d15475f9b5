//! The host's side of an exec's connection, as a phase machine over untrusted bytes.
//!
//! ```text
//! opening ──Opened::Streaming──► records ──End──► ended
//!    └──────Opened::Refused────► ended
//! ```

use crate::{
    FrameDecoder, FrameError, MessageError, Opened, Refusal,
    log::{LogDecoder, LogError, Record},
};

/// Something the supervisor said that its phase does not allow; the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The answer is not a frame.
    #[error("the supervisor's answer is not a frame")]
    Frame(#[source] FrameError),
    /// The answer is not one to this request.
    #[error("the supervisor's answer is not understood")]
    Message(#[source] MessageError),
    /// The stream is not one of log records.
    #[error("the supervisor's stream is not a log")]
    Log(#[source] LogError),
    /// It went on after it had refused.
    #[error("the supervisor went on after a refusal")]
    AfterRefusal,
}

/// What happened on the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamEvent {
    /// The exec is known and its records follow.
    Streaming {
        /// Offset of the first record that follows.
        offset: u64,
    },
    /// Nothing follows.
    Refused(Refusal),
    /// A record.
    Record(Record),
}

/// Turns bytes of an exec's connection into events.
#[derive(Debug)]
pub struct StreamDecoder(Phase);

#[derive(Debug)]
enum Phase {
    Opening(FrameDecoder),
    Records(LogDecoder),
    Refused { is_silent: bool },
}

impl Default for StreamDecoder {
    fn default() -> Self {
        Self(Phase::Opening(FrameDecoder::default()))
    }
}

impl StreamDecoder {
    /// Adds bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Phase::Opening(frames) => frames.push(bytes),
            Phase::Records(records) => records.push(bytes),
            Phase::Refused { is_silent } => *is_silent &= bytes.is_empty(),
        }
    }

    /// Returns what happened next, or `None` until more bytes come.
    ///
    /// # Errors
    /// The supervisor broke the protocol.
    pub fn next_event(&mut self) -> Result<Option<StreamEvent>, StreamError> {
        match &mut self.0 {
            Phase::Opening(frames) => {
                let Some(payload) = frames.next_frame().map_err(StreamError::Frame)? else {
                    return Ok(None);
                };
                let opened = Opened::from_payload(payload).map_err(StreamError::Message)?;
                let rest = std::mem::take(frames).into_rest();
                Ok(Some(self.enter(opened, &rest)))
            }
            Phase::Records(records) => {
                Ok(records.next_record().map_err(StreamError::Log)?.map(StreamEvent::Record))
            }
            Phase::Refused { is_silent: true } => Ok(None),
            Phase::Refused { is_silent: false } => Err(StreamError::AfterRefusal),
        }
    }

    /// Whether the connection may close now: the end was seen, or a refusal.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        match &self.0 {
            Phase::Opening(_) => false,
            Phase::Records(records) => records.has_ended(),
            Phase::Refused { .. } => true,
        }
    }

    fn enter(&mut self, opened: Opened, rest: &[u8]) -> StreamEvent {
        match opened {
            Opened::Streaming { offset } => {
                let mut records = LogDecoder::new(offset);
                records.push(rest);
                self.0 = Phase::Records(records);
                StreamEvent::Streaming { offset }
            }
            Opened::Refused { refusal } => {
                self.0 = Phase::Refused { is_silent: rest.is_empty() };
                StreamEvent::Refused(refusal)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};
    use sandbar_types::{ExecEnd, ExitStatus};

    use super::*;
    use crate::log::{self, Output};

    fn events(decoder: &mut StreamDecoder) -> Result<Vec<StreamEvent>, StreamError> {
        std::iter::from_fn(|| decoder.next_event().transpose()).collect()
    }

    proptest! {
        #[test]
        fn an_exec_is_understood_however_it_is_cut(step in 1_usize..64) {
            let end = ExecEnd { status: ExitStatus::Exited { code: 0 }, oom_killed: false, dropped_bytes: 0 };
            let mut wire = Opened::Streaming { offset: 4096 }.to_frame().unwrap();
            wire.extend(log::encode_output(Output::Stdout, 1, b"hello"));
            wire.extend(log::encode_end(&end, 2));
            let mut decoder = StreamDecoder::default();
            let mut seen = Vec::new();
            for piece in wire.chunks(step) {
                prop_assert!(!decoder.is_complete());
                decoder.push(piece);
                seen.extend(events(&mut decoder).unwrap());
            }
            prop_assert_eq!(seen.len(), 3);
            prop_assert!(decoder.is_complete());
        }

        #[test]
        fn garbage_never_panics(pieces in vec(vec(any::<u8>(), 0..64), 0..16)) {
            let mut decoder = StreamDecoder::default();
            for piece in &pieces {
                decoder.push(piece);
                drop(events(&mut decoder));
            }
        }
    }

    #[test]
    fn nothing_may_follow_a_refusal() {
        let mut wire = Opened::Refused { refusal: Refusal::Stopping }.to_frame().unwrap();
        wire.push(0);
        let mut decoder = StreamDecoder::default();
        decoder.push(&wire);
        assert_eq!(decoder.next_event(), Ok(Some(StreamEvent::Refused(Refusal::Stopping))));
        assert_eq!(decoder.next_event(), Err(StreamError::AfterRefusal));
    }
}
