//! What of `/proc` is hidden inside, and how. What an id range already hides is hidden again: the masks must hold alone.

/// How a path of `/proc` is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// An empty read-only file is bound over it.
    File,
    /// An empty read-only directory is bound over it.
    Dir,
    /// It stays readable, but read-only.
    ReadOnly,
    /// A file that holds a value of the sandbox's own is bound over it, read-only.
    Value,
}

/// The paths, below `/proc`; those that the kernel does not have are skipped.
pub const PROC_MASKS: &[(&str, Mask)] = &[
    ("sys", Mask::ReadOnly),
    ("sys/kernel/core_pattern", Mask::File),
    ("sys/kernel/random/boot_id", Mask::Value),
    ("sys/fs/binfmt_misc", Mask::Dir),
    ("acpi", Mask::Dir),
    ("asound", Mask::Dir),
    ("bus", Mask::Dir),
    ("driver", Mask::Dir),
    ("dynamic_debug", Mask::Dir),
    ("fs", Mask::Dir),
    ("irq", Mask::Dir),
    ("pressure", Mask::Dir),
    ("scsi", Mask::Dir),
    ("tty", Mask::Dir),
    ("buddyinfo", Mask::File),
    ("bootconfig", Mask::File),
    ("cmdline", Mask::File),
    ("config.gz", Mask::File),
    ("consoles", Mask::File),
    ("crypto", Mask::File),
    ("devices", Mask::File),
    ("diskstats", Mask::File),
    ("dma", Mask::File),
    ("execdomains", Mask::File),
    ("fb", Mask::File),
    ("interrupts", Mask::File),
    ("iomem", Mask::File),
    ("ioports", Mask::File),
    ("kallsyms", Mask::File),
    ("kcore", Mask::File),
    ("key-users", Mask::File),
    ("keys", Mask::File),
    ("kmsg", Mask::File),
    ("kpagecgroup", Mask::File),
    ("kpagecount", Mask::File),
    ("kpageflags", Mask::File),
    ("latency_stats", Mask::File),
    ("locks", Mask::File),
    ("mdstat", Mask::File),
    ("misc", Mask::File),
    ("modules", Mask::File),
    ("mtrr", Mask::File),
    ("pagetypeinfo", Mask::File),
    ("partitions", Mask::File),
    ("sched_debug", Mask::File),
    ("schedstat", Mask::File),
    ("slabinfo", Mask::File),
    ("softirqs", Mask::File),
    ("swaps", Mask::File),
    ("sysrq-trigger", Mask::File),
    ("timer_list", Mask::File),
    ("timer_stats", Mask::File),
    ("vmallocinfo", Mask::File),
    ("vmcore", Mask::File),
    ("zoneinfo", Mask::File),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_comes_after_every_mask_above_it() {
        for (index, (path, _)) in PROC_MASKS.iter().enumerate() {
            let below_later = PROC_MASKS[index + 1..]
                .iter()
                .any(|(later, _)| path.starts_with(&format!("{later}/")));
            assert!(!below_later, "{path} would be covered by a later mask");
        }
    }

    #[test]
    fn what_tools_need_stays_readable() {
        for kept in [
            "cpuinfo",
            "meminfo",
            "stat",
            "loadavg",
            "uptime",
            "version",
            "filesystems",
            "self",
            "net",
            "mounts",
        ] {
            assert!(PROC_MASKS.iter().all(|(path, _)| *path != kept), "{kept}");
        }
    }
}
