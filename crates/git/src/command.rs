//! One run of the host's git, with everything off that could run something else.

use std::{
    borrow::Cow,
    ffi::CString,
    fs::File,
    io::{self, Read, Seek, Write},
    os::fd::AsFd,
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::{MemfdFlags, memfd_create},
    process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid},
    time::Timespec,
};
use sandbar_linux::spawn::{Spawned, spawn};

use crate::GitError;

/// LIMIT: how long one run of git may take.
const DEADLINE: Duration = Duration::from_mins(4);
/// LIMIT: bytes of a complaint that are passed on.
const COMPLAINT_MAX: usize = 2000;

/// Where git is looked for; never in a directory that its user can choose.
const PROGRAMS: [&str; 3] = ["/usr/bin/git", "/usr/local/bin/git", "/bin/git"];

/// Nothing of the user's or the host's configuration is read, nobody is asked, nothing is fetched on the way.
const ENVIRONMENT: [&str; 14] = [
    "PATH=/usr/local/bin:/usr/bin:/bin",
    "HOME=/nonexistent",
    "LC_ALL=C",
    "GIT_CONFIG_NOSYSTEM=1",
    "GIT_CONFIG_GLOBAL=/dev/null",
    "GIT_ATTR_NOSYSTEM=1",
    "GIT_TERMINAL_PROMPT=0",
    "GIT_ASKPASS=/bin/false",
    "GIT_EDITOR=/bin/false",
    "GIT_PAGER=cat",
    "GIT_ALLOW_PROTOCOL=none",
    "GIT_NO_LAZY_FETCH=1",
    "GIT_NO_REPLACE_OBJECTS=1",
    "GIT_OPTIONAL_LOCKS=0",
];

/// What wins over the repository's own configuration.
const CONFIGURATION: [&str; 14] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=keep",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.sshCommand=/bin/false",
    "core.alternateRefsCommand=/bin/false",
    "core.safecrlf=false",
    "protocol.allow=never",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.fsckObjects=true",
];

/// One run of git; its working directory is ours, the source.
#[derive(Debug)]
pub(crate) struct Git<'a> {
    step: &'static str,
    arguments: Vec<&'a [u8]>,
    environment: Vec<String>,
    stdin: Stdin<'a>,
}

#[derive(Debug)]
enum Stdin<'a> {
    Bytes(Cow<'a, [u8]>),
    File(&'a File),
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) complaint: String,
    step: &'static str,
}

impl Ran {
    /// What it printed, if it succeeded.
    pub(crate) fn success(self) -> Result<Vec<u8>, GitError> {
        if self.code == 0 { Ok(self.stdout) } else { Err(self.failed()) }
    }

    pub(crate) fn failed(self) -> GitError {
        let reason = match self.complaint.as_str() {
            "" => format!("it ended with {}", self.code),
            said => said.to_owned(),
        };
        GitError::Failed { step: self.step.to_owned(), reason }
    }
}

impl<'a> Git<'a> {
    /// A run for `step`, the rest of "git could not …".
    pub(crate) fn to(step: &'static str, arguments: &[&'a str]) -> Self {
        Self {
            step,
            arguments: arguments.iter().map(|argument| argument.as_bytes()).collect(),
            environment: Vec::new(),
            stdin: Stdin::Bytes(Cow::Borrowed(b"")),
        }
    }

    pub(crate) fn argument(mut self, argument: &'a [u8]) -> Self {
        self.arguments.push(argument);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.environment.push(format!("{name}={}", value.as_ref().display()));
        self
    }

    pub(crate) fn stdin(mut self, bytes: &'a [u8]) -> Self {
        self.stdin = Stdin::Bytes(Cow::Borrowed(bytes));
        self
    }

    pub(crate) fn stdin_owned(mut self, bytes: Vec<u8>) -> Self {
        self.stdin = Stdin::Bytes(Cow::Owned(bytes));
        self
    }

    /// Reads from where `file` is now.
    pub(crate) fn stdin_file(mut self, file: &'a File) -> Self {
        self.stdin = Stdin::File(file);
        self
    }

    /// Runs it and returns what it printed.
    pub(crate) fn output(self) -> Result<Vec<u8>, GitError> {
        self.run()?.success()
    }

    /// Runs it and returns what it printed, as one line of text.
    pub(crate) fn line(self) -> Result<String, GitError> {
        let printed = self.output()?;
        Ok(String::from_utf8_lossy(&printed).trim_end().to_owned())
    }

    /// Runs it, whatever its exit code is.
    pub(crate) fn run(self) -> Result<Ran, GitError> {
        let step = self.step;
        let program = PROGRAMS.iter().find(|path| Path::new(path).exists());
        let program = program.ok_or(GitError::NoGit)?;
        self.execute(program)
            .map_err(|err| GitError::Failed { step: step.to_owned(), reason: err.to_string() })
    }

    fn execute(self, program: &str) -> io::Result<Ran> {
        let mut argv = vec![CString::new("git")?];
        for setting in CONFIGURATION {
            argv.push(CString::new("-c")?);
            argv.push(CString::new(setting)?);
        }
        for argument in &self.arguments {
            argv.push(CString::new(*argument)?);
        }
        let environment = ENVIRONMENT.iter().map(|entry| CString::new(*entry));
        let own = self.environment.iter().map(|entry| CString::new(entry.as_str()));
        let environment = environment.chain(own).collect::<Result<Vec<_>, _>>()?;
        // Files in memory and no pipes: nobody has to read while git writes.
        let (mut stdout, mut stderr) = (in_memory()?, in_memory()?);
        let given;
        let stdin = match self.stdin {
            Stdin::Bytes(bytes) => {
                let mut file = in_memory()?;
                file.write_all(&bytes)?;
                file.rewind()?;
                given = file;
                &given
            }
            Stdin::File(file) => file,
        };
        let fds = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()];
        let spawned = spawn(&CString::new(program)?, &argv, &environment, &fds)?;
        let code = wait(&spawned)?;
        let mut complaint = String::from_utf8_lossy(&all(&mut stderr)?).trim().to_owned();
        let end = complaint.floor_char_boundary(COMPLAINT_MAX);
        complaint.truncate(end);
        Ok(Ran { code, stdout: all(&mut stdout)?, complaint, step: self.step })
    }
}

fn in_memory() -> io::Result<File> {
    Ok(memfd_create("git", MemfdFlags::CLOEXEC)?.into())
}

fn all(file: &mut File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Waits until it ended, or kills it; its exit code, or 128 and its signal.
fn wait(spawned: &Spawned) -> io::Result<i32> {
    let deadline = Instant::now() + DEADLINE;
    let mut fds = [PollFd::new(&spawned.pidfd, PollFlags::IN)];
    loop {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now()))
            .map_err(io::Error::other)?;
        match poll(&mut fds, Some(&left)) {
            Ok(0) => {
                // Ended between the two is as good.
                pidfd_send_signal(&spawned.pidfd, Signal::KILL).ok();
                break;
            }
            Ok(_ended) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(err) => return Err(err.into()),
        }
    }
    let status = waitid(WaitId::PidFd(spawned.pidfd.as_fd()), WaitIdOptions::EXITED)?;
    Ok(status.map_or(-1, |status| {
        status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0))
    }))
}
