//! Reads a sandbox back from the kernel, from outside and before it may begin, and refuses it when it is not what was planned.

mod mounts;

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsRawFd, BorrowedFd},
};

use rustix::{
    io::Errno,
    process::{Pid, PidfdGetfdFlags, pidfd_getfd},
};
use sandbar_types::{
    CacheOffer, HostPath, IsolationLevel, IsolationReport, LimitEnforcement, Weakness,
};

use self::mounts::{check_mounts, left_out, mounts};
use super::{
    cgroup::CgroupSlot,
    launcher::{Failure, KEPT},
    plan::{Demand, Ids},
};

/// What the kernel must say.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    pub(super) pid: Pid,
    pub(super) pidfd: BorrowedFd<'a>,
    pub(super) ids: Ids,
    /// One for each mount.
    pub(super) mounts: Vec<Demand>,
    /// The directory of the host that is the workspace's lower layer.
    pub(super) source: Option<&'a HostPath>,
    pub(super) cgroup: Option<&'a CgroupSlot>,
    pub(super) limits: LimitEnforcement,
    pub(super) weaknesses: Vec<Weakness>,
    pub(super) caches: Vec<CacheOffer>,
}

const NAMESPACES: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// Reads, compares, reports.
pub(super) fn read_back(expected: Expected<'_>) -> Result<IsolationReport, Failure> {
    let proc = Proc { pid: expected.pid };
    let status = parse_status(&proc.read("status")?);
    check_status(&status, expected.ids)?;
    let (uid_map, gid_map) = (map_lines(&proc.read("uid_map")?), map_lines(&proc.read("gid_map")?));
    check_maps(&uid_map, &gid_map, expected.ids)?;
    proc.check_namespaces()?;
    let mounts = mounts(&proc.read("mountinfo")?);
    check_mounts(&expected.mounts, &mounts)?;
    check_descriptors(&proc, expected.pidfd, status.get("FDSize").map_or("", String::as_str))?;
    check_interfaces(&proc.read("net/dev")?)?;
    if let Some(cgroup) = expected.cgroup {
        match cgroup.holds(expected.pid) {
            Ok(true) => {}
            Ok(false) => {
                return Err(Failure::Verify {
                    what: "the supervisor is not in its control groups".to_owned(),
                });
            }
            Err(err) => {
                return Err(Failure::Verify { what: format!("control groups: {err}") });
            }
        }
    }
    let landlock_abi = sandbar_linux::landlock::abi();
    let mut weaknesses = expected.weaknesses;
    if landlock_abi == 0 {
        weaknesses.push(Weakness {
            code: "no_landlock".to_owned(),
            message: "the kernel has no Landlock: the mounts alone keep files away".to_owned(),
        });
    }
    let level = if weaknesses.is_empty() { IsolationLevel::Full } else { IsolationLevel::Degraded };
    Ok(IsolationReport {
        level,
        weaknesses,
        seccomp_mode: 2,
        no_new_privs: true,
        supervisor_capabilities: status.get("CapEff").cloned().unwrap_or_default(),
        landlock_abi,
        uid_map,
        namespaces: NAMESPACES.iter().map(|name| (*name).to_owned()).collect(),
        mounts: mounts.into_iter().map(|mount| mount.at).collect(),
        mounts_left_out: left_out(expected.source)?,
        caches: expected.caches,
        limits: expected.limits,
    })
}

struct Proc {
    pid: Pid,
}

impl Proc {
    fn path(&self, name: &str) -> String {
        format!("/proc/{}/{name}", self.pid.as_raw_nonzero())
    }

    fn read(&self, name: &str) -> Result<String, Failure> {
        fs::read_to_string(self.path(name)).map_err(|err| unreadable(name, &err))
    }

    /// Numbers that may be descriptors. The list of a process that is not dumpable is root's alone; others try every
    /// number that its table (`FDSize`) has room for.
    fn descriptors(&self, size: &str) -> Result<Vec<i32>, Failure> {
        let names = match fs::read_dir(self.path("fd")) {
            Ok(entries) => {
                entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()
            }
            Err(err) if err.kind() == io::ErrorKind::PermissionDenied => {
                let size: i32 = size.parse().map_err(|_| Failure::Verify {
                    what: "`FDSize` of the supervisor is no number".to_owned(),
                })?;
                return Ok((0..size).collect());
            }
            Err(err) => Err(err),
        };
        let names = names.map_err(|err| unreadable("fd", &err))?;
        let number = |name: &std::ffi::OsString| name.to_str().and_then(|name| name.parse().ok());
        names
            .iter()
            .map(|name| {
                number(name).ok_or_else(|| mismatch("fd", "numbers", &name.to_string_lossy()))
            })
            .collect()
    }

    fn check_namespaces(&self) -> Result<(), Failure> {
        for name in NAMESPACES {
            let inside = fs::read_link(self.path(&format!("ns/{name}")))
                .map_err(|err| unreadable(name, &err))?;
            let ours = fs::read_link(format!("/proc/self/ns/{name}"))
                .map_err(|err| unreadable(name, &err))?;
            if inside == ours {
                return Err(Failure::Verify {
                    what: format!("the {name} namespace is the host's"),
                });
            }
        }
        Ok(())
    }
}

/// Nothing that the supervisor holds leads out: what has a path is `/dev/null`.
fn check_descriptors(proc: &Proc, pidfd: BorrowedFd<'_>, size: &str) -> Result<(), Failure> {
    for number in proc.descriptors(size)? {
        let held = match pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()) {
            Err(Errno::BADF) => continue,
            other => other.map_err(|err| unreadable("a descriptor", &err.into()))?,
        };
        let target = fs::read_link(format!("/proc/self/fd/{}", held.as_raw_fd()))
            .map_err(|err| unreadable("a descriptor", &err))?;
        let target = target.to_string_lossy();
        let is_harmless = target == "/dev/null"
            || ["socket:[", "/memfd:", "anon_inode:", "pipe:["]
                .iter()
                .any(|kind| target.starts_with(kind));
        if !is_harmless {
            return Err(Failure::Verify {
                what: format!("the supervisor holds a descriptor of `{target}`"),
            });
        }
    }
    Ok(())
}

fn unreadable(name: &str, err: &io::Error) -> Failure {
    Failure::Verify { what: format!("`{name}` of the supervisor cannot be read: {err}") }
}

fn mismatch(name: &str, expected: &str, found: &str) -> Failure {
    Failure::Verify { what: format!("{name}: expected {expected}, found {found}") }
}

/// `Key:\tvalue` lines of proc_pid_status(5).
fn parse_status(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
        .collect()
}

fn check_status(status: &BTreeMap<String, String>, ids: Ids) -> Result<(), Failure> {
    let kept = match ids {
        Ids::Range { .. } => format!("{:016x}", KEPT.bits()),
        Ids::Single { .. } => format!("{:016x}", 0),
    };
    let none = format!("{:016x}", 0);
    let root = match ids {
        Ids::Range { base } => base.to_string(),
        Ids::Single { uid, .. } => uid.to_string(),
    };
    let gid = match ids {
        Ids::Range { base } => base.to_string(),
        Ids::Single { gid, .. } => gid.to_string(),
    };
    let (uids, gids) = ([root.as_str(); 4].join("\t"), [gid.as_str(); 4].join("\t"));
    let found = |key| status.get(key).map_or("nothing", String::as_str);
    for (key, expected) in [
        ("Seccomp", "2"),
        ("NoNewPrivs", "1"),
        ("CapEff", &kept),
        ("CapPrm", &kept),
        // Through these two it kept them over the exec; a change of ids empties both.
        ("CapInh", &kept),
        ("CapAmb", &kept),
        ("CapBnd", &none),
        ("Uid", &uids),
        ("Gid", &gids),
    ] {
        if found(key) != expected {
            return Err(mismatch(key, expected, found(key)));
        }
    }
    match ids {
        Ids::Range { .. } if !found("Groups").is_empty() => {
            Err(mismatch("Groups", "none", found("Groups")))
        }
        // A user's own cannot be given up in a user namespace of one's own making.
        Ids::Range { .. } | Ids::Single { .. } => Ok(()),
    }
}

fn map_lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn check_maps(uid_map: &[String], gid_map: &[String], ids: Ids) -> Result<(), Failure> {
    let (uid, gid) = ids.maps();
    for (name, found, expected) in [("uid_map", uid_map, uid), ("gid_map", gid_map, gid)] {
        if found != [expected.trim()] {
            return Err(mismatch(name, expected.trim(), &found.join(", ")));
        }
    }
    Ok(())
}

fn check_interfaces(text: &str) -> Result<(), Failure> {
    // Two lines of heading; see proc_pid_net(5).
    let names: Vec<&str> = text
        .lines()
        .skip(2)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .collect();
    if names == ["lo"] {
        Ok(())
    } else {
        Err(mismatch("network interfaces", "lo", &names.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: Ids = Ids::Range { base: 0x7000_0000 };

    fn good_status() -> BTreeMap<String, String> {
        let base = 0x7000_0000_u32;
        parse_status(&format!(
            "Name:\tsandbar\nUid:\t{base}\t{base}\t{base}\t{base}\nGid:\t{base}\t{base}\t{base}\t{base}\nGroups:\t \nSeccomp:\t2\nNoNewPrivs:\t1\nCapInh:\t{kept:016x}\nCapAmb:\t{kept:016x}\nCapEff:\t{kept:016x}\nCapPrm:\t{kept:016x}\nCapBnd:\t{:016x}\n",
            0,
            kept = KEPT.bits()
        ))
    }

    #[test]
    fn every_weaker_status_is_refused() {
        assert_eq!(check_status(&good_status(), IDS), Ok(()));
        for (key, value) in [
            ("Seccomp", "0"),
            ("NoNewPrivs", "0"),
            ("CapEff", "000001ffffffffff"),
            ("CapPrm", "000001ffffffffff"),
            ("CapBnd", "000001ffffffffff"),
            ("CapInh", "000001ffffffffff"),
            ("CapAmb", "000001ffffffffff"),
            ("Uid", "0\t0\t0\t0"),
            ("Gid", "0\t0\t0\t0"),
            ("Groups", "4 27"),
        ] {
            let mut status = good_status();
            status.insert(key.to_owned(), value.to_owned());
            assert!(check_status(&status, IDS).is_err(), "{key}");
            status.remove(key);
            assert!(check_status(&status, IDS).is_err(), "no {key}");
        }
    }

    #[test]
    fn a_map_that_holds_more_is_refused() {
        let good = vec![format!("0 {} 65535", 0x7000_0000)];
        assert_eq!(check_maps(&good, &good, IDS), Ok(()));
        let more = vec![good[0].clone(), "65535 0 1".to_owned()];
        assert!(check_maps(&more, &good, IDS).is_err());
        assert!(check_maps(&good, &more, IDS).is_err());
    }

    #[test]
    fn a_second_interface_is_refused() {
        let head = "Inter-| Receive\n face |bytes\n";
        assert_eq!(check_interfaces(&format!("{head}    lo: 0 0\n")), Ok(()));
        assert!(check_interfaces(&format!("{head}    lo: 0 0\n  eth0: 0 0\n")).is_err());
        assert!(check_interfaces(head).is_err());
    }
}
