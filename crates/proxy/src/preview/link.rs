//! Connections to apps: as many as a client has requests under way, kept for that client alone, gone with it.

use std::{
    fmt,
    future::poll_fn,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use sandbar_types::SandboxId;
use tokio::{net::TcpStream, time::Instant};
use tokio_util::task::TaskTracker;

use super::{gated::UploadBody, upstreams::Route};

/// LIMIT: connections that wait for a client's next request. HTTP/1.1 needs one.
const LIMIT_IDLE: usize = 8;

/// How long a connection may have waited for nobody to doubt that the app keeps it: servers close theirs after seconds.
const FRESH: Duration = Duration::from_millis(500);

/// Where a connection leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    sandbox: SandboxId,
    port: u16,
}

impl Target {
    const fn of(route: &Route) -> Self {
        Self { sandbox: route.sandbox, port: route.port }
    }
}

/// The connections of one client that are not in use.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links(Arc<Mutex<Vec<Link>>>);

impl Links {
    /// Takes one that leads there and is open, as far as can be seen. Those that lead elsewhere are closed.
    pub(crate) async fn take(&self, route: &Route) -> Option<Link> {
        let target = Target::of(route);
        loop {
            let mut link = {
                let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|link| link.target == target);
                idle.pop()?
            };
            if link.is_open().await {
                return Some(link);
            }
        }
    }

    pub(crate) fn put(&self, mut link: Link) {
        link.idle_since = Instant::now();
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < LIMIT_IDLE && !link.is_last && !link.sender.is_closed() {
            idle.push(link);
        }
    }
}

/// One connection to an app.
pub(crate) struct Link {
    target: Target,
    sender: SendRequest<UploadBody>,
    driver: Driver,
    is_last: bool,
    idle_since: Instant,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("target", &self.target).finish_non_exhaustive()
    }
}

/// Who moves the bytes.
enum Driver {
    /// Whoever waits for the answer or reads its body: no other task is woken for a request.
    Inline(Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>),
    /// A task of its own, because an answer came while the request was still being sent.
    Detached,
    /// Nobody: it is closed, or became a tunnel.
    Ended,
}

/// Why there was no answer.
pub(crate) struct ExchangeError {
    /// What hyper saw.
    pub(crate) error: hyper::Error,
    /// The request, if not a byte of it was sent.
    pub(crate) unsent: Option<Request<UploadBody>>,
}

impl Link {
    pub(crate) async fn open(stream: TcpStream, route: &Route) -> hyper::Result<Self> {
        // Best effort: without it only the pace suffers.
        stream.set_nodelay(true).ok();
        let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(stream)).await?;
        let driver = Driver::Inline(Box::pin(connection.with_upgrades()));
        let target = Target::of(route);
        Ok(Self { target, sender, driver, is_last: false, idle_since: Instant::now() })
    }

    /// Moves what can be moved.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        self.driver.drive(cx);
    }

    async fn is_open(&mut self) -> bool {
        poll_fn(|cx| {
            self.driver.drive(cx);
            Poll::Ready(self.sender.is_ready())
        })
        .await
    }

    /// Sends a request and returns the head of its answer.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<UploadBody>,
    ) -> Result<Response<Incoming>, ExchangeError> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        poll_fn(|cx| {
            driver.drive(cx);
            answer.as_mut().poll(cx)
        })
        .await
        .map_err(|mut failed| {
            let unsent = failed.take_message();
            ExchangeError { error: failed.into_error(), unsent }
        })
    }

    /// Goes on by itself, in a task.
    pub(crate) fn detach(&mut self, tasks: &TaskTracker) {
        match std::mem::replace(&mut self.driver, Driver::Detached) {
            Driver::Inline(connection) => {
                // It ends with the exchange, or when its sender is dropped; its error reaches whoever reads the body.
                drop(tasks.spawn(async move {
                    connection.await.ok();
                }));
            }
            ended @ (Driver::Detached | Driver::Ended) => self.driver = ended,
        }
    }

    /// Whether the app may be about to close it.
    pub(crate) fn is_stale(&self) -> bool {
        self.idle_since.elapsed() >= FRESH
    }

    /// Closed once this answer has ended.
    pub(crate) const fn close_after(&mut self) {
        self.is_last = true;
    }

    /// Runs until the connection was handed over to whoever waits for the upgrade.
    pub(crate) async fn finish(mut self) {
        poll_fn(|cx| self.driver.poll(cx)).await;
    }
}

impl Driver {
    /// Moves what can be moved now.
    fn drive(&mut self, cx: &mut Context<'_>) {
        match self.poll(cx) {
            Poll::Ready(()) | Poll::Pending => {}
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Inline(connection) = self {
            if connection.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            // The error, if any, is also the answer's or the body's.
            *self = Self::Ended;
        }
        Poll::Ready(())
    }
}
