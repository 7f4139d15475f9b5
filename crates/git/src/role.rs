//! The role `sandbar __git`: a short-lived process that runs the host's git over one source, as the source's owner.
//!
//! Started by root, it becomes the owner of the source for good and keeps no right; started by a user, it is that user.
//! It can write in the repository's git directory alone, and open no socket.
//! One JSON [`Request`] on standard input, one [`Reply`] on standard output; 3 is the source's directory, 4 the bundle
//! (anything where the request has none).

use std::{
    collections::BTreeMap,
    env,
    fs::File,
    io::{self, Read, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::ExitCode,
};

use rustix::thread::CapabilitySet;
use sandbar_linux::{
    capabilities, inherited,
    landlock::{self, Access, PathRule},
    owner::become_owner,
    seccomp,
};

use crate::{
    GitError, Reply, Request, blobs, commit, pull,
    repository::{self, Repository},
};

const SOURCE: i32 = 3;
const BUNDLE: i32 = 4;
/// LIMIT: bytes of a request; some 300 for each path.
const REQUEST_BYTES_MAX: u64 = 256 << 20;

/// Runs the role, and returns its exit code: 0 once it answered, 1 where it could not begin.
///
/// The process must have one thread: privileges belong to threads.
#[must_use]
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed as well.
            drop(writeln!(io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    let (source, bundle) = (inherited::take(SOURCE)?, inherited::take(BUNDLE)?);
    // INVARIANT: confined before the first byte of the request is read, and before anything of the source's.
    become_owner(source.as_fd(), CapabilitySet::empty())?;
    rustix::process::fchdir(&source)?;
    let dir = env::current_dir()?;
    let found = repository::discover(&dir);
    confine(found.as_ref())?;
    let mut request = Vec::new();
    io::stdin().lock().take(REQUEST_BYTES_MAX).read_to_end(&mut request)?;
    let request: Request = serde_json::from_slice(&request)?;
    let reply = match &found {
        None => Err(GitError::NoRepository),
        Some(repository) => answer(repository, &dir, &bundle.into(), &request),
    };
    let reply = reply.unwrap_or_else(|error| Reply::Failed { error });
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &reply)?;
    out.flush()
}

fn answer(
    repository: &Repository,
    dir: &Path,
    bundle: &File,
    request: &Request,
) -> Result<Reply, GitError> {
    Ok(match request {
        Request::ReadBlobs { commit, paths } => Reply::Blobs { blobs: blobs::read(commit, paths)? },
        Request::CheckCommit { paths, has_committer } => {
            commit::check(repository, dir, paths, *has_committer)?;
            Reply::Committable
        }
        Request::Commit(request) => Reply::Committed(commit::commit(repository, dir, request)?),
        Request::Pull { branch, update } => {
            Reply::Pulled(pull::pull(repository, bundle, branch, *update)?)
        }
    })
}

fn confine(repository: Option<&Repository>) -> io::Result<()> {
    let rule = |path: PathBuf, access| PathRule { path, access };
    capabilities::forbid_new_privileges()?;
    let mut rules = vec![
        rule(PathBuf::from("/"), Access::ReadExecute),
        rule(PathBuf::from("/dev/null"), Access::Device),
    ];
    for dir in repository.into_iter().flat_map(|found| [&found.git_dir, &found.common_dir]) {
        rules.push(rule(dir.clone(), Access::ReadWrite));
    }
    // A second wall: who we are is the first. A kernel without Landlock leaves that one.
    let _restricted = landlock::restrict(&rules)?;
    let program = forbidden().compile().map_err(io::Error::other)?;
    program.install()
}

/// Everything but talking to somebody, and reaching into another process.
fn forbidden() -> seccomp::Policy {
    const CALLS: [libc::c_long; 9] = [
        libc::SYS_socket,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_bpf,
        libc::SYS_io_uring_setup,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
    ];
    let refused = seccomp::Rule::Always(seccomp::Action::Errno(1));
    let rule = |call: &libc::c_long| Some((u32::try_from(*call).ok()?, refused.clone()));
    seccomp::Policy {
        rules: CALLS.iter().filter_map(rule).collect::<BTreeMap<_, _>>(),
        default: seccomp::Action::Allow,
        // LIMIT: calls that a later kernel adds after these fail as unknown; git falls back from each.
        newest: 511,
    }
}
