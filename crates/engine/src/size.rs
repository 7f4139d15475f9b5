//! What sandboxes hold on disk: measured now and then, and on request.

use std::{fs::File, os::fd::AsFd, path::PathBuf, sync::Arc, time::Duration};

use sandbar_store::checkpoint_list;
use sandbar_types::{SandboxId, SandboxState};
use sandbar_workspace::{SizeLimits, Sizes, sizes};
use tokio::time::Instant;

use crate::{
    Engine, Error, Result, actor::Ordinary, engine::Inner, sandbox::SandboxSize,
    workspace_view::blocking,
};

impl Inner {
    async fn sizes(&self, id: SandboxId) -> Result<Sizes> {
        measure(self.layout.sandbox(id).0.join("upper")).await
    }

    /// What is written below the home directory inside; it counts as the upper layer does.
    async fn home_bytes(&self, id: SandboxId) -> u64 {
        let home = self.layout.sandbox(id).0.join("home");
        // One that is not there holds nothing.
        measure(home).await.map_or(0, |found| found.bytes)
    }

    async fn logs_bytes(&self, id: SandboxId) -> u64 {
        let logs = self.layout.sandbox(id).0.join("logs");
        let summed = blocking(move || {
            use std::os::unix::fs::MetadataExt;
            let entries = std::fs::read_dir(logs)?;
            // Blocks, not length: a log that dropped its oldest records has a hole there.
            let bytes =
                entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.blocks() * 512));
            std::io::Result::Ok(bytes.sum())
        });
        // No directory holds no bytes.
        summed.await.ok().and_then(std::io::Result::ok).unwrap_or(0)
    }
}

/// Measures a layer.
pub(crate) async fn measure(layer: PathBuf) -> Result<Sizes> {
    let measured = blocking(move || {
        // Our own directory; what is below it is walked by descriptors, and no link is followed.
        sizes(File::open(layer)?.as_fd(), &SizeLimits::default())
    });
    measured.await?.map_err(Error::internal)
}

/// Measures what runs, one after the other, until the server leaves.
pub(crate) async fn measure_all(inner: Arc<Inner>) {
    let mut settings = inner.settings.subscribe();
    let mut before = Instant::now();
    // LIMIT: a twentieth of the time at the most, however large the layers are.
    let mut pause = Duration::ZERO;
    loop {
        let due = before + pause.max(settings.borrow_and_update().size_interval);
        tokio::select! {
            () = inner.leaving.cancelled() => return,
            // The interval may be another one now.
            _changed = settings.changed() => continue,
            () = tokio::time::sleep_until(due) => {}
        }
        let begun = Instant::now();
        let handles: Vec<_> =
            inner.actors().iter().map(|(&id, handle)| (id, handle.clone())).collect();
        for (id, handle) in handles {
            if inner.leaving.is_cancelled() {
                return;
            }
            if handle.row().state != SandboxState::Running {
                continue;
            }
            match inner.sizes(id).await {
                Ok(found) => {
                    let measured = Ordinary::Measured {
                        upper_bytes: found.bytes,
                        upper_files: found.files,
                        home_bytes: inner.home_bytes(id).await,
                    };
                    // A full mailbox: measured again soon.
                    drop(handle.send(measured));
                }
                Err(err) => {
                    tracing::debug!(sandbox.id = %id, error = &err as &dyn std::error::Error, "an upper layer could not be measured");
                }
            }
        }
        let free_bytes = crate::upkeep::free_bytes(&inner).await.ok();
        let is_short = free_bytes.is_some_and(|free| free < inner.settings().free_bytes_low);
        pause = rest(inner.settings().size_interval, begun.elapsed(), is_short);
        before = Instant::now();
    }
}

/// How long nothing is measured after it took `took`.
///
/// LIMIT: a twentieth of the time at the most, however large the layers are; a quarter of it while the disk is short,
/// when what somebody writes is everybody's trouble soon.
fn rest(interval: Duration, took: Duration, is_short: bool) -> Duration {
    if is_short { (interval / 3).max(took * 4) } else { interval.max(took * 20) }
}

impl Engine {
    /// What is on disk of it, measured now.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn sandbox_size(&self, id: SandboxId) -> Result<SandboxSize> {
        self.inner.actor(id)?;
        let found = self.inner.sizes(id).await?;
        let (home_bytes, logs_bytes) =
            (self.inner.home_bytes(id).await, self.inner.logs_bytes(id).await);
        let (upper_bytes, upper_files) = (found.bytes, found.files);
        let kept = checkpoint_list(&mut self.inner.store.read().await?, id).await?;
        let checkpoints_bytes = kept.iter().map(|row| row.bytes).sum();
        Ok(SandboxSize { upper_bytes, upper_files, home_bytes, logs_bytes, checkpoints_bytes })
    }

    /// What is large in it: files, and directories that builds make.
    ///
    /// # Errors
    /// `sandbox_not_found`.
    pub async fn sandbox_du(&self, id: SandboxId) -> Result<Sizes> {
        self.inner.actor(id)?;
        self.inner.sizes(id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_is_measured_seldom_and_less_so_while_the_disk_is_short() {
        let second = Duration::from_secs(1);
        assert_eq!(rest(3 * second, second / 100, false), 3 * second);
        assert_eq!(rest(3 * second, second, false), 20 * second);
        assert_eq!(rest(3 * second, second / 100, true), second);
        assert_eq!(rest(3 * second, second, true), 4 * second);
    }
}
