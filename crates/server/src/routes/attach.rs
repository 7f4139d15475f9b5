//! Both directions of an exec over WebSocket. The messages are those of `sandbar_api::attach`.

use std::time::Duration;

use axum::{
    extract::{
        State,
        ws::{
            CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code,
            rejection::WebSocketUpgradeRejection,
        },
    },
    response::Response,
};
use bytes::Bytes;
use futures_util::{SinkExt as _, Stream, StreamExt as _, stream::SplitSink};
use sandbar_api::{
    AttachQuery,
    attach::{ClientFrame, LIMIT_MESSAGE_BYTES, ServerBody, ServerFrame},
};
use sandbar_engine::{ExecItem, ExecReader, ExecSession, ExecWriter};
use tokio::time;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    asker::Until,
    error::{ApiError, upgrade_required},
    extract::{Exec, Query, Sandbox},
    state::AppState,
};

/// LIMIT: how long we wait for the client to close after us.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(exec_attach))
}

/// Attaches to an exec over WebSocket; each binary message is one frame (see `docs/api.md`).
///
/// Several clients may be attached at once; all of them see everything, and all of them may write.
#[utoipa::path(get, path = "/v1/sandboxes/{sandbox}/execs/{exec}/attach", tag = "execs",
    extensions(("x-sandbar" = json!({"scope": "write"}))),
    params(("sandbox" = String, Path), ("exec" = String, Path), AttachQuery),
    responses((status = 101, description = "Switched to WebSocket.")))]
async fn exec_attach(
    State(state): State<AppState>,
    Sandbox(id): Sandbox,
    Exec(exec): Exec,
    Query(query): Query<AttachQuery>,
    until: Until,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|_| upgrade_required())?;
    // Before the upgrade, so that an unknown exec is a problem and not a closed socket.
    let session = state.engine.exec_attach(id, exec, query.offset.unwrap_or(0)).await?;
    let counted = state.conversations.token();
    Ok(upgrade
        .max_message_size(LIMIT_MESSAGE_BYTES)
        .max_frame_size(LIMIT_MESSAGE_BYTES)
        .on_upgrade(async move |socket| {
            converse(socket, session, until).await;
            drop(counted);
        }))
}

/// Why a conversation ended, and so how it is closed.
enum Ending {
    /// The exec ended, or its log was read to its end.
    Done,
    /// The client left, or cannot be reached.
    Gone,
    /// The client sent what is no frame.
    Invalid,
    /// The exec cannot be reached; the client may come back at its last offset.
    Broken,
    /// The server drains, and the client may come back; or who began it may no longer.
    Draining,
}

async fn converse(socket: WebSocket, session: ExecSession, until: Until) {
    let (mut sink, mut stream) = socket.split();
    let ExecSession { mut reader, mut writer, .. } = session;
    // One task, two directions: neither waits for the other, so a client may write all before it reads.
    let ending = tokio::select! {
        ending = send_output(&mut reader, &mut sink) => ending,
        ending = take_input(&mut stream, &mut writer) => ending,
        () = until.passed() => Ending::Draining,
    };
    let (code, reason) = match ending {
        Ending::Gone => return,
        Ending::Done => (close_code::NORMAL, ""),
        Ending::Invalid => (close_code::POLICY, "not a frame"),
        Ending::Broken => (close_code::ERROR, "come back at the last offset"),
        Ending::Draining => (close_code::AWAY, "the server is leaving, or you may no longer"),
    };
    let close = CloseFrame { code, reason: reason.into() };
    if sink.send(Message::Close(Some(close))).await.is_ok() {
        // Until the client has answered, or what it has not read yet may be lost with the connection.
        let drained = async { while let Some(Ok(_)) = stream.next().await {} };
        time::timeout(CLOSE_GRACE, drained).await.ok();
    }
}

async fn send_output(reader: &mut ExecReader, sink: &mut SplitSink<WebSocket, Message>) -> Ending {
    loop {
        let frame = match reader.next().await {
            Ok(Some(item)) => encode(&item),
            Ok(None) => return Ending::Done,
            Err(error) => {
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "attached exec cannot be read"
                );
                return Ending::Broken;
            }
        };
        if sink.send(Message::Binary(Bytes::from(frame))).await.is_err() {
            return Ending::Gone;
        }
    }
}

fn encode(item: &ExecItem) -> Vec<u8> {
    let (body, offset) = match item {
        ExecItem::Stdout { bytes, next_offset } => (ServerBody::Stdout(bytes), *next_offset),
        ExecItem::Stderr { bytes, next_offset } => (ServerBody::Stderr(bytes), *next_offset),
        // Only logs of processes have them, and those are not attached to.
        ExecItem::Note { text, next_offset } => (ServerBody::Stderr(text.as_bytes()), *next_offset),
        ExecItem::Gap { next_offset } => (ServerBody::Gap, *next_offset),
        ExecItem::End { end, next_offset } => (ServerBody::End(*end), *next_offset),
        ExecItem::Lost => (ServerBody::Lost, 0),
    };
    ServerFrame { offset, body }.encode()
}

async fn take_input(
    stream: &mut (impl Stream<Item = Result<Message, axum::Error>> + Unpin),
    writer: &mut ExecWriter,
) -> Ending {
    while let Some(Ok(message)) = stream.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => return Ending::Gone,
            Message::Ping(_) | Message::Pong(_) => continue,
            Message::Text(_) => return Ending::Invalid,
        };
        let Ok(frame) = ClientFrame::decode(&bytes) else {
            return Ending::Invalid;
        };
        let taken = match frame {
            ClientFrame::Stdin(bytes) => writer.stdin(bytes).await,
            ClientFrame::StdinEnd => writer.stdin_end().await,
            ClientFrame::Resize(size) => writer.resize(size).await,
            ClientFrame::Signal(signal) => writer.signal(signal).await,
        };
        // An exec that has ended takes nothing; what it wrote before is still being sent.
        taken.ok();
    }
    Ending::Gone
}
