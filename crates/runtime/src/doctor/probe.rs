//! The bodies of the probes that change the process that runs them.

use std::{
    fs,
    io::{self, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::Path,
    process::ExitCode,
};

use rustix::{
    fs::{CWD, Mode, OFlags, RenameFlags, open, renameat, renameat_with},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_fd,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, open_tree,
    },
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal, waitpid,
    },
};
use sandbar_linux::{
    capabilities::forbid_new_privileges,
    clone::{CloneSpec, Cloned, clone_process},
    exec::close_on_exec_from,
    landlock::{self, Access, PathRule},
    mount::{MountAttributes, Reach, set_attributes},
    namespace::{Namespace, unshare},
};

use super::{Finding, blocked::Layers};
use crate::native::seccomp_policy::default_program;

/// In the order in which they are run and shown.
pub(super) const NAMES: [&str; 6] =
    ["namespaces", "mounts", "files", "processes", "seccomp", "landlock"];

/// The body of a throw-away process, `sandbar __launch probe <name> <data directory>`: prints its findings as JSON.
///
/// Must be called in a process with one thread.
#[must_use]
pub fn probe_main(name: &str, data: &Path) -> ExitCode {
    let findings = match name {
        "namespaces" => namespaces(),
        "mounts" => in_directory(data, mounts),
        "files" => in_directory(data, files),
        "processes" => processes(),
        "seccomp" => seccomp(),
        "landlock" => landlock(),
        _ => return ExitCode::FAILURE,
    };
    let Ok(answer) = serde_json::to_vec(&findings) else {
        return ExitCode::FAILURE;
    };
    match io::stdout().write_all(&answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn namespaces() -> Vec<Finding> {
    let layers = Layers::look();
    if let Err(err) = enter_user_namespace() {
        return vec![layers.explain("user_namespaces", "a user namespace could not be made", &err)];
    }
    let mut findings = vec![Finding::ok("user_namespaces", "user namespaces can be made")];
    let others = [
        (Namespace::Mount, "mount"),
        (Namespace::Pid, "pid"),
        (Namespace::Network, "network"),
        (Namespace::Ipc, "ipc"),
        (Namespace::Uts, "uts"),
        (Namespace::Cgroup, "cgroup"),
    ];
    for (namespace, name) in others {
        if let Err(err) = unshare(namespace) {
            findings.push(layers.explain(
                "namespaces",
                &format!("a {name} namespace could not be made"),
                &err,
            ));
        }
    }
    if let Err(err) = mount_tmpfs() {
        findings.push(layers.explain("namespaces", "a tmpfs could not be mounted inside", &err));
    }
    if findings.len() == 1 {
        let names = others.map(|(_, name)| name).join(", ");
        findings.push(Finding::ok(
            "namespaces",
            format!("inside one, so can {names} namespaces and mounts"),
        ));
    }
    findings
}

/// Maps our own id to 0 inside, which everybody may.
fn enter_user_namespace() -> io::Result<()> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    unshare(Namespace::User)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {} 1", uid.as_raw()))?;
    fs::write("/proc/self/gid_map", format!("0 {} 1", gid.as_raw()))
}

fn mount_tmpfs() -> io::Result<()> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(())
}

/// Runs `body` in a new directory in `data`, and removes that.
fn in_directory(data: &Path, body: fn(&Path) -> Vec<Finding>) -> Vec<Finding> {
    let dir = data.join(format!(".probe-{}", getpid().as_raw_nonzero()));
    if let Err(err) = fs::create_dir(&dir) {
        return vec![Finding::missing(
            "data_directory",
            format!("the data directory cannot be written: {err}"),
        )];
    }
    let findings = body(&dir);
    // Whatever cannot be removed is empty, and its name says whose it was.
    fs::remove_dir_all(&dir).ok();
    findings
}

fn mounts(dir: &Path) -> Vec<Finding> {
    let is_root = rustix::process::geteuid().is_root();
    let mut findings = Vec::new();
    if is_root {
        findings.push(idmapped_mounts(dir));
    } else if enter_user_namespace().and_then(|()| unshare(Namespace::Mount)).is_err() {
        return vec![Finding::missing("overlay", "without user namespaces there are no overlays")];
    }
    match overlay(dir, is_root) {
        Ok(true) => findings.push(Finding::ok("overlay", "a directory of the lower layer can be renamed")),
        Ok(false) => findings.push(
            Finding::degraded("overlay", "renaming a directory of the source fails inside (EXDEV); tools then copy it")
                .hint("redirect_dir needs root"),
        ),
        Err(err) => findings.push(
            Finding::missing("overlay", format!("an overlay cannot be mounted with its upper layer in the data directory: {err}"))
                .hint("put the data directory on ext4, xfs, btrfs or tmpfs, with a kernel that has overlayfs"),
        ),
    }
    findings
}

/// Mounts an overlay by descriptors, and says whether a directory of the lower layer can be renamed in it.
fn overlay(dir: &Path, is_root: bool) -> io::Result<bool> {
    for name in ["lower/inner", "upper", "work"] {
        fs::create_dir_all(dir.join(name))?;
    }
    let at = |name: &str| {
        open(dir.join(name), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    let (lower, upper, work) = (at("lower")?, at("upper")?, at("work")?);
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    layer(&context, "lowerdir+", "lowerdir", &lower)?;
    layer(&context, "upperdir", "upperdir", &upper)?;
    layer(&context, "workdir", "workdir", &work)?;
    if is_root {
        fsconfig_set_string(context.as_fd(), "redirect_dir", "on")?;
    } else {
        fsconfig_set_flag(context.as_fd(), "userxattr")?;
    }
    fsconfig_create(context.as_fd())?;
    let merged = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(renameat(&merged, "inner", &merged, "moved").is_ok())
}

/// By descriptor from Linux 6.13 on, by its name in `/proc` before.
fn layer(context: &OwnedFd, key: &str, older_key: &str, dir: &OwnedFd) -> io::Result<()> {
    if fsconfig_set_fd(context.as_fd(), key, dir.as_fd()).is_ok() {
        return Ok(());
    }
    let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
    Ok(fsconfig_set_string(context.as_fd(), older_key, &path)?)
}

fn idmapped_mounts(dir: &Path) -> Finding {
    const CODE: &str = "idmapped_mounts";
    match try_idmapped_mount(dir) {
        Ok(()) => Finding::ok(CODE, "the data directory's file system can be shown with other ids"),
        Err(err) => Finding::degraded(
            CODE,
            format!("the data directory's file system cannot be shown with other ids: {err}; sources on it cannot be used"),
        )
        .hint("keep sources on ext4, xfs, btrfs or tmpfs"),
    }
}

fn try_idmapped_mount(dir: &Path) -> io::Result<()> {
    let spec = CloneSpec { flags: Namespace::User.flag(), ..CloneSpec::default() };
    match clone_process(spec)? {
        Cloned::Child => wait_to_be_killed(),
        Cloned::Parent { pid, pidfd } => {
            let result = idmapped_by(pid, dir);
            pidfd_send_signal(&pidfd, Signal::KILL)?;
            waitpid(Some(pid), WaitOptions::empty())?;
            result
        }
    }
}

fn idmapped_by(child: Pid, dir: &Path) -> io::Result<()> {
    let proc = format!("/proc/{}", child.as_raw_nonzero());
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("{proc}/{map}"), "0 2097152 65536")?;
    }
    let namespace = fs::File::open(format!("{proc}/ns/user"))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, dir, flags)?;
    let attributes =
        MountAttributes { idmap: Some(namespace.as_fd()), ..MountAttributes::default() };
    set_attributes(tree.as_fd(), Reach::Mount, attributes)
}

/// Holds a namespace open until the parent has used it; dies with the parent.
fn wait_to_be_killed() -> ! {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).ok();
    loop {
        std::thread::park();
    }
}

fn files(dir: &Path) -> Vec<Finding> {
    let exchange = || -> io::Result<()> {
        fs::write(dir.join("one"), "1")?;
        fs::write(dir.join("two"), "2")?;
        renameat_with(CWD, dir.join("one"), CWD, dir.join("two"), RenameFlags::EXCHANGE)?;
        Ok(())
    };
    vec![match exchange() {
        Ok(()) => Finding::ok("exchange", "two files can change places at once"),
        Err(err) => Finding::degraded(
            "exchange",
            format!("two files cannot change places at once here: {err}"),
        )
        .hint("approve into sources on ext4, xfs, btrfs or tmpfs"),
    }]
}

fn processes() -> Vec<Finding> {
    let pidfd = pidfd_open(getpid(), PidfdFlags::empty()).map_err(io::Error::from);
    let found = |code: &str, result: io::Result<()>, what: &str| match result {
        Ok(()) => Finding::ok(code, format!("{what} works")),
        Err(err) => Finding::missing(code, format!("{what} does not work: {err}"))
            .hint("use Linux 5.19 or newer"),
    };
    vec![
        found("pidfd", pidfd.map(drop), "naming a process by a descriptor"),
        found("close_range", close_on_exec_from(3), "closing descriptors by range"),
    ]
}

fn seccomp() -> Vec<Finding> {
    let installed = forbid_new_privileges().and_then(|()| default_program().install());
    vec![match installed {
        Ok(()) if makes_forbidden_socket() => {
            Finding::missing("seccomp", "a filter was taken, but does not filter")
        }
        Ok(()) => Finding::ok("seccomp", "system calls can be filtered"),
        Err(err) => Finding::missing("seccomp", format!("system calls cannot be filtered: {err}"))
            .hint("use a kernel that was built with CONFIG_SECCOMP_FILTER"),
    }]
}

/// A socket that everybody may make, and that the profile refuses.
fn makes_forbidden_socket() -> bool {
    let protocol = Some(rustix::net::netlink::GENERIC);
    socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol).is_ok()
}

fn landlock() -> Vec<Finding> {
    let root = PathRule { path: "/".into(), access: Access::List };
    vec![match landlock::restrict(&[root]) {
        Ok(restricted) if restricted.abi == 0 => Finding::degraded("landlock", "there is no Landlock: the second wall around files is missing")
            .hint("add `landlock` to the kernel's `lsm=` parameter, or use a kernel that was built with it"),
        Ok(_) if fs::read("/proc/self/status").is_ok() => Finding::degraded("landlock", "Landlock was accepted, but restricts nothing"),
        Ok(restricted) if restricted.is_scoped => Finding::ok("landlock", format!("Landlock ABI {}", restricted.abi)),
        Ok(restricted) => Finding::ok("landlock", format!("Landlock ABI {}, without scopes for signals and sockets", restricted.abi)),
        Err(err) => Finding::degraded("landlock", format!("Landlock does not work: {err}")),
    }]
}
