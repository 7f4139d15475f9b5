//! The log of the server: lines on stderr for people, JSON for machines.

use std::io::{self, IsTerminal as _};

use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    #[default]
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging; `filter` is in the syntax of `tracing_subscriber::EnvFilter`, `info` when not readable.
///
/// A second call changes nothing.
pub(crate) fn start(format: LogFormat, filter: &str) {
    let is_terminal = io::stderr().is_terminal();
    let is_json = match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let started = if is_json {
        json(filter, io::stderr).try_init()
    } else {
        let layer = fmt::layer().with_ansi(is_terminal).with_writer(io::stderr);
        tracing_subscriber::registry().with(readable(filter)).with(layer).try_init()
    };
    // Somebody has started it already, a test for example: theirs stays.
    started.ok();
}

/// One JSON object a line. Fields of the request are those of its `span`.
pub(crate) fn json(
    filter: &str,
    writer: impl for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    let layer = fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer);
    tracing_subscriber::registry().with(readable(filter)).with(layer)
}

fn readable(filter: &str) -> EnvFilter {
    EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"))
}
