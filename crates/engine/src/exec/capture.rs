//! Waiting for an exec's end and keeping its output, up to a limit that is said.

use sandbar_types::ExecState;

use super::{Captured, ExecItem, ExecResult, ExecSession};
use crate::{Engine, Error, Result};

/// Times that a broken connection is made again. LIMIT: a supervisor that always hangs up must not keep us for ever.
const ATTACHES_MAX: u32 = 5;

impl Captured {
    fn push(&mut self, bytes: &[u8], limit: u64) {
        let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(self.bytes.len());
        let (kept, cut) = bytes.split_at(room.min(bytes.len()));
        self.bytes.extend_from_slice(kept);
        self.truncated_bytes += cut.len() as u64;
    }
}

pub(super) async fn until_end(
    engine: &Engine,
    mut session: ExecSession,
    limit: u64,
) -> Result<ExecResult> {
    let (id, exec_id) = (session.exec.sandbox_id, session.exec.id);
    let (mut stdout, mut stderr) = (Captured::default(), Captured::default());
    let (mut offset, mut attaches) = (0, 0);
    let state = loop {
        match session.reader.next().await {
            Ok(Some(ExecItem::Stdout { bytes, next_offset })) => {
                stdout.push(&bytes, limit);
                offset = next_offset;
            }
            Ok(Some(ExecItem::Stderr { bytes, next_offset })) => {
                stderr.push(&bytes, limit);
                offset = next_offset;
            }
            Ok(Some(ExecItem::Gap { next_offset } | ExecItem::Note { next_offset, .. })) => {
                offset = next_offset;
            }
            Ok(Some(ExecItem::End { end, .. })) => break ExecState::Ended { end },
            Ok(Some(ExecItem::Lost) | None) => break ExecState::Lost,
            Err(err) if attaches == ATTACHES_MAX => return Err(err),
            Err(_broken) => {
                attaches += 1;
                session = engine.exec_attach(id, exec_id, offset).await?;
            }
        }
    };
    let mut exec = session.exec.clone();
    if exec.state == ExecState::Running {
        exec.state = state;
        exec.ended_at = Some(engine.inner.config.clock.now());
    }
    Ok(ExecResult { exec, stdout, stderr })
}

impl ExecResult {
    /// How it ended.
    ///
    /// # Errors
    /// `state_conflict` when the sandbox ended first, and nobody saw it.
    pub fn end(&self) -> Result<sandbar_types::ExecEnd> {
        match self.exec.state {
            ExecState::Ended { end } => Ok(end),
            ExecState::Lost | ExecState::Running => Err(Error::new(
                crate::ErrorKind::Denied,
                "state_conflict",
                "the sandbox ended before the exec did, so nobody saw its status",
            )),
        }
    }
}
