//! What a mount namespace holds, against what was planned.

use std::{fs, path::Path};

use sandbar_types::HostPath;

use super::{mismatch, unreadable};
use crate::native::{launcher::Failure, plan::Demand};

/// One line of proc_pid_mountinfo(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) at: String,
    options: Vec<String>,
}

/// The fifth field, with its octal escapes undone, and the sixth.
pub(super) fn mounts(text: &str) -> Vec<Found> {
    let found = |line: &str| {
        let mut fields = line.split(' ').skip(4);
        let at = unescape(fields.next()?);
        let options = fields.next()?.split(',').map(str::to_owned).collect();
        Some(Found { at, options })
    };
    text.lines().filter_map(found).collect()
}

/// What the host has mounted below the source, and only the host sees.
pub(super) fn left_out(source: Option<&HostPath>) -> Result<Vec<String>, Failure> {
    let Some(source) = source else { return Ok(Vec::new()) };
    let ours = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|err| unreadable("mountinfo of the host", &err))?;
    let is_below = |at: &String| {
        Path::new(at).strip_prefix(source.as_path()).is_ok_and(|rest| rest != Path::new(""))
    };
    let mut below: Vec<String> =
        mounts(&ours).into_iter().map(|mount| mount.at).filter(is_below).collect();
    below.sort_unstable();
    below.dedup();
    Ok(below)
}

fn unescape(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = after
            .get(..3)
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (first, escaped) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Each demand is met by a mount of its own, and what is left came with one that may bring others.
pub(super) fn check_mounts(demands: &[Demand], found: &[Found]) -> Result<(), Failure> {
    let mut left: Vec<&Found> = found.iter().collect();
    let mut missing = Vec::new();
    for demand in demands {
        match left.iter().position(|mount| mount.at == demand.at) {
            Some(index) => check_options(demand, left.swap_remove(index))?,
            None => missing.push(demand.at.as_str()),
        }
    }
    let mut unknown = Vec::new();
    for mount in left {
        let parent = demands.iter().filter(|demand| is_below(&mount.at, &demand.at));
        match parent.max_by_key(|demand| demand.at.len()) {
            Some(parent) if parent.may_nest => check_options(parent, mount)?,
            Some(_) | None => unknown.push(mount.at.as_str()),
        }
    }
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    Err(Failure::Verify {
        what: format!(
            "mounts: missing {missing:?}, not planned {unknown:?}, {} planned, {} found",
            demands.len(),
            found.len()
        ),
    })
}

fn is_below(at: &str, above: &str) -> bool {
    at != above && Path::new(at).starts_with(above)
}

fn check_options(demand: &Demand, found: &Found) -> Result<(), Failure> {
    if demand.flags.iter().all(|flag| found.options.iter().any(|option| option == flag)) {
        return Ok(());
    }
    Err(mismatch(&found.at, &demand.flags.join(","), &found.options.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(at: &str, flags: &'static [&'static str], may_nest: bool) -> Demand {
        Demand { at: at.to_owned(), flags, may_nest }
    }

    const FOUND: &str = "1 0 0:1 / / ro,nosuid,nodev - tmpfs tmpfs rw\n2 1 0:2 / /a\\040b rw,nosuid - tmpfs tmpfs rw\n";

    #[test]
    fn a_mount_that_nobody_planned_is_refused() {
        let found = mounts(FOUND);
        let demands = [demand("/", &["ro"], false), demand("/a b", &["nosuid"], false)];
        assert_eq!(check_mounts(&demands, &found), Ok(()));
        assert!(check_mounts(&demands[..1], &found).is_err(), "not planned");
        assert!(check_mounts(&demands, &found[..1]).is_err(), "missing");
        let twice = [found.clone(), found[1..].to_vec()].concat();
        assert!(check_mounts(&demands, &twice).is_err(), "one over the other");
    }

    #[test]
    fn a_mount_with_an_option_too_few_is_refused() {
        let found = mounts(FOUND);
        for flag in ["ro", "nosuid", "nodev"] {
            let mut weaker = found.clone();
            weaker[0].options.retain(|option| option != flag);
            let demands =
                [demand("/", &["ro", "nosuid", "nodev"], false), demand("/a b", &[], false)];
            assert_eq!(check_mounts(&demands, &found), Ok(()));
            assert!(check_mounts(&demands, &weaker).is_err(), "{flag}");
        }
    }

    #[test]
    fn what_comes_with_a_tree_of_the_host_is_held_to_the_same() {
        let below = |options: &str| {
            mounts(&format!("{FOUND}3 2 0:3 / /a\\040b/c {options} - ext4 disk rw\n"))
        };
        let demands = [demand("/", &["ro"], false), demand("/a b", &["nosuid"], true)];
        assert_eq!(check_mounts(&demands, &below("rw,nosuid")), Ok(()));
        assert!(check_mounts(&demands, &below("rw")).is_err());
        assert!(
            check_mounts(&demands, &mounts(&format!("{FOUND}3 1 0:3 / /x rw,nosuid - x x rw\n")))
                .is_err()
        );
    }
}
