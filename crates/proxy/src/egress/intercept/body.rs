//! A body on its way in, with what must not come back taken out.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::combinators::BoxBody;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{pattern::Scanner, response::Told};

pub(super) type BoxError = Box<dyn Error + Send + Sync>;
pub(super) type AnyBody = BoxBody<Bytes, BoxError>;

/// What an upstream answers, read as it passes.
#[derive(Debug)]
pub(super) struct Scanned {
    inner: Incoming,
    scanner: Scanner,
    told: Told,
    trailers: Option<HeaderMap>,
    is_done: bool,
}

impl Scanned {
    pub(super) fn new(inner: Incoming, scanner: Scanner, told: Told) -> Self {
        Self { inner, scanner, told, trailers: None, is_done: false }
    }

    /// What is left at the end, in its order.
    fn rest(&mut self) -> Option<Frame<Bytes>> {
        let held = self.scanner.finish();
        if !held.is_empty() {
            return Some(Frame::data(held));
        }
        self.trailers.take().map(Frame::trailers)
    }
}

impl Body for Scanned {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if self.is_done {
                return Poll::Ready(self.rest().map(Ok));
            }
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                None => self.is_done = true,
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        let passed = self.scanner.push(data);
                        let found = self.scanner.found();
                        self.told.echoed(&found);
                        if !passed.is_empty() {
                            return Poll::Ready(Some(Ok(Frame::data(passed))));
                        }
                    }
                    Err(frame) => {
                        if let Ok(mut trailers) = frame.into_trailers() {
                            self.told.clean(&mut trailers);
                            self.trailers = Some(trailers);
                            self.is_done = true;
                        }
                    }
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_over = self.is_done || self.inner.is_end_stream();
        is_over && self.scanner.held() == 0 && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let held = u64::try_from(self.scanner.held()).unwrap_or(u64::MAX);
        let inner = self.inner.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(held));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint
    }
}
