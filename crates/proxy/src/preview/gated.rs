//! The body of a request on its way to the app.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{
    sync::oneshot,
    time::{self, Sleep},
};

/// LIMIT: time after which an app that says nothing to `Expect: 100-continue` is sent the body all the same.
const CONTINUE_PATIENCE: Duration = Duration::from_secs(1);

/// A body that is read from the client no faster than the app takes it, and not before the app wants it.
#[derive(Debug)]
pub(crate) struct UploadBody {
    incoming: Option<Incoming>,
    gate: Option<Gate>,
    is_sent: Arc<AtomicBool>,
}

/// Shut until the app said `100 Continue`. Asking the body for bytes is what has our own `100` sent to the client.
#[derive(Debug)]
struct Gate {
    opened: oneshot::Receiver<()>,
    patience: Pin<Box<Sleep>>,
}

/// Opens the gate of one body.
#[derive(Debug, Clone)]
pub(crate) struct GateKey(Arc<Mutex<Option<oneshot::Sender<()>>>>);

impl GateKey {
    pub(crate) fn open(&self) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // The exchange may be over: then nobody waits at the gate.
            sender.send(()).ok();
        }
    }
}

/// Whether a body was taken to its end.
#[derive(Debug, Clone)]
pub(crate) struct Sent(Arc<AtomicBool>);

impl Sent {
    pub(crate) fn is_sent(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl UploadBody {
    pub(crate) fn empty() -> Self {
        Self { incoming: None, gate: None, is_sent: Arc::new(AtomicBool::new(true)) }
    }

    pub(crate) fn new(incoming: Incoming) -> Self {
        if incoming.is_end_stream() {
            return Self::empty();
        }
        Self { incoming: Some(incoming), gate: None, is_sent: Arc::default() }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.incoming.is_none()
    }

    pub(crate) fn sent(&self) -> Sent {
        Sent(Arc::clone(&self.is_sent))
    }

    /// Shuts a gate before the body.
    pub(crate) fn shut(&mut self) -> GateKey {
        let (sender, opened) = oneshot::channel();
        let patience = Box::pin(time::sleep(CONTINUE_PATIENCE));
        self.gate = Some(Gate { opened, patience });
        GateKey(Arc::new(Mutex::new(Some(sender))))
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(gate) = &mut self.gate {
            let is_open = Pin::new(&mut gate.opened).poll(cx).is_ready();
            if !is_open {
                ready!(gate.patience.as_mut().poll(cx));
            }
            self.gate = None;
        }
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        if frame.is_none() || incoming.is_end_stream() {
            self.is_sent.store(true, Ordering::Release);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
