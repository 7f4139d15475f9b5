//! Copying one object exactly: content with its holes, owner, attributes, bits and times.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{AtFlags, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid},
    io::Errno,
};

use crate::{beneath, xattr};

/// Which attributes are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attributes {
    /// Every one but the security module's label, the marks of overlayfs included: between two layers.
    Raw,
    /// Those that a merged view shows: between two views.
    Shown,
}

/// Gives a file another name; `false` where it cannot have one more.
pub(super) fn link(from: (BorrowedFd<'_>, &[u8]), to: (BorrowedFd<'_>, &[u8])) -> io::Result<bool> {
    let (old, new) = (beneath::as_path(from.1), beneath::as_path(to.1));
    match rustix::fs::linkat(from.0, old, to.0, new, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::MLINK | Errno::XDEV | Errno::PERM) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Copies what is at `from`, and is no directory, between two layers.
pub(super) fn object(from: (BorrowedFd<'_>, &[u8]), to: (BorrowedFd<'_>, &[u8])) -> io::Result<()> {
    let stat = beneath::stat(from.0, from.1)?.ok_or(Errno::NOENT)?;
    match beneath::file_type(&stat) {
        FileType::RegularFile => {
            let (source, stat) = beneath::open_file(from.0, from.1)?;
            file((&source, &stat), from, to).map(drop)
        }
        FileType::CharacterDevice => deletion(to.0, to.1),
        FileType::Symlink
        | FileType::Fifo
        | FileType::Directory
        | FileType::Socket
        | FileType::BlockDevice
        | FileType::Unknown => {
            special(from, to, &stat)?;
            dress(from, to, &stat, Attributes::Raw)
        }
    }
}

/// Copies the file `source` of `from` between two layers.
pub(super) fn file(
    (source, stat): (&File, &Stat),
    from: (BorrowedFd<'_>, &[u8]),
    to: (BorrowedFd<'_>, &[u8]),
) -> io::Result<Content> {
    let content = content(source, stat, &create(to.0, to.1)?)?;
    dress(from, to, stat, Attributes::Raw)?;
    Ok(content)
}

/// Marks `name` of a layer as deleted.
pub(super) fn deletion(to: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let path = beneath::as_path(name);
    Ok(rustix::fs::mknodat(to, path, FileType::CharacterDevice, Mode::empty(), 0)?)
}

/// Bytes on disk.
pub(super) fn blocks(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * 512
}

/// Says another time of the last modification, in nanoseconds since 1970.
pub(super) fn set_modified(stat: &mut Stat, mtime_ns: i64) {
    stat.st_mtime = mtime_ns.div_euclid(1_000_000_000);
    stat.st_mtime_nsec = mtime_ns.rem_euclid(1_000_000_000).cast_unsigned();
}

/// How content came into a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Byte by byte.
    Written,
    /// By reference, or there is none: nothing has to reach the disk that is not there.
    Cloned,
}

/// Copies the content of `from` to the new and empty `to`: by reference where the file system can.
pub(super) fn content(from: &File, stat: &Stat, to: &File) -> io::Result<Content> {
    if stat.st_size == 0 {
        return Ok(Content::Cloned);
    }
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => return Ok(Content::Cloned),
        Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY | Errno::PERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let has_holes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512) < size;
    if !has_holes {
        range(from, to, 0..size)?;
        return Ok(Content::Written);
    }
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(start))?;
        range(from, to, start..end)?;
        at = end;
    }
    rustix::fs::ftruncate(to, size)?;
    Ok(Content::Written)
}

fn range(from: &File, to: &File, range: std::ops::Range<u64>) -> io::Result<()> {
    use std::os::unix::fs::FileExt;

    let mut buffer =
        vec![0; usize::try_from((range.end - range.start).clamp(1, 1 << 20)).unwrap_or(1 << 20)];
    let mut at = range.start;
    while at < range.end {
        let most =
            usize::try_from(range.end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        match from.read_at(&mut buffer[..most], at) {
            // It was cut since it was looked at.
            Ok(0) => return Ok(()),
            Ok(read) => {
                to.write_all_at(&buffer[..read], at)?;
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A new file `name` of `dir`, for nobody but us until it is dressed.
pub(super) fn create(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let bits = Mode::RUSR | Mode::WUSR;
    Ok(File::from(beneath::openat2(dir, name, flags, bits, beneath::RESOLVE)?))
}

/// Gives `name` of `to`, which is no link, everything of `stat` and of `name_from` of `from` but the content.
///
/// INVARIANT: the owner first, which takes capabilities and the set-user-id bit away; attributes before bits, which may
/// forbid to set them; times last, which everything else moves.
pub(super) fn dress(
    (from, name_from): (BorrowedFd<'_>, &[u8]),
    (to, name): (BorrowedFd<'_>, &[u8]),
    stat: &Stat,
    attributes: Attributes,
) -> io::Result<()> {
    own((to, name), stat)?;
    self::attributes((from, name_from), (to, name), attributes)?;
    let is_link = beneath::file_type(stat) == FileType::Symlink;
    if !is_link {
        let bits = Mode::from_raw_mode(stat.st_mode & 0o7777);
        rustix::fs::chmodat(to, beneath::as_path(name), bits, AtFlags::empty())?;
    }
    let path = beneath::as_path(name);
    Ok(rustix::fs::utimensat(to, path, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn own((dir, name): (BorrowedFd<'_>, &[u8]), stat: &Stat) -> io::Result<()> {
    let Some(is) = beneath::stat(dir, name)? else {
        return Err(Errno::NOENT.into());
    };
    if (is.st_uid, is.st_gid) == (stat.st_uid, stat.st_gid) {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    let path = beneath::as_path(name);
    Ok(rustix::fs::chownat(dir, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Gives `to` the attributes of `from`, and takes others away.
fn attributes(
    from: (BorrowedFd<'_>, &[u8]),
    to: (BorrowedFd<'_>, &[u8]),
    which: Attributes,
) -> io::Result<()> {
    let is_copied = |name: &[u8]| {
        let is_mark = name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
        name != b"security.selinux" && (which == Attributes::Raw || !is_mark)
    };
    let wanted = xattr::all(from.0, from.1)?;
    let there = xattr::all(to.0, to.1)?;
    for (name, value) in wanted.iter().filter(|(name, _)| is_copied(name.to_bytes())) {
        if there.get(name) != Some(value) {
            xattr::set(to.0, to.1, name, value)?;
        }
    }
    for name in there.keys().filter(|name| is_copied(name.to_bytes())) {
        if !wanted.contains_key(name) {
            xattr::remove(to.0, to.1, name)?;
        }
    }
    Ok(())
}

fn times(stat: &Stat) -> Timestamps {
    let time = |tv_sec, tv_nsec: u64| Timespec { tv_sec, tv_nsec: tv_nsec.try_into().unwrap_or(0) };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Makes the link, fifo or whiteout `name` of `to` that is at `name` of `from`.
pub(super) fn special(
    from: (BorrowedFd<'_>, &[u8]),
    (to, name): (BorrowedFd<'_>, &[u8]),
    stat: &Stat,
) -> io::Result<()> {
    let path = beneath::as_path(name);
    let kind = beneath::file_type(stat);
    if kind == FileType::Symlink {
        let target = beneath::read_link(from.0, from.1)?;
        return Ok(rustix::fs::symlinkat(beneath::as_path(&target), to.as_fd(), path)?);
    }
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    Ok(rustix::fs::mknodat(to.as_fd(), path, kind, mode, 0)?)
}
