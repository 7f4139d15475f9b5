//! `sandbar serve`: the server, in the foreground.

use std::{
    convert::Infallible,
    error::Error,
    fmt,
    fs::{DirBuilder, File, OpenOptions},
    io::Write,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    process,
    str::FromStr,
};

use rustix::{fs::FlockOperation, io::Errno};

use crate::{
    Roles,
    failure::{Code, Failure},
    settings,
};

/// Run the server in the foreground.
///
/// Sandboxes outlive it: stop it with Ctrl-C, and start it again later.
/// The other commands start one by themselves when none runs.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sandbar serve\n  sandbar serve --listen 127.0.0.1:7070   # also over TCP, with the token in <data>/token"
)]
pub(crate) struct Args {
    /// Loopback address for previews, and for the API with the token; `none` for the unix socket alone. Default: port 7263
    /// of 127.0.0.1, or any other where it is taken.
    #[arg(long, value_name = "ADDRESS", value_parser = parse_listen)]
    listen: Option<Listen>,
    /// Database of a PostgreSQL server, `postgres://user@host/database`, instead of a file in the data directory. Keep a
    /// password out of the command line: the variable, `PGPASSWORD` and `~/.pgpass` hold one as well.
    #[arg(long, value_name = "URL", env = "SANDBAR_STORE", hide_env_values = true)]
    store: Option<StoreUrl>,
    /// What to log, for example `debug` or `info,sandbar_engine=debug`.
    #[arg(long, value_name = "FILTER", env = "SANDBAR_LOG", hide_env_values = true)]
    log: Option<String>,
    /// Leave the session of the command line that started it.
    #[arg(long, hide = true)]
    detached: bool,
}

/// Where to listen on TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    None,
    /// On the usual port, or on any other where it is taken.
    Usual,
    /// On this loopback address.
    At(SocketAddr),
}

/// Where a store is, as it was said; may hold a password, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(String);

impl StoreUrl {
    /// The text, for whoever connects.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreUrl {
    // What is wrong with it is said by whoever connects, who never repeats it; clap would.
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreUrl(..)")
    }
}

fn parse_listen(text: &str) -> Result<Listen, String> {
    match text {
        "none" => Ok(Listen::None),
        address => address.parse().map(Listen::At).map_err(|_| {
            "must be `none`, or an address with a port, such as 127.0.0.1:7070".to_owned()
        }),
    }
}

/// What a server is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// Holds everything; absolute.
    pub data_dir: PathBuf,
    /// The unix socket to listen on.
    pub socket: PathBuf,
    /// Where to listen on TCP, if the command line says.
    pub listen: Option<Listen>,
    /// A database elsewhere; `None` for the file in the data directory.
    pub store: Option<StoreUrl>,
    /// What to log, if the command line says.
    pub log: Option<String>,
}

/// A server that could not start, or that ended by itself.
#[derive(Debug)]
pub struct ServeFailure {
    /// Its kind.
    pub kind: ServeFailureKind,
    /// What went wrong.
    pub error: Box<dyn Error + Send + Sync>,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What kind of failure it is, for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServeFailureKind {
    /// What it was told cannot be used.
    Usage,
    /// Another server has what it needs.
    InUse,
    /// Everything else.
    Unexpected,
}

/// How a server ended: well, when it was asked to.
pub type ServeResult = Result<(), ServeFailure>;

pub(crate) fn run(args: Args, data_dir: Option<&Path>, roles: Roles) -> Result<u8, Failure> {
    if args.detached {
        // A session of its own: neither Ctrl-C in the terminal of the first command nor its end reaches the server.
        // It fails for a process that leads a group already, which then is apart enough.
        rustix::process::setsid().ok();
    }
    let data_dir = settings::resolve_data_dir(data_dir)?;
    let socket = settings::socket_path(&data_dir);
    make_private(&data_dir)?;
    make_private(socket.parent().expect("a socket is in a directory"))?;
    let claim = Claim::take(&data_dir)?;
    let served = (roles.serve)(ServeOptions {
        data_dir,
        socket,
        listen: args.listen,
        // An empty variable says nothing.
        store: args.store.filter(|url| !url.reveal().is_empty()),
        log: args.log,
    });
    claim.release();
    served.map(|()| 0).map_err(|failed| failed.told("the server cannot run"))
}

impl ServeFailure {
    pub(crate) fn told(self, what: &str) -> Failure {
        let code = match self.kind {
            ServeFailureKind::Usage => Code::Usage,
            ServeFailureKind::InUse => Code::Refused,
            ServeFailureKind::Unexpected => Code::Unexpected,
        };
        let failure = Failure::new(code, what).caused_by(&*self.error);
        match self.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

/// `<data>/server.pid`, locked while the server lives: two servers that start at once find out here, before either
/// has touched anything, and whoever reads the file finds the one that won.
pub(crate) struct Claim(File);

impl Claim {
    pub(crate) fn take(data_dir: &Path) -> Result<Self, Failure> {
        let path = data_dir.join("server.pid");
        let cannot = |error: &dyn Error| {
            Failure::unexpected(format!("cannot write `{}`", path.display())).caused_by(error)
        };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| cannot(&error))?;
        // A record lock, which belongs to this process alone: one of flock(2) would be shared by every process that the
        // server starts, until that process executes its program, and so outlive a server that is killed just then.
        match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK | Errno::ACCESS) => {
                return Err(Failure::new(
                    Code::Refused,
                    format!("another server uses the data directory `{}`", data_dir.display()),
                )
                .hint("use it, stop it, or choose another directory with --data-dir"));
            }
            Err(errno) => return Err(cannot(&errno)),
        }
        file.set_len(0)
            .and_then(|()| (&file).write_all(format!("{}\n", process::id()).as_bytes()))
            .map_err(|error| cannot(&error))?;
        Ok(Self(file))
    }

    /// Leaves no number behind that another process may have by then.
    pub(crate) fn release(self) {
        self.0.set_len(0).ok();
    }
}

pub(crate) fn make_private(dir: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| {
        Failure::unexpected(format!("cannot make the directory `{}`", dir.display()))
            .caused_by(&error)
            .hint("choose another data directory with --data-dir or SANDBAR_DATA_DIR")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // That a second server gives way is tested from outside: a record lock never stands in the way of its own process.
    #[test]
    fn a_claim_says_who_has_it_until_it_is_released() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.pid");
        let claim = Claim::take(dir.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        claim.release();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }
}
