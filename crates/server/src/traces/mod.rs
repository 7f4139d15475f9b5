//! Traces: one span for each request, those of the engine within, and the caller's around it.
//!
//! They are sent by OTLP where `[telemetry]` names a collector, from a thread of their own and out of a queue that has
//! an end: a collector that is slow or dead costs spans, never a request. A build without the feature `otlp` has the
//! spans, but nobody who takes them, and then they cost nothing.

#[cfg(feature = "otlp")]
mod client;
#[cfg(not(feature = "otlp"))]
mod none;
#[cfg(feature = "otlp")]
mod otlp;
mod request;

#[cfg(not(feature = "otlp"))]
use self::none::follow;
#[cfg(not(feature = "otlp"))]
pub(crate) use self::none::{end, layer};
#[cfg(feature = "otlp")]
use self::otlp::follow;
#[cfg(feature = "otlp")]
pub(crate) use self::otlp::{end, layer};
pub(crate) use self::request::RequestTrace;
