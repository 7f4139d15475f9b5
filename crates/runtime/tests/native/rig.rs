//! A server's data directory, a source, and a runtime over both; what a test leaves behind fails it.

#![expect(clippy::unwrap_used, reason = "what goes wrong here fails the test")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sandbar_protocol::log::Body;
use sandbar_runtime::{
    Caller, LaunchSpec, Launched, Observed, Runtime, SandboxDir, StopOutcome,
    native::{NativeConfig, NativeRuntime},
};
use sandbar_types::{ExecId, ExecSpec, HostPath, Limits, SandboxId, ToolchainPolicy};

pub(crate) struct Rig {
    pub(crate) dir: tempfile::TempDir,
    runtime: Option<NativeRuntime>,
    pub(crate) config: NativeConfig,
}

/// The binary that has the roles, built beside the tests.
pub(crate) fn harness() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    deps.parent().unwrap().parent().unwrap().join("examples/launch_harness")
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with_pool(1)
    }

    pub(crate) fn with_pool(pool_size: usize) -> Self {
        assert!(rustix::process::geteuid().is_root(), "these tests need root");
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("data/sandboxes")).unwrap();
        std::fs::create_dir_all(dir.path().join("shop/src")).unwrap();
        std::fs::write(dir.path().join("shop/readme"), "old").unwrap();
        let id = SandboxId::generate().to_string();
        let config = NativeConfig {
            exe: harness(),
            data_dir: dir.path().join("data"),
            instance: format!("t{}", &id[id.len() - 10..]),
            pool_size,
        };
        let runtime = Some(NativeRuntime::new(config.clone()));
        Self { dir, runtime, config }
    }

    pub(crate) fn runtime(&self) -> &NativeRuntime {
        self.runtime.as_ref().expect("there but for a restart")
    }

    /// The server dies and comes back.
    pub(crate) fn restart(&mut self) {
        self.runtime = None;
        self.runtime = Some(NativeRuntime::new(self.config.clone()));
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.dir.path().join("shop")
    }

    pub(crate) fn spec(&self) -> LaunchSpec {
        let id = SandboxId::generate();
        let source = HostPath::parse(self.source()).unwrap();
        LaunchSpec {
            id,
            nonce: "n1".to_owned(),
            dir: SandboxDir(self.config.data_dir.join("sandboxes").join(id.to_string())),
            source: Some(source.clone()),
            fork_of: None,
            workspace_path: source,
            scope: None,
            limits: Limits::default(),
            env: BTreeMap::new(),
            toolchains: ToolchainPolicy::None,
            caches: None,
            caller: Caller {
                home: HostPath::parse("/home/ada").unwrap(),
                name: "ada".to_owned(),
                path: "/usr/bin:/bin".to_owned(),
            },
            uid_base: None,
            hostname: "shop".to_owned(),
            git_identity: None,
            certificates: None,
        }
    }

    pub(crate) async fn launch(&self, spec: &LaunchSpec) -> Launched {
        self.runtime().launch(spec.clone()).await.unwrap_or_else(|err| panic!("{err:?}"))
    }

    pub(crate) async fn observe(&self, spec: &LaunchSpec) -> Option<Observed> {
        let observed = self.runtime().observe(&[(spec.id, spec.dir.clone())]).await.unwrap();
        observed.get(&spec.id).cloned()
    }

    pub(crate) async fn stop(&self, spec: &LaunchSpec) {
        let outcome = self.runtime().stop(&spec.dir, spec.id, Duration::ZERO).await.unwrap();
        assert_eq!(outcome, StopOutcome::Killed);
    }

    /// The control groups that sandboxes and warm launchers of this rig have.
    pub(crate) fn slots(&self) -> Vec<PathBuf> {
        let groups = self.groups();
        groups
            .iter()
            .flat_map(|group| std::fs::read_dir(group).into_iter().flatten())
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect()
    }

    fn groups(&self) -> Vec<PathBuf> {
        let name = format!("sandbar-{}", self.config.instance);
        let mut groups = Vec::new();
        let mut todo = vec![PathBuf::from("/sys/fs/cgroup")];
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
                if entry.file_name() == name.as_str() {
                    groups.push(entry.path());
                } else if entry.file_type().is_ok_and(|kind| kind.is_dir())
                    && entry.path().components().count() < 9
                {
                    todo.push(entry.path());
                }
            }
        }
        groups
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.runtime = None;
        if std::thread::panicking() {
            // The test has failed already; only its processes must not stay.
            for slot in self.slots() {
                let _killed = std::fs::write(slot.join("cgroup.kill"), "1");
            }
            return;
        }
        // One may just be making its group, until it sees that nobody wants it any more.
        eventually("warm launchers have cleaned up", || {
            self.groups().iter().all(|group| std::fs::remove_dir(group).is_ok())
        });
    }
}

/// Waits for a condition, and says which when it does not come.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

impl Rig {
    /// What a shell inside says to `script`, run as the agent in the workspace.
    pub(crate) async fn shell(&self, spec: &LaunchSpec, script: &str) -> String {
        let id = ExecId::generate();
        let path = spec.dir.0.join("logs").join(id.to_string());
        let log =
            std::fs::OpenOptions::new().create_new(true).read(true).write(true).open(path).unwrap();
        let exec = ExecSpec {
            argv: vec!["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()],
            env: BTreeMap::new(),
            cwd: None,
            terminal: None,
            stdin: false,
            timeout_ms: None,
        };
        let mut stream = self.runtime().exec(&spec.dir, id, &exec, log.into()).await.unwrap();
        let mut said = Vec::new();
        while let Some(record) = stream.next().await.unwrap() {
            if let Body::Output { bytes, .. } = record.body {
                said.extend(bytes);
            }
        }
        String::from_utf8(said).unwrap()
    }
}

/// A field of `/proc/<pid>/status`.
pub(crate) fn status(pid: u32, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}

/// Whether a process is there and not only its exit status.
pub(crate) fn is_alive(pid: u32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with('Z'))
}

pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

/// Mounts of the host, which nothing may ever add to.
pub(crate) fn host_mounts() -> usize {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap().lines().count()
}

pub(crate) fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap()
}
