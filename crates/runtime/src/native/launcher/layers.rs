//! The workspace as a detached mount: the source, shown with the agent as its owner, under the writable layer.

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{Timespec, poll},
    fs::{
        Access, AtFlags, CWD, FlockOperation, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, accessat,
        chmodat, chownat, flock, fstat, fstatfs, mkdirat, open, openat, openat2,
    },
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_fd,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, open_tree,
    },
};
use sandbar_linux::mount::{MountAttributes, NODEV, NOSUID, RDONLY, Reach, set_attributes};
use sandbar_types::HostPath;

use super::{
    step::{Failure, Step, Steps},
    userns::{Maps, mapping},
};
use crate::native::{
    keeper::KEEPER_SOCKET,
    plan::{Ids, Plan, RANGE},
};

/// LIMIT: how long the keeper before may take to unmount, a sync of its writable layer included.
const UNMOUNT_PATIENCE: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000 };

/// The descriptors of a workspace.
#[derive(Debug)]
pub(in crate::native) struct Layers {
    pub(in crate::native) merged: OwnedFd,
    pub(in crate::native) upper: OwnedFd,
    pub(in crate::native) lower: Option<OwnedFd>,
}

/// Makes views of host trees in which the agent owns what `owner` owns.
#[derive(Debug)]
pub(super) struct Idmaps {
    ids: Ids,
    known: Vec<((u32, u32), OwnedFd)>,
}

impl Idmaps {
    pub(super) fn new(ids: Ids) -> Self {
        Self { ids, known: Vec::new() }
    }

    /// Makes the view of `owner`'s trees before one is opened.
    pub(super) fn prepare(&mut self, owner: (u32, u32)) -> io::Result<()> {
        match self.ids {
            Ids::Range { base } => self.userns_for(owner, base).map(drop),
            Ids::Single { .. } => Ok(()),
        }
    }

    /// Opens the one mount that `path` of `dir` is on as a detached, private, read-only tree; in root mode with mapped ids.
    /// An empty `path` is `dir` itself, which need not be a directory.
    pub(super) fn open_tree_read_only(
        &mut self,
        dir: BorrowedFd<'_>,
        path: &Path,
    ) -> io::Result<OwnedFd> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH;
        let tree = match (open_tree(dir, path, flags), self.ids) {
            // A clone without what is mounted below would show what those mounts hide, so a user namespace may only take both.
            (Err(Errno::INVAL), Ids::Single { .. }) => {
                open_tree(dir, path, flags | OpenTreeFlags::AT_RECURSIVE)?
            }
            (tree, Ids::Single { .. } | Ids::Range { .. }) => tree?,
        };
        let attributes = MountAttributes {
            set: RDONLY | NOSUID | NODEV,
            is_private: true,
            ..MountAttributes::default()
        };
        match self.ids {
            Ids::Range { base } => {
                let Stat { st_uid, st_gid, .. } = fstat(&tree)?;
                let idmap = Some(self.userns_for((st_uid, st_gid), base)?);
                set_attributes(
                    tree.as_fd(),
                    Reach::Mount,
                    MountAttributes { idmap, ..attributes },
                )?;
            }
            Ids::Single { .. } => set_attributes(tree.as_fd(), Reach::Tree, attributes)?,
        }
        Ok(tree)
    }

    fn userns_for(&mut self, owner: (u32, u32), base: u32) -> io::Result<BorrowedFd<'_>> {
        let index = match self.known.iter().position(|(known, _)| *known == owner) {
            Some(index) => index,
            None => {
                let userns = mapping(&Maps::owner_as_agent(owner, base), self.ids)?;
                self.known.push((owner, userns));
                self.known.len() - 1
            }
        };
        Ok(self.known[index].1.as_fd())
    }
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const OWN: OFlags = DIRECTORY.union(OFlags::NOFOLLOW);

/// Opens the sandbox's own directory, which the engine or [`prepare_directories`] made.
pub(super) fn open_state(dir: &HostPath) -> io::Result<OwnedFd> {
    Ok(open(dir.as_path(), OWN, Mode::empty())?)
}

/// Makes the directories of the sandbox that are not there, and returns the one that holds them.
pub(super) fn prepare_directories(plan: &Plan) -> io::Result<OwnedFd> {
    make_directory(CWD, plan.dir.as_path())?;
    let state = open_state(&plan.dir)?;
    for name in ["work", "home", "logs", "run", "tools"] {
        make_directory(state.as_fd(), Path::new(name))?;
    }
    own(state.as_fd(), "home", plan.ids, plan.ids.agent_outside(), 0o700)?;
    Ok(state)
}

/// Takes the sandbox for this process alone, until it ends: two mounts over one writable layer would ruin it.
///
/// A keeper whose sandbox ended answers first and unmounts then, which may take a sync; that is waited for.
///
/// `WouldBlock`: another keeper has it and keeps it.
pub(super) fn lock(state: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let run = openat(state, "run", flags, Mode::empty())?;
    let deadline = Instant::now() + UNMOUNT_PATIENCE;
    loop {
        match flock(&run, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {}
            other => return other.map(|()| run).map_err(io::Error::from),
        }
        // The socket goes when the sandbox ended.
        let is_kept = accessat(&run, KEEPER_SOCKET, Access::EXISTS, AtFlags::empty()).is_ok();
        if is_kept || Instant::now() > deadline {
            return Err(Errno::WOULDBLOCK.into());
        }
        poll(&mut [], Some(&LOCK_PAUSE))?;
    }
}

fn make_directory(dir: BorrowedFd<'_>, name: &Path) -> io::Result<()> {
    match mkdirat(dir, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

/// Gives `name` to `owner` unless somebody inside owns it already: then it was given before, and may have been changed since.
fn own(dir: BorrowedFd<'_>, name: &str, ids: Ids, owner: (u32, u32), mode: u32) -> io::Result<()> {
    let Ids::Range { base } = ids else {
        return Ok(());
    };
    let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    if (base..base + RANGE).contains(&stat.st_uid) {
        return Ok(());
    }
    chmodat(dir, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
    Ok(chownat(
        dir,
        name,
        Some(Uid::from_raw(owner.0)),
        Some(Gid::from_raw(owner.1)),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// Opens the source and makes sure that it can be a lower layer. What is returned is what was checked: it is not
/// looked up again.
///
/// Links were followed when the sandbox was created, so one that is on the path now was put there since.
pub(super) fn open_source(plan: &Plan) -> Result<Option<OwnedFd>, Failure> {
    let Some(source) = &plan.source else {
        return Ok(None);
    };
    let refuse = |what: String| Err(Failure::Source { what });
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let fd = match openat2(CWD, source.as_path(), DIRECTORY, Mode::empty(), resolve) {
        Ok(fd) => fd,
        Err(Errno::LOOP) => {
            return refuse(format!("`{source}` leads through a link that was not there before"));
        }
        Err(err) => return refuse(format!("`{source}`: {err}")),
    };
    // By where they really are: a link in either path must not hide it.
    let real = |fd: &OwnedFd| std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let state = open_state(&plan.dir).and_then(|state| real(&state));
    let is_inside = state.and_then(|state| Ok(state.starts_with(real(&fd)?)));
    if is_inside.map_err(|err| Failure::at(Step::Source, &err))? {
        return refuse(format!("`{source}` holds the server's own data"));
    }
    let kind = fstatfs(&fd).map_err(|err| Failure::at(Step::Source, &err.into()))?.f_type;
    let virtual_kinds = [
        (0x9fa0, "proc"),
        (0x6265_6572, "sysfs"),
        (0x1cd1, "devpts"),
        (0x0027_e0eb, "cgroup"),
        (0x6367_7270, "cgroup2"),
    ];
    match virtual_kinds.iter().find(|(magic, _)| *magic == kind) {
        Some((_, name)) => {
            refuse(format!("`{source}` is on {name}, which is no file system of files"))
        }
        None => Ok(Some(fd)),
    }
}

/// Refuses file systems that cannot hold the writable layer.
pub(super) fn check_state(state: BorrowedFd<'_>) -> Result<(), Failure> {
    let kind = fstatfs(state).map_err(|err| Failure::at(Step::Directories, &err.into()))?.f_type;
    let unfit =
        [(0x794c_7630, "overlayfs"), (0x6969, "NFS"), (0x6573_5546, "FUSE"), (0x4d44, "vfat")];
    match unfit.iter().find(|(magic, _)| *magic == kind) {
        Some((_, name)) => Err(Failure::Unsupported {
            what: format!("the data directory is on {name}, which cannot hold the writable layer of an overlay"),
            hint: Some("put the data directory on ext4, xfs, btrfs or tmpfs; inside a container, on a volume".to_owned()),
        }),
        None => Ok(()),
    }
}

/// Builds the workspace of `plan` in `state`.
pub(super) fn build(
    plan: &Plan,
    state: BorrowedFd<'_>,
    idmaps: &mut Idmaps,
    steps: &Steps,
) -> Result<Layers, Failure> {
    let lower = match (&plan.source, steps.check(Step::Source, || open_source(plan))?) {
        (Some(source), Some(opened)) => Some(steps.check(Step::Idmap, || {
            let here = Path::new("");
            idmaps.open_tree_read_only(opened.as_fd(), here).map_err(|err| match err.raw_os_error() {
                Some(errno) if errno == Errno::INVAL.raw_os_error() => Failure::Source {
                    what: format!("the file system of `{source}` cannot show its owner as another (idmapped mounts)"),
                },
                _ => Failure::at(Step::Idmap, &err),
            })
        })?),
        (Some(_) | None, _) => None,
    };
    steps.take(Step::Overlay, || {
        make_directory(state, Path::new("upper"))?;
        let forked = forked(plan, Path::new("upper"))?;
        let shown = forked.as_ref().map(AsFd::as_fd).or(lower.as_ref().map(AsFd::as_fd));
        let (owner, mode) = match shown {
            Some(lower) => {
                fstat(lower).map(|stat| ((stat.st_uid, stat.st_gid), stat.st_mode & 0o7777))?
            }
            None => (plan.ids.agent_outside(), 0o755),
        };
        // Overlayfs shows the upper's own mode and owner for the root of the merged tree.
        own(state, "upper", plan.ids, owner, mode)?;
        let view = own_tree(state, plan.ids)?;
        let upper = openat(&view, "upper", OWN, Mode::empty())?;
        let work = openat(&view, "work", OWN, Mode::empty())?;
        let forked = forked.as_ref().map(AsFd::as_fd).into_iter();
        let lowers: Vec<BorrowedFd<'_>> = forked.chain(lower.as_ref().map(AsFd::as_fd)).collect();
        let merged = overlay(&lowers, upper.as_fd(), work.as_fd(), plan.ids)?;
        Ok(Layers { merged, upper, lower })
    })
}

/// The sandbox's directory as a tree of its own, so that what the overlay says about itself names nothing of the host.
fn own_tree(state: BorrowedFd<'_>, ids: Ids) -> io::Result<OwnedFd> {
    match ids {
        Ids::Range { .. } => {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE
                | OpenTreeFlags::OPEN_TREE_CLOEXEC
                | OpenTreeFlags::AT_EMPTY_PATH;
            Ok(open_tree(state, "", flags)?)
        }
        Ids::Single { .. } => Ok(openat(state, ".", OWN, Mode::empty())?),
    }
}

/// A writable layer of another sandbox.
struct Forked {
    layer: OwnedFd,
    /// The mount that `layer` is on; the kernel builds on no mount that is gone.
    #[expect(dead_code, reason = "held, not used")]
    view: OwnedFd,
}

impl AsFd for Forked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.layer.as_fd()
    }
}

/// Opens a writable layer of the sandbox that `plan` forks; `None` where it forks none, or that one has no such layer.
///
/// Not its merged tree: an overlay may be built on another once only, and a source may be on one; and a mount of
/// another user namespace is nothing to build on, so user mode could not.
fn forked(plan: &Plan, layer: &Path) -> io::Result<Option<Forked>> {
    let Some(parent) = &plan.fork_of else {
        return Ok(None);
    };
    let view = own_tree(open_state(parent)?.as_fd(), plan.ids)?;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(&view, layer, DIRECTORY, Mode::empty(), resolve) {
        Ok(layer) => Ok(Some(Forked { layer, view })),
        Err(Errno::NOENT) => Ok(None),
        Err(err) => Err(err.into()),
    }
}

/// Makes a detached overlay mount over `lowers`, the highest first; without any, over an empty one.
pub(super) fn overlay(
    lowers: &[BorrowedFd<'_>],
    upper: BorrowedFd<'_>,
    work: BorrowedFd<'_>,
    ids: Ids,
) -> io::Result<OwnedFd> {
    let empty;
    let beneath;
    let lowers = match lowers {
        [] => {
            empty = empty_tree()?;
            beneath = [empty.as_fd()];
            &beneath[..]
        }
        lowers => lowers,
    };
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    set_lowers(fs.as_fd(), lowers)?;
    set_layer(fs.as_fd(), "upperdir", upper)?;
    set_layer(fs.as_fd(), "workdir", work)?;
    for (key, value) in
        [("metacopy", "off"), ("index", "off"), ("xino", "auto"), ("nfs_export", "off")]
    {
        fsconfig_set_string(&fs, key, value)?;
    }
    match ids {
        // In trusted.* attributes, which nothing inside can write.
        Ids::Range { .. } => fsconfig_set_string(&fs, "redirect_dir", "on")?,
        Ids::Single { .. } => fsconfig_set_flag(&fs, "userxattr")?,
    }
    fsconfig_create(&fs)?;
    Ok(fsmount(
        &fs,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV,
    )?)
}

/// Gives a layer by descriptor, or, before Linux 6.13, by the descriptor's path.
fn set_layer(fs: BorrowedFd<'_>, key: &str, layer: BorrowedFd<'_>) -> io::Result<()> {
    match fsconfig_set_fd(fs, key, layer) {
        Err(Errno::INVAL) => Ok(fsconfig_set_string(fs, key, path_of(layer).as_str())?),
        other => Ok(other?),
    }
}

/// As [`set_layer`]; by path, all of them are one option.
fn set_lowers(fs: BorrowedFd<'_>, lowers: &[BorrowedFd<'_>]) -> io::Result<()> {
    for lower in lowers {
        match fsconfig_set_fd(fs, "lowerdir+", *lower) {
            Err(Errno::INVAL) => {
                let paths: Vec<String> = lowers.iter().map(|lower| path_of(*lower)).collect();
                return Ok(fsconfig_set_string(fs, "lowerdir", paths.join(":").as_str())?);
            }
            other => other?,
        }
    }
    Ok(())
}

fn path_of(layer: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", layer.as_raw_fd())
}

fn empty_tree() -> io::Result<OwnedFd> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "size", "4k")?;
    fsconfig_set_string(&fs, "mode", "0755")?;
    fsconfig_create(&fs)?;
    Ok(fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::MOUNT_ATTR_RDONLY)?)
}

/// Makes (or finds) the writable layer of one toolchain in `tools` of `state`, and the overlay over `lower`.
pub(super) fn toolchain(
    plan: &Plan,
    state: BorrowedFd<'_>,
    host: &HostPath,
    lower: BorrowedFd<'_>,
) -> io::Result<OwnedFd> {
    let ids = plan.ids;
    let view = own_tree(state, ids)?;
    let tools = openat(&view, "tools", OWN, Mode::empty())?;
    let tool = tool_name(host);
    make_directory(tools.as_fd(), Path::new(&tool))?;
    let dir = openat(&tools, &tool, OWN, Mode::empty())?;
    for name in ["upper", "work"] {
        make_directory(dir.as_fd(), Path::new(name))?;
    }
    let stat = fstat(lower)?;
    own(dir.as_fd(), "upper", ids, (stat.st_uid, stat.st_gid), stat.st_mode & 0o7777)?;
    let upper = openat(&dir, "upper", OWN, Mode::empty())?;
    let work = openat(&dir, "work", OWN, Mode::empty())?;
    let forked = forked(plan, &Path::new("tools").join(tool).join("upper"))?;
    let lowers: Vec<BorrowedFd<'_>> =
        forked.as_ref().map(AsFd::as_fd).into_iter().chain([lower]).collect();
    overlay(&lowers, upper.as_fd(), work.as_fd(), ids)
}

/// The home directory, as a mount that names nothing of the host: the root of a bind is shown by its path in the file
/// system (proc_pid_mountinfo(5)), and that of an overlay is `/`.
///
/// In user mode it is the caller's own directory, below a path that is the caller's: nothing that it does not know.
pub(super) fn home(plan: &Plan, state: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let ids = plan.ids;
    let forked = forked(plan, Path::new("home"))?;
    match (ids, &forked) {
        (Ids::Range { .. }, _) | (Ids::Single { .. }, Some(_)) => {
            let view = own_tree(state, ids)?;
            make_directory(view.as_fd(), Path::new("home-work"))?;
            let upper = openat(&view, "home", OWN, Mode::empty())?;
            let work = openat(&view, "home-work", OWN, Mode::empty())?;
            let lowers: Vec<BorrowedFd<'_>> = forked.iter().map(AsFd::as_fd).collect();
            overlay(&lowers, upper.as_fd(), work.as_fd(), ids)
        }
        (Ids::Single { .. }, None) => {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            let tree = open_tree(state, "home", flags)?;
            let set = NOSUID | NODEV;
            let attributes =
                MountAttributes { set, is_private: true, ..MountAttributes::default() };
            set_attributes(tree.as_fd(), Reach::Mount, attributes)?;
            Ok(tree)
        }
    }
}

/// A name for the layer over `host` (FNV-1a): an upper layer must never meet another lower one.
fn tool_name(host: &HostPath) -> String {
    let bytes = host.as_path().as_os_str().as_encoded_bytes();
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
