//! What is read of the host before a launch is planned: which system paths exist, and of which kind.

use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use sandbar_types::HostPath;

use super::{
    etc_files::{BUNDLES, JAVAS, TRUSTSTORES, TRUSTSTORES_OF_JAVA, host_etc_paths},
    plan::MaskKind,
    proc_masks::PROC_MASKS,
};

/// LIMIT: Javas with certificates of their own, for each costs a sandbox a mount.
const TRUSTSTORES_MAX: usize = 16;

/// How the host has a directory of programs or libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TopLevel {
    /// As a link, for example `/bin` to `usr/bin`.
    Link { target: String },
    /// As a directory.
    Directory,
}

/// The host, as far as a plan depends on it.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// Directories of programs and libraries.
    pub(super) top_level: Vec<(HostPath, TopLevel)>,
    /// What is bound into `/etc`.
    pub(super) etc_binds: Vec<HostPath>,
    /// Files below them that hold every certificate.
    pub(super) bundles: Vec<HostPath>,
    /// Files that hold every certificate for Java.
    pub(super) truststores: Vec<HostPath>,
    /// Paths of `/proc` to cover that this kernel has.
    pub(super) proc_masks: Vec<(HostPath, MaskKind)>,
    /// A shell that is there.
    pub(super) shell: &'static str,
    /// Name of the host's time zone.
    pub(super) time_zone: Option<String>,
    /// When the directories that hold all that changed last: what is replaced in one of them is another file.
    pub(super) changed: Vec<(PathBuf, Stamp)>,
}

/// Time of the last change of a directory (`st_ctime` of inode(7)), seconds and nanoseconds; `None` where there is none.
type Stamp = Option<(i64, i64)>;

impl Facts {
    /// Looks.
    pub(super) fn gather() -> Self {
        let top_level = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
        let looked_at = ["/", "/etc", "/bin"].iter().map(PathBuf::from);
        // Before anything is read: a change meanwhile makes them outdated, and not half new.
        let mut changed: Vec<_> = looked_at.map(stamped).collect();
        let etc_binds = etc_binds();
        let parents = etc_binds.iter().filter_map(|bind| bind.as_path().parent());
        for parent in parents {
            if changed.iter().all(|(known, _)| known != parent) {
                changed.push(stamped(parent.to_owned()));
            }
        }
        changed.extend(JAVAS.iter().map(PathBuf::from).map(stamped));
        let (bundles, truststores) = (bundles(&etc_binds), truststores(&etc_binds));
        // Nothing can be mounted over what was removed.
        let covered = bundles.iter().chain(&truststores);
        let parents = covered.filter_map(|file| file.as_path().parent());
        changed.extend(parents.map(|parent| stamped(parent.to_owned())));
        Self {
            top_level: top_level.iter().filter_map(|path| top_level_of(path)).collect(),
            bundles,
            truststores,
            etc_binds,
            changed,
            proc_masks: PROC_MASKS
                .iter()
                .filter(|(path, _)| Path::new("/proc").join(path).symlink_metadata().is_ok())
                .filter_map(|(path, mask)| {
                    Some((HostPath::parse(format!("/proc/{path}")).ok()?, MaskKind::from(*mask)))
                })
                .collect(),
            shell: if Path::new("/bin/bash").exists() { "/bin/bash" } else { "/bin/sh" },
            time_zone: time_zone(),
        }
    }
}

impl Facts {
    /// Whether nothing of the host was replaced since they were gathered.
    pub(super) fn are_current(&self) -> bool {
        self.changed.iter().all(|(dir, changed)| stamp(dir) == *changed)
    }
}

fn stamped(dir: PathBuf) -> (PathBuf, Stamp) {
    let stamp = stamp(&dir);
    (dir, stamp)
}

fn stamp(dir: &Path) -> Stamp {
    let metadata = dir.metadata().ok()?;
    Some((metadata.ctime(), metadata.ctime_nsec()))
}

fn top_level_of(path: &str) -> Option<(HostPath, TopLevel)> {
    let metadata = Path::new(path).symlink_metadata().ok()?;
    let at = HostPath::parse(path).ok()?;
    if metadata.is_symlink() {
        let target = std::fs::read_link(path).ok()?.into_os_string().into_string().ok()?;
        return Some((at, TopLevel::Link { target }));
    }
    metadata.is_dir().then_some((at, TopLevel::Directory))
}

fn etc_binds() -> Vec<HostPath> {
    match host_etc_paths() {
        Ok(paths) => paths.iter().filter_map(|path| HostPath::parse(path).ok()).collect(),
        Err(err) => {
            // Without them a sandbox lacks certificates, but nothing that isolates it.
            tracing::warn!(error = &err as &dyn std::error::Error, "failed to look at /etc");
            Vec::new()
        }
    }
}

/// Bundles that are there and shown. A link leads to another one of them, or to where nothing can be put.
fn bundles(etc_binds: &[HostPath]) -> Vec<HostPath> {
    BUNDLES
        .into_iter()
        .filter(|path| Path::new(path).symlink_metadata().is_ok_and(|found| found.is_file()))
        .filter_map(|path| HostPath::parse(path).ok())
        .filter(|path| etc_binds.iter().any(|bind| path.is_within(bind)))
        .collect()
}

/// Stores of Java that are there and shown. A link leads to another one of them, or to where nothing can be put; so does a
/// directory of a Java that is one.
fn truststores(etc_binds: &[HostPath]) -> Vec<HostPath> {
    let shown = TRUSTSTORES.into_iter().filter_map(|path| HostPath::parse(path).ok());
    let shown = shown.filter(|path| etc_binds.iter().any(|bind| path.is_within(bind)));
    let of_javas = JAVAS.into_iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten();
    let mut of_javas: Vec<HostPath> = of_javas
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .flat_map(|entry| TRUSTSTORES_OF_JAVA.map(|below| entry.path().join(below)))
        .filter(|path| has_no_link(path))
        .filter_map(|path| HostPath::parse(path).ok())
        .take(TRUSTSTORES_MAX)
        .collect();
    of_javas.sort_unstable();
    let is_file =
        |path: &HostPath| path.as_path().symlink_metadata().is_ok_and(|found| found.is_file());
    shown.chain(of_javas).filter(is_file).collect()
}

/// Whether no directory above `path` is a link.
fn has_no_link(path: &Path) -> bool {
    path.ancestors().skip(1).all(|dir| dir.symlink_metadata().is_ok_and(|found| found.is_dir()))
}

/// `/etc/localtime` is a link below `/usr/share/zoneinfo`; its rest is the name.
fn time_zone() -> Option<String> {
    let target = std::fs::read_link("/etc/localtime").ok()?;
    let (_, name) = target.to_str()?.split_once("zoneinfo/")?;
    Some(name.to_owned())
}
