//! From the texts of `/proc` to the groups that we are in. See cgroups(7) and proc_pid_mountinfo(5).

use std::path::{Path, PathBuf};

#[cfg(test)]
use super::Hierarchies;
use super::{Hierarchy, Version, hierarchy::SERVER_LEAF};

/// Keeps what a sandbox needs: version 2, and of version 1 what version 2 does not do as well.
pub(super) fn useful(all: Vec<Hierarchy>, is_writable: impl Fn(&Path) -> bool) -> Vec<Hierarchy> {
    let has_two = all.iter().any(|one| one.version == Version::Two && is_writable(&one.own));
    let mut kept: Vec<Hierarchy> = all
        .into_iter()
        .filter(|one| match &one.version {
            Version::Two => true,
            // Freezing, killing and counting time need no controller on version 2.
            Version::One(controllers) => controllers.iter().any(|name| match name.as_str() {
                "memory" | "cpu" | "pids" | "devices" => true,
                "freezer" | "cpuacct" => !has_two,
                _ => false,
            }),
        })
        .collect();
    kept.sort_by_key(|one| one.version != Version::Two);
    kept
}

/// Decides from the two texts where our own group is in each hierarchy.
pub(super) fn parse(mountinfo: &str, cgroup: &str) -> Vec<Hierarchy> {
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
    cgroup
        .lines()
        .filter_map(|line| {
            // `4:memory:/path`, `1:name=systemd:/path`, `0::/path`; a path may hold colons.
            let (_, rest) = line.split_once(':')?;
            let (controllers, group) = rest.split_once(':')?;
            let names: Vec<String> = controllers.split(',').map(str::to_owned).collect();
            let is_two = controllers.is_empty();
            let own = mounts
                .iter()
                .filter(|mount| mount.is_two == is_two)
                .filter(|mount| is_two || names.iter().all(|name| mount.has_option(name)))
                .find_map(|mount| mount.resolve(group))?;
            Some(Hierarchy {
                version: if is_two { Version::Two } else { Version::One(names) },
                own: beside_server_leaf(own),
            })
        })
        .collect()
}

/// The server may have moved itself to a leaf before: the groups of the sandboxes are beside that.
fn beside_server_leaf(own: PathBuf) -> PathBuf {
    match own.parent() {
        Some(parent) if own.ends_with(SERVER_LEAF) => parent.to_owned(),
        _ => own,
    }
}

/// One line of `mountinfo` (proc_pid_mountinfo(5)) that shows a hierarchy.
struct Mount<'a> {
    is_two: bool,
    root: PathBuf,
    point: PathBuf,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (fields, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let is_two = match after.next()? {
            "cgroup2" => true,
            "cgroup" => false,
            _ => return None,
        };
        let options = after.nth(1)?;
        let mut fields = fields.split(' ').skip(3);
        Some(Self {
            is_two,
            root: unescape(fields.next()?),
            point: unescape(fields.next()?),
            options,
        })
    }

    fn has_option(&self, name: &str) -> bool {
        self.options.split(',').any(|option| option == name)
    }

    /// Where the group `path` is below this mount; `None` if the mount shows another part of the hierarchy.
    fn resolve(&self, path: &str) -> Option<PathBuf> {
        let below = Path::new(path).strip_prefix(&self.root).ok()?;
        if below.components().any(|part| part.as_os_str() == "..") {
            return None;
        }
        Some(self.point.join(below))
    }
}

/// Undoes the octal escapes of space, tab, newline and backslash.
fn unescape(field: &str) -> PathBuf {
    let unescaped = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(field.to_owned(), |text, (from, to)| text.replace(from, to));
    PathBuf::from(unescaped)
}

/// The hierarchies of the two texts without version 2, for tests on a host that has both.
#[cfg(test)]
pub(super) fn of_version_1(mountinfo: &str, cgroup: &str) -> Hierarchies {
    let mut all = parse(mountinfo, cgroup);
    all.retain(|one| one.version != Version::Two);
    Hierarchies(useful(all, |_| true))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(controllers: &[&str], own: &str) -> Hierarchy {
        Hierarchy {
            version: Version::One(controllers.iter().map(|name| (*name).to_owned()).collect()),
            own: own.into(),
        }
    }

    fn two(own: &str) -> Hierarchy {
        Hierarchy { version: Version::Two, own: own.into() }
    }

    const UNIFIED: &str = "\
24 29 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
35 25 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
";

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    const HYBRID_GROUPS: &str = "\
9:name=systemd:/user.slice
6:freezer:/
5:blkio:/user.slice
4:memory:/user.slice/a:b
1:cpu,cpuacct:/user.slice
0::/user.slice/user-0.slice/session-1.scope
";

    #[test]
    fn a_host_with_version_2_only() {
        let found = parse(UNIFIED, "0::/system.slice/sandbar.service\n");
        assert_eq!(found, [two("/sys/fs/cgroup/system.slice/sandbar.service")]);
    }

    #[test]
    fn a_host_with_both_versions() {
        let found = useful(parse(HYBRID, HYBRID_GROUPS), |_| true);
        assert_eq!(
            found,
            [
                two("/sys/fs/cgroup/unified/user.slice/user-0.slice/session-1.scope"),
                one(&["memory"], "/sys/fs/cgroup/memory/user.slice/a:b"),
                one(&["cpu", "cpuacct"], "/sys/fs/cgroup/cpu,cpuacct/user.slice"),
            ]
        );
    }

    #[test]
    fn version_1_freezes_where_version_2_cannot_be_written() {
        let found =
            useful(parse(HYBRID, HYBRID_GROUPS), |dir| !dir.starts_with("/sys/fs/cgroup/unified"));
        assert!(found.contains(&one(&["freezer"], "/sys/fs/cgroup/freezer")));
    }

    #[test]
    fn a_host_with_version_1_only() {
        let (mounts, groups) = (HYBRID.lines().take(6), HYBRID_GROUPS.lines().take(5));
        let text = |lines: Vec<&str>| lines.join("\n");
        let found = useful(parse(&text(mounts.collect()), &text(groups.collect())), |_| true);
        let names: Vec<String> = found.iter().map(|one| format!("{:?}", one.version)).collect();
        assert_eq!(
            names,
            [r#"One(["freezer"])"#, r#"One(["memory"])"#, r#"One(["cpu", "cpuacct"])"#]
        );
    }

    #[test]
    fn inside_a_container_the_mount_shows_a_part() {
        let mounts = "35 25 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let found = parse(mounts, "4:memory:/docker/abc/job\n");
        assert_eq!(found, [one(&["memory"], "/sys/fs/cgroup/memory/job")]);
        assert_eq!(parse(mounts, "4:memory:/elsewhere\n"), []);
    }

    #[test]
    fn a_server_that_moved_to_its_leaf_still_works_beside_it() {
        let found = parse(UNIFIED, "0::/system.slice/sandbar.service/sandbar-server\n");
        assert_eq!(found, [two("/sys/fs/cgroup/system.slice/sandbar.service")]);
    }

    #[test]
    fn mount_points_with_spaces_are_read() {
        let mounts = "1 0 0:3 / /mnt/my\\040groups rw - cgroup2 none rw\n";
        assert_eq!(parse(mounts, "0::/\n"), [two("/mnt/my groups")]);
    }
}
