//! One connection from outside, HTTP/1.1 or HTTP/2 with prior knowledge, served by whatever answers.

use std::{convert::Infallible, pin::pin, time::Duration};

use hyper::{
    Request, Response,
    body::{Body, Incoming},
    rt::Executor,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::wire::{self, Spoken, Wire};

/// What one client may take.
#[derive(Debug, Clone, Copy)]
pub struct ServeLimits {
    /// Time to send the head of a request.
    pub header_read: Duration,
    /// Time in which a write makes progress.
    pub write_stall: Duration,
    /// Bytes of a request's head.
    pub head_bytes: u16,
    /// Requests at once on a connection of HTTP/2.
    pub streams: u32,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(10),
            write_stall: Duration::from_secs(30),
            head_bytes: u16::MAX,
            streams: 128,
        }
    }
}

/// Serves until the client leaves; once `stop` is cancelled, until what is under way is answered.
pub async fn serve<S, V, B>(io: S, service: V, limits: ServeLimits, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    V::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let listening = time::timeout(limits.header_read, wire::listen_to(io, limits.write_stall));
    let heard = tokio::select! {
        heard = listening => heard,
        () = stop.cancelled() => return,
    };
    let Ok(Ok((spoken, wire))) = heard else { return };
    let ended = match spoken {
        Spoken::Http1 => serve_http1(wire, service, limits, stop).await,
        Spoken::Http2 => serve_http2(wire, service, limits, stop).await,
    };
    if let Err(error) = ended {
        // The client went away or sent what is no HTTP: its own affair.
        tracing::trace!(error = &error as &dyn std::error::Error, "connection ended");
    }
}

async fn serve_http1<S, V, B>(
    wire: Wire<S>,
    service: V,
    limits: ServeLimits,
    stop: CancellationToken,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_read)
        .max_header_size(limits.head_bytes.into());
    let connection = builder.serve_connection(TokioIo::new(wire), service).with_upgrades();
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

async fn serve_http2<S, V, B>(
    wire: Wire<S>,
    service: V,
    limits: ServeLimits,
    stop: CancellationToken,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    V::Future: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let streams = TaskTracker::new();
    let mut builder = http2::Builder::new(Streams(streams.clone()));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(limits.head_bytes.into())
        // A client that is gone is noticed, and what it held is let go.
        .keep_alive_interval(limits.header_read)
        .keep_alive_timeout(limits.write_stall);
    let connection = builder.serve_connection(TokioIo::new(wire), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    streams.close();
    streams.wait().await;
    ended
}

/// Runs each request of a connection of HTTP/2 in a task of its own, and none of them outlives the connection.
#[derive(Debug, Clone)]
struct Streams(TaskTracker);

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(self.0.spawn(future));
    }
}
