//! The API's client: one kept-alive HTTP/1.1 connection, and one more for each stream.
//!
//! The connection is opened by the first request. When the user's own server does not run, it is started then.

mod connect;
mod pages;
mod problem;
mod spawn;
mod stream;
mod websocket;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{self, HeaderValue},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
pub(crate) use pages::Pages;
pub(crate) use problem::flagged;
use serde::{Serialize, de::DeserializeOwned};
pub(crate) use stream::Events;
use tokio::{task::JoinSet, time};
pub(crate) use websocket::{Attached, Incoming as AttachedMessage, Receiver};

use crate::{
    failure::{Code, Failure},
    output::Output,
    settings::Endpoint,
};

/// What a request carries.
pub(crate) type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// LIMIT: until the head of a response is there. Ten minutes is the longest grace that a stop can ask for.
const RESPONSE_DEADLINE: Duration = Duration::from_secs(11 * 60);

/// LIMIT: until the answer to something long is there: the longest that a build may take, four hours, and its turn.
const PATIENT_DEADLINE: Duration = Duration::from_hours(9);

/// Speaks to one server.
#[derive(Debug)]
pub(crate) struct Client {
    endpoint: Endpoint,
    out: Output,
    sender: Option<SendRequest<Body>>,
    /// Drives the connections; dropped with the client, they are closed.
    connections: JoinSet<()>,
}

impl Client {
    pub(crate) fn new(endpoint: Endpoint, out: Output) -> Self {
        Self { endpoint, out, sender: None, connections: JoinSet::new() }
    }

    /// One that speaks to the same server over connections of its own.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.endpoint.clone(), self.out)
    }

    /// Says from now on what `out` says.
    pub(crate) fn set_output(&mut self, out: Output) {
        self.out = out;
    }

    /// Sends a request without a body and reads JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Failure> {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// Sends `body` as JSON and reads JSON.
    pub(crate) async fn post<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// As [`Client::post`], for what may take hours.
    pub(crate) async fn post_patiently<T: DeserializeOwned>(
        &mut self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let body = json_body(Some(body))?;
        let response = self.send_within(PATIENT_DEADLINE, Method::POST, path, body).await?;
        understood(response).await
    }

    /// Sends `body` as JSON, and wants nothing but success.
    pub(crate) async fn order(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(), Failure> {
        let response = self.send(method, path, json_body(body)?).await?;
        // Read to the end, so that the connection can carry the next request.
        read(response).await.map(drop)
    }

    /// Sends a request and returns the response, its body still to be read.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Body)>,
    ) -> Result<Response<Incoming>, Failure> {
        self.send_within(RESPONSE_DEADLINE, method, path, body).await
    }

    async fn send_within(
        &mut self,
        deadline: Duration,
        method: Method,
        path: &str,
        body: Option<(&'static str, Body)>,
    ) -> Result<Response<Incoming>, Failure> {
        let request = self.request(method, path, body)?;
        let sender = self.sender().await?;
        let response = time::timeout(deadline, sender.send_request(request))
            .await
            .map_err(|_elapsed| lost("the server did not answer in time"))?
            .map_err(|error| lost("the server closed the connection").caused_by(&error))?;
        if response.status().is_success() || response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let status = response.status();
        Err(problem::failure(status, &read(response).await?))
    }

    /// Opens a connection of its own for a feed of events, behind the event `after`.
    pub(crate) async fn feed(&mut self, path: &str, after: u64) -> Result<Events, Failure> {
        let mut request = self.request(Method::GET, path, None)?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.insert("last-event-id", HeaderValue::from(after));
        let mut sender = self.connection().await?;
        let response = sender.send_request(request).await;
        let response =
            response.map_err(|error| lost("the server closed the connection").caused_by(&error))?;
        if response.status().is_success() {
            return Ok(Events::of(response.into_body()));
        }
        let status = response.status();
        Err(problem::failure(status, &read(response).await?))
    }

    /// Opens a connection of its own and attaches to an exec.
    pub(crate) async fn attach(&mut self, path: &str) -> Result<Attached, Failure> {
        let handshake = websocket::Handshake::new();
        let mut request = self.request(Method::GET, path, None)?;
        handshake.add_to(request.headers_mut());
        let mut sender = self.connection().await?;
        let response = time::timeout(RESPONSE_DEADLINE, sender.send_request(request))
            .await
            .map_err(|_elapsed| lost("the server did not answer in time"))?
            .map_err(|error| lost("the server closed the connection").caused_by(&error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status();
            return Err(problem::failure(status, &read(response).await?));
        }
        handshake.finish(response).await
    }

    /// Opens a connection of its own that becomes the one at `path`: bytes as they are.
    pub(crate) async fn become_tcp(&mut self, path: &str) -> Result<TokioIo<Upgraded>, Failure> {
        let mut request = self.request(Method::GET, path, None)?;
        let headers = request.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("tcp"));
        let mut sender = self.connection().await?;
        let response = sender.send_request(request).await;
        let response =
            response.map_err(|error| lost("the server closed the connection").caused_by(&error))?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status();
            return Err(problem::failure(status, &read(response).await?));
        }
        let upgraded = hyper::upgrade::on(response).await;
        upgraded
            .map(TokioIo::new)
            .map_err(|error| lost("the server closed the connection").caused_by(&error))
    }

    /// Sends `body` as JSON, where there is one, and reads JSON.
    pub(crate) async fn call<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        understood(self.send(method, path, json_body(body)?).await?).await
    }

    async fn sender(&mut self) -> Result<&mut SendRequest<Body>, Failure> {
        let is_usable = match &mut self.sender {
            None => false,
            // An idle connection that the server closed is found out here, not after the request was sent.
            Some(sender) => sender.ready().await.is_ok(),
        };
        if !is_usable {
            self.sender = Some(self.connection().await?);
        }
        Ok(self.sender.as_mut().expect("there is one, or it was just made"))
    }

    async fn connection(&mut self) -> Result<SendRequest<Body>, Failure> {
        let stream = connect::open(&self.endpoint, self.out).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| lost("cannot speak to the server").caused_by(&error))?;
        self.connections.spawn(async move {
            // Its error is that of the request in flight, which is told there.
            drop(connection.with_upgrades().await);
        });
        Ok(sender)
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<(&'static str, Body)>,
    ) -> Result<Request<Body>, Failure> {
        let mut request = Request::builder().method(method).uri(path);
        request = match &self.endpoint {
            Endpoint::Own { .. } | Endpoint::Socket(_) => request.header(header::HOST, "localhost"),
            Endpoint::Tcp { authority, token } => {
                let request = request.header(header::HOST, authority);
                match token {
                    None => request,
                    Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
                }
            }
        };
        let body = match body {
            None => empty(),
            Some((content_type, body)) => {
                request = request.header(header::CONTENT_TYPE, content_type);
                body
            }
        };
        request
            .body(body)
            .map_err(|error| Failure::usage("the request cannot be written").caused_by(&error))
    }
}

async fn understood<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Failure> {
    let bytes = read(response).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::unexpected("cannot understand the server's answer")
            .caused_by(&error)
            .hint("server and command line may be of different versions; see `sandbar doctor`")
    })
}

/// Reads a body to its end.
pub(crate) async fn read(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(|error| lost("the server's answer was cut off").caused_by(&error))?;
    Ok(body.to_bytes())
}

/// What to say when the connection fails in the middle.
pub(crate) fn lost(message: &str) -> Failure {
    Failure::new(Code::Unreachable, message)
}

fn json_body(body: Option<&impl Serialize>) -> Result<Option<(&'static str, Body)>, Failure> {
    let Some(body) = body else { return Ok(None) };
    let bytes = serde_json::to_vec(body)
        .map_err(|error| Failure::usage("the request cannot be written").caused_by(&error))?;
    Ok(Some((
        "application/json",
        Full::new(Bytes::from(bytes)).map_err(|never| match never {}).boxed_unsync(),
    )))
}

fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}
