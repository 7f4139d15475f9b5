//! What the proxy asks of whoever knows the sandboxes.

use std::{any::Any, fmt, sync::Arc};

use async_trait::async_trait;
use sandbar_types::SandboxId;
use tokio::{net::TcpStream, time::Instant};

use super::host::PreviewHost;

/// The error of whoever implements [`Upstreams`]; it goes to the log, never to a client.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Knows which sandboxes there are, and connects to what they serve.
#[async_trait]
pub trait Upstreams: fmt::Debug + Send + Sync + 'static {
    /// Whose preview this is. Asked for every request, so it is cheap and wakes nothing.
    ///
    /// A sandbox of somebody else is [`RouteError::Unknown`], as one that is not there.
    async fn route(&self, host: &PreviewHost) -> Result<Route, RouteError>;

    /// Connects to the port, inside.
    ///
    /// A sandbox that sleeps is woken by this: once, however many ask at once. The answer comes when the app serves,
    /// can never serve, or at `deadline`; then it says how far it is, and the waking goes on.
    /// Asked only for requests that may see the preview.
    async fn connect(&self, route: &Route, deadline: Instant) -> Result<TcpStream, ConnectError>;
}

/// Who may see a preview.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Everybody who can reach the listener.
    Public,
    /// Whoever was given a ticket or a share link.
    #[default]
    Private,
}

/// One port of one sandbox. Kept until the exchange has ended: to the last byte of a body, to the end of a WebSocket.
#[derive(Debug, Clone)]
pub struct Route {
    /// The sandbox.
    pub sandbox: SandboxId,
    /// The port inside.
    pub port: u16,
    /// Who may see it.
    pub visibility: Visibility,
    /// Dropped with the last clone of the route; so is seen whether somebody still looks.
    pub activity: Activity,
}

/// Something that lives as long as an exchange does.
#[derive(Clone, Default)]
pub struct Activity(
    #[expect(dead_code, reason = "kept for its drop")] Option<Arc<dyn Any + Send + Sync>>,
);

impl Activity {
    /// Keeps `guard` until the exchange has ended.
    pub fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Some(Arc::new(guard)))
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Activity")
    }
}

/// Why there is no route.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// There is no such sandbox, or not for whoever asks.
    #[error("no such preview")]
    Unknown,
    /// We failed.
    #[error("cannot look up the preview")]
    Failed(#[source] Cause),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing serves there now.
    #[error("the preview does not serve")]
    NotServing(NotServing),
    /// We failed.
    #[error("cannot connect to the sandbox")]
    Failed(#[source] Cause),
}

/// Why nothing serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotServing {
    /// The app has workers alone, or does not preview this port.
    NoPreview,
    /// It is on its way.
    Starting(Progress),
    /// Somebody stopped it, and it is not woken by a request.
    Stopped,
    /// It cannot serve until somebody does something about it.
    Failed {
        /// Why.
        reason: String,
        /// The last lines that it wrote, oldest first.
        last_lines: Vec<String>,
    },
    /// The app runs, and nothing of it listens on this port.
    NotListening {
        /// The port that was asked for.
        wanted: u16,
        /// Those that something listens on.
        listening: Vec<u16>,
    },
}

/// How far a start is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, for people: "installing packages".
    pub step: String,
    /// The last lines that the app wrote, oldest first.
    pub last_lines: Vec<String>,
}
