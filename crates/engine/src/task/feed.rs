//! What an agent prints, through a task of its own, so that waiting for it can be given up without losing any of it.

use std::time::Duration;

use sandbar_types::{ExecEnd, ExecId, SandboxId, SandboxState};
use tokio::{sync::mpsc, task::JoinSet};

use crate::{Engine, ExecItem, exec::ExecReader};

/// LIMIT: items that wait to be looked at; the agent's log keeps the others.
const WAITING_MAX: usize = 64;
/// Times that a broken connection is made again. LIMIT: a supervisor that always hangs up must not keep us for ever.
const ATTACHES_MAX: u32 = 5;
/// How long a sandbox whose agent is lost may be taken to run.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// Before a connection is made again.
const AGAIN: Duration = Duration::from_millis(50);

/// What comes; bytes with the offset of the log behind them.
#[derive(Debug)]
pub(super) enum Item {
    Stdout(Vec<u8>, u64),
    Stderr(Vec<u8>, u64),
    Gap(u64),
    End(ExecEnd),
    /// Nobody saw how it ended.
    Lost,
}

/// Reads an exec to its end.
#[derive(Debug)]
pub(super) struct Feed {
    items: mpsc::Receiver<Item>,
    _reading: JoinSet<()>,
}

impl Feed {
    pub(super) fn begin(engine: &Engine, of: (SandboxId, ExecId), reader: ExecReader) -> Self {
        let (sender, items) = mpsc::channel(WAITING_MAX);
        let (mut reading, engine) = (JoinSet::new(), engine.clone());
        reading.spawn(async move {
            let Ok(end) = read(&engine, of, reader, &sender).await else {
                // A dead receiver: the server leaves.
                return;
            };
            if matches!(end, Item::Lost) {
                has_ended(&engine, of.0).await;
            }
            drop(sender.send(end).await);
        });
        Self { items, _reading: reading }
    }

    /// Waits for what comes next; after the end, for ever [`Item::Lost`]. Safe to cancel.
    pub(super) async fn next(&mut self) -> Item {
        self.items.recv().await.unwrap_or(Item::Lost)
    }
}

/// Waits until the sandbox is seen to have ended: what is lost of one that runs may only not be heard for a moment.
async fn has_ended(engine: &Engine, sandbox: SandboxId) {
    let Ok(handle) = engine.inner.actor(sandbox) else { return };
    let mut published = handle.published;
    let ended = published
        .wait_for(|row| !matches!(row.state, SandboxState::Running | SandboxState::Paused));
    // Late, or gone: then it is believed.
    drop(tokio::time::timeout(END_PATIENCE, ended).await);
}

/// Hands over what comes, and returns the end.
async fn read(
    engine: &Engine,
    (sandbox, exec): (SandboxId, ExecId),
    mut reader: ExecReader,
    to: &mpsc::Sender<Item>,
) -> Result<Item, mpsc::error::SendError<Item>> {
    let (mut offset, mut attaches) = (0, 0);
    loop {
        let item = match reader.next().await {
            Ok(Some(ExecItem::Stdout { bytes, next_offset })) => Item::Stdout(bytes, next_offset),
            Ok(Some(ExecItem::Stderr { bytes, next_offset })) => Item::Stderr(bytes, next_offset),
            Ok(Some(ExecItem::Gap { next_offset })) => Item::Gap(next_offset),
            // Said of processes of the app alone.
            Ok(Some(ExecItem::Note { .. })) => continue,
            Ok(Some(ExecItem::End { end, .. })) => return Ok(Item::End(end)),
            Ok(Some(ExecItem::Lost) | None) => return Ok(Item::Lost),
            Err(_broken) if attaches < ATTACHES_MAX => {
                attaches += 1;
                tokio::time::sleep(AGAIN).await;
                match engine.exec_attach(sandbox, exec, offset).await {
                    Ok(session) => reader = session.reader,
                    Err(_gone) => return Ok(Item::Lost),
                }
                continue;
            }
            Err(_broken) => return Ok(Item::Lost),
        };
        if let Item::Stdout(_, next) | Item::Stderr(_, next) | Item::Gap(next) = &item {
            offset = *next;
        }
        to.send(item).await?;
    }
}
