//! The root that a sandbox lives in: an empty tmpfs, what the plan says attached to it, the host's tree left behind.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{
        AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, mkdirat, open, openat, symlinkat,
    },
    io::Errno,
    mount::{
        MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
        mount_change, move_mount, open_tree, unmount,
    },
    process::{chdir, fchdir, pivot_root, umask},
};
use sandbar_linux::mount::{MountAttributes, NODEV, NOEXEC, NOSUID, RDONLY, Reach, set_attributes};
use sandbar_types::HostPath;

use super::{
    below::{DIRECTORY, walk, write},
    binds::with_place,
    filesystems::{masks, proc, pts, tmpfs},
    init::own_mounts,
};
use crate::native::{
    certificates::take_over,
    etc_files::{CERTIFICATES, TRUSTSTORE},
    plan::{AGENT, Ids, Link, MaskKind, Mount, Plan, What},
    truststore::truststore,
};

/// Where the host has a directory that the new root can be attached to until it is the root.
const STAGE: &str = "/usr";

/// Detached trees by index into the mounts that they are for.
pub(super) type Binds = Vec<(usize, OwnedFd)>;

/// Detached trees to attach.
#[derive(Debug)]
pub(super) struct Trees {
    pub(super) merged: OwnedFd,
    pub(super) binds: Binds,
}

impl Trees {
    /// Those that came with the order.
    pub(super) fn given(
        indices: &[usize],
        mut fds: std::vec::IntoIter<OwnedFd>,
    ) -> io::Result<Self> {
        let missing = || io::Error::new(io::ErrorKind::InvalidData, "a tree is missing");
        let merged = fds.next().ok_or_else(missing)?;
        Ok(Self { merged, binds: given(indices, fds)? })
    }
}

/// Pairs descriptors that came with what they are for.
pub(super) fn given(indices: &[usize], fds: std::vec::IntoIter<OwnedFd>) -> io::Result<Binds> {
    if fds.len() == indices.len() {
        return Ok(indices.iter().copied().zip(fds).collect());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "a tree is missing"))
}

/// Leaves the host's mount namespace, and hears and says nothing of mounts any more.
pub(super) fn enter_private_mounts() -> io::Result<()> {
    own_mounts()?;
    Ok(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?)
}

/// The new root while it is built: first what every sandbox has, then what this one has.
pub(super) struct Root {
    tree: OwnedFd,
    masks: OwnedFd,
    etc: Option<OwnedFd>,
    dev: Option<OwnedFd>,
    /// The workspace, where only a scope of it may change.
    narrow: Option<OwnedFd>,
    /// The directory of the limits on namespaces, from a `/proc` that is not masked.
    namespace_limits: OwnedFd,
}

/// Whose mounts are attached: the mount points' owner and the contents follow from the plan, where there is one.
#[derive(Clone, Copy)]
struct Own<'a> {
    plan: &'a Plan,
    merged: &'a OwnedFd,
}

impl Root {
    /// Makes the root and what covers are taken from, both attached where the next step leaves everything behind.
    pub(super) fn make(links: &[Link]) -> io::Result<Self> {
        umask(Mode::from_raw_mode(0o022));
        let namespace_limits = open("/proc/sys/user", DIRECTORY, Mode::empty())?;
        let masks = masks()?;
        stage(masks.as_fd())?;
        let tree = tmpfs(
            1 << 20,
            1024,
            0o755,
            MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
        )?;
        stage(tree.as_fd())?;
        for link in links {
            symlinkat(link.target.as_str(), &tree, relative(&link.at))?;
        }
        Ok(Self { tree, masks, etc: None, dev: None, narrow: None, namespace_limits })
    }

    /// Attaches every one of `mounts` that is ground, in order.
    pub(super) fn attach_ground(&mut self, mounts: &[Mount], binds: Binds) -> io::Result<()> {
        self.attach_each(mounts, binds, None)
    }

    /// Attaches what `plan` has beyond the ground, in order, then makes read-only what nothing is added to any more.
    pub(super) fn attach_own(
        &mut self,
        plan: &Plan,
        trees: Trees,
        certificates: &OwnedFd,
    ) -> io::Result<()> {
        let Trees { merged, binds } = trees;
        // Before what is a view of one of them.
        if let Some(etc) = &self.etc {
            for file in &plan.etc {
                write(etc.as_fd(), Path::new(&file.path), file.content.as_bytes())?;
            }
            if let Some(pem) = take_over(certificates)? {
                write(etc.as_fd(), Path::new(CERTIFICATES), pem.as_bytes())?;
                if plan.mounts.iter().any(|mount| mount.what == What::Truststore) {
                    write(etc.as_fd(), Path::new(TRUSTSTORE), &truststore(&pem))?;
                }
            }
        }
        self.attach_each(&plan.mounts, binds, Some(Own { plan, merged: &merged }))?;
        for tree in [&self.etc, &self.dev].into_iter().flatten().chain([&self.tree]) {
            set_attributes(
                tree.as_fd(),
                Reach::Mount,
                MountAttributes { set: RDONLY, ..MountAttributes::default() },
            )?;
        }
        Ok(())
    }

    fn attach_each(
        &mut self,
        mounts: &[Mount],
        binds: Binds,
        own: Option<Own<'_>>,
    ) -> io::Result<()> {
        let mut binds = binds.into_iter().peekable();
        for (index, mount) in mounts.iter().enumerate() {
            if mount.what.is_ground() == own.is_none() {
                let bind = binds.next_if(|(at, _)| *at == index).map(|(_, tree)| tree);
                self.attach(own, mount, bind).map_err(|err| with_place(&err, mount))?;
            }
        }
        Ok(())
    }

    fn attach(
        &mut self,
        own: Option<Own<'_>>,
        mount: &Mount,
        bind: Option<OwnedFd>,
    ) -> io::Result<()> {
        let nothing_runs = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let at = &mount.at;
        match &mount.what {
            What::System { .. }
            | What::Data { .. }
            | What::Device { .. }
            | What::Home
            | What::Toolchain { .. } => {
                let tree = bind.ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidData, "its tree is missing")
                })?;
                self.put(own, tree.as_fd(), at)?;
            }
            What::Certificates => self.put_once_more(own, CERTIFICATES, at)?,
            What::Truststore => self.put_once_more(own, TRUSTSTORE, at)?,
            What::Etc => {
                let tree = tmpfs(4 << 20, 4096, 0o755, nothing_runs)?;
                self.put(own, tree.as_fd(), at)?;
                self.etc = Some(tree);
            }
            What::Tmpfs { bytes, inodes, mode, is_executable } => {
                let attributes = if *is_executable {
                    MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV
                } else {
                    nothing_runs
                };
                self.put(own, tmpfs(*bytes, *inodes, *mode, attributes)?.as_fd(), at)?;
            }
            What::Proc => self.put(own, proc(nothing_runs)?.as_fd(), at)?,
            What::Mask(kind) => self.cover(*kind, at)?,
            What::Dev => {
                let tree = tmpfs(
                    64 << 10,
                    64,
                    0o755,
                    MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
                )?;
                for (name, target) in [
                    ("fd", "/proc/self/fd"),
                    ("stdin", "/proc/self/fd/0"),
                    ("stdout", "/proc/self/fd/1"),
                    ("stderr", "/proc/self/fd/2"),
                    ("ptmx", "pts/ptmx"),
                ] {
                    symlinkat(target, &tree, name)?;
                }
                self.put(own, tree.as_fd(), at)?;
                self.dev = Some(tree);
            }
            What::Pts => self.put(own, pts()?.as_fd(), at)?,
            What::Workspace { is_read_only } => {
                self.put_workspace(own, at, *is_read_only)?;
            }
            What::Scope => self.put_scope(own, at)?,
        }
        Ok(())
    }

    fn put(&self, own: Option<Own<'_>>, tree: BorrowedFd<'_>, at: &HostPath) -> io::Result<()> {
        let is_dir = FileType::from_raw_mode(fstat(tree)?.st_mode).is_dir();
        let point = self.mount_point(own.map(|own| own.plan), at, is_dir)?;
        attach(tree, point.as_fd())
    }

    fn put_workspace(
        &mut self,
        own: Option<Own<'_>>,
        at: &HostPath,
        is_read_only: bool,
    ) -> io::Result<()> {
        let merged = own.ok_or(io::ErrorKind::InvalidInput)?.merged;
        self.put(own, merged.as_fd(), at)?;
        if !is_read_only {
            return Ok(());
        }
        // Another mount of the same tree: the first one is the keeper's, which reads and writes the whole of it, so it must
        // neither become read-only nor get a mount on top. Attached all the same, because before Linux 6.15 only what is
        // attached somewhere can be cloned.
        let narrow = clone_of(merged)?;
        fchdir(merged)?;
        unmount(".", UnmountFlags::DETACH)?;
        chdir("/")?;
        self.put(own, narrow.as_fd(), at)?;
        set_attributes(
            narrow.as_fd(),
            Reach::Mount,
            MountAttributes { set: RDONLY, ..MountAttributes::default() },
        )?;
        self.narrow = Some(narrow);
        Ok(())
    }

    /// The part of the workspace that may change, as a mount of its own that is not read-only.
    fn put_scope(&self, own: Option<Own<'_>>, at: &HostPath) -> io::Result<()> {
        let Own { plan, .. } = own.ok_or(io::ErrorKind::InvalidInput)?;
        let narrow = self.narrow.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
        let scope = plan.scope.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
        let inside =
            walk(narrow.as_fd(), scope.as_path(), &mut |_, _| Err(io::ErrorKind::NotFound.into()))?;
        let tree = clone_of(&inside)?;
        set_attributes(
            tree.as_fd(),
            Reach::Mount,
            MountAttributes { clear: RDONLY, ..MountAttributes::default() },
        )?;
        self.put(own, tree.as_fd(), at)
    }

    /// A file of `/etc` once more, so that its mount names no place of the host.
    fn put_once_more(
        &self,
        own: Option<Own<'_>>,
        file: &'static str,
        at: &HostPath,
    ) -> io::Result<()> {
        let etc = self.etc.as_ref().ok_or(io::ErrorKind::InvalidInput)?;
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(etc, file, clone)?;
        set_attributes(
            tree.as_fd(),
            Reach::Mount,
            MountAttributes { set: RDONLY | NOSUID | NODEV | NOEXEC, ..MountAttributes::default() },
        )?;
        self.put(own, tree.as_fd(), at)
    }

    fn cover(&self, kind: MaskKind, at: &HostPath) -> io::Result<()> {
        let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        // No link is followed below /proc: its own are magic.
        let target = openat(
            &self.tree,
            relative(at),
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let cover = match kind {
            MaskKind::File => open_tree(&self.masks, "empty", clone)?,
            MaskKind::Dir => open_tree(&self.masks, "dir", clone)?,
            MaskKind::Value => open_tree(&self.masks, "boot_id", clone)?,
            MaskKind::ReadOnly => {
                let tree = open_tree(&target, "", clone | OpenTreeFlags::AT_EMPTY_PATH)?;
                set_attributes(
                    tree.as_fd(),
                    Reach::Mount,
                    MountAttributes {
                        set: RDONLY | NOSUID | NODEV | NOEXEC,
                        ..MountAttributes::default()
                    },
                )?;
                tree
            }
        };
        attach(cover.as_fd(), target.as_fd())
    }

    /// Finds the mount point `at`, or makes it and the directories above it.
    fn mount_point(&self, plan: Option<&Plan>, at: &HostPath, is_dir: bool) -> io::Result<OwnedFd> {
        let path = relative(at);
        // Below these two, which are mounted by then, what is missing is made in the agent's own directories.
        let is_agents = |plan: &Plan| {
            let mut places = [&plan.home, &plan.workspace].into_iter();
            matches!(plan.ids, Ids::Range { .. })
                && places.any(|place| at.is_within(place) && at != place)
        };
        let owner = plan.is_some_and(is_agents).then_some(AGENT);
        let mut make = |dir: BorrowedFd<'_>, name: &Path| {
            mkdirat(dir, name, Mode::from_raw_mode(0o755))?;
            give(dir, name, owner)
        };
        if is_dir {
            return walk(self.tree.as_fd(), path, &mut make);
        }
        let dir = walk(self.tree.as_fd(), path.parent().unwrap_or(Path::new("")), &mut make)?;
        let name = path.file_name().map(Path::new).ok_or(io::ErrorKind::InvalidInput)?;
        match openat(&dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT) => {
                openat(
                    &dir,
                    name,
                    OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC,
                    Mode::from_raw_mode(0o644),
                )?;
                give(dir.as_fd(), name, owner)?;
                Ok(openat(
                    &dir,
                    name,
                    OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
                    Mode::empty(),
                )?)
            }
            other => Ok(other?),
        }
    }

    /// In the sandbox's own user namespace: not even a process that gained capabilities there can make another namespace.
    pub(super) fn forbid_namespaces(&self) -> io::Result<()> {
        for kind in ["user", "mnt", "net", "pid", "ipc", "uts", "cgroup", "time"] {
            let name = format!("max_{kind}_namespaces");
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(&self.namespace_limits, name, flags, Mode::empty()) {
                // A kernel without that kind of namespace.
                Err(Errno::NOENT) => {}
                limit => drop(rustix::io::write(&limit?, b"0")?),
            }
        }
        Ok(())
    }

    /// Makes the new root the root of this process, and leaves the host's tree behind for good.
    pub(super) fn enter(&self) -> io::Result<()> {
        fchdir(&self.tree)?;
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        Ok(chdir("/")?)
    }
}

fn relative(at: &HostPath) -> &Path {
    at.as_path().strip_prefix("/").expect("a host path is absolute")
}

fn give(dir: BorrowedFd<'_>, name: &Path, owner: Option<u32>) -> io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    Ok(chownat(
        dir,
        name,
        Some(Uid::from_raw(owner)),
        Some(Gid::from_raw(owner)),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

fn attach(tree: BorrowedFd<'_>, point: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(tree, "", point, "", flags)?)
}

fn clone_of(tree: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(tree, "", flags)?)
}

fn stage(tree: BorrowedFd<'_>) -> io::Result<()> {
    let point = open(STAGE, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    attach(tree, point.as_fd())
}
