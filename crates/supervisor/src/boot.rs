//! From the first instruction to the keeper's go.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

use rustix::{
    net::{RecvFlags, SendFlags, recv, send},
    process::{Resource, Rlimit, getpid, getrlimit, setrlimit},
};
use sandbar_linux::{capabilities, inherited, signals::SignalFd};
use sandbar_protocol::{GO, Hello, PROTOCOL, SupervisorConfig, fd};

use crate::{
    settings::{OOM_SCORE, Settings},
    supervisor::Supervisor,
};

/// LIMIT: a configuration is an environment and a dozen numbers.
const CONFIG_BYTES_MAX: u64 = 8 << 20;

/// How the beginning went.
pub(crate) enum Boot {
    /// The keeper has read the sandbox back, and user code may run.
    Go(Box<Supervisor>),
    /// The keeper went away before that.
    Abandoned,
}

/// Reads the configuration, greets the keeper, and waits for its go.
pub(crate) fn boot() -> io::Result<Boot> {
    // As process 1 of a namespace, `kill(-1)` means the sandbox. Anywhere else it would mean the machine.
    if !getpid().is_init() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let listener = inherited::take(fd::LISTENER)?;
    let keeper = inherited::take(fd::KEEPER)?;
    let config = read_config(inherited::take(fd::CONFIG)?)?;
    if config.agent.is_none() {
        // Execs are who we are and cannot raise it themselves: while undumpable, /proc/self belongs to root. We get it
        // too, but are so small that the kernel never picks us.
        let _refused = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE.to_bytes());
    }
    // Before anything else runs: in user mode execs have our uid, and must not trace us or reach our descriptors.
    capabilities::forbid_dumps()?;
    raise_open_files();
    rustix::io::ioctl_fionbio(&listener, true)?;
    let signals = SignalFd::open(&crate::supervisor::SIGNALS)?;
    let hello = Hello { protocol: PROTOCOL }.to_frame().map_err(io::Error::other)?;
    send(&keeper, &hello, SendFlags::NOSIGNAL)?;
    let settings = Settings::from_config(config)?;
    Ok(if is_go(&keeper)? {
        Boot::Go(Box::new(Supervisor::new(settings, signals, listener, keeper)))
    } else {
        Boot::Abandoned
    })
}

fn read_config(fd: OwnedFd) -> io::Result<SupervisorConfig> {
    let file = File::from(fd);
    let length = file.metadata()?.len();
    if length > CONFIG_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, 0)?;
    SupervisorConfig::from_json(&bytes).map_err(io::Error::other)
}

/// Each exec needs a handful of descriptors here; execs have a limit of their own.
fn raise_open_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _refused = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

fn is_go(keeper: &OwnedFd) -> io::Result<bool> {
    let mut byte = [0];
    let (_, received) = rustix::io::retry_on_intr(|| recv(keeper, &mut byte, RecvFlags::empty()))?;
    Ok(received == 1 && byte == [GO])
}
