//! Commands of the fake: `echo <text>`, `printenv <name>`, `exit <code>`, and `sleep`, which runs until a signal comes; by a login shell, too.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex},
};

use sandbar_protocol::{
    FrameDecoder, Input, Opened,
    log::{HEADER_BYTES, Header, Output, encode_end, encode_output},
};
use sandbar_types::{ExecEnd, ExecSpec, ExitStatus};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::watch,
    task::JoinSet,
};

/// A command that writes a real log, and streams the same records.
#[derive(Debug)]
pub(super) struct FakeExec {
    shared: Arc<Shared>,
    /// One task for each who follows it.
    streams: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    log: File,
    /// Records from the header on, and whether the last one was written.
    written: watch::Sender<(Vec<u8>, bool)>,
}

impl FakeExec {
    pub(super) fn start(spec: &ExecSpec, log: File) -> io::Result<Self> {
        log.write_all_at(&Header::NEW.encode(), 0)?;
        log.set_len(HEADER_BYTES)?;
        let shared = Arc::new(Shared { log, written: watch::Sender::new((Vec::new(), false)) });
        let argv: Vec<&str> = match &spec.argv[..] {
            [shell, flag, command] if shell == "bash" && flag == "-lc" => {
                command.split_whitespace().collect()
            }
            argv => argv.iter().map(String::as_str).collect(),
        };
        let argument = argv.get(1).copied().unwrap_or_default();
        let end = match argv.first().copied().unwrap_or_default() {
            "echo" => {
                shared.append(&encode_output(Output::Stdout, 1, argument.as_bytes()), false)?;
                Some(ExitStatus::Exited { code: 0 })
            }
            "printenv" => {
                let name = argument.parse().map_err(io::Error::other)?;
                let value = spec.env.get(&name).map_or("", String::as_str);
                if !value.is_empty() {
                    let record = encode_output(Output::Stdout, 1, value.as_bytes());
                    shared.append(&record, false)?;
                }
                Some(ExitStatus::Exited { code: 0 })
            }
            "exit" => Some(ExitStatus::Exited { code: argument.parse().unwrap_or(255) }),
            "sleep" => None,
            _ => Some(ExitStatus::NotStarted { errno: 2 }),
        };
        if let Some(status) = end {
            shared.end(status)?;
        }
        Ok(Self { shared, streams: Mutex::default() })
    }

    pub(super) fn has_ended(&self) -> bool {
        self.shared.written.borrow().1
    }

    /// A connection as the supervisor's: the answer, then records from `offset` on, and input the other way.
    pub(super) fn stream(&self, offset: u64) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        let shared = Arc::clone(&self.shared);
        let mut streams = self.streams.lock().expect("nobody panics while holding the streams");
        streams.spawn(async move {
            // A client that hung up is no failure of the command.
            drop(shared.serve(ours, offset).await);
        });
        Ok(theirs)
    }
}

impl Shared {
    fn append(&self, record: &[u8], is_last: bool) -> io::Result<()> {
        let mut result = Ok(());
        self.written.send_modify(|(written, has_ended)| {
            result = self.log.write_all_at(record, HEADER_BYTES + written.len() as u64);
            written.extend_from_slice(record);
            *has_ended = is_last;
        });
        result
    }

    fn end(&self, status: ExitStatus) -> io::Result<()> {
        if self.written.borrow().1 {
            return Ok(());
        }
        let end = ExecEnd { status, oom_killed: false, dropped_bytes: 0 };
        self.append(&encode_end(&end, 2), true)
    }

    async fn serve(&self, stream: UnixStream, offset: u64) -> io::Result<()> {
        let (mut read, mut write) = stream.into_split();
        let offset = offset.max(HEADER_BYTES);
        let opened = Opened::Streaming { offset }.to_frame().map_err(io::Error::other)?;
        write.write_all(&opened).await?;
        let mut written = self.written.subscribe();
        let mut at = usize::try_from(offset - HEADER_BYTES).map_err(io::Error::other)?;
        let mut frames = FrameDecoder::default();
        let mut piece = [0; 4096];
        loop {
            let (more, has_ended) = {
                let written = written.borrow_and_update();
                (written.0.get(at..).unwrap_or_default().to_vec(), written.1)
            };
            at += more.len();
            write.write_all(&more).await?;
            if has_ended {
                return Ok(());
            }
            tokio::select! {
                changed = written.changed() => changed.map_err(io::Error::other)?,
                count = read.read(&mut piece) => match count? {
                    0 => return Ok(()),
                    count => {
                        frames.push(&piece[..count]);
                        while let Some(payload) = frames.next_frame().map_err(io::Error::other)? {
                            if let Ok(Input::Signal(signal)) = Input::from_payload(payload) {
                                self.end(ExitStatus::Signaled { signal })?;
                            }
                        }
                    }
                },
            }
        }
    }
}
