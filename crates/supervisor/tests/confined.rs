//! The supervisor under everything that the launcher puts around it, spoken to by the server's own client. Needs root.
//!
//! What only the confinement can break belongs here: a system call that the filter refuses, a file that Landlock does,
//! a process that `/proc` hides. How execs behave is tested in `process_one`.
#![expect(
    clippy::tests_outside_test_module,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "an integration test whose harness may fail, and says what it skips"
)]

use std::{collections::BTreeMap, fs::File, path::Path, time::Duration};

use sandbar_runtime::{
    Caller, LaunchSpec, Runtime, SandboxDir, SupervisorClient,
    client::{Body, DialError, ExecStream, Input, LogReader},
    native::{NativeConfig, NativeRuntime},
};
use sandbar_types::{
    AppSpec, BuildCheck, ExecEnd, ExecId, ExecSpec, ExitStatus, HostPath, Limits, Probe,
    ProcessKind, ProcessName, ProcessSpec, ProcessState, ReadyCheck, RestartPolicy, SandboxId,
    StopPolicy, TerminalSize, ToolchainPolicy,
};

struct Confined {
    dir: tempfile::TempDir,
    runtime: NativeRuntime,
    spec: LaunchSpec,
    client: SupervisorClient,
}

impl Confined {
    /// `None`, loudly, where the test cannot run.
    async fn launch() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: needs root for a range of ids");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("data/sandboxes")).unwrap();
        std::fs::create_dir(dir.path().join("shop")).unwrap();
        let id = SandboxId::generate();
        let name = id.to_string();
        let exe = std::env::current_exe().unwrap();
        let runtime = NativeRuntime::new(NativeConfig {
            exe: exe.parent().and_then(Path::parent).unwrap().join("examples/confined"),
            data_dir: dir.path().join("data"),
            instance: format!("c{}", &name[name.len() - 10..]),
            pool_size: 0,
        });
        let source = HostPath::parse(dir.path().join("shop")).unwrap();
        let spec = LaunchSpec {
            id,
            nonce: "n1".to_owned(),
            dir: SandboxDir(dir.path().join("data/sandboxes").join(name)),
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
        };
        runtime.launch(spec.clone()).await.unwrap();
        let client = SupervisorClient::connect(&spec.dir).unwrap();
        Some(Self { dir, runtime, spec, client })
    }

    fn log(&self, id: ExecId) -> File {
        let path = self.dir.path().join(id.to_string());
        File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    }

    async fn exec(&self, spec: &ExecSpec) -> (ExecId, ExecStream) {
        let id = ExecId::generate();
        let stream = self.client.exec(id, spec, self.log(id).into()).await.unwrap();
        (id, stream)
    }

    async fn sh(&self, script: &str) -> (String, ExecEnd) {
        finish(self.exec(&sh(script)).await.1).await
    }

    async fn stop(&self) {
        let outcome = self.runtime.stop(&self.spec.dir, self.spec.id, Duration::from_secs(5)).await;
        eprintln!("stop: {:?}", outcome.unwrap());
        self.runtime.release(&self.spec.dir, self.spec.id).await.unwrap();
    }
}

impl Drop for Confined {
    /// The groups of an instance outlive its sandboxes, and this instance was for one test.
    fn drop(&mut self) {
        let name = format!("sandbar-{}", self.runtime.config().instance);
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
            remove_groups(&hierarchy.path().join(&name));
        }
    }
}

fn remove_groups(group: &Path) {
    for entry in std::fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _busy = std::fs::remove_dir(group);
}

fn sh(script: &str) -> ExecSpec {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    ExecSpec {
        argv,
        env: BTreeMap::new(),
        cwd: None,
        terminal: None,
        stdin: false,
        timeout_ms: None,
    }
}

async fn finish(mut stream: ExecStream) -> (String, ExecEnd) {
    let mut text = String::new();
    while let Some(record) = stream.next().await.unwrap() {
        match record.body {
            Body::Output { bytes, .. } => text.push_str(std::str::from_utf8(&bytes).unwrap()),
            Body::Gap | Body::Note(_) => panic!("nothing was dropped, and it is an exec"),
            Body::End(end) => return (text, end),
        }
    }
    panic!("a stream without an end")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_has_its_output_its_input_and_its_status() {
    let Some(sandbox) = Confined::launch().await else {
        return;
    };
    let (text, end) =
        sandbox.sh("echo one; echo two > /dev/stdout; echo three > /dev/stderr; exit 7").await;
    assert_eq!(end.status, ExitStatus::Exited { code: 7 });
    assert!(["one", "two", "three"].iter().all(|word| text.contains(word)), "{text}");

    let (id, mut stream) =
        sandbox.exec(&ExecSpec { stdin: true, ..sh("echo ready; cat; exit 3") }).await;
    let ready = stream.next().await.unwrap().unwrap();
    drop(stream);
    let mut again = sandbox.client.attach(id, ready.next_offset).await.unwrap();
    again.send(Input::Stdin(b"typed".to_vec())).await.unwrap();
    again.send(Input::StdinEnd).await.unwrap();
    let (text, end) = finish(again).await;
    assert_eq!((text.as_str(), end.status), ("typed", ExitStatus::Exited { code: 3 }));
    assert_eq!(LogReader::find_end(sandbox.log(id)).unwrap(), Some(end));
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_works_and_is_ours() {
    let Some(sandbox) = Confined::launch().await else {
        return;
    };
    let terminal = Some(TerminalSize { rows: 33, cols: 99 });
    let script = "tty; stty size; test -O $(tty) && echo owner; echo direct > /dev/tty";
    let (_, stream) = sandbox.exec(&ExecSpec { terminal, ..sh(script) }).await;
    let (text, end) = finish(stream).await;
    assert_eq!(end.status, ExitStatus::Exited { code: 0 }, "{text}");
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[1..], ["33", "99", "owner", "direct"], "{text}");
    assert!(words[0].starts_with("/dev/pts/"), "{text}");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_ends_a_session_that_proc_hides() {
    let Some(sandbox) = Confined::launch().await else {
        return;
    };
    let argv = ["bash", "-c", "set -m; sleep 1234567 & sleep 1234567"].map(str::to_owned).to_vec();
    let (_, stream) = sandbox.exec(&ExecSpec { argv, timeout_ms: Some(200), ..sh("") }).await;
    assert_eq!(finish(stream).await.1.status, ExitStatus::TimedOut);
    let (text, _) = sandbox.sh("ps -e -o comm= | grep -c sleep").await;
    assert_eq!(text, "0\n");
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_has_nothing_of_its_supervisor() {
    let Some(sandbox) = Confined::launch().await else {
        return;
    };
    let (text, _) = sandbox
        .sh("ls /proc/$$/fd; grep -h '^Cap\\|^NoNewPrivs\\|^Seccomp:' /proc/$$/status")
        .await;
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words[..3], ["0", "1", "2"], "{text}");
    assert!(words.iter().filter(|word| **word == "0000000000000000").count() == 5, "{text}");
    assert!(text.contains("NoNewPrivs:\t1") && text.contains("Seccomp:\t2"), "{text}");
    let (text, _) =
        sandbox.sh("cat /proc/1/environ; ls /proc/1/fd; kill -9 1; kill -TERM 1; true").await;
    assert!(!text.contains("PATH"), "{text}");
    assert_eq!(sandbox.sh("exit 4").await.1.status, ExitStatus::Exited { code: 4 });
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_runs_is_dialed_and_is_seen_on_another_port() {
    let Some(sandbox) = Confined::launch().await else {
        return;
    };
    let name: ProcessName = "web".parse().unwrap();
    let log = sandbox.log(ExecId::generate());
    sandbox.client.process_log(&name, log.into()).await.unwrap();
    let mut watch = sandbox.client.watch().await.unwrap();
    sandbox.client.apply(&app(&name, 3000)).await.unwrap();
    let hint = loop {
        let status = watch.next().await.unwrap();
        if let Some(hint) = status.processes.into_iter().find_map(|process| process.hint) {
            break hint;
        }
    };
    assert_eq!(hint, "listening on 5173, the manifest says 3000");
    sandbox.client.apply(&app(&name, 5173)).await.unwrap();
    while !watch.next().await.unwrap().processes[0].state.is_ready() {}
    drop(sandbox.client.dial(5173).await.unwrap());
    let refused = sandbox.client.dial(3000).await.unwrap_err();
    let DialError::Refused { listening, .. } = refused else { panic!("{refused:?}") };
    assert_eq!(listening, [5173]);
    let proxy = sandbox.client.egress().await.unwrap();
    let (connected, (text, _)) = tokio::join!(
        proxy.accept(),
        sandbox.sh("bash -c 'exec 3<>/dev/tcp/127.0.0.1/3128 && echo connected'")
    );
    connected.unwrap();
    assert_eq!(text, "connected\n");
    sandbox.client.process_stop(&name).await.unwrap();
    while watch.next().await.unwrap().processes[0].state != ProcessState::Stopped {}
    sandbox.stop().await;
}

/// A server on port 5173 that is asked on `port`.
fn app(name: &ProcessName, port: u16) -> AppSpec {
    let web = ProcessSpec {
        name: name.clone(),
        kind: ProcessKind::Web,
        command: "exec python3 -m http.server 5173 --bind 127.0.0.1".to_owned(),
        cwd: None,
        env: BTreeMap::new(),
        ports: vec![port],
        after: Vec::new(),
        ready: Some(ReadyCheck {
            probe: Probe::Http { port, path: "/".to_owned() },
            interval_ms: 100,
            timeout_ms: 5000,
            deadline_ms: 30_000,
        }),
        health: None,
        stop: StopPolicy::default(),
        restart: RestartPolicy::Always,
        restart_after_task: false,
        log_bytes_max: 1 << 20,
    };
    AppSpec { processes: vec![web], build: BuildCheck::Skipped }
}
