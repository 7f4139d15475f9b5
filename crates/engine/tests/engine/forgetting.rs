//! What an approve replaced: out of the source as soon as the approve is recorded, left where somebody wrote to it.

use std::{
    io::Write,
    os::{fd::AsRawFd, unix::fs::MetadataExt},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sandbar_engine::{
    Applier, ApplierFds, ApproveParams, Changes, Engine, EventPayload, InProcessApplier,
    Resolutions,
};
use sandbar_runtime::spawn::WorkerError;
use sandbar_types::{ChangeFlag, Confirmed, Entry, SandboxId, Selection, Sha256, WorkspacePath};
use sandbar_workspace::{
    Approved,
    applier::{Reply, Request},
    apply::{Applied, ApplyError},
    entry::HostStamp,
    journal::State,
};
use sha2::Digest;

use crate::support::{House, create, events};

const DRAIN: Duration = Duration::from_secs(5);

/// Applies, with something of the host's in between.
#[derive(Default)]
struct Meddling {
    /// Whether it dies when it is asked to forget.
    dies_at_forget: AtomicBool,
    /// Written to after what it is open on was replaced.
    late: Mutex<Option<std::fs::File>>,
    /// Ends as an approve does whose disk failed at its last step: this file was moved away and back.
    takes_back: Mutex<Option<WorkspacePath>>,
}

impl std::fmt::Debug for Meddling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meddling")
    }
}

#[async_trait::async_trait]
impl Applier for Meddling {
    async fn run(&self, fds: ApplierFds, request: Request) -> Result<Reply, WorkerError> {
        if request == Request::Forget && self.dies_at_forget.load(Ordering::Relaxed) {
            return Err(WorkerError::Failed { stderr: "killed".to_owned() });
        }
        if let Some(path) = self.takes_back.lock().unwrap().take() {
            return Ok(take_back(&fds, path));
        }
        let reply = InProcessApplier.run(fds, request).await?;
        if let Some(mut file) = self.late.lock().unwrap().take() {
            file.write_all(b"a late line\n").unwrap();
        }
        Ok(reply)
    }
}

/// Leaves what an approve leaves that could not be carried out to its end.
fn take_back(fds: &ApplierFds, path: WorkspacePath) -> Reply {
    let file = format!("/proc/self/fd/{}/{path}", fds.source.as_raw_fd());
    std::fs::rename(&file, format!("{file}.away")).unwrap();
    std::fs::rename(format!("{file}.away"), &file).unwrap();
    let now = std::fs::metadata(&file).unwrap();
    let content = std::fs::read(&file).unwrap();
    let entry = Some(Entry::File {
        size: now.len(),
        mode: now.mode() & 0o7777,
        sha256: Sha256(sha2::Sha256::digest(content).into()),
    });
    let host =
        HostStamp { ino: now.ino(), ctime_ns: now.ctime() * 1_000_000_000 + now.ctime_nsec() };
    let base = Approved { entry: entry.clone(), host: Some(host) };
    let restored = vec![Applied { path, before: None, entry, base }];
    let state = State::Aborted { kept: Vec::new(), restored };
    let journal = format!("/proc/self/fd/{}/state.json", fds.journal.as_raw_fd());
    std::fs::write(journal, serde_json::to_vec(&state).unwrap()).unwrap();
    let source = std::io::Error::other("the disk failed");
    let step = "execute.sync".to_owned();
    Reply::Failed { error: ApplyError::Step { step, path: None, kept: Vec::new(), source } }
}

fn all(changes: &Changes) -> ApproveParams {
    ApproveParams {
        diff_id: changes.set.diff_id,
        selection: Selection::All,
        confirm: Confirmed::default(),
        resolutions: Resolutions::default(),
        generation: None,
        commit: None,
    }
}

async fn meddled(house: &House) -> (Engine, Arc<Meddling>) {
    let applier = Arc::new(Meddling::default());
    let mut config = house.config();
    config.applier = Arc::clone(&applier) as Arc<dyn Applier>;
    (Engine::start(config).await.unwrap(), applier)
}

async fn changed(house: &House, engine: &Engine) -> SandboxId {
    let id = create(engine, house.spec()).await.unwrap().id;
    let dir = house.sandbox_dir(id);
    house.host.write(&dir, "a", b"new\n").unwrap();
    house.host.write(&dir, "b", b"newer\n").unwrap();
    id
}

/// Names in the source that are nobody's but ours.
fn stages(house: &House) -> usize {
    let names = std::fs::read_dir(house.source()).unwrap();
    names.filter(|n| n.as_ref().unwrap().file_name().to_string_lossy().starts_with('.')).count()
}

fn journals(house: &House) -> usize {
    std::fs::read_dir(house.dir.path().join("data/journal")).unwrap().count()
}

#[tokio::test]
async fn an_approve_leaves_nothing_of_ours_in_the_source() {
    let house = House::new();
    let engine = house.engine().await;
    let id = changed(&house, &engine).await;
    engine.approve(id, all(&engine.changes(id).await.unwrap())).await.unwrap();
    assert_eq!((stages(&house), journals(&house)), (0, 1), "the journal is for an undo");
    assert!(engine.changes(id).await.unwrap().set.changes.is_empty());
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn a_crash_before_the_stage_is_dropped_is_made_good_at_the_next_start() {
    let house = House::new();
    let (engine, applier) = meddled(&house).await;
    applier.dies_at_forget.store(true, Ordering::Relaxed);
    let id = changed(&house, &engine).await;
    let seen = engine.changes(id).await.unwrap();
    let approved = engine.approve(id, all(&seen)).await.expect("the approve itself is recorded");
    assert_eq!((stages(&house), journals(&house)), (1, 1));
    engine.drain(DRAIN).await;
    drop(engine);
    let engine = house.engine().await;
    assert_eq!((stages(&house), journals(&house)), (0, 1));
    assert_eq!(engine.approve(id, all(&seen)).await.unwrap(), approved);
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn what_was_written_late_is_kept_and_said_so() {
    let house = House::new();
    let (engine, applier) = meddled(&house).await;
    let id = changed(&house, &engine).await;
    let open = std::fs::OpenOptions::new().append(true).open(house.source().join("a")).unwrap();
    *applier.late.lock().unwrap() = Some(open);
    engine.approve(id, all(&engine.changes(id).await.unwrap())).await.unwrap();
    assert_eq!((stages(&house), journals(&house)), (1, 1));
    let kept = |events: Vec<sandbar_engine::Event>| {
        let paths = events.into_iter().filter_map(|event| {
            let EventPayload::ApproveKept { paths, .. } = event.payload else { return None };
            Some(paths)
        });
        paths.flatten().map(|path| path.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(kept(events(&engine, id).await), ["a"]);
    engine.drain(DRAIN).await;
    drop(engine);
    let engine = house.engine().await;
    assert_eq!((stages(&house), journals(&house)), (1, 1), "what is kept outlives the server");
    engine.drain(DRAIN).await;
}

#[tokio::test]
async fn what_an_approve_took_back_is_no_change_by_the_host() {
    let house = House::new();
    let (engine, applier) = meddled(&house).await;
    let id = changed(&house, &engine).await;
    let seen = engine.changes(id).await.unwrap();
    *applier.takes_back.lock().unwrap() = Some(WorkspacePath::parse("a").unwrap());
    assert_eq!(engine.approve(id, all(&seen)).await.unwrap_err().code(), "internal");
    assert_eq!((stages(&house), journals(&house)), (0, 0));
    let again = engine.changes(id).await.unwrap();
    let drifted = again.set.changes.iter().filter(|c| c.flags.contains(&ChangeFlag::BaseDrifted));
    assert_eq!(drifted.map(|c| c.path.to_string()).collect::<Vec<_>>(), [""; 0]);
    engine.approve(id, all(&again)).await.expect("nothing is in the way of trying again");
    engine.drain(DRAIN).await;
}
