//! Whether the server can take work: what it needs is looked at, each with a deadline.

use std::{io, path::Path, sync::Arc, time::Duration};

use sandbar_api::ReadyCheck;
use sandbar_engine::{Engine, Verdict};

use crate::state::AppState;

/// LIMIT: how long the store may take to answer, and the file system to say what is free.
const DEADLINE: Duration = Duration::from_secs(2);
/// LIMIT: free bytes of the data directory below which no work is taken: logs and the store need some to end what runs.
const FREE_BYTES_MIN: u64 = 32 << 20;

/// Looks at everything, at once.
pub(crate) async fn checks(state: &AppState) -> Vec<ReadyCheck> {
    let engine = &state.engine;
    let (store, free) = tokio::join!(store(engine), free_bytes(Arc::clone(&state.data_dir)));
    vec![
        check(
            "engine",
            engine.is_ready(),
            "the store and the host are compared",
            "not yet, or it leaves",
        ),
        check("server", !state.stop.is_cancelled(), "it takes requests", "the server is draining"),
        store,
        disk(free),
        runtime(engine.doctor_verdict()),
    ]
}

fn check(name: &str, is_ok: bool, good: &str, bad: &str) -> ReadyCheck {
    let message = if is_ok { good } else { bad };
    ReadyCheck { name: name.to_owned(), is_ok, message: Some(message.to_owned()) }
}

async fn store(engine: &Engine) -> ReadyCheck {
    let answered = tokio::time::timeout(DEADLINE, engine.store_ping()).await;
    // Why is for the log of who runs the server: a probe may be anybody's who can read.
    if let Ok(Err(error)) = &answered {
        tracing::warn!(error = error as &dyn std::error::Error, "the store does not answer");
    }
    let is_ok = matches!(answered, Ok(Ok(())));
    check("store", is_ok, "the store answers", "the store does not answer")
}

/// What is free on the file system of the data directory; `None` where it does not say in time.
pub(crate) async fn free_bytes(data_dir: Arc<Path>) -> Option<u64> {
    let looked = tokio::task::spawn_blocking(move || {
        let seen = rustix::fs::statvfs(&*data_dir).map_err(io::Error::from)?;
        io::Result::Ok(seen.f_bavail.saturating_mul(seen.f_frsize))
    });
    tokio::time::timeout(DEADLINE, looked).await.ok()?.ok()?.ok()
}

fn disk(free: Option<u64>) -> ReadyCheck {
    let (is_ok, message) = match free {
        None => (false, "the file system of the data directory does not answer".to_owned()),
        Some(bytes) => (
            bytes >= FREE_BYTES_MIN,
            format!("{} MiB are free, {} are needed", bytes >> 20, FREE_BYTES_MIN >> 20),
        ),
    };
    ReadyCheck { name: "disk".to_owned(), is_ok, message: Some(message) }
}

fn runtime(verdict: Option<Verdict>) -> ReadyCheck {
    let (is_ok, message) = match verdict {
        None => (true, "nobody has asked `sandbar doctor` yet"),
        Some(Verdict::Ok) => (true, "the host has everything"),
        Some(Verdict::Degraded) => {
            (true, "sandboxes are weaker or slower; `sandbar doctor` says why")
        }
        Some(Verdict::Missing) => (false, "no sandbox can be made; `sandbar doctor` says why"),
    };
    ReadyCheck { name: "runtime".to_owned(), is_ok, message: Some(message.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_and_one_that_hangs_are_not_ready() {
        assert!(disk(Some(FREE_BYTES_MIN)).is_ok);
        let full = disk(Some(FREE_BYTES_MIN - 1));
        assert!(!full.is_ok);
        assert_eq!(full.message.as_deref(), Some("31 MiB are free, 32 are needed"));
        assert!(!disk(None).is_ok);
    }

    #[test]
    fn only_a_host_that_can_make_no_sandbox_is_not_ready() {
        let verdicts = [None, Some(Verdict::Ok), Some(Verdict::Degraded), Some(Verdict::Missing)];
        assert_eq!(verdicts.map(|verdict| runtime(verdict).is_ok), [true, true, true, false]);
    }

    #[tokio::test]
    async fn free_space_is_that_of_the_directory() {
        let here: Arc<Path> = Path::new("/").into();
        assert!(free_bytes(here).await.is_some());
        let nowhere: Arc<Path> = Path::new("/nowhere/at/all").into();
        assert_eq!(free_bytes(nowhere).await, None);
    }
}
