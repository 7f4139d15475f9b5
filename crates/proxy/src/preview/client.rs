//! From a request to its answer.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts, uri::Authority};
use hyper::{body::Incoming, ext::on_informational, upgrade::OnUpgrade};
use tokio::time::{self, Instant};

use super::{
    admission::Admission,
    body::{Download, PreviewBody},
    config::Scheme,
    gated::UploadBody,
    link::{Link, Links},
    page::{self, Reader},
    proxy::Shared,
    refusal::Refusal,
    request::{self, Names},
    response,
    tunnel::{self, Tunnel},
    upstreams::{ConnectError, NotServing, Progress, Route, RouteError, Visibility},
};

/// LIMIT: how much longer than its deadline a connect may take before we no longer wait for it.
const CONNECT_GRACE: Duration = Duration::from_secs(2);

/// One connection from outside, and with it those to apps that are kept for it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PreviewClient {
    shared: Arc<Shared>,
    peer: IpAddr,
    links: Links,
    /// Those of the last request: the next one is for the same host, most of the time.
    names: Arc<Mutex<Option<Known>>>,
}

/// What was read of an authority.
type Known = (Authority, Arc<Names>);

impl PreviewClient {
    pub(crate) fn new(shared: Arc<Shared>, peer: IpAddr) -> Self {
        Self { shared, peer, links: Links::default(), names: Arc::default() }
    }

    /// Answers a request.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<PreviewBody> {
        let (parts, body) = request.into_parts();
        let reader = Reader::of(&parts);
        match self.answer(parts, UploadBody::new(body), reader).await {
            Ok(response) => response,
            Err(refusal) => page::render(&refusal, reader),
        }
    }

    async fn answer(
        &self,
        mut parts: Parts,
        body: UploadBody,
        reader: Reader,
    ) -> Result<Response<PreviewBody>, Refusal> {
        let config = &self.shared.config;
        let authority = request::authority(&parts.uri, &parts.headers)?;
        let scheme = request::scheme(config, self.peer, &parts.headers);
        let names = self.names(authority, scheme)?;
        request::admit_form(&parts)?;
        let route = self.shared.upstreams.route(&names.preview).await;
        let route = route.map_err(|error| match error {
            RouteError::Unknown => Refusal::Unknown,
            RouteError::Failed(_) => internal(&error),
        })?;
        let admission = match route.visibility {
            Visibility::Public => Admission::Pass,
            Visibility::Private => self.shared.gate().admit(&parts, &names, route.sandbox)?,
        };
        match admission {
            Admission::Pass => {}
            Admission::ComeAgain { location, cookie } => return come_again(&location, cookie),
        }
        // Of what hyper noted about the request, only this is of use: the rest must not steer our own request.
        let client = std::mem::take(&mut parts.extensions).remove::<OnUpgrade>();
        let client = client.filter(|_| request::upgrade(&parts).is_some());
        request::prepare(&mut parts, &names, self.peer, config)?;
        let (head, link) = self.exchange(Request::from_parts(parts, body), &route, reader).await?;
        self.pass_on(head, link, &names, Passing { route, client })
    }

    fn names(&self, authority: Authority, scheme: Scheme) -> Result<Arc<Names>, Refusal> {
        let mut last = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((known, names)) if *known == authority && names.scheme == scheme => {
                Ok(Arc::clone(names))
            }
            Some(_) | None => {
                let names = Names::read(&authority, scheme, &self.shared.config.domain)?;
                let names = Arc::new(names);
                *last = Some((authority, Arc::clone(&names)));
                Ok(names)
            }
        }
    }

    fn pass_on(
        &self,
        answer: Response<Incoming>,
        link: Link,
        names: &Names,
        passing: Passing,
    ) -> Result<Response<PreviewBody>, Refusal> {
        let Passing { route, client } = passing;
        let (mut head, incoming) = answer.into_parts();
        response::prepare(&mut head, names);
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            let download = Download::new(incoming, link, self.links.clone(), route);
            return Ok(Response::from_parts(head, PreviewBody::app(download)));
        }
        let app = head.extensions.remove::<OnUpgrade>();
        // An app that switches without being asked speaks to nobody.
        let (Some(client), Some(app)) = (client, app) else { return Err(Refusal::App) };
        let tunnel = Tunnel { client, app, link, route };
        drop(self.shared.tasks.spawn(tunnel::run(tunnel, self.shared.stop.clone())));
        Ok(Response::from_parts(head, PreviewBody::empty()))
    }

    /// Sends a request on the connection that is kept for this client, else on a new one.
    async fn exchange(
        &self,
        mut request: Request<UploadBody>,
        route: &Route,
        reader: Reader,
    ) -> Result<(Response<Incoming>, Link), Refusal> {
        if let Some(mut link) = self.links.take(route).await {
            // An app may close a connection in the same moment: then it has not seen the request, or may see it twice.
            let is_repeatable =
                link.is_stale() && request.body().is_empty() && request.method().is_idempotent();
            let copy = is_repeatable.then(|| copy(&request));
            match self.exchange_on(&mut link, request).await {
                Ok(answer) => return Ok((answer, link)),
                Err(unsent) => request = unsent.or(copy).ok_or(Refusal::App)?,
            }
        }
        let mut link = self.connect(route, reader).await?;
        let answer = self.exchange_on(&mut link, request).await.map_err(|_| Refusal::App)?;
        Ok((answer, link))
    }

    /// The error is the request, where not a byte of it was sent.
    async fn exchange_on(
        &self,
        link: &mut Link,
        mut request: Request<UploadBody>,
    ) -> Result<Response<Incoming>, Option<Request<UploadBody>>> {
        let sent = request.body().sent();
        let waits = !request.body().is_empty()
            && request
                .headers()
                .get(header::EXPECT)
                .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        if waits {
            let key = request.body_mut().shut();
            on_informational(&mut request, move |answer| {
                if answer.status() == StatusCode::CONTINUE {
                    key.open();
                }
            });
        }
        let answer = link.exchange(request).await.map_err(|failed| {
            tracing::debug!(
                error = &failed.error as &dyn std::error::Error,
                "no answer of the app"
            );
            failed.unsent
        })?;
        match (sent.is_sent(), waits) {
            (true, _) => {}
            // The app answers while it is still being told: both must go on, whoever waits for whom.
            (false, false) => link.detach(&self.shared.tasks),
            // It does not want the body, and nothing else can be sent on this connection.
            (false, true) => link.close_after(),
        }
        Ok(answer)
    }

    async fn connect(&self, route: &Route, reader: Reader) -> Result<Link, Refusal> {
        let config = &self.shared.config;
        let patience = match reader {
            Reader::Person => config.browser_patience,
            Reader::Program => config.program_patience,
        };
        let deadline = Instant::now() + patience;
        let connecting = self.shared.upstreams.connect(route, deadline);
        let connected = time::timeout_at(deadline + CONNECT_GRACE, connecting)
            .await
            .unwrap_or(Err(ConnectError::NotServing(NotServing::Starting(Progress::default()))));
        let stream = connected.map_err(|error| match (error, reader) {
            (ConnectError::NotServing(NotServing::Starting(progress)), Reader::Program) => {
                Refusal::StartTimeout(progress)
            }
            (ConnectError::NotServing(why), Reader::Person | Reader::Program) => why.into(),
            (error @ ConnectError::Failed(_), Reader::Person | Reader::Program) => internal(&error),
        })?;
        Link::open(stream, route).await.map_err(|error| internal(&error))
    }
}

/// What an answer is passed on with.
struct Passing {
    route: Route,
    client: Option<OnUpgrade>,
}

fn copy(request: &Request<UploadBody>) -> Request<UploadBody> {
    let mut copy = Request::new(UploadBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn come_again(
    location: &str,
    cookie: Option<HeaderValue>,
) -> Result<Response<PreviewBody>, Refusal> {
    let mut response = Response::new(PreviewBody::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    let location = HeaderValue::from_str(location)
        .map_err(|_| Refusal::BadRequest("the path cannot be read"))?;
    headers.insert(header::LOCATION, location);
    if let Some(cookie) = cookie {
        headers.insert(header::SET_COOKIE, cookie);
    }
    page::quiet(headers);
    Ok(response)
}

fn internal(error: &(dyn std::error::Error + 'static)) -> Refusal {
    tracing::error!(error, "a preview failed");
    Refusal::Internal
}
