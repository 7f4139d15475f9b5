//! The build itself: one exec in a copy, with everything that ends it.

use std::{path::Path, time::Duration};

use sandbar_manifest::{BUILD_COMMAND, BUILD_TIMEOUT_MS};
use sandbar_runtime::client::{Body, ExecStream, LogReader};
use sandbar_types::{BuildCheck, ExecEnd, ExecId, ExecSpec, ExitStatus};
use tokio::time::Instant;

use super::{super::log, fork::Fork};
use crate::{Error, Result, exec, network, size, workspace_view::blocking};

/// LIMIT: lines of the output that are told.
const LINES_MAX: usize = 200;
/// LIMIT: bytes of them, all together.
const LINES_BYTES_MAX: usize = 64 << 10;
/// How much later than its time a build may be seen to end: its supervisor kills it, and who waits for that one waits
/// no longer than this.
const END_PATIENCE: Duration = Duration::from_secs(15);

/// What is run, and how long it may take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Build {
    command: String,
    timeout_ms: u64,
}

/// How a build ended, and what it wrote last.
#[derive(Debug)]
pub(super) struct Built {
    /// `None`: nobody saw it.
    pub(super) end: Option<ExecEnd>,
    pub(super) is_out_of_memory: bool,
    pub(super) is_out_of_disk: bool,
    pub(super) lines: Vec<String>,
    pub(super) is_truncated: bool,
}

/// Why a build that runs does so no longer.
enum Ended {
    Seen(ExecEnd),
    Unseen,
    Late,
    DiskFull,
}

impl Build {
    /// What a manifest wants built; `None`: nothing.
    pub(super) fn of(check: &BuildCheck) -> Option<Self> {
        match check {
            BuildCheck::Default => {
                let command = BUILD_COMMAND.to_owned();
                Some(Self { command, timeout_ms: BUILD_TIMEOUT_MS })
            }
            BuildCheck::Skipped => None,
            BuildCheck::Command { command, timeout_ms } => {
                Some(Self { command: command.clone(), timeout_ms: *timeout_ms })
            }
        }
    }

    fn exec(&self) -> ExecSpec {
        ExecSpec {
            // As the processes of the app are run.
            argv: ["bash", "-lc", &self.command].map(str::to_owned).to_vec(),
            env: std::collections::BTreeMap::new(),
            cwd: None,
            terminal: None,
            stdin: false,
            timeout_ms: Some(self.timeout_ms),
        }
    }
}

/// Runs `build` to its end. What it started and left running ends with the copy.
pub(super) async fn run(fork: &Fork, build: &Build) -> Result<Built> {
    let inner = &fork.inner;
    let id = ExecId::generate();
    let log = inner.layout.fork_log_create(fork.id, id).map_err(Error::internal)?;
    let runtime = &inner.config.runtime;
    let opened = runtime.exec(&fork.dir, id, &build.exec(), log.into()).await;
    let stream = opened.map_err(exec::refusal)?;
    let deadline = Instant::now() + Duration::from_millis(build.timeout_ms) + END_PATIENCE;
    let ended = tokio::select! {
        ended = until_end(stream) => ended,
        () = tokio::time::sleep_until(deadline) => Ended::Late,
        () = disk_full(fork) => Ended::DiskFull,
        never = way_out(fork) => match never {},
    };
    let (end, is_out_of_disk) = match ended {
        Ended::Seen(end) => (Some(end), false),
        Ended::Unseen => (None, false),
        Ended::Late => {
            let status = ExitStatus::TimedOut;
            (Some(ExecEnd { status, oom_killed: false, dropped_bytes: 0 }), false)
        }
        Ended::DiskFull => (None, true),
    };
    // The copy was made for this build alone, so whoever was killed was of it.
    let kills = runtime.usage(&fork.dir, fork.id).await.ok().and_then(|usage| usage.oom_kills);
    let path = inner.layout.fork_log(fork.id, id);
    let tail = blocking(move || tail(&path)).await??;
    let (lines, is_cut) = last(tail.lines.into_iter().map(|line| line.text).collect());
    let is_dropped = end.is_some_and(|end| end.dropped_bytes > 0);
    Ok(Built {
        end,
        is_out_of_memory: kills.is_some_and(|kills| kills > 0),
        is_out_of_disk,
        lines,
        is_truncated: tail.is_truncated || is_cut || is_dropped,
    })
}

/// Reads what the build writes, which its log keeps, and waits for its end.
async fn until_end(mut stream: ExecStream) -> Ended {
    loop {
        match stream.next().await {
            Ok(Some(record)) => match record.body {
                Body::End(end) => return Ended::Seen(end),
                Body::Output { .. } | Body::Gap | Body::Note(_) => {}
            },
            // Its supervisor is gone, and it with it.
            Ok(None) | Err(_) => return Ended::Unseen,
        }
    }
}

/// Returns when the copy holds more than a sandbox may.
async fn disk_full(fork: &Fork) {
    let interval = fork.inner.settings().size_interval;
    let mut pause = interval;
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        let mut bytes = 0;
        for layer in ["upper", "home"] {
            // What cannot be measured now is measured again.
            bytes += size::measure(fork.dir.0.join(layer)).await.map_or(0, |found| found.bytes);
        }
        if bytes >= fork.disk_bytes_max {
            return;
        }
        // LIMIT: a twentieth of the time at the most, however much was written.
        pause = interval.max(begun.elapsed() * 20);
    }
}

/// Serves the way out of the copy: that of its sandbox, whose history tells of what was refused.
async fn way_out(fork: &Fork) -> std::convert::Infallible {
    if let Ok(handle) = fork.inner.actor(fork.of)
        && let Err(err) =
            network::serve(&fork.inner, &handle, &fork.dir, std::future::pending()).await
    {
        tracing::warn!(sandbox.id = %fork.of, error = %err, "a check has no way out");
    }
    std::future::pending().await
}

fn tail(path: &Path) -> Result<log::LogTail> {
    let file = std::fs::File::open(path).map_err(Error::internal)?;
    match LogReader::open(file, 0) {
        Ok(reader) => log::tail(reader, LINES_MAX),
        // Nothing was ever written.
        Err(err) if err.kind() == std::io::ErrorKind::InvalidData => Ok(log::LogTail::default()),
        Err(err) => Err(Error::internal(err)),
    }
}

/// As many of the last lines as may be told, and whether some were left out.
fn last(mut lines: Vec<String>) -> (Vec<String>, bool) {
    let mut room = LINES_BYTES_MAX;
    let fits = |line: &&String| match room.checked_sub(line.len() + 1) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    let kept = lines.iter().rev().take_while(fits).count();
    let cut = lines.len() - kept;
    (lines.split_off(cut), cut > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_unset_empty_and_set_are_three_builds() {
        let default = Build { command: BUILD_COMMAND.to_owned(), timeout_ms: BUILD_TIMEOUT_MS };
        assert_eq!(Build::of(&BuildCheck::Default), Some(default));
        assert_eq!(Build::of(&BuildCheck::Skipped), None);
        let command = "make".to_owned();
        let set = BuildCheck::Command { command: command.clone(), timeout_ms: 7 };
        assert_eq!(Build::of(&set), Some(Build { command, timeout_ms: 7 }));
    }

    #[test]
    fn of_a_flood_the_end_is_kept() {
        let few: Vec<String> = ["a", "b"].map(str::to_owned).to_vec();
        assert_eq!(last(few.clone()), (few, false));
        let long = "x".repeat(LINES_BYTES_MAX / 2);
        let (kept, is_cut) = last(vec![long.clone(), long.clone(), "end".to_owned()]);
        assert_eq!((kept, is_cut), (vec![long, "end".to_owned()], true));
        assert_eq!(last(vec!["x".repeat(LINES_BYTES_MAX)]), (Vec::new(), true));
    }
}
