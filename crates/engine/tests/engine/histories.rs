//! Any history of edits in the sandbox, edits on the host, approves, rejects and crashes ends with every byte where a
//! model says.
//!
//! A file is six places, far enough apart to be hunks of their own. The model knows, place by place, what the host has,
//! what the sandbox has and what both had in common when that was last known; it knows nothing of lines or hashes.
//! `SANDBAR_HISTORIES` says how many histories; the full count and its result are in `docs/testing.md`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

use proptest::prelude::*;
use sandbar_engine::{
    Applier, ApplierFds, ApproveParams, Engine, ErrorKind, InProcessApplier, RejectParams,
    Resolutions,
};
use sandbar_runtime::spawn::WorkerError;
use sandbar_types::{
    Confirmed, HunkLine, HunkPick, Part, SandboxId, Selection, Side, WorkspacePath,
};
use sandbar_workspace::applier::{Reply, Request};

use crate::support::{House, create};

const PLACES: usize = 6;
const FILES: usize = 2;
/// Lines between two places: more than twice the context of a hunk, so that no two are one.
const APART: usize = 9;

type Values = [u8; PLACES];

/// The text of a file: a line for each place that holds its value, and lines around it that never change.
fn text(file: usize, values: &Values) -> String {
    let place = |(at, value): (usize, &u8)| {
        let around: String = (0..APART).map(|line| format!("{file} {at} {line}\n")).collect();
        format!("{around}place {at} has {value}\n")
    };
    values.iter().enumerate().map(place).collect()
}

#[derive(Debug, Clone)]
enum Step {
    /// The agent writes a value to a place.
    Inside(usize, usize, u8),
    /// The person writes one in their own tree.
    Host(usize, usize, u8),
    /// Approves a file, or one place of it.
    Approve(usize, Option<usize>, Option<Side>, Crash),
    /// Rejects a file, or one place of it.
    Reject(usize, Option<usize>),
    /// The server is killed and started again.
    Restart,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    None,
    /// The applier dies before it did anything.
    Before,
    /// It dies when it is done, before anybody hears of it.
    After,
}

fn step() -> impl Strategy<Value = Step> {
    let file = 0..FILES;
    let place = 0..PLACES;
    let value = 1..4_u8;
    let some_place = prop_oneof![2 => Just(None), 3 => (0..PLACES).prop_map(Some)];
    let side =
        prop_oneof![4 => Just(None), 1 => Just(Some(Side::Ours)), 1 => Just(Some(Side::Theirs))];
    let crash =
        prop_oneof![6 => Just(Crash::None), 1 => Just(Crash::Before), 1 => Just(Crash::After)];
    prop_oneof![
        5 => (file.clone(), place.clone(), value.clone()).prop_map(|(f, p, v)| Step::Inside(f, p, v)),
        3 => (file.clone(), place, value).prop_map(|(f, p, v)| Step::Host(f, p, v)),
        4 => (file.clone(), some_place.clone(), side, crash)
            .prop_map(|(f, p, side, crash)| Step::Approve(f, p, side, crash)),
        2 => (file, some_place).prop_map(|(f, p)| Step::Reject(f, p)),
        1 => Just(Step::Restart),
    ]
}

/// One file, as it must be.
#[derive(Debug, Clone)]
struct Model {
    host: Values,
    inside: Values,
    /// What both had in common when it was last decided about.
    base: Option<Values>,
    /// The host wrote the file since then.
    is_drifted: bool,
    /// The sandbox has a copy of its own.
    is_copied: bool,
}

impl Model {
    fn new() -> Self {
        let zero = [0; PLACES];
        Self { host: zero, inside: zero, base: None, is_drifted: false, is_copied: false }
    }

    fn has_change(&self) -> bool {
        self.is_copied && self.inside != self.host && self.base != Some(self.inside)
    }

    /// What the sandbox has once it is up to date with the host; `None` where a person has to decide.
    fn merge(&self, side: Option<Side>) -> Option<Values> {
        if !self.is_drifted {
            return Some(self.inside);
        }
        let Some(base) = self.base else {
            return Some(match side? {
                Side::Ours => self.host,
                Side::Theirs => self.inside,
            });
        };
        let mut merged = self.host;
        for at in 0..PLACES {
            let (base, host, inside) = (base[at], self.host[at], self.inside[at]);
            if inside != base {
                let is_conflict = host != base && host != inside;
                merged[at] = match (is_conflict, side) {
                    (true, None) => return None,
                    (true, Some(Side::Ours)) => host,
                    (true, Some(Side::Theirs)) | (false, _) => inside,
                };
            }
        }
        Some(merged)
    }

    /// The sandbox is up to date, so that what the host has is what both have in common.
    fn rebase(&mut self, merged: Values) {
        if self.is_drifted {
            self.inside = merged;
            self.base = Some(self.host);
            self.is_drifted = false;
        }
    }

    fn approve(&mut self, place: Option<usize>) {
        match place {
            None => self.host = self.inside,
            Some(at) => self.host[at] = self.inside[at],
        }
        self.base = Some(self.host);
    }

    fn reject(&mut self, place: Option<usize>) {
        match place {
            None => self.inside = self.host,
            Some(at) => self.inside[at] = self.host[at],
        }
    }
}

/// Dies when it is told to.
#[derive(Debug, Default)]
struct Mortal(AtomicU8);

#[async_trait::async_trait]
impl Applier for Mortal {
    async fn run(&self, fds: ApplierFds, request: Request) -> Result<Reply, WorkerError> {
        let killed = || Err(WorkerError::Failed { stderr: "killed".to_owned() });
        match (&request, self.0.swap(0, Ordering::Relaxed)) {
            (Request::Apply { .. }, 1) => killed(),
            (Request::Apply { .. }, 2) => {
                InProcessApplier.run(fds, request).await?;
                killed()
            }
            (
                Request::Apply { .. } | Request::Undo { .. } | Request::Recover | Request::Forget,
                _,
            ) => InProcessApplier.run(fds, request).await,
        }
    }
}

struct World {
    house: House,
    applier: Arc<Mortal>,
    engine: Option<Engine>,
    id: SandboxId,
    files: Vec<Model>,
}

fn name(file: usize) -> WorkspacePath {
    WorkspacePath::parse(format!("f{file}")).unwrap()
}

impl World {
    async fn new() -> Self {
        let house = House::in_memory();
        for file in 0..FILES {
            let path = house.source().join(format!("f{file}"));
            std::fs::write(path, text(file, &[0; PLACES])).unwrap();
        }
        let applier = Arc::new(Mortal::default());
        let engine = start(&house, &applier).await;
        let id = create(&engine, house.spec()).await.unwrap().id;
        later_than_now(&house);
        let files = vec![Model::new(); FILES];
        Self { house, applier, engine: Some(engine), id, files }
    }

    fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    async fn restart(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.drain(Duration::from_secs(5)).await;
        }
        self.engine = Some(start(&self.house, &self.applier).await);
    }

    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Inside(file, place, value) => {
                let model = &mut self.files[file];
                if !model.is_copied {
                    // The first write copies what the host has then.
                    (model.is_copied, model.inside) = (true, model.host);
                }
                model.inside[place] = value;
                let text = text(file, &model.inside);
                let dir = self.house.sandbox_dir(self.id);
                self.house.host.write(&dir, &format!("f{file}"), text.as_bytes()).unwrap();
            }
            Step::Host(file, place, value) => {
                let model = &mut self.files[file];
                model.host[place] = value;
                model.is_drifted = true;
                let path = self.house.source().join(format!("f{file}"));
                std::fs::write(path, text(file, &model.host)).unwrap();
            }
            Step::Approve(file, place, side, crash) => {
                self.approve(file, place, side, crash).await?;
            }
            Step::Reject(file, place) => self.reject(file, place).await?,
            Step::Restart => self.restart().await,
        }
        Ok(())
    }

    /// The hunk of a place, if the place has one.
    async fn pick(&mut self, file: usize, place: usize) -> Option<HunkPick> {
        let seen = self.engine().hunks(self.id, name(file)).await.ok()?;
        let model = &mut self.files[file];
        if model.has_change() && !model.is_drifted {
            // What was looked at is what both had in common, until the host goes on.
            model.base.get_or_insert(model.host);
        }
        let of_place = format!("place {place} has");
        let is_it = |line: &HunkLine| match line {
            HunkLine::Added(text) | HunkLine::Removed(text) => {
                text.0.starts_with(of_place.as_bytes())
            }
            HunkLine::Context(_) => false,
        };
        let hunk = seen.hunks.into_iter().find(|hunk| hunk.lines.iter().any(is_it))?;
        Some(HunkPick { id: hunk.id, lines: None })
    }

    async fn selection(&mut self, file: usize, place: Option<usize>) -> Option<Selection> {
        let hunks = match place {
            None => Vec::new(),
            Some(place) => vec![self.pick(file, place).await?],
        };
        Some(Selection::Parts(vec![Part { path: name(file), hunks }]))
    }

    async fn approve(
        &mut self,
        file: usize,
        place: Option<usize>,
        side: Option<Side>,
        crash: Crash,
    ) -> Result<(), TestCaseError> {
        let seen = self.engine().changes(self.id).await.unwrap();
        let has_change = seen.set.changes.iter().any(|change| change.path == name(file));
        prop_assert_eq!(has_change, self.files[file].has_change(), "{:?}", self.files[file]);
        let Some(selection) = self.selection(file, place).await.filter(|_| has_change) else {
            return Ok(());
        };
        let params = ApproveParams {
            diff_id: seen.set.diff_id,
            selection,
            confirm: Confirmed::default(),
            resolutions: Resolutions { paths: Vec::new(), otherwise: side },
            commit: None,
            generation: None,
        };
        let dies = match crash {
            Crash::None => 0,
            Crash::Before => 1,
            Crash::After => 2,
        };
        self.applier.0.store(dies, Ordering::Relaxed);
        let approved = self.engine().approve(self.id, params).await;
        self.applier.0.store(0, Ordering::Relaxed);
        let model = &mut self.files[file];
        let merged = model.merge(side);
        match approved {
            Ok(_) => {
                prop_assert!(merged.is_some(), "{model:?}");
                model.rebase(merged.unwrap());
                model.approve(place);
            }
            Err(err) if err.kind() == ErrorKind::Internal && crash != Crash::None => {
                prop_assert!(merged.is_some(), "{model:?}");
                model.rebase(merged.unwrap());
                if crash == Crash::After {
                    model.approve(place);
                }
                self.restart().await;
            }
            // With a side for conflicts, a place may have no edit left that could be picked.
            Err(err) if err.code() == "hunk_not_found" || err.code() == "change_not_found" => {
                prop_assert!(place.is_some() && side.is_some(), "{err:?} {model:?}");
            }
            Err(err) => {
                prop_assert_eq!(err.code(), "review_conflict", "{:?}", model);
                prop_assert!(merged.is_none(), "{err:?} {model:?}");
            }
        }
        Ok(())
    }

    async fn reject(&mut self, file: usize, place: Option<usize>) -> Result<(), TestCaseError> {
        if !self.files[file].has_change() {
            return Ok(());
        }
        let Some(selection) = self.selection(file, place).await else {
            return Ok(());
        };
        let params = RejectParams { diff_id: None, selection, reason: None, generation: None };
        let rejected = self.engine().reject(self.id, params).await;
        let model = &mut self.files[file];
        match (place, rejected) {
            (None, Ok(_)) => model.reject(None),
            (Some(_), Ok(_)) => {
                let merged = model.merge(None);
                prop_assert!(merged.is_some(), "{model:?}");
                model.rebase(merged.unwrap());
                model.reject(place);
            }
            (_, Err(err)) => {
                prop_assert_eq!(err.code(), "review_conflict", "{:?}", model);
                prop_assert!(place.is_some() && model.merge(None).is_none(), "{model:?}");
            }
        }
        Ok(())
    }

    /// Every byte is where the model says.
    fn check(&self) -> Result<(), TestCaseError> {
        for (file, model) in self.files.iter().enumerate() {
            let name = format!("f{file}");
            let host = std::fs::read_to_string(self.house.source().join(&name)).unwrap();
            prop_assert_eq!(host, text(file, &model.host), "the host's f{}", file);
            if model.is_copied {
                let inside = self.house.sandbox_dir(self.id).0.join("merged").join(&name);
                let inside = std::fs::read_to_string(inside).unwrap();
                prop_assert_eq!(inside, text(file, &model.inside), "the sandbox's f{}", file);
            }
        }
        let is_ours = |name: &str| name.starts_with(".sandbar");
        let mut left = std::fs::read_dir(self.house.source()).unwrap();
        let left =
            left.find(|entry| entry.as_ref().unwrap().file_name().to_str().is_some_and(is_ours));
        prop_assert!(left.is_none(), "{left:?}");
        Ok(())
    }
}

async fn start(house: &House, applier: &Arc<Mortal>) -> Engine {
    let mut config = house.config();
    config.applier = Arc::clone(applier) as Arc<dyn Applier>;
    Engine::start(config).await.unwrap()
}

/// Waits until a file that is written now is younger than the sandbox: the clock of files ticks slowly.
fn later_than_now(house: &House) {
    let now = std::time::SystemTime::now();
    let probe = house.dir.path().join("probe");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        std::fs::write(&probe, "").unwrap();
        if std::fs::metadata(&probe).unwrap().modified().unwrap() > now {
            return;
        }
        assert!(Instant::now() < deadline, "the clock of files stands still");
        std::thread::yield_now();
    }
}

fn histories() -> u32 {
    std::env::var("SANDBAR_HISTORIES").ok().and_then(|text| text.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: histories(), ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_with_every_byte_where_the_model_says(
        steps in proptest::collection::vec(step(), 1..24)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new().await;
            for step in &steps {
                world.step(step).await?;
                world.check()?;
            }
            world.engine().drain(Duration::from_secs(5)).await;
            Ok::<(), TestCaseError>(())
        })?;
    }
}
