//! A websocket that an upstream agreed to: bytes both ways, those that come in looked at.

use std::{io, sync::Arc};

use bytes::BytesMut;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{pattern::Scanner, response::Told};

/// LIMIT: bytes on their way in, and out.
const BUFFER_BYTES: usize = 32 << 10;

/// Both ends of a connection that is to be no HTTP any more.
#[derive(Debug)]
pub(super) struct Upgrade {
    pub(super) inside: OnUpgrade,
    pub(super) outside: OnUpgrade,
    pub(super) told: Told,
}

impl Upgrade {
    /// Copies until both ends are done.
    pub(super) async fn carry(self) -> io::Result<()> {
        let Self { inside, outside, told } = self;
        let (inside, outside) = tokio::try_join!(inside, outside).map_err(io::Error::other)?;
        let (mut from_inside, mut to_inside) = tokio::io::split(TokioIo::new(inside));
        let (mut from_outside, mut to_outside) = tokio::io::split(TokioIo::new(outside));
        let out = async {
            tokio::io::copy(&mut from_inside, &mut to_outside).await?;
            to_outside.shutdown().await
        };
        let back = async {
            let mut scanner = Scanner::new(Arc::clone(&told.patterns));
            let mut buffer = BytesMut::new();
            loop {
                buffer.reserve(BUFFER_BYTES);
                if from_outside.read_buf(&mut buffer).await? == 0 {
                    break;
                }
                let passed = scanner.push(buffer.split().freeze());
                told.echoed(&scanner.found());
                to_inside.write_all(&passed).await?;
                to_inside.flush().await?;
            }
            to_inside.write_all(&scanner.finish()).await?;
            to_inside.shutdown().await
        };
        tokio::try_join!(out, back).map(|_| ())
    }
}
