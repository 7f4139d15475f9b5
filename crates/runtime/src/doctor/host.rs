//! What can be read without trying: the kernel, the data directory's file system, ids, budgets, commands.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::fs::{StatVfs, statfs, statvfs};
use sandbar_types::Enforcement;

use super::{Finding, line};
use crate::native::ALL_IDS;

/// Overlays over idmapped layers came with this one.
const KERNEL_MIN: (u32, u32) = (5, 19);
/// LIMIT: below so much free space no sandbox should be made.
const FREE_BYTES_MIN: u64 = 512 << 20;
/// Below so much it is time to say so.
const FREE_BYTES_FAIR: u64 = 5 << 30;

pub(super) fn kernel() -> Finding {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    match version(&release) {
        Some(found) if found < KERNEL_MIN => {
            Finding::missing("kernel", format!("Linux {release} is too old"))
                .hint("use Linux 5.19 or newer")
        }
        Some(_) | None => Finding::ok("kernel", format!("Linux {release}")),
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

pub(super) fn mode() -> Finding {
    if rustix::process::geteuid().is_root() {
        return Finding::ok("mode", "root: every sandbox has a range of ids of its own");
    }
    Finding::degraded("mode", "not root: the processes of all sandboxes have your own id outside, and no control over devices")
        .hint("run the server as root for a range of ids for each sandbox")
}

pub(super) fn file_system(data: &Path) -> Vec<Finding> {
    let found = statfs(data).and_then(|kind| Ok((kind.f_type, statvfs(data)?)));
    match found {
        Ok((kind, space)) => {
            vec![kind_of(u64::from_ne_bytes(kind.to_ne_bytes())), free_space(&space)]
        }
        Err(err) => vec![Finding::missing(
            "data_file_system",
            format!("the data directory cannot be looked at: {err}"),
        )],
    }
}

/// By the magic numbers of statfs(2): what cannot hold the upper layer of an overlay, or not well.
fn kind_of(magic: u64) -> Finding {
    const CODE: &str = "data_file_system";
    let refused = |name: &str| {
        Finding::missing(
            CODE,
            format!("the data directory is on {name}, which cannot hold an upper layer"),
        )
        .hint("put the data directory on ext4, xfs, btrfs or tmpfs; in a container, on a volume")
    };
    match magic {
        0x794c_7630 => refused("overlayfs"),
        0x6969 => refused("NFS"),
        0xff53_4d42 | 0xfe53_4d42 | 0x517b => refused("SMB"),
        0x0102_1997 => refused("9p"),
        0x4d44 | 0x2011_bab0 => refused("FAT"),
        0x6573_5546 => refused("FUSE"),
        0xf15f => refused("eCryptfs"),
        0x0102_1994 => Finding::degraded(
            CODE,
            "the data directory is on tmpfs: it is lost when the host restarts",
        ),
        0xef53 => Finding::ok(CODE, "the data directory is on ext4"),
        0x5846_5342 => Finding::ok(CODE, "the data directory is on xfs"),
        0x9123_683e => Finding::ok(CODE, "the data directory is on btrfs"),
        other => {
            Finding::ok(CODE, format!("the data directory is on a file system of type {other:#x}"))
        }
    }
}

/// Who would hold the disk limits of sandboxes; looked at, not tried.
pub(super) fn disk_limit(data: &Path) -> Finding {
    const CODE: &str = "disk_limit";
    match crate::native::disk::held_by(data) {
        Ok(Enforcement::Quota) => {
            Finding::ok(CODE, "the file system holds the disk limits of sandboxes")
        }
        Ok(
            Enforcement::Watched
            | Enforcement::None
            | Enforcement::CgroupV2
            | Enforcement::CgroupV1
            | Enforcement::Rlimit,
        ) => Finding::degraded(
            CODE,
            "disk limits are watched: a sandbox that holds too much is stopped within seconds, and not refused the write",
        )
        .hint("mount ext4 or xfs with `prjquota` for the data directory, or use btrfs with `btrfs quota enable`"),
        Err(err) => Finding::degraded(CODE, format!("it is not known who holds disk limits: {err}")),
    }
}

fn free_space(space: &StatVfs) -> Finding {
    const CODE: &str = "free_space";
    let bytes = space.f_bavail.saturating_mul(space.f_frsize);
    let message = format!(
        "{} MiB and {} inodes are free for the data directory",
        bytes >> 20,
        space.f_favail
    );
    // File systems that make inodes as they go count none at all.
    let lacks_inodes = space.f_files > 0 && space.f_favail < 1000;
    if bytes < FREE_BYTES_MIN || lacks_inodes {
        return Finding::missing(CODE, message)
            .hint("free some space, for example with `sandbar gc`");
    }
    if bytes < FREE_BYTES_FAIR {
        return Finding::degraded(CODE, message)
            .hint("free some space, for example with `sandbar gc`");
    }
    Finding::ok(CODE, message)
}

pub(super) fn ids() -> Finding {
    const CODE: &str = "id_ranges";
    let text = fs::read_to_string("/etc/subuid").unwrap_or_default();
    if rustix::process::geteuid().is_root() {
        return match overlapping(&text) {
            None => Finding::ok(CODE, "no one else has the ids of sandboxes"),
            Some(entry) => Finding::degraded(CODE, format!("/etc/subuid gives ids of sandboxes to others: `{entry}`"))
                .hint(format!(
                    "move that range out of {} to {}, or those users' containers share ids with sandboxes",
                    ALL_IDS.start,
                    ALL_IDS.end - 1
                )),
        };
    }
    Finding::degraded(
        CODE,
        "a sandbox has one id only: programs inside cannot change to another user",
    )
    .hint("run the server as root for a range of ids for each sandbox")
}

fn is_ours(first: u64, end: u64) -> bool {
    first < u64::from(ALL_IDS.end) && end > u64::from(ALL_IDS.start)
}

/// The first entry of subuid(5) that reaches into the ranges of sandboxes.
fn overlapping(subuid: &str) -> Option<&str> {
    subuid.lines().find(|entry| {
        let mut fields = entry.split(':').skip(1).map(str::parse::<u64>);
        match (fields.next(), fields.next()) {
            (Some(Ok(first)), Some(Ok(count))) => is_ours(first, first.saturating_add(count)),
            _ => false,
        }
    })
}

pub(super) fn inotify() -> Finding {
    let budget = |name: &str| {
        line(Path::new("/proc/sys/fs/inotify").join(name)).and_then(|text| text.parse::<u64>().ok())
    };
    let (instances, watches) = (budget("max_user_instances"), budget("max_user_watches"));
    let message = format!(
        "each user may watch {} files in {} sets",
        watches.unwrap_or_default(),
        instances.unwrap_or_default()
    );
    if instances < Some(512) || watches < Some(65_536) {
        return Finding::degraded(
            "inotify",
            format!("{message}; file watchers inside may run out"),
        )
        .hint("sysctl fs.inotify.max_user_instances=8192 fs.inotify.max_user_watches=1048576");
    }
    Finding::ok("inotify", message)
}

pub(super) fn fuse() -> Finding {
    let is_there = Path::new("/dev/fuse").exists();
    let message = if is_there { "/dev/fuse is there" } else { "/dev/fuse is not there" };
    Finding::ok("fuse", format!("{message}; Sandbar does not need it"))
}

/// For information: what a user may want inside. Sandbar itself runs none of them.
pub(super) fn commands() -> Finding {
    const USUAL: [&str; 8] = ["bash", "cc", "cargo", "diff", "git", "node", "patch", "python3"];
    let dirs: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    let (found, absent): (Vec<&str>, Vec<&str>) =
        USUAL.iter().partition(|name| dirs.iter().any(|dir| dir.join(name).is_file()));
    let list = |names: &[&str]| {
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    Finding::ok(
        "commands",
        format!(
            "found: {}; not found: {}; Sandbar itself needs none of them",
            list(&found),
            list(&absent)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn releases_are_read_whatever_follows_the_numbers() {
        assert_eq!(version("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(version("5.19-rc1"), Some((5, 19)));
        assert_eq!(version("linux"), None);
    }

    #[test]
    fn a_file_system_that_cannot_hold_an_upper_layer_is_refused() {
        for magic in [0x794c_7630, 0x6969, 0x6573_5546] {
            assert_eq!(kind_of(magic).verdict, Verdict::Missing, "{magic:#x}");
        }
        assert_eq!(kind_of(0x0102_1994).verdict, Verdict::Degraded);
        assert_eq!(kind_of(0xef53).verdict, Verdict::Ok);
        assert_eq!(kind_of(0x1234).verdict, Verdict::Ok);
    }

    #[test]
    fn ranges_that_reach_into_ours_are_found() {
        assert_eq!(overlapping("ann:100000:65536\nbob:524288:1000000\n"), None);
        let start = ALL_IDS.start;
        for (first, count) in
            [(start - 10, 11), (start, 1), (ALL_IDS.end - 1, 65_536), (0, u32::MAX)]
        {
            let entry = format!("bob:{first}:{count}");
            assert_eq!(overlapping(&format!("ann:100000:65536\n{entry}\n")), Some(entry.as_str()));
        }
        assert_eq!(overlapping(&format!("bob:{}:10\ncat:{}:10\n", start - 10, ALL_IDS.end)), None);
        assert_eq!(overlapping("nonsense\n:::\n"), None);
    }
}
