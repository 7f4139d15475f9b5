//! What the upper layer says about where to look. Never about what changed.

use std::{io, os::fd::BorrowedFd};

use rustix::fs::FileType;

use crate::{OverlayMarks, beneath, xattr};

/// Where the names of a directory come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// From the upper layer: what is not there did not change.
    Upper,
    /// From both trees: the upper layer does not show everything that changed.
    Both,
    /// As `Both`, below a directory that replaced the whole of the one it hides.
    Opaque,
}

/// Where the names below a directory come from.
pub(super) fn below(names: Names, hint: &Hint, on_both_sides: bool) -> Names {
    match names {
        Names::Opaque => Names::Opaque,
        Names::Both | Names::Upper if hint.is_opaque && on_both_sides => Names::Opaque,
        Names::Upper if hint.is_plain_directory && on_both_sides => Names::Upper,
        Names::Both | Names::Upper => Names::Both,
    }
}

/// What the upper layer says of one name.
pub(super) struct Hint {
    /// It holds nothing of that name.
    is_absent: bool,
    /// It holds a directory whose marks say nothing special: what it does not hold did not change.
    pub(super) is_plain_directory: bool,
    /// It holds a directory that hides the whole of the one below it.
    pub(super) is_opaque: bool,
    /// It holds a copy of something that the source had, and this is the mark of what it was copied from.
    pub(super) origin: Option<Vec<u8>>,
}

impl Hint {
    pub(super) fn of(
        upper: Option<BorrowedFd<'_>>,
        name: &[u8],
        marks: OverlayMarks,
    ) -> io::Result<Self> {
        let mut this =
            Self { is_absent: true, is_plain_directory: false, is_opaque: false, origin: None };
        let Some(dir) = upper else {
            return Ok(this);
        };
        let Some(stat) = beneath::stat(dir, name)? else {
            return Ok(this);
        };
        this.is_absent = false;
        this.origin = xattr::value(dir, name, marks.origin())?;
        if beneath::file_type(&stat) == FileType::Directory {
            let opaque = xattr::value(dir, name, marks.opaque())?;
            this.is_opaque = opaque.as_deref() == Some(b"y");
            let is_moved = xattr::value(dir, name, marks.redirect())?.is_some();
            this.is_plain_directory = opaque.is_none() && !is_moved;
            if is_moved {
                // It was there under another name.
                this.origin = None;
            }
        }
        Ok(this)
    }

    /// What two layers over the same source say together: a directory is plain where neither says more of it.
    pub(super) fn or(self, other: Self) -> Self {
        let is_plain = |hint: &Self| hint.is_plain_directory || hint.is_absent;
        Self {
            is_absent: self.is_absent && other.is_absent,
            is_plain_directory: is_plain(&self) && is_plain(&other),
            is_opaque: self.is_opaque || other.is_opaque,
            origin: None,
        }
    }
}
