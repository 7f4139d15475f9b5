//! Moving the calling process into new namespaces, and leaving what it shared with its creator.

use std::io;

/// A kind of namespace; its `CLONE_NEW*` bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// Control groups.
    Cgroup,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Mounts.
    Mount,
    /// Network.
    Network,
    /// Process ids.
    Pid,
    /// User and group ids, keys, capabilities.
    User,
    /// Host and domain name.
    Uts,
}

impl Namespace {
    /// The bit for clone(2) and unshare(2).
    #[must_use]
    pub fn flag(self) -> u64 {
        let flag = match self {
            Self::Cgroup => libc::CLONE_NEWCGROUP,
            Self::Ipc => libc::CLONE_NEWIPC,
            Self::Mount => libc::CLONE_NEWNS,
            Self::Network => libc::CLONE_NEWNET,
            Self::Pid => libc::CLONE_NEWPID,
            Self::User => libc::CLONE_NEWUSER,
            Self::Uts => libc::CLONE_NEWUTS,
        };
        u64::from(flag.cast_unsigned())
    }
}

/// Moves the calling thread into a new namespace of this kind.
///
/// # Errors
/// As unshare(2): `EPERM`, `ENOSPC` (a limit), `EINVAL` for a user namespace in a process with two threads.
pub fn unshare(namespace: Namespace) -> io::Result<()> {
    let flag = libc::c_int::try_from(namespace.flag()).expect("every namespace bit fits");
    // SAFETY: unshare takes no pointers. Of its flags only the CLONE_NEW* ones are passed, never CLONE_FILES or
    // CLONE_FS, so no descriptor of this process changes under anybody.
    let rc = unsafe { libc::unshare(flag) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Joins a new, empty session keyring, so that no key of the creator's is reachable. A kernel without keys is fine.
///
/// # Errors
/// As keyctl(2): `EDQUOT`, `ENOMEM`.
pub fn join_new_session_keyring() -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for an anonymous keyring; nothing is read or written.
    let rc = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_JOIN_SESSION_KEYRING,
            std::ptr::null::<libc::c_char>(),
        )
    };
    if rc >= 0 {
        return Ok(());
    }
    let err = io::Error::last_os_error();
    if err.raw_os_error() == Some(libc::ENOSYS) { Ok(()) } else { Err(err) }
}
