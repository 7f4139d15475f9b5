//! Who answers a request on TCP: a preview or the API, by its `Host`. On the unix socket there is the API alone.

use std::{convert::Infallible, pin::Pin, sync::Arc};

use axum::{Router, body::Body};
use http::Request;
use http_body_util::Either;
use hyper::{body::Incoming, service::Service};
use sandbar_proxy::preview::{PreviewBody, PreviewClient, PreviewProxy};
use tower::ServiceExt as _;

use crate::{auth::Transport, metrics::Metrics};

/// What an answer on TCP is made of.
type Answer = http::Response<Either<PreviewBody, Body>>;

/// One connection on TCP: its requests may be for different hosts.
#[derive(Debug, Clone)]
pub(crate) struct Dispatch {
    proxy: PreviewProxy,
    client: PreviewClient,
    router: Router,
    transport: Transport,
    metrics: Arc<Metrics>,
}

impl Dispatch {
    pub(crate) fn new(
        proxy: PreviewProxy,
        client: PreviewClient,
        (router, transport): (Router, Transport),
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { proxy, client, router, transport, metrics }
    }
}

impl Service<Request<Incoming>> for Dispatch {
    type Response = Answer;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        // A host that is neither a preview's nor the API's goes to the API, which says so: 421.
        if self.proxy.is_for_previews(&request) {
            let client = self.client.clone();
            let metrics = Arc::clone(&self.metrics);
            return Box::pin(async move {
                let answer = client.handle(request).await;
                metrics.preview(answer.status());
                Ok(answer.map(Either::Left))
            });
        }
        request.extensions_mut().insert(self.transport);
        let answering = self.router.clone().oneshot(request.map(Body::new));
        Box::pin(async move { Ok(answering.await?.map(Either::Right)) })
    }
}
