//! Whether a package cache of the home may be read inside: a decision on values, and the look at the host before it.
//!
//! What a sandbox installs from a cache it believes as much as what a registry sends, so nobody but the owner of the home
//! may be able to put something there. The directories on the way are looked at, not the thousands of files below.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FileType, Stat, lgetxattr, lstat},
    io::Errno,
};
use sandbar_types::CacheDenied;

/// One step of the way from the home to the cache, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) kind: FileType,
    pub(super) uid: u32,
    pub(super) mode: u32,
}

/// What is known of a cache that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CacheFacts {
    /// The home first, the cache last.
    pub(super) way: Vec<Step>,
    /// Whether its file system has extended attributes.
    pub(super) has_attributes: bool,
}

/// Decides whether it may be shown.
pub(super) fn decide(facts: &CacheFacts) -> Result<(), CacheDenied> {
    let owner = facts.way.first().map(|home| home.uid);
    for step in &facts.way {
        if step.kind == FileType::Symlink {
            return Err(CacheDenied::Link);
        }
        if step.kind != FileType::Directory {
            return Err(CacheDenied::NotADirectory);
        }
        if Some(step.uid) != owner {
            return Err(CacheDenied::ForeignOwner);
        }
        if step.mode & 0o022 != 0 {
            return Err(CacheDenied::WritableByOthers);
        }
        if step.mode & 0o500 != 0o500 {
            return Err(CacheDenied::Unreadable);
        }
    }
    if facts.has_attributes { Ok(()) } else { Err(CacheDenied::NoAttributes) }
}

/// Looks at the cache `below` the directory `home`, which is no link; `None` when there is none.
///
/// The first link ends the way: where it leads is never looked at.
pub(super) fn look(home: &Path, below: &Path) -> Result<Option<CacheFacts>, CacheDenied> {
    let mut at = PathBuf::from(home);
    let Some(first) = step(&at)? else { return Ok(None) };
    let mut way = vec![first];
    for name in below {
        at.push(name);
        let Some(next) = step(&at)? else { return Ok(None) };
        way.push(next);
        if next.kind != FileType::Directory {
            return Ok(Some(CacheFacts { way, has_attributes: false }));
        }
    }
    let has_attributes = lgetxattr(&at, "user.sandbar", &mut [0_u8; 1]) != Err(Errno::NOTSUP);
    Ok(Some(CacheFacts { way, has_attributes }))
}

fn step(path: &Path) -> Result<Option<Step>, CacheDenied> {
    match lstat(path) {
        Ok(Stat { st_mode, st_uid, .. }) => Ok(Some(Step {
            kind: FileType::from_raw_mode(st_mode),
            uid: st_uid,
            mode: st_mode & 0o7777,
        })),
        Err(err) if io::Error::from(err).kind() == io::ErrorKind::NotFound => Ok(None),
        Err(_) => Err(CacheDenied::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(mode: u32) -> Step {
        Step { kind: FileType::Directory, uid: 1000, mode }
    }

    fn of_three(middle: Step, last: Step) -> Result<(), CacheDenied> {
        decide(&CacheFacts { way: vec![step(0o700), middle, last], has_attributes: true })
    }

    #[test]
    fn s13_a_cache_is_shown_only_when_its_owner_alone_can_change_it() {
        let fine = step(0o755);
        let anothers = Step { uid: 1001, ..fine };
        let roots = Step { uid: 0, ..fine };
        let link = Step { kind: FileType::Symlink, mode: 0o777, ..fine };
        let file = Step { kind: FileType::RegularFile, ..fine };
        for (step, expected) in [
            (fine, Ok(())),
            (step(0o700), Ok(())),
            (step(0o2755), Ok(())),
            (step(0o775), Err(CacheDenied::WritableByOthers)),
            (step(0o757), Err(CacheDenied::WritableByOthers)),
            // The sticky bit keeps others from removing, not from adding.
            (step(0o1777), Err(CacheDenied::WritableByOthers)),
            (step(0o300), Err(CacheDenied::Unreadable)),
            (step(0o000), Err(CacheDenied::Unreadable)),
            (anothers, Err(CacheDenied::ForeignOwner)),
            (roots, Err(CacheDenied::ForeignOwner)),
            (link, Err(CacheDenied::Link)),
            (file, Err(CacheDenied::NotADirectory)),
        ] {
            assert_eq!(of_three(fine, step), expected, "{step:?} is the cache");
            assert_eq!(of_three(step, fine), expected, "{step:?} is above the cache");
        }
        let way = vec![fine, fine];
        let without = CacheFacts { way, has_attributes: false };
        assert_eq!(decide(&without), Err(CacheDenied::NoAttributes));
        let home = vec![step(0o777), fine];
        let open_home = CacheFacts { way: home, has_attributes: true };
        assert_eq!(decide(&open_home), Err(CacheDenied::WritableByOthers));
    }
}
