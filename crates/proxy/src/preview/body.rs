//! The body of an answer.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::{
    link::{Link, Links},
    upstreams::Route,
};

/// What a client gets: a page of ours, or what the app sends, as it sends it.
#[derive(Debug)]
pub struct PreviewBody(Kind);

#[derive(Debug)]
enum Kind {
    Own(Option<Bytes>),
    App(Box<Download>),
}

impl PreviewBody {
    pub(crate) fn own(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Own(Some(bytes.into())))
    }

    pub(crate) fn empty() -> Self {
        Self(Kind::Own(None))
    }

    pub(crate) fn app(download: Download) -> Self {
        Self(Kind::App(Box::new(download)))
    }
}

/// A body that the app sends. Whoever reads it also drives the connection it comes on, so a slow client slows the app.
#[derive(Debug)]
pub(crate) struct Download {
    incoming: Incoming,
    link: Option<Link>,
    links: Links,
    // Held until the last byte is out.
    route: Option<Route>,
}

impl Download {
    pub(crate) fn new(incoming: Incoming, link: Link, links: Links, route: Route) -> Self {
        let mut download = Self { incoming, link: Some(link), links, route: Some(route) };
        download.release_at_end();
        download
    }

    /// The connection goes back for the client's next request. One that is dropped before is closed.
    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        self.route = None;
        if let Some(link) = self.link.take() {
            self.links.put(link);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let polled = match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Pending => {
                if let Some(link) = &mut self.link {
                    link.drive(cx);
                }
                Pin::new(&mut self.incoming).poll_frame(cx)
            }
            ready @ Poll::Ready(_) => ready,
        };
        match &polled {
            Poll::Pending => {}
            Poll::Ready(Some(Ok(_))) => self.release_at_end(),
            Poll::Ready(Some(Err(_))) => self.link = None,
            Poll::Ready(None) => self.release(),
        }
        polled
    }
}

impl Body for PreviewBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        match &mut self.0 {
            Kind::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::App(download) => download.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Own(bytes) => bytes.is_none(),
            Kind::App(download) => download.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Own(bytes) => SizeHint::with_exact(
                bytes.as_ref().map_or(0, |bytes| u64::try_from(bytes.len()).unwrap_or(u64::MAX)),
            ),
            Kind::App(download) => download.incoming.size_hint(),
        }
    }
}
