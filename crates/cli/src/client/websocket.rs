//! The WebSocket of an attached exec: frames of the API in, frames out.

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Incoming as ResponseBody,
    header::{self, HeaderValue},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use sandbar_api::attach::{ClientFrame, LIMIT_MESSAGE_BYTES};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::{client::generate_key, derive_accept_key},
        protocol::{Role, WebSocketConfig},
    },
};

use crate::{client::lost, failure::Failure};

/// The client's half of RFC 6455, section 4.1.
#[derive(Debug)]
pub(crate) struct Handshake {
    key: String,
}

impl Handshake {
    pub(crate) fn new() -> Self {
        Self { key: generate_key() }
    }

    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        let key = HeaderValue::try_from(&self.key).expect("a key is base64");
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(header::SEC_WEBSOCKET_KEY, key);
    }

    pub(crate) async fn finish(
        self,
        response: Response<ResponseBody>,
    ) -> Result<Attached, Failure> {
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS, "the caller looked");
        let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if accepted.map(HeaderValue::as_bytes)
            != Some(derive_accept_key(self.key.as_bytes()).as_bytes())
        {
            return Err(lost("the server answered the upgrade to WebSocket wrongly"));
        }
        let upgraded = hyper::upgrade::on(response)
            .await
            .map_err(|error| lost("the upgrade to WebSocket failed").caused_by(&error))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(2 * LIMIT_MESSAGE_BYTES))
            .max_frame_size(Some(2 * LIMIT_MESSAGE_BYTES));
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, Some(config))
                .await;
        Ok(Attached { socket })
    }
}

/// What comes in.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// One frame of the API, encoded.
    Frame(bytes::Bytes),
    /// The server hung up.
    Closed,
}

/// An attached exec.
#[derive(Debug)]
pub(crate) struct Attached {
    socket: Socket,
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The half that sends.
#[derive(Debug)]
pub(crate) struct Sender(SplitSink<Socket, Message>);

/// The half that receives.
#[derive(Debug)]
pub(crate) struct Receiver(SplitStream<Socket>);

impl Attached {
    /// Parts the two directions, so that neither waits for the other.
    pub(crate) fn split(self) -> (Sender, Receiver) {
        let (sink, stream) = self.socket.split();
        (Sender(sink), Receiver(stream))
    }
}

impl Receiver {
    /// Waits for the next frame. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Result<Incoming, Failure> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(Incoming::Frame(bytes)),
                // Pings are answered by the library; text is not spoken here.
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Frame(_),
                )) => {}
                Some(Ok(Message::Close(_))) | None => return Ok(Incoming::Closed),
                Some(Err(error)) => {
                    return Err(lost("the connection to the command broke").caused_by(&error));
                }
            }
        }
    }
}

impl Sender {
    /// Sends a frame.
    pub(crate) async fn send(&mut self, frame: &ClientFrame<'_>) -> Result<(), Failure> {
        self.0
            .send(Message::Binary(frame.encode().into()))
            .await
            .map_err(|error| lost("the connection to the command broke").caused_by(&error))
    }
}
