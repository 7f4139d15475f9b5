//! What comes from the host besides the workspace, opened as detached trees: system directories, toolchains, devices, the home.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, major, minor, openat2},
    io::Errno,
    mount::{OpenTreeFlags, open_tree},
};
use sandbar_linux::mount::{MountAttributes, NODEV, NOEXEC, NOSUID, RDONLY, Reach, set_attributes};

use super::layers::{Idmaps, home, toolchain};
use crate::native::plan::{Mount, Plan, What};

/// Opens the tree of every mount of `plan` that has one and is not ground, with its index in `plan.mounts`.
pub(super) fn open_own(
    plan: &Plan,
    state: BorrowedFd<'_>,
    idmaps: &mut Idmaps,
) -> io::Result<Vec<(usize, OwnedFd)>> {
    open_each(&plan.mounts, |mount| open_one(plan, mount, state, idmaps))
}

/// Opens the tree of every mount that is ground and has one, with its index in `mounts`.
///
/// `userns` is the sandbox's own, to show what root owns as its root's; `None` in user mode.
pub(super) fn open_ground(
    mounts: &[Mount],
    userns: Option<BorrowedFd<'_>>,
) -> io::Result<Vec<(usize, OwnedFd)>> {
    open_each(mounts, |mount| open_shared(mount, userns))
}

fn open_each(
    mounts: &[Mount],
    mut open: impl FnMut(&Mount) -> io::Result<Option<OwnedFd>>,
) -> io::Result<Vec<(usize, OwnedFd)>> {
    let mut trees = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        let opened = open(mount).map_err(|err| with_place(&err, mount))?;
        trees.extend(opened.map(|tree| (index, tree)));
    }
    Ok(trees)
}

/// The error with where it happened; the number alone does not help anybody.
pub(super) fn with_place(err: &io::Error, mount: &Mount) -> io::Error {
    io::Error::new(err.kind(), format!("`{}`: {err}", mount.at))
}

fn open_shared(mount: &Mount, userns: Option<BorrowedFd<'_>>) -> io::Result<Option<OwnedFd>> {
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = match &mount.what {
        What::System { host } => {
            let tree = open_tree(CWD, host.as_path(), clone | OpenTreeFlags::AT_RECURSIVE)?;
            restrict(tree.as_fd(), Reach::Tree, RDONLY | NOSUID | NODEV)?;
            show_root_as_root(tree.as_fd(), userns)?;
            tree
        }
        What::Data { host } => {
            let tree = open_tree(CWD, host.as_path(), clone | OpenTreeFlags::AT_RECURSIVE)?;
            restrict(tree.as_fd(), Reach::Tree, RDONLY | NOSUID | NODEV | NOEXEC)?;
            show_root_as_root(tree.as_fd(), userns)?;
            tree
        }
        What::Device { host, major, minor } => open_device(host.as_path(), (*major, *minor))?,
        What::Etc
        | What::Tmpfs { .. }
        | What::Proc
        | What::Mask(_)
        | What::Dev
        | What::Pts
        | What::Workspace { .. }
        | What::Scope
        | What::Certificates
        | What::Truststore
        | What::Home
        | What::Toolchain { .. } => return Ok(None),
    };
    Ok(Some(tree))
}

fn open_one(
    plan: &Plan,
    mount: &Mount,
    state: BorrowedFd<'_>,
    idmaps: &mut Idmaps,
) -> io::Result<Option<OwnedFd>> {
    let tree = match &mount.what {
        What::Home => home(plan, state)?,
        What::Toolchain { host, is_writable, .. } => {
            // Every link was resolved when the plan was made; one that is there now was put there since.
            let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let at = openat2(CWD, host.as_path(), flags, Mode::empty(), resolve)?;
            let lower = idmaps.open_tree_read_only(at.as_fd(), Path::new(""))?;
            let is_dir = FileType::from_raw_mode(fstat(&lower)?.st_mode).is_dir();
            if *is_writable && is_dir {
                toolchain(plan, state, host, lower.as_fd())?
            } else {
                lower
            }
        }
        What::Etc
        | What::Tmpfs { .. }
        | What::Proc
        | What::Mask(_)
        | What::Dev
        | What::Pts
        | What::Workspace { .. }
        | What::Scope
        | What::Certificates
        | What::Truststore
        | What::System { .. }
        | What::Data { .. }
        | What::Device { .. } => return Ok(None),
    };
    Ok(Some(tree))
}

fn restrict(tree: BorrowedFd<'_>, reach: Reach, set: u64) -> io::Result<()> {
    set_attributes(
        tree,
        reach,
        MountAttributes { set, is_private: true, ..MountAttributes::default() },
    )
}

/// For looks only, so a file system that cannot is left as it is: what root owns is shown as nobody's.
fn show_root_as_root(tree: BorrowedFd<'_>, userns: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let Some(userns) = userns else { return Ok(()) };
    match set_attributes(
        tree,
        Reach::Tree,
        MountAttributes { idmap: Some(userns), ..MountAttributes::default() },
    ) {
        Err(err)
            if [Some(Errno::INVAL.raw_os_error()), Some(Errno::PERM.raw_os_error())]
                .contains(&err.raw_os_error()) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// Opens a device node, and makes sure that it is the one that is meant: the name alone proves nothing.
fn open_device(host: &std::path::Path, number: (u32, u32)) -> io::Result<OwnedFd> {
    let tree = open_tree(
        CWD,
        host,
        OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_SYMLINK_NOFOLLOW,
    )?;
    let stat = fstat(&tree)?;
    let is_character = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !is_character || (major(stat.st_rdev), minor(stat.st_rdev)) != number {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "not the device that its name says",
        ));
    }
    restrict(tree.as_fd(), Reach::Mount, NOSUID | NOEXEC)?;
    Ok(tree)
}
