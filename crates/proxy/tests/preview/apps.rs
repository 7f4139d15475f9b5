//! Apps, as they run in sandboxes.

use std::{convert::Infallible, fmt::Write as _, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

pub(crate) type AppBody = BoxBody<Bytes, Infallible>;

/// An app that ends with its test.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> AppBody {
    Full::new(bytes.into()).boxed()
}

/// An app that answers with hyper.
pub(crate) async fn app<F, R>(answer: F) -> App
where
    F: Fn(Request<Incoming>) -> R + Send + Sync + 'static,
    R: Future<Output = Response<AppBody>> + Send + 'static,
{
    let answer = Arc::new(answer);
    accepting(move |stream| {
        let answer = Arc::clone(&answer);
        async move {
            let service = service_fn(move |request| {
                let answering = answer(request);
                async move { Ok::<_, Infallible>(answering.await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            connection.with_upgrades().await.ok();
        }
    })
    .await
}

/// An app that does what it wants with each connection.
pub(crate) async fn accepting<F, R>(serve: F) -> App
where
    F: Fn(TcpStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(serve(stream));
        }
    });
    App { address, _tasks: tasks }
}

/// An app that tells what it was asked: the request line, then a line for each header.
pub(crate) async fn mirror() -> App {
    app(async |request: Request<Incoming>| {
        let mut text = format!("{} {}\n", request.method(), request.uri());
        for (name, value) in request.headers() {
            writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
        }
        Response::new(full(text))
    })
    .await
}

/// An app that reads one head and then writes `answer`, byte for byte.
pub(crate) async fn saying(answer: &'static [u8]) -> App {
    accepting(move |mut stream| async move {
        read_head(&mut stream).await;
        stream.write_all(answer).await.ok();
    })
    .await
}

/// Reads to the end of a head, and returns it with what came after it.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut read).await.unwrap() == 0 {
            break;
        }
    }
    String::from_utf8(read).unwrap()
}
