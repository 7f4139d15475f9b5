//! A sandbox that is only a supervisor, and a client that waits.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    io::{IoSlice, Read, Write},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        SocketFlags, SocketType, recv, send, sendmsg, socketpair,
    },
};
use sandbar_protocol::{
    AgentIds, Control, ControlReply, FrameDecoder, GO, Hello, Input, Open, PROTOCOL, Refusal,
    ResourceLimit, ResourceLimits, StreamDecoder, StreamEvent, SupervisorConfig,
    log::{Body, Output, Record},
};
use sandbar_types::{ExecEnd, ExecId, ExecSpec, ExitStatus, HostPath};

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);
pub const AGENT: AgentIds = AgentIds { uid: 12_345, gid: 12_346 };

pub struct Sandbox {
    dir: tempfile::TempDir,
    launcher: Child,
    keeper: Option<OwnedFd>,
}

/// One connection that is an exec's stream.
pub struct Stream {
    pub id: ExecId,
    pub socket: UnixStream,
    decoder: StreamDecoder,
}

/// Everything an exec said.
#[derive(Debug, PartialEq, Eq)]
pub struct Finished {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub gaps: usize,
    pub end: ExecEnd,
}

impl Sandbox {
    /// `None`, loudly, where the test cannot run.
    pub fn start() -> Option<Self> {
        Self::start_with(|_| ())
    }

    pub fn start_with(change: impl FnOnce(&mut SupervisorConfig)) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: needs root for a pid namespace");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        let workspace = dir.path().join("workspace");
        fs::create_dir(&workspace).unwrap();
        fs::set_permissions(&workspace, Permissions::from_mode(0o777)).unwrap();
        // Where the server's own client looks for it.
        fs::create_dir(dir.path().join("run")).unwrap();
        let mut config = config(&workspace);
        change(&mut config);
        fs::write(dir.path().join("config"), config.to_json()).unwrap();
        let (keeper, inside) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let launcher = spawn(dir.path(), inside);
        let sandbox = Self { dir, launcher, keeper: Some(keeper) };
        sandbox.greet();
        Some(sandbox)
    }

    fn greet(&self) {
        let keeper = self.keeper.as_ref().unwrap();
        assert!(is_readable(keeper), "a greeting in time");
        let mut bytes = [0; 256];
        let (_, length) = recv(keeper, &mut bytes, RecvFlags::empty()).unwrap();
        assert_eq!(Hello::from_frame(&bytes[..length]), Ok(Hello { protocol: PROTOCOL }));
        send(keeper, &[GO], SendFlags::empty()).unwrap();
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn workspace(&self) -> PathBuf {
        self.dir.path().join("workspace")
    }

    pub fn connect(&self) -> UnixStream {
        let socket = UnixStream::connect(self.dir.path().join("run/supervisor.sock")).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.set_write_timeout(Some(DEADLINE)).unwrap();
        socket
    }

    pub fn log(&self, id: ExecId) -> File {
        let path = self.dir.path().join(id.to_string());
        File::options().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    }

    pub fn try_exec(&self, spec: ExecSpec) -> Result<Stream, Refusal> {
        let id = ExecId::generate();
        let mut socket = self.connect();
        let frame = Open::Exec { id, spec }.to_frame().unwrap();
        let log = self.log(id);
        let descriptors = [log.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let sent =
            sendmsg(&socket, &[IoSlice::new(&frame)], &mut control, SendFlags::NOSIGNAL).unwrap();
        socket.write_all(&frame[sent..]).unwrap();
        Stream::opened(id, socket)
    }

    pub fn exec(&self, argv: &[&str]) -> Stream {
        self.try_exec(spec(argv)).unwrap()
    }

    pub fn sh(&self, script: &str) -> Finished {
        self.exec(&["sh", "-c", script]).finish()
    }

    pub fn attach(&self, id: ExecId, offset: u64) -> Result<Stream, Refusal> {
        let mut socket = self.connect();
        socket.write_all(&Open::Attach { id, offset }.to_frame().unwrap()).unwrap();
        Stream::opened(id, socket)
    }

    pub fn control(&self, request: Control) -> ControlReply {
        let mut socket = self.connect();
        socket.write_all(&Open::Control { request }.to_frame().unwrap()).unwrap();
        let mut frames = FrameDecoder::default();
        let mut piece = [0; 4096];
        loop {
            if let Some(payload) = frames.next_frame().unwrap() {
                return ControlReply::from_payload(payload).unwrap();
            }
            let read = socket.read(&mut piece).unwrap();
            assert_ne!(read, 0, "an answer before the end");
            frames.push(&piece[..read]);
        }
    }

    /// Process id of the supervisor, as the host sees it.
    pub fn supervisor_pid(&self) -> i32 {
        let launcher = self.launcher.id();
        let children =
            fs::read_to_string(format!("/proc/{launcher}/task/{launcher}/children")).unwrap();
        children.trim().parse().unwrap()
    }

    /// The keeper goes away.
    pub fn abandon(&mut self) {
        self.keeper = None;
    }

    /// Waits for the end of process 1 and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let mut ended = None;
        eventually("the supervisor ends", || {
            ended = self.launcher.try_wait().unwrap();
            ended.is_some()
        });
        ended.and_then(|status| status.code())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.abandon();
        if std::thread::panicking() {
            let _ended = self.launcher.kill();
            let _reaped = self.launcher.wait();
        } else {
            self.wait();
        }
    }
}

impl Stream {
    fn opened(id: ExecId, socket: UnixStream) -> Result<Self, Refusal> {
        let mut stream = Self { id, socket, decoder: StreamDecoder::default() };
        match stream.event() {
            Some(StreamEvent::Streaming { .. }) => Ok(stream),
            Some(StreamEvent::Refused(refusal)) => Err(refusal),
            other => panic!("not an answer: {other:?}"),
        }
    }

    fn event(&mut self) -> Option<StreamEvent> {
        let mut piece = [0; 64 << 10];
        loop {
            if let Some(event) = self.decoder.next_event().unwrap() {
                return Some(event);
            }
            if self.decoder.is_complete() {
                return None;
            }
            let read = self.socket.read(&mut piece).expect("something in time");
            assert_ne!(read, 0, "the end of the exec before the end of the stream");
            self.decoder.push(&piece[..read]);
        }
    }

    pub fn next(&mut self) -> Option<Record> {
        match self.event() {
            Some(StreamEvent::Record(record)) => Some(record),
            None => None,
            other => panic!("not a record: {other:?}"),
        }
    }

    pub fn send(&mut self, input: Input) {
        self.socket.write_all(&input.to_frame().unwrap()).unwrap();
    }

    /// Reads output until it ends with `text`.
    pub fn read_until(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while !seen.ends_with(text) {
            let record = self.next().unwrap();
            let Body::Output { bytes, .. } = record.body else {
                panic!("no output: {record:?} after {seen:?}")
            };
            seen.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        seen
    }

    pub fn finish(mut self) -> Finished {
        let (mut stdout, mut stderr, mut gaps) = (Vec::new(), Vec::new(), 0);
        loop {
            match self.next().expect("a record that ends it").body {
                Body::Output { output: Output::Stdout, bytes } => stdout.extend(bytes),
                Body::Output { output: Output::Stderr, bytes } => stderr.extend(bytes),
                Body::Gap => gaps += 1,
                Body::Note(note) => panic!("an exec has no notes: {note}"),
                Body::End(end) => {
                    assert_eq!(self.next(), None);
                    return Finished { stdout, stderr, gaps, end };
                }
            }
        }
    }
}

impl Finished {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    #[track_caller]
    pub fn assert_exited(&self, code: u8) {
        assert_eq!(
            self.end.status,
            ExitStatus::Exited { code },
            "{}",
            String::from_utf8_lossy(&self.stderr)
        );
    }
}

pub fn spec(argv: &[&str]) -> ExecSpec {
    let argv = argv.iter().map(|&arg| arg.to_owned()).collect();
    ExecSpec {
        argv,
        env: BTreeMap::new(),
        cwd: None,
        terminal: None,
        stdin: false,
        timeout_ms: None,
    }
}

#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < until, "not in time: {what}");
        poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 2_000_000 })).unwrap();
    }
}

fn is_readable(fd: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let deadline = Timespec::try_from(DEADLINE).unwrap();
    poll(&mut fds, Some(&deadline)).unwrap() == 1
}

fn config(workspace: &Path) -> SupervisorConfig {
    SupervisorConfig {
        env: BTreeMap::from([("PATH".parse().unwrap(), "/usr/local/bin:/usr/bin:/bin".to_owned())]),
        home: HostPath::parse("/tmp").unwrap(),
        workspace: HostPath::parse(workspace).unwrap(),
        agent: Some(AGENT),
        rlimits: ResourceLimits {
            open_files: Some(ResourceLimit::both(4096)),
            core: Some(ResourceLimit::both(0)),
            ..ResourceLimits::default()
        },
        log_bytes_max: 8 << 20,
        execs_max: 200,
        hostname: "test".to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is the launcher")]
fn spawn(dir: &Path, keeper: OwnedFd) -> Child {
    // Examples are built beside the tests: <target>/<profile>/deps/… and <target>/<profile>/examples/….
    let exe = std::env::current_exe().unwrap();
    let exe = exe.parent().and_then(Path::parent).unwrap().join("examples/process_one");
    Command::new(exe)
        .arg(dir.join("run/supervisor.sock"))
        .arg(dir.join("config"))
        .stdin(Stdio::from(keeper))
        .spawn()
        .expect("examples are built with the tests")
}
