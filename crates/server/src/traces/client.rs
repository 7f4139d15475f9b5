//! Carries spans to the collector, on the thread that gathers them: nothing is sent on a thread that answers requests.

use std::{
    error::Error,
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_http::{HttpClient, HttpError, hyper::HyperClient};
use rustls::ClientConfig;
use tokio::runtime::{Builder, Runtime};

/// A client with a runtime of its own, which runs while something is sent.
#[derive(Debug)]
pub(super) struct CollectorClient {
    runtime: Runtime,
    client: HyperClient<HttpsConnector<HttpConnector>>,
    /// Whether the last one failed: it is told once, not every five seconds.
    is_failing: AtomicBool,
}

impl CollectorClient {
    /// `deadline` is over one message and its answer.
    pub(super) fn new(tls: ClientConfig, deadline: Duration) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        let client = HyperClient::new(connector, deadline, None);
        Ok(Self { runtime, client, is_failing: AtomicBool::new(false) })
    }

    fn tell(&self, failure: Option<&(dyn Error + 'static)>) {
        match (failure, self.is_failing.swap(failure.is_some(), Ordering::Relaxed)) {
            (Some(error), false) => {
                tracing::warn!(error, "traces cannot be sent and are dropped; they are tried on");
            }
            (None, true) => tracing::info!("traces are sent again"),
            (Some(_), true) | (None, false) => {}
        }
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        // Nobody minds a connection between two messages, so none is kept.
        request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        // This thread is the exporter's own, so it may be held.
        let answer = self.runtime.block_on(self.client.send_bytes(request));
        match &answer {
            Ok(answer) if answer.status().is_success() => self.tell(None),
            Ok(answer) => self.tell(Some(&Refused(answer.status()))),
            Err(error) => self.tell(Some(&**error)),
        }
        answer
    }
}

/// The collector answered, but did not take them.
#[derive(Debug, thiserror::Error)]
#[error("the collector answered {0}")]
struct Refused(http::StatusCode);
