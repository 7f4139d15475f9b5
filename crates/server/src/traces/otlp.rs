//! Gathers spans and has them sent by OTLP.

use std::{io, sync::OnceLock, time::Duration};

use http::HeaderMap;
use opentelemetry::{propagation::TextMapPropagator as _, trace::TracerProvider as _};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use rustls::{ClientConfig, RootCertStore};
use sandbar_engine::TRACES;
use sandbar_proxy::egress::verified_by;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};

use super::client::CollectorClient;
use crate::{config::Telemetry, https};

/// LIMIT: spans that wait to be sent; more are dropped.
const QUEUE_SPANS_MAX: usize = 2048;
/// LIMIT: how long the collector has for one message.
const SEND_DEADLINE: Duration = Duration::from_secs(5);
/// LIMIT: how long the end of the server waits for the last spans.
const END_DEADLINE: Duration = Duration::from_secs(2);

/// Who gathers them; nobody where no collector is named.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Why no traces are sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TracesError {
    #[error("their thread cannot be started")]
    Thread(#[source] io::Error),
    #[error("the certificates of this host cannot be read")]
    Roots,
    #[error("a variable that begins with OTEL_ cannot be used")]
    Exporter(#[source] ExporterBuildError),
}

/// What takes spans, where a collector is named.
pub(crate) fn layer<S>(
    telemetry: &Telemetry,
) -> Result<Option<impl Layer<S> + Send + Sync>, TracesError>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    // A second call would start a second thread.
    if PROVIDER.get().is_some() {
        return Ok(None);
    }
    let Some(provider) = provider(telemetry)? else { return Ok(None) };
    let tracer = provider.tracer("sandbar");
    PROVIDER.get_or_init(|| provider);
    let layer = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false);
    // Lines of the log stay in the log.
    Ok(Some(
        layer.with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == TRACES)),
    ))
}

fn provider(telemetry: &Telemetry) -> Result<Option<SdkTracerProvider>, TracesError> {
    let Some(endpoint) = &telemetry.otlp_endpoint else { return Ok(None) };
    let tls = if endpoint.0.is_tls() {
        https::tls_of_host().ok_or(TracesError::Roots)?
    } else {
        verified_by(RootCertStore::empty())
    };
    let exporter = exporter(endpoint.0.traces(), tls)?;
    let queue = BatchConfigBuilder::default().with_max_queue_size(QUEUE_SPANS_MAX).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(queue).build();
    let share = Sampler::TraceIdRatioBased(telemetry.otlp_sample.get());
    let resource = Resource::builder_empty()
        .with_service_name("sandbar")
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        // A trace that began elsewhere is decided about there.
        .with_sampler(Sampler::ParentBased(Box::new(share)))
        .with_resource(resource)
        .build();
    Ok(Some(provider))
}

fn exporter(endpoint: String, tls: ClientConfig) -> Result<SpanExporter, TracesError> {
    let client = CollectorClient::new(tls, SEND_DEADLINE).map_err(TracesError::Thread)?;
    SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_endpoint(endpoint)
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(SEND_DEADLINE)
        .build()
        .map_err(TracesError::Exporter)
}

/// Makes `span` a part of the trace that `traceparent` names, if it does.
pub(super) fn follow(span: &Span, headers: &HeaderMap) {
    let caller = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    // It fails where nobody takes spans, and then there is nothing to be a part of.
    span.set_parent(caller).ok();
}

/// Sends what was gathered, and gathers no more.
pub(crate) async fn end() {
    let Some(provider) = PROVIDER.get() else { return };
    let ended = tokio::task::spawn_blocking(|| provider.shutdown_with_timeout(END_DEADLINE)).await;
    if let Ok(Err(error)) = ended {
        tracing::warn!(%error, "the last traces were not sent");
    }
}
