//! Landlock: which files a process and its descendants may use, by what lies below which directory. See landlock(7).

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    ptr,
};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

/// What a rule allows beneath its path. What several rules allow on the way up from a file adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// List directories.
    List,
    /// Read files and list directories.
    Read,
    /// Read, list, and execute.
    ReadExecute,
    /// Everything but making device nodes and commanding devices.
    ReadWrite,
    /// Read, write and command devices that are there.
    Device,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRule {
    /// A file, or the top of a tree. A link in it is followed.
    pub path: PathBuf,
    /// What is allowed there.
    pub access: Access,
}

/// What came of a restriction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Restricted {
    /// The kernel's ABI version; 0 where there is no Landlock and nothing was restricted.
    pub abi: u8,
    /// Whether signals and abstract unix sockets outside are out of reach.
    pub is_scoped: bool,
}

/// Why a restriction failed. The process is not restricted, and must not go on as if it were.
#[derive(Debug, thiserror::Error)]
pub enum RestrictError {
    /// A rule's path is there but cannot be opened.
    #[error("failed to open `{path}` for a Landlock rule", path = path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel refused the rules.
    #[error("failed to restrict files with Landlock")]
    Ruleset(#[from] RulesetError),
}

impl From<RestrictError> for io::Error {
    fn from(err: RestrictError) -> Self {
        match err {
            RestrictError::Open { source, .. } => source,
            RestrictError::Ruleset(_) => Self::other(err),
        }
    }
}

/// Returns the ABI version of the running kernel; 0 where Landlock is not built in or not enabled at boot.
#[must_use]
pub fn abi() -> u8 {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no attributes, and only returns a number.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            ptr::null::<libc::c_void>(),
            0usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    u8::try_from(version).unwrap_or(0)
}

/// Restricts this thread, and whatever it starts, to `rules`; a rule whose path does not exist is left out.
///
/// Sets `no_new_privs`, which the kernel asks for.
/// Call it after the last mount: a restricted process cannot mount.
/// Signals and ptrace among the restricted thread and its descendants go on working: they are in one domain.
/// What is not covered: chmod, chown, extended attributes, stat, chdir, locks; descriptors that are open already.
///
/// # Errors
/// See [`RestrictError`]. A kernel without Landlock is not an error: [`Restricted::abi`] is 0.
pub fn restrict(rules: &[PathRule]) -> Result<Restricted, RestrictError> {
    let version = abi();
    if version == 0 {
        return Ok(Restricted { abi: 0, is_scoped: false });
    }
    let known = ABI::from(i32::from(version));
    let scopes = Scope::from_all(known);
    let mut ruleset = Ruleset::default().handle_access(AccessFs::from_all(known))?;
    if !scopes.is_empty() {
        ruleset = ruleset.scope(scopes)?;
    }
    let mut created = ruleset.create()?;
    for rule in rules {
        created = add(created, rule, known)?;
    }
    created.restrict_self()?;
    Ok(Restricted { abi: version, is_scoped: !scopes.is_empty() })
}

fn add(
    created: RulesetCreated,
    rule: &PathRule,
    known: ABI,
) -> Result<RulesetCreated, RestrictError> {
    let Some(kind) = kind_of(&rule.path)? else {
        return Ok(created);
    };
    let fd = PathFd::new(&rule.path).map_err(|_| RestrictError::Open {
        path: rule.path.clone(),
        source: io::Error::last_os_error(),
    })?;
    let mut access = rights(rule.access, known);
    if !kind.is_dir() {
        // The kernel refuses rights of directories in a rule for a file.
        access &= AccessFs::from_file(known);
    }
    if access.is_empty() {
        return Ok(created);
    }
    Ok(created.add_rule(PathBeneath::new(fd, access))?)
}

fn kind_of(path: &Path) -> Result<Option<fs::FileType>, RestrictError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(source) => Err(RestrictError::Open { path: path.to_owned(), source }),
    }
}

fn rights(access: Access, known: ABI) -> BitFlags<AccessFs> {
    let all = AccessFs::from_all(known);
    let wanted = match access {
        Access::List => AccessFs::ReadDir.into(),
        Access::Read => AccessFs::ReadDir | AccessFs::ReadFile,
        Access::ReadExecute => AccessFs::from_read(known),
        Access::ReadWrite => all & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev),
        Access::Device => {
            AccessFs::ReadDir
                | AccessFs::ReadFile
                | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::IoctlDev
        }
    };
    wanted & all
}
