//! The trees of one workspace, as descriptors.

use std::os::fd::BorrowedFd;

/// Where overlayfs keeps its marks in the upper layer (kernel: Documentation/filesystems/overlayfs.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverlayMarks {
    /// `trusted.overlay.*`: mounted by root; nobody inside can write them.
    Trusted,
    /// `user.overlay.*`: mounted with `userxattr` by an ordinary user.
    User,
}

impl OverlayMarks {
    pub(crate) fn opaque(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.opaque",
            Self::User => "user.overlay.opaque",
        }
    }

    pub(crate) fn redirect(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.redirect",
            Self::User => "user.overlay.redirect",
        }
    }

    pub(crate) fn origin(self) -> &'static str {
        match self {
            Self::Trusted => "trusted.overlay.origin",
            Self::User => "user.overlay.origin",
        }
    }
}

/// The trees of one workspace. Whoever reads them keeps the sandbox frozen or stopped meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'fd> {
    /// What the sandbox sees: the truth about the workspace.
    pub merged: BorrowedFd<'fd>,
    /// The writable layer: the hint where to look.
    pub upper: BorrowedFd<'fd>,
    /// The source as it is now; `None` where the workspace began empty.
    pub lower: Option<BorrowedFd<'fd>>,
    /// How the upper layer is marked.
    pub marks: OverlayMarks,
}
