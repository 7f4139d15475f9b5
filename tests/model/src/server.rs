//! The server: one connection after the other, plain or with TLS.

use std::{
    convert::Infallible, io, io::Read as _, net::SocketAddr, path::PathBuf, sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use ruzstd::decoding::StreamingDecoder;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    api::Api,
    chatgpt, code_assist,
    logins::Logins,
    record::{Record, Recorder},
    script::{Reply, Script},
};

type Body = BoxBody<Bytes, io::Error>;

/// How long `SLOW` takes for a word, and how many it has.
const SLOW_STEP: Duration = Duration::from_millis(100);
const SLOW_WORDS: u32 = 36_000;

/// The files of a certificate.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificates, PEM.
    pub cert: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// What the server is told.
#[derive(Debug, Clone, Default)]
pub struct ModelConfig {
    /// With TLS, where it is.
    pub tls: Option<Tls>,
    /// Where requests go.
    pub recorder: Recorder,
    /// What its token endpoints answer.
    pub logins: Logins,
}

/// A server that listens.
pub struct Model {
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("listener", &self.listener)
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Shared {
    script: Script,
    recorder: Recorder,
    logins: Logins,
}

impl Model {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// The address is taken, or the certificate cannot be read.
    pub async fn bind(address: SocketAddr, config: ModelConfig) -> io::Result<Self> {
        let tls = config.tls.as_ref().map(acceptor).transpose()?;
        let listener = TcpListener::bind(address).await?;
        let ModelConfig { recorder, logins, tls: _ } = config;
        let shared = Arc::new(Shared { script: Script::default(), recorder, logins });
        Ok(Self { listener, tls, shared })
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// The socket is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped.
    pub async fn serve(self) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    // A client that is gone already is no reason to end.
                    let Ok((stream, _peer)) = accepted else { continue };
                    connections.spawn(connection(stream, self.tls.clone(), Arc::clone(&self.shared)));
                }
                Some(_ended) = connections.join_next() => {}
            }
        }
    }
}

fn acceptor(tls: &Tls) -> io::Result<TlsAcceptor> {
    let certs = CertificateDer::pem_file_iter(&tls.cert).map_err(io::Error::other)?;
    let certs = certs.collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(certs, key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    match tls {
        None => talk(stream, shared).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                talk(stream, shared).await;
            }
        }
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    // It ends with an error where the test wants it cut.
    let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, shared: &Shared) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return text(400, "the body ended early") };
    let Some(body) = decoded(&parts.headers, body.to_bytes()) else {
        return text(400, "the body is not compressed as it says");
    };
    let body = serde_json::from_slice(&body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()));
    let headers = parts.headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    });
    shared.recorder.add(Record {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: headers.collect(),
        body: body.clone(),
    });
    let path = parts.uri.path();
    if path.starts_with("/backend-api/") && !parts.headers.contains_key(AUTHORIZATION) {
        return text(401, "nobody is logged in");
    }
    let account = parts.headers.get("chatgpt-account-id").and_then(|id| id.to_str().ok());
    if let Some(answered) = code_assist::answer(path).or_else(|| chatgpt::answer(path, account)) {
        return whole(200, &answered);
    }
    match Api::of(path) {
        Some(api) if parts.method == "POST" => {
            let reply = shared.script.reply(&api.turn(&body));
            written(api, reply, api.is_streamed(path, &body))
        }
        // Codex speaks over WebSockets where it may, and asks as usual where it is told that it may not.
        Some(Api::Responses) => whole(426, &json!({})),
        Some(_) | None if path == "/token" || path == "/oauth/token" => {
            match shared.logins.answer(&body) {
                Some(tokens) => whole(200, &tokens),
                None => whole(400, &json!({ "error": "invalid_grant" })),
            }
        }
        Some(_) | None if path.ends_with("/count_tokens") => {
            whole(200, &json!({ "input_tokens": 11 }))
        }
        Some(_) | None if path.ends_with(":countTokens") => {
            whole(200, &json!({ "totalTokens": 11 }))
        }
        Some(_) | None if path.ends_with("/models") => {
            whole(200, &json!({ "object": "list", "data": [], "models": [] }))
        }
        Some(_) | None => {
            whole(404, &json!({ "error": { "type": "not_found_error", "message": "not found" } }))
        }
    }
}

/// The body as it was written: Codex compresses it for ChatGPT.
fn decoded(headers: &HeaderMap, body: Bytes) -> Option<Bytes> {
    if headers.get(CONTENT_ENCODING).is_none_or(|coding| coding != "zstd") {
        return Some(body);
    }
    let mut whole = Vec::new();
    StreamingDecoder::new(&*body).ok()?.read_to_end(&mut whole).ok()?;
    Some(whole.into())
}

fn written(api: Api, reply: Reply, is_streamed: bool) -> Response<Body> {
    match reply {
        Reply::Refused { status } => {
            let mut response = whole(status, &api.error(status));
            if status == 429 {
                let seconds = hyper::header::HeaderValue::from_static("1");
                response.headers_mut().insert("retry-after", seconds);
            }
            response
        }
        reply if !is_streamed => whole(200, &api.whole(&reply)),
        Reply::Tool { tool, input } => streamed(vec![Ok(api.tool(&tool, &input))]),
        Reply::Words(text) => {
            let words = text.split_inclusive(' ').map(|word| Ok(api.word(word)));
            let pieces = [Ok(api.begin())].into_iter().chain(words).chain([Ok(api.end(&text))]);
            streamed(pieces.collect())
        }
        Reply::Cut => streamed(vec![
            Ok(api.begin()),
            Ok(api.word("I will ")),
            Err(io::Error::other("cut, as the test wanted it")),
        ]),
        Reply::Slow => slow(api),
    }
}

fn streamed(pieces: Vec<io::Result<String>>) -> Response<Body> {
    let frames = pieces.into_iter().map(|piece| piece.map(|text| Frame::data(Bytes::from(text))));
    events(BodyExt::boxed(StreamBody::new(stream::iter(frames))))
}

fn slow(api: Api) -> Response<Body> {
    let pieces = stream::unfold(0, move |count| async move {
        if count > SLOW_WORDS {
            return None;
        }
        let piece = if count == 0 { api.begin() } else { api.word(&format!("word{count} ")) };
        time::sleep(SLOW_STEP).await;
        Some((Ok(Frame::data(Bytes::from(piece))), count + 1))
    });
    events(BodyExt::boxed(StreamBody::new(Box::pin(pieces))))
}

fn events(body: Body) -> Response<Body> {
    response(200, "text/event-stream", body)
}

fn whole(status: u16, body: &Value) -> Response<Body> {
    response(status, "application/json", full(body.to_string()))
}

fn text(status: u16, body: &str) -> Response<Body> {
    response(status, "text/plain", full(body.to_owned()))
}

fn full(body: String) -> Body {
    Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed()
}

fn response(status: u16, kind: &str, body: Body) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, kind)
        .body(body)
        .expect("the status and the header are written out here")
}
