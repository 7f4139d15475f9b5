//! Names the layer that stands in the way of namespaces and mounts: the error alone says only "not permitted".

use std::io;

use super::{Finding, line};

/// What is known of the layers that can refuse a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layers {
    /// We are root.
    pub(super) is_root: bool,
    /// `/proc/sys/user/max_user_namespaces`.
    pub(super) user_namespaces_max: Option<u64>,
    /// `/proc/sys/kernel/unprivileged_userns_clone` of Debian's kernels is 0.
    pub(super) is_clone_forbidden: bool,
    /// `/proc/sys/kernel/apparmor_restrict_unprivileged_userns` of Ubuntu's kernels is 1.
    pub(super) is_apparmor_restricting: bool,
    /// A seccomp filter is on us already, as in a container.
    pub(super) is_filtered: bool,
}

impl Layers {
    pub(super) fn look() -> Self {
        let number = |path: &str| line(path).and_then(|text| text.trim().parse::<u64>().ok());
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            is_root: rustix::process::geteuid().is_root(),
            user_namespaces_max: number("/proc/sys/user/max_user_namespaces"),
            is_clone_forbidden: number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0),
            is_apparmor_restricting: number(
                "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            ) == Some(1),
            is_filtered: status.contains("\nSeccomp:\t2"),
        }
    }

    /// Decides which layer it was, and what to do about it.
    pub(super) fn explain(self, code: &str, step: &str, err: &io::Error) -> Finding {
        let finding = |layer: &str| Finding::missing(code, format!("{step}: {err}; {layer}"));
        if err.raw_os_error() == Some(libc::ENOSYS) {
            return finding("the kernel is too old or was built without it")
                .hint("use Linux 5.19 or newer");
        }
        if self.user_namespaces_max == Some(0) {
            return finding("the sysctl user.max_user_namespaces is 0")
                .hint("sysctl user.max_user_namespaces=15000");
        }
        if err.raw_os_error() == Some(libc::ENOSPC) {
            return finding("the limit of namespaces is reached")
                .hint("raise the sysctls user.max_*_namespaces, or end what holds namespaces");
        }
        if !self.is_root && self.is_clone_forbidden {
            return finding("the sysctl kernel.unprivileged_userns_clone is 0")
                .hint("sysctl kernel.unprivileged_userns_clone=1, or run the server as root");
        }
        if !self.is_root && self.is_apparmor_restricting {
            return finding("AppArmor lets only programs with a profile use user namespaces").hint(
                "install an AppArmor profile for sandbar that has `userns,`, \
                 or sysctl kernel.apparmor_restrict_unprivileged_userns=0, or run the server as root",
            );
        }
        if self.is_filtered {
            return finding("a seccomp filter is on us already, as in a container")
                .hint("let the container use the calls of namespaces and mounts, or run the server on the host");
        }
        if self.is_root {
            return finding("we are root without the capability, as in a container")
                .hint("give the container CAP_SYS_ADMIN, or run the server on the host");
        }
        finding("the kernel does not say why")
            .hint("look at the kernel's log for a security module's denial")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Layers = Layers {
        is_root: false,
        user_namespaces_max: Some(1000),
        is_clone_forbidden: false,
        is_apparmor_restricting: false,
        is_filtered: false,
    };

    #[test]
    fn the_layer_in_the_way_is_named_with_what_to_do() {
        let (perm, nospc, nosys) = (libc::EPERM, libc::ENOSPC, libc::ENOSYS);
        let cases = [
            (OPEN, nosys, "too old", "5.19"),
            (
                Layers { user_namespaces_max: Some(0), ..OPEN },
                nospc,
                "max_user_namespaces is 0",
                "=15000",
            ),
            (OPEN, nospc, "limit", "user.max_*_namespaces"),
            (Layers { is_clone_forbidden: true, ..OPEN }, perm, "unprivileged_userns_clone", "=1"),
            (Layers { is_apparmor_restricting: true, ..OPEN }, perm, "AppArmor", "profile"),
            (Layers { is_filtered: true, ..OPEN }, perm, "seccomp", "container"),
            (
                Layers { is_root: true, is_apparmor_restricting: true, ..OPEN },
                perm,
                "capability",
                "CAP_SYS_ADMIN",
            ),
            (OPEN, perm, "does not say why", "log"),
        ];
        for (layers, errno, layer, hint) in cases {
            let found =
                layers.explain("user_namespaces", "a step", &io::Error::from_raw_os_error(errno));
            assert!(found.message.contains(layer), "{found:?}");
            assert!(found.hint.as_ref().is_some_and(|text| text.contains(hint)), "{found:?}");
        }
    }
}
