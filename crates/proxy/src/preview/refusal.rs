//! Every answer that is not the app's.

use http::StatusCode;

use super::{
    access::PassError,
    upstreams::{NotServing, Progress},
};

/// Why a request did not get to an app, or an app's answer not to the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("this method is not passed on to previews")]
    Method,
    #[error("no preview has this host name")]
    Misdirected,
    #[error("there is no such preview")]
    Unknown,
    #[error("this preview is private")]
    Unauthorized(Option<PassError>),
    #[error("another site may not use a private preview")]
    ForeignOrigin,
    #[error("this sandbox has no preview here: its app serves nothing on this port")]
    NoPreview,
    #[error("the sandbox is starting")]
    Starting(Progress),
    #[error("the sandbox did not get ready in time")]
    StartTimeout(Progress),
    #[error("the sandbox is stopped")]
    Stopped,
    #[error("the app failed: {reason}")]
    Failed { reason: String, last_lines: Vec<String> },
    #[error("nothing listens on port {wanted}; {}", listened(.listening))]
    NotListening { wanted: u16, listening: Vec<u16> },
    #[error("the app closed the connection, or its answer cannot be read")]
    App,
    #[error("the server failed; its log says why")]
    Internal,
}

fn listened(ports: &[u16]) -> String {
    if ports.is_empty() {
        "the app listens on no port".to_owned()
    } else {
        let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
        format!("the app listens on {}", ports.join(", "))
    }
}

impl From<NotServing> for Refusal {
    fn from(why: NotServing) -> Self {
        match why {
            NotServing::NoPreview => Self::NoPreview,
            NotServing::Starting(progress) => Self::Starting(progress),
            NotServing::Stopped => Self::Stopped,
            NotServing::Failed { reason, last_lines } => Self::Failed { reason, last_lines },
            NotServing::NotListening { wanted, listening } => {
                Self::NotListening { wanted, listening }
            }
        }
    }
}

impl Refusal {
    /// The stable code.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "invalid_request",
            Self::Method => "method_not_allowed",
            Self::Misdirected => "misdirected_request",
            Self::Unknown => "preview_not_found",
            Self::Unauthorized(_) => "preview_unauthorized",
            Self::ForeignOrigin => "forbidden_origin",
            Self::NoPreview => "preview_none",
            Self::Starting(_) => "preview_starting",
            Self::StartTimeout(_) => "preview_start_timeout",
            Self::Stopped => "preview_stopped",
            Self::Failed { .. } => "preview_failed",
            Self::NotListening { .. } => "preview_not_listening",
            Self::App => "preview_app_error",
            Self::Internal => "internal",
        }
    }

    /// The status.
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Unknown | Self::NoPreview => StatusCode::NOT_FOUND,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Starting(_) | Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            Self::StartTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Failed { .. } | Self::NotListening { .. } | Self::App => StatusCode::BAD_GATEWAY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// After how many seconds it is worth while to ask again.
    pub(crate) const fn retry_after(&self) -> Option<u8> {
        match self {
            Self::Starting(_) => Some(1),
            Self::StartTimeout(_) | Self::NotListening { .. } => Some(5),
            Self::BadRequest(_)
            | Self::Method
            | Self::Misdirected
            | Self::Unknown
            | Self::Unauthorized(_)
            | Self::ForeignOrigin
            | Self::NoPreview
            | Self::Stopped
            | Self::Failed { .. }
            | Self::App
            | Self::Internal => None,
        }
    }

    /// For people: what it is, in a few words.
    pub(crate) const fn title(&self) -> &'static str {
        match self {
            Self::BadRequest(_) | Self::Method => "This request cannot be passed on",
            Self::Misdirected | Self::Unknown => "There is no such preview",
            Self::Unauthorized(_) => "This preview is private",
            Self::ForeignOrigin => "Another site asked",
            Self::NoPreview => "Nothing to see here",
            Self::Starting(_) | Self::StartTimeout(_) => "Waking up",
            Self::Stopped => "Stopped",
            Self::Failed { .. } => "The app failed",
            Self::NotListening { .. } => "Nothing listens on this port",
            Self::App => "The app broke off",
            Self::Internal => "Something went wrong",
        }
    }

    /// For people and programs: what to do about it.
    pub(crate) const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unauthorized(_) => {
                Some("run `sandbar open` for a link that works once, or ask for a share link")
            }
            Self::NoPreview => {
                Some("an app of workers alone has no URL; `web` in its manifest gives it one")
            }
            Self::Stopped => Some("start it with `sandbar start`"),
            Self::Failed { .. } => {
                Some("see `sandbar app logs`, and start it again with `sandbar app restart`")
            }
            Self::NotListening { .. } => {
                Some("change the port in the manifest, or in the command of the app")
            }
            Self::StartTimeout(_) => Some("ask again: the start goes on"),
            Self::App => Some("see `sandbar app logs`"),
            Self::BadRequest(_)
            | Self::Method
            | Self::Misdirected
            | Self::Unknown
            | Self::ForeignOrigin
            | Self::Starting(_)
            | Self::Internal => None,
        }
    }

    /// What the app wrote last.
    pub(crate) fn last_lines(&self) -> &[String] {
        match self {
            Self::Starting(Progress { last_lines, .. })
            | Self::StartTimeout(Progress { last_lines, .. })
            | Self::Failed { last_lines, .. } => last_lines,
            Self::BadRequest(_)
            | Self::Method
            | Self::Misdirected
            | Self::Unknown
            | Self::Unauthorized(_)
            | Self::ForeignOrigin
            | Self::NoPreview
            | Self::Stopped
            | Self::NotListening { .. }
            | Self::App
            | Self::Internal => &[],
        }
    }
}
