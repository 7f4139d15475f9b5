use std::collections::BTreeSet;

use libc::*;
use sha2::{Digest, Sha256};

use super::*;

/// What tracing git, gcc, make, cargo, python, node, npm, java, gdb, tmux, redis, openssl, tar, curl, perl, ps and ip gave.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const TRACED: &[c_long] = &[
    SYS_accept, SYS_access, SYS_alarm, SYS_arch_prctl, SYS_bind, SYS_brk, SYS_capget, SYS_chdir, SYS_chmod,
    SYS_clock_getres, SYS_clock_nanosleep, SYS_clone, SYS_clone3, SYS_close, SYS_close_range, SYS_connect,
    SYS_creat, SYS_dup, SYS_dup2, SYS_dup3, SYS_epoll_create, SYS_epoll_create1, SYS_epoll_ctl, SYS_epoll_pwait,
    SYS_epoll_wait, SYS_eventfd2, SYS_execve, SYS_exit, SYS_exit_group, SYS_faccessat2, SYS_fadvise64, SYS_fchdir,
    SYS_fchmod, SYS_fchown, SYS_fchownat, SYS_fcntl, SYS_fdatasync, SYS_flock, SYS_fstat, SYS_fstatfs, SYS_fsync,
    SYS_ftruncate, SYS_futex, SYS_get_mempolicy, SYS_getcwd, SYS_getdents64, SYS_getegid, SYS_geteuid, SYS_getgid,
    SYS_getgroups, SYS_getpeername, SYS_getpgrp, SYS_getpid, SYS_getppid, SYS_getrandom, SYS_getrusage,
    SYS_getsockname, SYS_getsockopt, SYS_gettid, SYS_getuid, SYS_inotify_add_watch, SYS_inotify_init1, SYS_ioctl,
    SYS_kill, SYS_lgetxattr, SYS_link, SYS_linkat, SYS_listen, SYS_lseek, SYS_lstat, SYS_madvise, SYS_mkdir,
    SYS_mkdirat, SYS_mmap, SYS_mprotect, SYS_mremap, SYS_munmap, SYS_newfstatat, SYS_open, SYS_openat,
    SYS_personality, SYS_pipe2, SYS_pkey_alloc, SYS_poll, SYS_prctl, SYS_pread64, SYS_prlimit64, SYS_pselect6,
    SYS_ptrace, SYS_pwrite64, SYS_read, SYS_readlink, SYS_recvfrom, SYS_recvmsg, SYS_rename, SYS_rmdir, SYS_rseq,
    SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_sched_getaffinity, SYS_sched_yield, SYS_sendmmsg,
    SYS_sendmsg, SYS_sendto, SYS_set_mempolicy, SYS_set_robust_list, SYS_set_tid_address, SYS_setitimer,
    SYS_setpgid, SYS_setresgid, SYS_setresuid, SYS_setsid, SYS_setsockopt, SYS_shutdown, SYS_sigaltstack,
    SYS_socket, SYS_socketpair, SYS_stat, SYS_statfs, SYS_statx, SYS_symlink, SYS_sysinfo, SYS_tgkill, SYS_umask,
    SYS_uname, SYS_unlink, SYS_unlinkat, SYS_utimensat, SYS_vfork, SYS_wait4, SYS_write,
];

/// What no process of a sandbox may do, whatever the arguments are.
const FORBIDDEN: &[c_long] = &[
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_memfd_secret,
    SYS_kcmp,
    SYS_process_madvise,
    SYS_fanotify_init,
    SYS_fanotify_mark,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_syslog,
    SYS_acct,
    SYS_swapon,
    SYS_swapoff,
    SYS_reboot,
    SYS_kexec_load,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_vhangup,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_clock_adjtime,
    SYS_move_pages,
    SYS_migrate_pages,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_fsopen,
    SYS_fsmount,
    SYS_fsconfig,
    SYS_fspick,
    SYS_open_tree,
    SYS_move_mount,
    SYS_mount_setattr,
    SYS_setns,
    SYS_unshare,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_pidfd_getfd,
];

fn decide(call: c_long, args: [u64; 6]) -> Action {
    default_policy().decide(number(call), args)
}

fn bits(value: c_int) -> u64 {
    u64::from(number_of(value))
}

#[test]
#[cfg(target_arch = "x86_64")]
fn whatever_the_toolchains_were_seen_to_call_is_there() {
    let policy = default_policy();
    for call in TRACED {
        // What is tested by its arguments has tests of its own below.
        let is_tested = matches!(policy.rules.get(&number(*call)), Some(Rule::ByArgs { .. }));
        let falls_back = *call == SYS_clone3;
        let action = policy.decide(number(*call), [0; 6]);
        assert!(is_tested || falls_back || action == Action::Allow, "system call {call}");
    }
}

#[test]
fn what_reaches_the_rest_of_the_kernel_is_refused() {
    for call in FORBIDDEN {
        assert_eq!(decide(*call, [0; 6]), REFUSED, "system call {call}");
    }
}

#[test]
fn no_name_is_listed_twice() {
    let mut seen = BTreeSet::new();
    let by_args = by_args().map(|(call, _)| call);
    for call in ALLOWED.iter().chain(NOT_THERE).copied().chain(by_args) {
        assert!(seen.insert(call), "system call {call}");
        assert!(number(call) <= NEWEST);
    }
}

#[test]
fn the_supervisor_can_do_its_work() {
    for call in [
        SYS_setresuid,
        SYS_setresgid,
        SYS_setgroups,
        SYS_capset,
        SYS_kill,
        SYS_pidfd_send_signal,
        SYS_waitid,
        SYS_setsid,
        SYS_fallocate,
        SYS_prlimit64,
        SYS_recvmsg,
        SYS_sendmsg,
        SYS_accept4,
        SYS_close_range,
        SYS_execveat,
        SYS_setpriority,
    ] {
        assert_eq!(decide(call, [0; 6]), Action::Allow, "system call {call}");
    }
}

#[test]
fn a_process_may_be_made_and_a_namespace_may_not() {
    let thread = CLONE_VM
        | CLONE_FS
        | CLONE_FILES
        | CLONE_SIGHAND
        | CLONE_THREAD
        | CLONE_SYSVSEM
        | CLONE_SETTLS;
    for flags in [SIGCHLD, thread, CLONE_VM | CLONE_VFORK | SIGCHLD, CLONE_PIDFD | SIGCHLD] {
        assert_eq!(decide(SYS_clone, [bits(flags), 0, 0, 0, 0, 0]), Action::Allow, "{flags:#x}");
    }
    for flags in [
        CLONE_NEWNS,
        CLONE_NEWCGROUP,
        CLONE_NEWUTS,
        CLONE_NEWIPC,
        CLONE_NEWUSER,
        CLONE_NEWPID,
        CLONE_NEWNET,
    ] {
        for high in [0, 1 << 32, u64::from(u32::MAX) << 32] {
            let args = [bits(flags | SIGCHLD) | high, 0, 0, 0, 0, 0];
            assert_eq!(decide(SYS_clone, args), REFUSED, "{flags:#x}");
        }
    }
    assert_eq!(decide(SYS_clone3, [0; 6]), ABSENT);
}

#[test]
fn sockets_are_local_or_of_the_internet() {
    let socket = |family: c_int, protocol: c_int| {
        decide(SYS_socket, [bits(family), bits(SOCK_STREAM), bits(protocol), 0, 0, 0])
    };
    for family in [AF_UNIX, AF_INET, AF_INET6] {
        assert_eq!(socket(family, 0), Action::Allow);
    }
    assert_eq!(socket(AF_NETLINK, NETLINK_ROUTE), Action::Allow);
    assert_eq!(socket(AF_NETLINK, NETLINK_NETFILTER), REFUSED);
    for family in 0..64 {
        if ![AF_UNIX, AF_INET, AF_INET6, AF_NETLINK].contains(&family) {
            assert_eq!(socket(family, 0), REFUSED, "family {family}");
            assert_eq!(
                decide(SYS_socketpair, [bits(family), 0, 0, 0, 0, 0]),
                REFUSED,
                "family {family}"
            );
        }
    }
}

#[test]
fn terminal_injection_is_refused_with_a_high_half_too() {
    for command in TERMINAL_COMMANDS {
        for high in [0, 1 << 32] {
            assert_eq!(decide(SYS_ioctl, [0, u64::from(command) | high, 0, 0, 0, 0]), REFUSED);
        }
    }
    for command in [TCGETS, TIOCGWINSZ, FIONREAD, TIOCSCTTY] {
        assert_eq!(decide(SYS_ioctl, [0, command, 0, 0, 0, 0]), Action::Allow);
    }
}

#[test]
fn personalities_and_prctl_are_those_that_tools_use() {
    let personality = |persona: u64| decide(SYS_personality, [persona, 0, 0, 0, 0, 0]);
    for persona in PERSONALITIES {
        assert_eq!(personality(u64::from(persona)), Action::Allow);
    }
    assert_eq!(personality(0x040_0000), REFUSED, "READ_IMPLIES_EXEC");
    assert_eq!(decide(SYS_prctl, [bits(PR_SET_MM), 0, 0, 0, 0, 0]), REFUSED);
    for option in
        [PR_SET_NAME, PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_SET_DUMPABLE]
    {
        assert_eq!(decide(SYS_prctl, [bits(option), 0, 0, 0, 0, 0]), Action::Allow);
    }
}

/// Whoever changes the profile looks at what changed, and then at this hash.
#[test]
#[cfg(target_arch = "x86_64")]
fn the_shipped_filter_is_the_reviewed_one() {
    let hash = Sha256::digest(default_program().to_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, "f99099990713bc1d128a0a7f8efe11f6431addcd724d8d476b36f64a4b83be0b");
}
