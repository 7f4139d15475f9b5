//! Extended attributes of a name in a directory, links not followed (xattr(7)).

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{CStr, CString},
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use rustix::io::Errno;

/// LIMIT: bytes of the list of names; the kernel's own `XATTR_LIST_MAX`.
const LIST_BYTES_MAX: usize = 64 * 1024;
/// LIMIT: bytes of a value; the kernel's own `XATTR_SIZE_MAX`.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// The value of one attribute; `None` where it is not set, or the file system has none.
pub(crate) fn value(
    dir: BorrowedFd<'_>,
    name: &[u8],
    attribute: &str,
) -> io::Result<Option<Vec<u8>>> {
    let path = at(dir, name);
    let mut small = [0; 256];
    match rustix::fs::lgetxattr(path.as_slice(), attribute, &mut small[..]) {
        Ok(len) => Ok(Some(small[..len].to_vec())),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOENT) => Ok(None),
        Err(Errno::RANGE) => {
            let mut large = vec![0; VALUE_BYTES_MAX];
            let len = rustix::fs::lgetxattr(path.as_slice(), attribute, large.as_mut_slice())?;
            large.truncate(len);
            Ok(Some(large))
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Whether the attributes of two names differ in what an approve would drop. `None` stands for no object.
pub(crate) fn differ(
    new: (BorrowedFd<'_>, &[u8]),
    old: Option<(BorrowedFd<'_>, &[u8])>,
) -> io::Result<bool> {
    let new_names = names(new.0, new.1)?;
    let old_names = old.map_or_else(|| Ok(BTreeSet::new()), |(dir, name)| names(dir, name))?;
    if new_names != old_names {
        return Ok(true);
    }
    let Some(old) = old else {
        return Ok(false);
    };
    for attribute in &new_names {
        // Values of other spaces hold ids, which read differently through an id mapping.
        if attribute.starts_with("user.")
            && value(new.0, new.1, attribute)? != value(old.0, old.1, attribute)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The names that belong to the file: neither overlayfs's own nor the security module's label.
fn names(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<BTreeSet<String>> {
    let path = at(dir, name);
    let mut small = [0; 1024];
    let mut large = Vec::new();
    let list: &[u8] = match rustix::fs::llistxattr(path.as_slice(), &mut small[..]) {
        Ok(len) => &small[..len],
        Err(Errno::OPNOTSUPP | Errno::NOENT) => &[],
        Err(Errno::RANGE) => {
            large.resize(LIST_BYTES_MAX, 0);
            let len = rustix::fs::llistxattr(path.as_slice(), large.as_mut_slice())?;
            &large[..len]
        }
        Err(errno) => return Err(errno.into()),
    };
    Ok(list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .filter(|name| {
            name != "security.selinux"
                && !name.starts_with("trusted.overlay.")
                && !name.starts_with("user.overlay.")
        })
        .collect())
}

/// Every attribute that the kernel shows to this process, with its value.
pub(crate) fn all(dir: BorrowedFd<'_>, name: &[u8]) -> io::Result<BTreeMap<CString, Vec<u8>>> {
    let path = at(dir, name);
    let mut small = [0; 1024];
    let mut large = Vec::new();
    let list: &[u8] = match rustix::fs::llistxattr(path.as_slice(), &mut small[..]) {
        Ok(len) => &small[..len],
        Err(Errno::OPNOTSUPP) => &[],
        Err(Errno::RANGE) => {
            large.resize(LIST_BYTES_MAX, 0);
            let len = rustix::fs::llistxattr(path.as_slice(), large.as_mut_slice())?;
            &large[..len]
        }
        Err(errno) => return Err(errno.into()),
    };
    let mut found = BTreeMap::new();
    for attribute in list.split_inclusive(|byte| *byte == 0) {
        let attribute = CStr::from_bytes_with_nul(attribute).map_err(io::Error::other)?;
        let mut value = vec![0; 256];
        let len = match rustix::fs::lgetxattr(path.as_slice(), attribute, value.as_mut_slice()) {
            Err(Errno::RANGE) => {
                value.resize(VALUE_BYTES_MAX, 0);
                rustix::fs::lgetxattr(path.as_slice(), attribute, value.as_mut_slice())
            }
            other => other,
        };
        match len {
            Ok(len) => value.truncate(len),
            Err(Errno::NODATA) => continue,
            Err(errno) => return Err(errno.into()),
        }
        found.insert(attribute.to_owned(), value);
    }
    Ok(found)
}

pub(crate) fn set(
    dir: BorrowedFd<'_>,
    name: &[u8],
    attribute: &CStr,
    value: &[u8],
) -> io::Result<()> {
    let path = at(dir, name);
    let flags = rustix::fs::XattrFlags::empty();
    Ok(rustix::fs::lsetxattr(path.as_slice(), attribute, value, flags)?)
}

pub(crate) fn remove(dir: BorrowedFd<'_>, name: &[u8], attribute: &CStr) -> io::Result<()> {
    match rustix::fs::lremovexattr(at(dir, name).as_slice(), attribute) {
        Ok(()) | Err(Errno::NODATA) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// A path of `name` through the descriptor of its directory: these calls take no descriptor and a name.
fn at(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}
