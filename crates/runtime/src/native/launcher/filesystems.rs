//! New file systems, attached nowhere yet.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{Mode, mkdirat},
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
        fsconfig_set_string, fsmount, fsopen,
    },
};
use sandbar_linux::mount::{MountAttributes, RDONLY, Reach, set_attributes};

use super::below::write;

pub(super) fn tmpfs(
    bytes: u64,
    inodes: u64,
    mode: u32,
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    let fs = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [
        ("size", bytes.to_string()),
        ("nr_inodes", inodes.to_string()),
        ("mode", format!("{mode:o}")),
    ] {
        fsconfig_set_string(&fs, key, value.as_str())?;
    }
    fsconfig_create(&fs)?;
    Ok(fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

pub(super) fn proc(attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let fs = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&fs, "hidepid", "invisible")?;
    fsconfig_create(&fs)?;
    Ok(fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

pub(super) fn pts() -> io::Result<OwnedFd> {
    let fs = fsopen("devpts", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_flag(&fs, "newinstance")?;
    fsconfig_set_string(&fs, "ptmxmode", "0666")?;
    fsconfig_set_string(&fs, "mode", "0620")?;
    fsconfig_create(&fs)?;
    Ok(fsmount(
        &fs,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC,
    )?)
}

/// Objects of our own to cover others with; never the sandbox's `/dev/null`, which is not ours to trust.
pub(super) fn masks() -> io::Result<OwnedFd> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let tree = tmpfs(64 << 10, 16, 0o555, attributes)?;
    mkdirat(&tree, "dir", Mode::from_raw_mode(0o555))?;
    write(tree.as_fd(), Path::new("empty"), b"")?;
    // Tells reboots apart to whoever asks inside, and says nothing about the host.
    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    write(tree.as_fd(), Path::new("boot_id"), boot_id.as_bytes())?;
    set_attributes(
        tree.as_fd(),
        Reach::Mount,
        MountAttributes { set: RDONLY, ..MountAttributes::default() },
    )?;
    Ok(tree)
}
