//! The floor: the kernel work of one sandbox with everything on, done by this very process, without a product around it.
//!
//! Namespaces, overlay, `/proc`, `/dev`, `pivot_root`, Landlock, seccomp, control groups with limits, a static `true`.
//! What it leaves out is what a product adds: a server, a protocol, read-back, a supervisor.

use std::{
    fs,
    io::{self, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::chown,
    },
    path::{Path, PathBuf},
    process,
};

use rustix::{
    fs::{CWD, Mode, OFlags, open},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags,
        MoveMountFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount,
        mount_bind, mount_change, move_mount, unmount,
    },
    process::{WaitOptions, chdir, pivot_root, waitpid},
    thread::{Gid, Uid, set_thread_res_gid, set_thread_res_uid},
};
use sandbar_linux::{
    clone::{CloneSpec, Cloned, clone_process},
    exec::become_program,
    landlock::{self, Access, PathRule},
    loopback,
    seccomp::Program,
};
use sandbar_runtime::native::seccomp_policy;

use crate::Result;

const NAMESPACES: u64 = 0x7e02_0000;
/// First of the ids of the host that it has.
const FIRST_ID: u32 = 2_097_152;
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Makes sandboxes by hand, one after the other.
pub(crate) struct Floor {
    dir: PathBuf,
    lower: PathBuf,
    groups: Vec<PathBuf>,
    program: Program,
    round: u32,
}

impl Floor {
    /// Prepares what is the same for every round; `lower` holds a static `true`.
    pub(crate) fn prepare(dir: &Path, lower: &Path) -> Result<Self> {
        let groups =
            ["unified", "memory", "pids", "cpu"].map(|name| Path::new("/sys/fs/cgroup").join(name));
        let groups: Vec<PathBuf> =
            if groups[0].exists() { groups.into() } else { vec!["/sys/fs/cgroup".into()] };
        fs::create_dir_all(dir)?;
        fs::create_dir_all(lower.join("dev"))?;
        for name in DEVICES {
            // Something to bind the host's device over.
            fs::write(lower.join("dev").join(name), "")?;
        }
        Ok(Self {
            dir: dir.into(),
            lower: lower.into(),
            groups,
            program: seccomp_policy::default_program(),
            round: 0,
        })
    }

    /// Makes one, runs `true` in it, and removes it.
    pub(crate) fn run(&mut self) -> Result<()> {
        self.round += 1;
        let dir = self.dir.join(self.round.to_string());
        let (upper, work) = (dir.join("upper"), dir.join("work"));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        // Theirs, as seen by the host: what the overlay writes there it writes as them.
        for path in [&upper, &work] {
            chown(path, Some(FIRST_ID), Some(FIRST_ID))?;
        }
        let groups = self.make_groups()?;
        let unified = open(&groups[0], OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
        let (go_read, go_write) = rustix::pipe::pipe()?;
        match clone_process(CloneSpec { flags: NAMESPACES, cgroup: Some(unified.as_fd()) })? {
            Cloned::Child => {
                drop(go_write);
                let failed = self.child(&upper, &work, go_read);
                writeln!(io::stderr(), "floor: {failed:?}").ok();
                process::abort();
            }
            Cloned::Parent { pid, pidfd } => {
                drop(go_read);
                let number = pid.as_raw_nonzero();
                fs::write(format!("/proc/{number}/setgroups"), "deny")?;
                let map = format!("0 {FIRST_ID} 65536");
                fs::write(format!("/proc/{number}/gid_map"), &map)?;
                fs::write(format!("/proc/{number}/uid_map"), &map)?;
                for group in &groups[1..] {
                    fs::write(group.join("cgroup.procs"), number.to_string())?;
                }
                rustix::io::write(&go_write, b"g")?;
                let status = waitpid(Some(pid), WaitOptions::empty())?;
                drop(pidfd);
                if status.is_none_or(|(_, status)| status.exit_status() != Some(0)) {
                    return Err(format!("the floor failed: {status:?}").into());
                }
            }
        }
        for group in &groups {
            fs::remove_dir(group)?;
        }
        fs::remove_dir_all(&dir)?;
        Ok(())
    }

    fn make_groups(&self) -> Result<Vec<PathBuf>> {
        let mut made = Vec::new();
        for root in &self.groups {
            let group = root.join(format!("sandbar-bench-{}-{}", process::id(), self.round));
            fs::create_dir(&group)?;
            for (file, limit) in [
                ("memory.limit_in_bytes", "8589934592"),
                ("pids.max", "4096"),
                ("cpu.cfs_quota_us", "400000"),
            ] {
                if group.join(file).exists() {
                    fs::write(group.join(file), limit)?;
                }
            }
            made.push(group);
        }
        Ok(made)
    }

    fn child(&self, upper: &Path, work: &Path, go: OwnedFd) -> Result<std::convert::Infallible> {
        rustix::io::read(&go, &mut [0_u8; 1])?;
        set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)?;
        set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(overlay.as_fd(), "lowerdir", &self.lower)?;
        fsconfig_set_string(overlay.as_fd(), "upperdir", upper)?;
        fsconfig_set_string(overlay.as_fd(), "workdir", work)?;
        fsconfig_create(overlay.as_fd())?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID;
        let tree = fsmount(overlay.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        move_mount(tree.as_fd(), "", CWD, "/mnt", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
        chdir("/mnt")?;
        mount(
            "proc",
            "proc",
            "proc",
            MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
            None,
        )?;
        for name in DEVICES {
            mount_bind(Path::new("/dev").join(name), Path::new("dev").join(name))?;
        }
        pivot_root(".", ".")?;
        unmount(".", UnmountFlags::DETACH)?;
        loopback::bring_up()?;
        let confined = landlock::restrict(&[
            PathRule { path: "/".into(), access: Access::ReadWrite },
            PathRule { path: "/true".into(), access: Access::ReadExecute },
        ])?;

        assert!(confined.abi > 0, "this host has no Landlock, so this is not the floor");
        let program = open("/true", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let null = open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        self.program.install()?;
        let streams = [null.as_fd(), null.as_fd(), null.as_fd()];
        Ok(become_program(program.as_fd(), &[c"true"], &streams, null.as_fd())?)
    }
}
