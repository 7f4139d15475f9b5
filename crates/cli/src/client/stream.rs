//! Server-sent events, one after the other.

use std::collections::VecDeque;

use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::lost;
use crate::{
    failure::Failure,
    output::sse::{Event, Reader},
};

/// Events out of the body of a response.
#[derive(Debug)]
pub(crate) struct Events {
    body: Incoming,
    reader: Reader,
    waiting: VecDeque<Event>,
}

impl Events {
    pub(crate) fn of(body: Incoming) -> Self {
        Self { body, reader: Reader::default(), waiting: VecDeque::new() }
    }

    /// The next event; `None`: the server ended the stream. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Failure> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Ok(Some(event));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            let frame = frame.map_err(|error| lost("the stream was cut off").caused_by(&error))?;
            if let Ok(bytes) = frame.into_data() {
                self.waiting.extend(self.reader.read(&bytes));
            }
        }
    }
}
