//! Which mounts a sandbox has, in the order in which they are attached.

use sandbar_types::{HostPath, Limits};

use super::{Link, Mount, What};
use crate::{
    LaunchSpec,
    native::{
        facts::{Facts, TopLevel},
        launcher::Failure,
        toolchains::{ToolchainMode, ToolchainMount},
    },
};

/// Returns the links in the root, and the mounts: what lies below another comes after it.
pub(super) fn mounts(
    spec: &LaunchSpec,
    facts: &Facts,
    toolchains: &[ToolchainMount],
) -> Result<(Vec<Link>, Vec<Mount>), Failure> {
    refuse_odd_places(spec)?;
    let (links, ground) = ground(facts);
    let mut mounts = Vec::new();
    mounts.extend(memory_mounts(&spec.limits));
    let is_read_only = spec.scope.is_some();
    mounts.push(Mount { at: spec.workspace_path.clone(), what: What::Workspace { is_read_only } });
    if spec.caller.home != spec.workspace_path {
        mounts.push(Mount { at: spec.caller.home.clone(), what: What::Home });
    }
    mounts.extend(toolchain_mounts(toolchains)?);
    if spec.certificates.is_some() {
        let bundles = facts.bundles.iter().cloned();
        mounts.extend(bundles.map(|at| Mount { at, what: What::Certificates }));
        let stores = facts.truststores.iter().cloned();
        mounts.extend(stores.map(|at| Mount { at, what: What::Truststore }));
    }
    if let Some(scope) = &spec.scope {
        let at = HostPath::parse(spec.workspace_path.as_path().join(scope.as_path()));
        let at = at.map_err(|err| Failure::Source { what: err.to_string() })?;
        mounts.push(Mount { at, what: What::Scope });
    }
    sort(&mut mounts);
    // Nothing of these is at or above anything of the ground but `/`, so the ground comes first.
    mounts.splice(0..0, ground);
    Ok((links, mounts))
}

/// What every sandbox of a host stands on, whatever it is for: the links in the root, and the mounts of [`What::is_ground`].
pub(in crate::native) fn ground(facts: &Facts) -> (Vec<Link>, Vec<Mount>) {
    let mut mounts = system_mounts(facts);
    sort(&mut mounts);
    let (links, binds) = top_level(facts);
    mounts.splice(0..0, binds);
    (links, mounts)
}

/// Stable, so what was pushed first at one depth comes first: masks of /proc keep their order, too.
fn sort(mounts: &mut [Mount]) {
    mounts.sort_by_key(|mount| mount.at.as_path().components().count());
}

fn path(text: &str) -> HostPath {
    HostPath::parse(text).expect("a literal absolute path")
}

/// A workspace or home on top of what makes the sandbox a sandbox would hide it, or be hidden.
fn refuse_odd_places(spec: &LaunchSpec) -> Result<(), Failure> {
    for (name, place) in
        [("workspace", &spec.workspace_path), ("home directory", &spec.caller.home)]
    {
        let is_root = place.as_path().parent().is_none();
        let is_ours = ["/proc", "/sys", "/dev", "/etc", "/run"]
            .iter()
            .any(|taken| place.is_within(&path(taken)));
        if is_root || is_ours {
            return Err(Failure::Source {
                what: format!("the {name} cannot be at `{place}` inside"),
            });
        }
    }
    Ok(())
}

fn top_level(facts: &Facts) -> (Vec<Link>, Vec<Mount>) {
    let mut links = Vec::new();
    let mut binds = Vec::new();
    for (at, kind) in &facts.top_level {
        match kind {
            TopLevel::Link { target } => {
                links.push(Link { at: at.clone(), target: target.clone() });
            }
            TopLevel::Directory => {
                binds.push(Mount { at: at.clone(), what: What::System { host: at.clone() } });
            }
        }
    }
    (links, binds)
}

fn system_mounts(facts: &Facts) -> Vec<Mount> {
    let mut mounts = vec![Mount { at: path("/etc"), what: What::Etc }];
    for host in &facts.etc_binds {
        mounts.push(Mount { at: host.clone(), what: What::Data { host: host.clone() } });
    }
    mounts.push(Mount { at: path("/proc"), what: What::Proc });
    for (at, mask) in &facts.proc_masks {
        mounts.push(Mount { at: at.clone(), what: What::Mask(*mask) });
    }
    mounts.push(Mount { at: path("/dev"), what: What::Dev });
    for (name, major, minor) in [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ] {
        let at = path(&format!("/dev/{name}"));
        mounts.push(Mount { at: at.clone(), what: What::Device { host: at, major, minor } });
    }
    mounts.push(Mount { at: path("/dev/pts"), what: What::Pts });
    mounts
}

fn memory_mounts(limits: &Limits) -> Vec<Mount> {
    // The cgroup holds the sum of them; the size of each keeps a full /tmp from looking like a dying sandbox.
    let bytes = limits.memory_bytes_max;
    let tmpfs = |at: &str, bytes, mode, is_executable| Mount {
        at: path(at),
        what: What::Tmpfs { bytes, inodes: 1 << 20, mode, is_executable },
    };
    vec![
        tmpfs("/tmp", bytes, 0o1777, true),
        tmpfs("/var/tmp", bytes, 0o1777, true),
        tmpfs("/run", 64 << 20, 0o1777, false),
        tmpfs("/dev/shm", bytes / 2, 0o1777, false),
    ]
}

fn toolchain_mounts(toolchains: &[ToolchainMount]) -> Result<Vec<Mount>, Failure> {
    let parse = |path: &std::path::Path| {
        HostPath::parse(path).map_err(|err| Failure::Source { what: format!("toolchain: {err}") })
    };
    toolchains
        .iter()
        .enumerate()
        .map(|(index, toolchain)| {
            let is_writable = match toolchain.mode {
                ToolchainMode::ReadOnly => false,
                ToolchainMode::CopyOnWrite => true,
            };
            Ok(Mount {
                at: parse(&toolchain.inside_path)?,
                what: What::Toolchain { host: parse(&toolchain.host_path)?, is_writable, index },
            })
        })
        .collect()
}

/// Whether `dir`, an entry of `PATH`, can hold anything inside.
pub(super) fn is_visible(dir: &str, mounts: &[Mount], links: &[Link]) -> bool {
    let Ok(dir) = HostPath::parse(dir) else {
        return false;
    };
    let below_mount = mounts.iter().any(|mount| match &mount.what {
        What::System { .. } | What::Toolchain { .. } | What::Workspace { .. } | What::Home => {
            dir.is_within(&mount.at)
        }
        What::Data { .. }
        | What::Certificates
        | What::Truststore
        | What::Etc
        | What::Tmpfs { .. }
        | What::Proc
        | What::Mask(_)
        | What::Dev
        | What::Device { .. }
        | What::Pts
        | What::Scope => false,
    });
    below_mount || links.iter().any(|link| dir.is_within(&link.at))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sandbar_types::{SandboxId, ToolchainPolicy, WorkspacePath};

    use super::*;
    use crate::{Caller, SandboxDir, native::plan::MaskKind};

    fn spec(workspace: &str, home: &str) -> LaunchSpec {
        LaunchSpec {
            id: SandboxId::generate(),
            nonce: String::new(),
            dir: SandboxDir("/data/sandboxes/one".into()),
            source: None,
            fork_of: None,
            workspace_path: path(workspace),
            scope: None,
            limits: Limits::default(),
            env: BTreeMap::new(),
            toolchains: ToolchainPolicy::None,
            caches: None,
            caller: Caller {
                home: path(home),
                name: "ada".to_owned(),
                path: "/usr/bin".to_owned(),
            },
            uid_base: None,
            hostname: "one".to_owned(),
            git_identity: None,
            certificates: None,
        }
    }

    fn facts() -> Facts {
        Facts {
            top_level: vec![
                (path("/usr"), TopLevel::Directory),
                (path("/bin"), TopLevel::Link { target: "usr/bin".to_owned() }),
            ],
            etc_binds: vec![path("/etc/ssl/certs")],
            bundles: vec![path("/etc/ssl/certs/ca-certificates.crt")],
            truststores: vec![path("/etc/ssl/certs/java/cacerts")],
            proc_masks: vec![
                (path("/proc/sys"), MaskKind::ReadOnly),
                (path("/proc/sys/kernel/core_pattern"), MaskKind::File),
            ],
            shell: "/bin/sh",
            time_zone: None,
            changed: Vec::new(),
        }
    }

    fn position(mounts: &[Mount], at: &str) -> usize {
        mounts.iter().rposition(|mount| mount.at == path(at)).expect(at)
    }

    #[test]
    fn what_lies_below_another_mount_is_attached_after_it() {
        for (workspace, home) in [
            ("/home/ada/shop", "/home/ada"),
            ("/home", "/home/ada"),
            ("/tmp/shop", "/tmp/home"),
            ("/tmp/home/shop", "/tmp/home"),
            ("/workspace", "/home/ada"),
            ("/usr/src/app", "/root"),
            ("/var/tmp/x", "/var"),
        ] {
            let mut spec = spec(workspace, home);
            spec.scope = Some(WorkspacePath::parse("src").expect("a path"));
            let (_, mounts) = mounts(&spec, &facts(), &[]).expect("planned");
            for (index, mount) in mounts.iter().enumerate() {
                for later in &mounts[index + 1..] {
                    assert!(
                        later.at == mount.at || !mount.at.is_within(&later.at),
                        "{} hides {}",
                        later.at,
                        mount.at
                    );
                }
            }
        }
    }

    #[test]
    fn a_bundle_of_the_host_is_covered_only_where_there_are_certificates_to_show() {
        let bundle = "/etc/ssl/certs/ca-certificates.crt";
        let mut spec = spec("/workspace", "/home/ada");
        let (_, without) = mounts(&spec, &facts(), &[]).expect("planned");
        assert!(without.iter().all(|mount| mount.at != path(bundle)));
        spec.certificates = Some("pem".to_owned());
        let (_, with) = mounts(&spec, &facts(), &[]).expect("planned");
        assert_eq!(with[position(&with, bundle)].what, What::Certificates);
        assert!(position(&with, bundle) > position(&with, "/etc/ssl/certs"));
        let java = "/etc/ssl/certs/java/cacerts";
        assert!(without.iter().all(|mount| mount.at != path(java)));
        assert_eq!(with[position(&with, java)].what, What::Truststore);
        assert!(position(&with, java) > position(&with, "/etc/ssl/certs"));
    }

    #[test]
    fn a_workspace_that_is_the_home_is_mounted_once() {
        let (_, mounts) = mounts(&spec("/home/ada", "/home/ada"), &facts(), &[]).expect("planned");
        assert_eq!(mounts.iter().filter(|mount| mount.at == path("/home/ada")).count(), 1);
    }

    #[test]
    fn only_with_a_scope_is_the_workspace_read_only() {
        let mut spec = spec("/workspace", "/home/ada");
        let (_, open) = mounts(&spec, &facts(), &[]).expect("planned");
        assert_eq!(
            open[position(&open, "/workspace")].what,
            What::Workspace { is_read_only: false }
        );
        spec.scope = Some(WorkspacePath::parse("src").expect("a path"));
        let (_, scoped) = mounts(&spec, &facts(), &[]).expect("planned");
        assert_eq!(
            scoped[position(&scoped, "/workspace")].what,
            What::Workspace { is_read_only: true }
        );
        assert_eq!(scoped[position(&scoped, "/workspace/src")].what, What::Scope);
    }

    #[test]
    fn nothing_is_planned_over_what_makes_it_a_sandbox() {
        for place in ["/", "/proc", "/proc/sys", "/dev/pts", "/etc/ssl", "/sys", "/run/x"] {
            assert!(mounts(&spec(place, "/home/ada"), &facts(), &[]).is_err(), "workspace {place}");
            assert!(mounts(&spec("/workspace", place), &facts(), &[]).is_err(), "home {place}");
        }
    }

    #[test]
    fn an_entry_of_path_is_visible_when_something_is_mounted_there() {
        let (links, mounts) =
            mounts(&spec("/workspace", "/home/ada"), &facts(), &[]).expect("planned");
        for (dir, expected) in [
            ("/usr/bin", true),
            ("/bin", true),
            ("/workspace/bin", true),
            ("/home/ada/.local/bin", true),
            ("/opt/bin", false),
            ("/snap/bin", false),
            ("/usrlocal", false),
            ("bin", false),
        ] {
            assert_eq!(is_visible(dir, &mounts, &links), expected, "{dir}");
        }
    }
}
