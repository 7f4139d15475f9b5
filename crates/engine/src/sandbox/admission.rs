//! Whether a sandbox can be what was asked for. Everything that is refused is refused before anything is written.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::Path,
};

use sandbar_types::{HostPath, Limits, Overlap, OverlapKind, SandboxId, SandboxSpec, Source};

use crate::{Error, ErrorKind, Result};

/// Trees of the kernel: nothing there is a file that a person works on.
const KERNEL_TREES: [&str; 3] = ["/proc", "/sys", "/dev"];

fn invalid(code: &'static str, message: String) -> Error {
    Error::new(ErrorKind::Invalid, code, message)
}

/// Checks `spec`, and returns it with its source resolved: links on the way to it are followed once, here.
pub(super) fn check(mut spec: SandboxSpec, data_dir: &Path) -> Result<SandboxSpec> {
    check_limits(&spec.limits)?;
    check_words(&spec)?;
    spec.acceptance.as_ref().map(crate::review::acceptance::patterns).transpose()?;
    match &spec.source {
        Source::Directory { path } => {
            let resolved = resolve_source(path)?;
            check_place(path, &resolved, data_dir)?;
            check_scope(&spec, &resolved)?;
            // Inside, it is at the path that its owner types.
            spec.workspace_path.get_or_insert_with(|| path.clone());
            spec.source = Source::Directory { path: resolved };
        }
        Source::Empty | Source::Preset { .. }
            if spec.scope.is_some() || spec.reserve_all || !spec.reserve.is_empty() =>
        {
            return Err(invalid(
                "invalid_value",
                "a workspace without a source has nothing to scope or reserve".to_owned(),
            ));
        }
        Source::Empty | Source::Preset { .. } => {}
    }
    let workspace = super::model::workspace_path(&spec);
    let is_odd = workspace.as_path() == Path::new("/")
        || KERNEL_TREES.iter().any(|tree| workspace.as_path().starts_with(tree));
    if is_odd {
        return Err(invalid("invalid_value", format!("the workspace cannot be at `{workspace}`")));
    }
    Ok(spec)
}

/// As many processes as Linux can count; its cgroups refuse more.
const PIDS_MAX: u32 = 4 << 20;

fn check_limits(limits: &Limits) -> Result<()> {
    if limits.pids_max > PIDS_MAX {
        let message = format!("`limits.pids_max` is {}; it is at most {PIDS_MAX}", limits.pids_max);
        return Err(invalid("invalid_value", message));
    }
    let small = |name: &str, least: u64, value: u64| {
        if value >= least {
            return Ok(());
        }
        Err(invalid("invalid_value", format!("`limits.{name}` is {value}; it is at least {least}")))
    };
    small("memory_bytes_max", 16 << 20, limits.memory_bytes_max)?;
    small("cpu_millis_max", 10, limits.cpu_millis_max.into())?;
    small("pids_max", 8, limits.pids_max.into())?;
    small("open_files_max", 64, limits.open_files_max.into())?;
    small("disk_bytes_max", 1 << 20, limits.disk_bytes_max)?;
    small("log_bytes_max", 64 << 10, limits.log_bytes_max)?;
    small("execs_max", 1, limits.execs_max.into())
}

fn check_words(spec: &SandboxSpec) -> Result<()> {
    if spec.env.values().any(|value| value.contains('\0')) {
        return Err(invalid("invalid_value", "a value of `env` holds a NUL byte".to_owned()));
    }
    if spec.expiry.ttl_ms == Some(0) || spec.expiry.idle_timeout_ms == Some(0) {
        return Err(invalid("invalid_value", "a time of `expiry` is at least 1 ms".to_owned()));
    }
    Ok(())
}

/// Opens the source and asks the kernel where that is: the path of an open descriptor holds no link.
#[expect(clippy::wildcard_enum_match_arm, reason = "kinds of I/O errors are not ours, and grow")]
fn resolve_source(path: &HostPath) -> Result<HostPath> {
    let shown = path.to_string();
    let refuse = |err: io::Error| match err.kind() {
        io::ErrorKind::NotFound => invalid("source_not_found", format!("`{shown}` does not exist")),
        io::ErrorKind::NotADirectory => {
            invalid("source_not_directory", format!("`{shown}` is not a directory"))
        }
        io::ErrorKind::PermissionDenied => {
            invalid("source_forbidden", format!("`{shown}` may not be read"))
        }
        _other => invalid("source_unsupported", format!("`{shown}` cannot be opened")).because(err),
    };
    if !fs::metadata(path).map_err(refuse)?.is_dir() {
        return Err(invalid("source_not_directory", format!("`{shown}` is not a directory")));
    }
    let dir = File::open(path).map_err(refuse)?;
    let resolved = fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).map_err(refuse)?;
    HostPath::parse(resolved.as_os_str())
        .map_err(|err| invalid("source_unsupported", format!("`{shown}` cannot be used: {err}")))
}

fn check_place(path: &HostPath, resolved: &HostPath, data_dir: &Path) -> Result<()> {
    let forbidden =
        |why: &str| -> Result<()> { Err(invalid("source_forbidden", format!("`{path}` {why}"))) };
    let source = resolved.as_path();
    if source == Path::new("/") {
        return forbidden("is the root of the host");
    }
    if KERNEL_TREES.iter().any(|tree| source.starts_with(tree)) {
        return Err(invalid("source_unsupported", format!("`{path}` belongs to the kernel")));
    }
    let data = fs::metadata(data_dir).and_then(|_there| {
        let dir = File::open(data_dir)?;
        fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd()))
    });
    let data = data.map_err(Error::internal)?;
    if source == data {
        return forbidden("is the server's data directory");
    }
    if data.starts_with(source) {
        return forbidden("holds the server's data directory");
    }
    if source.starts_with(&data) {
        return forbidden("lies in the server's data directory");
    }
    if sandbar_git::is_in_git_dir(source) {
        // Nothing in there is `.git` by its name, so nothing would keep an approve from writing a hook or a program
        // into the configuration.
        let refused = forbidden("is a bare repository, or lies in the git directory of one");
        return refused.map_err(|err| err.hint("clone it: `sandbar run --git PATH -- …`"));
    }
    Ok(())
}

fn check_scope(spec: &SandboxSpec, source: &HostPath) -> Result<()> {
    let Some(scope) = &spec.scope else {
        return Ok(());
    };
    // Component by component, because a link in the middle would put the scope somewhere else.
    let mut at = source.as_path().to_owned();
    for component in scope.components() {
        at.push(OsStr::from_bytes(component));
        let is_dir = fs::symlink_metadata(&at).is_ok_and(|found| found.is_dir());
        if !is_dir {
            return Err(invalid(
                "invalid_value",
                format!("`scope` is no directory of the source: `{scope}`"),
            ));
        }
    }
    Ok(())
}

/// The subtrees of the host that `spec` reserves.
pub(super) fn reservations(spec: &SandboxSpec) -> Result<Vec<HostPath>> {
    let Source::Directory { path: source } = &spec.source else {
        return Ok(Vec::new());
    };
    if spec.reserve_all {
        return Ok(vec![source.clone()]);
    }
    spec.reserve
        .iter()
        .map(|path| {
            HostPath::parse(source.as_path().join(path.as_path())).map_err(|err| {
                invalid(
                    "invalid_value",
                    format!("`reserve` holds a path that cannot be used: {err}"),
                )
            })
        })
        .collect()
}

/// How `asked` meets `held`, by whole components.
pub(super) fn overlap(asked: &HostPath, held: &HostPath) -> Option<OverlapKind> {
    if asked == held {
        Some(OverlapKind::Exact)
    } else if held.is_within(asked) {
        Some(OverlapKind::Contains)
    } else if asked.is_within(held) {
        Some(OverlapKind::Inside)
    } else {
        None
    }
}

/// The error for a reservation that stands in the way.
pub(super) fn overlap_refusal(
    holder: SandboxId,
    kind: OverlapKind,
    held: &HostPath,
    asked: &HostPath,
) -> Error {
    let how = match kind {
        OverlapKind::Exact => "is reserved",
        OverlapKind::Contains => "contains what is reserved",
        OverlapKind::Inside => "lies inside what is reserved",
    };
    let details = Overlap { holder, kind, held: held.clone(), asked: asked.clone() };
    Error::new(
        ErrorKind::Conflict,
        "reservation_conflict",
        format!("`{asked}` {how} by sandbox {holder} (`{held}`)"),
    )
    .hint("create without a reservation, or delete the sandbox that holds it")
    .details(&details)
}

/// The error for a reservation of another tenant: who that is, and what exactly is held, is theirs to know.
pub(super) fn overlap_refusal_by_others(asked: &HostPath) -> Error {
    Error::new(
        ErrorKind::Conflict,
        "reservation_conflict",
        format!("`{asked}` overlaps with what somebody else reserved"),
    )
    .hint("create without a reservation, or ask who runs the server")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> HostPath {
        HostPath::parse(text).unwrap()
    }

    #[test]
    fn b11_underscore_and_percent_do_not_overlap() {
        for (asked, held) in [
            ("/src/a_b", "/src/aXb/c"),
            ("/src/aXb/c", "/src/a_b"),
            ("/src/100%", "/src/100 percent/x"),
            ("/src/%", "/src/anything/below"),
            ("/src/app", "/src/app2"),
            ("/src/app2", "/src/app"),
        ] {
            assert_eq!(overlap(&path(asked), &path(held)), None, "{asked} {held}");
        }
    }

    #[test]
    fn the_kind_of_overlap_is_named() {
        assert_eq!(overlap(&path("/a/b"), &path("/a/b/")), Some(OverlapKind::Exact));
        assert_eq!(overlap(&path("/a"), &path("/a/b")), Some(OverlapKind::Contains));
        assert_eq!(overlap(&path("/a/b/c"), &path("/a/b")), Some(OverlapKind::Inside));
    }

    proptest! {
        #[test]
        fn overlap_is_the_same_from_both_sides(one in "(/[a_%]{1,2}){1,4}", other in "(/[a_%]{1,2}){1,4}") {
            let (one, other) = (path(&one), path(&other));
            let mirrored = overlap(&other, &one).map(|kind| match kind {
                OverlapKind::Exact => OverlapKind::Exact,
                OverlapKind::Contains => OverlapKind::Inside,
                OverlapKind::Inside => OverlapKind::Contains,
            });
            prop_assert_eq!(overlap(&one, &other), mirrored);
        }
    }
}
