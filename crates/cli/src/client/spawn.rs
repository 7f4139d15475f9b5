//! Starts `sandbar serve` for the user, apart from their terminal, and says why it did not stay.

use std::{
    env,
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::failure::{Code, Failure};

/// LIMIT: bytes of the log that are looked at for the reason.
const LOG_TAIL_BYTES: u64 = 4096;
/// LIMIT: lines of the log that are shown.
const LOG_TAIL_LINES: usize = 8;

/// A server that we started.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    log_path: PathBuf,
    /// Where the log ended before: what is after it is this server's.
    log_start: u64,
}

/// Starts `sandbar serve --detached` over `data_dir`, with its log in `<data>/server.log`.
///
/// # Errors
/// The directory or the log cannot be made, or our own binary cannot be started.
pub(crate) fn server(data_dir: &Path) -> Result<Server, Failure> {
    let cannot = |what: String| {
        move |error: io::Error| Failure::new(Code::Unreachable, what).caused_by(&error)
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(cannot(format!("cannot make the data directory `{}`", data_dir.display())))
        .map_err(|failure| failure.hint("choose another one with SANDBAR_DATA_DIR"))?;
    let log_path = data_dir.join("server.log");
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&log_path)
        .map_err(cannot(format!("cannot write the log `{}`", log_path.display())))?;
    let log_start = log.metadata().map_or(0, |metadata| metadata.len());
    let child = command(data_dir, log)
        .and_then(|mut command| command.spawn())
        .map_err(cannot("cannot start the server".to_owned()))?;
    Ok(Server { child, log_path, log_start })
}

fn command(data_dir: &Path, log: File) -> io::Result<Command> {
    #[expect(
        clippy::disallowed_methods,
        reason = "our own binary, before any sandbox exists; this crate may not import the runtime"
    )]
    let mut command = Command::new(env::current_exe()?);
    command
        .args(["serve", "--detached", "--data-dir"])
        .arg(data_dir)
        // Not where we were called: a server must not keep a directory busy.
        .current_dir("/")
        .env_remove("SANDBAR_SERVER")
        .env_remove("SANDBAR_TOKEN")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

impl Server {
    pub(crate) fn log_path(&self) -> &Path {
        &self.log_path
    }

    /// Whether it has ended already.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// How much longer to wait after it ended: not at all, unless it gave way to another one.
    pub(crate) fn patience_after_end(&mut self, for_another: Duration) -> Duration {
        let tail = self.log_tail().unwrap_or_default();
        if tail.contains("another server") { for_another } else { Duration::ZERO }
    }

    /// Why no server listens.
    pub(crate) fn failure(&mut self, connect: &io::Error) -> Failure {
        let message = match self.child.try_wait() {
            Ok(Some(status)) => format!("the server did not start ({status})"),
            Ok(None) | Err(_) => "the server does not answer".to_owned(),
        };
        let failure = Failure::new(Code::Unreachable, message)
            .hint(format!("its log is `{}`", self.log_path.display()));
        match self.log_tail() {
            Ok(tail) if !tail.is_empty() => failure.caused_by(&io::Error::other(tail)),
            Ok(_) | Err(_) => failure.caused_by(connect),
        }
    }

    /// The last lines that this server wrote.
    fn log_tail(&self) -> io::Result<String> {
        let mut log = File::open(&self.log_path)?;
        let end = log.metadata()?.len();
        log.seek(SeekFrom::Start(self.log_start.max(end.saturating_sub(LOG_TAIL_BYTES))))?;
        let mut bytes = Vec::new();
        log.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        Ok(lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n"))
    }
}
