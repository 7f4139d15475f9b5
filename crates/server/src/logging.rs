//! The log of the server: lines on stderr for people, JSON for machines.

use std::{
    error::Error,
    io::{self, IsTerminal as _},
    sync::OnceLock,
};

use sandbar_engine::TRACES;
use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    reload,
    util::SubscriberInitExt as _,
};

use crate::{config::Telemetry, traces};

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
/// Collects traces, too, where `telemetry` says so. A second call changes nothing.
pub(crate) fn start(format: LogFormat, filter: &str, telemetry: &Telemetry) {
    let is_terminal = io::stderr().is_terminal();
    let is_json = match format {
        LogFormat::Auto => !is_terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let (filter, handle) = reload::Layer::new(readable(filter));
    let lines = if is_json {
        json_lines(io::stderr).boxed()
    } else {
        fmt::layer().with_ansi(is_terminal).with_writer(io::stderr).boxed()
    };
    // The filter is that of the lines alone: what is logged says nothing of what is traced.
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
    let (traces, failure) = match traces::layer(telemetry) {
        Ok(layer) => (layer, None),
        Err(error) => (None, Some(error)),
    };
    // Somebody has started it already, a test for example: theirs stays.
    if registry.with(traces).try_init().is_ok() {
        FILTER.get_or_init(|| handle);
        if let Some(error) = &failure {
            tracing::error!(error = error as &dyn Error, "no traces are sent");
        }
    }
}

/// The filter of the log that was started.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Logs by another filter from now on.
pub(crate) fn set_filter(filter: &str) {
    if let Some(handle) = FILTER.get()
        && let Err(error) = handle.reload(readable(filter))
    {
        tracing::warn!(error = %error, "what is logged could not be changed");
    }
}

/// One JSON object a line. Fields of the request are those of its `span`.
fn json_lines<S>(
    writer: impl for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fmt::layer().json().flatten_event(true).with_span_list(false).with_writer(writer)
}

/// A log of such lines, for tests.
#[cfg(test)]
pub(crate) fn json(
    filter: &str,
    writer: impl for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
) -> impl Subscriber + Send + Sync {
    tracing_subscriber::registry().with(readable(filter)).with(json_lines(writer))
}

fn readable(filter: &str) -> EnvFilter {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let no_traces = format!("{TRACES}=off").parse().expect("a target and a level are a directive");
    filter.add_directive(no_traces)
}
