//! Runs inside a sandbox as the agent, tries what must be denied, and prints one line for each: `name errno`.
//!
//! An `errno` of 0 means that it worked. The tests outside decide what that means.
//! Raw calls, so that no library's own caution can hide what the kernel would have allowed.

#![expect(
    unsafe_code,
    reason = "the probe makes forbidden calls with junk or null arguments, on purpose"
)]
#![expect(clippy::print_stdout, reason = "its output is its result")]

use std::{ffi::CStr, ptr};

use libc::{c_int, c_long, c_ulong};

fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(-1)
}

fn call(number: c_long, args: [c_long; 6]) -> c_int {
    // SAFETY: Every probe passes null, constant strings, or buffers that outlive the call.
    let rc = unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    if rc < 0 { errno() } else { 0 }
}

fn pointer(text: &CStr) -> c_long {
    text.as_ptr() as c_long
}

fn open(path: &CStr, flags: c_int) -> c_int {
    call(libc::SYS_openat, [libc::AT_FDCWD.into(), pointer(path), flags.into(), 0o600, 0, 0])
}

fn socket(family: c_int, kind: c_int, protocol: c_int) -> c_int {
    call(libc::SYS_socket, [family.into(), kind.into(), protocol.into(), 0, 0, 0])
}

/// `ioctl` with a request of 64 bits, as the kernel takes it.
fn ioctl(request: c_ulong) -> c_int {
    let mut byte = *b"x\0\0\0\0\0\0\0";
    let request = c_long::try_from(request).unwrap_or_default();
    call(libc::SYS_ioctl, [0, request, byte.as_mut_ptr() as c_long, 0, 0, 0])
}

/// Whether a new thread of control appears with these flags; the child ends at once.
fn clone(flags: c_int) -> c_int {
    // SAFETY: Without `CLONE_VM` the child has its own memory; it does nothing but exit.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone, c_long::from(flags | libc::SIGCHLD), 0, 0, 0, 0) };
    match pid {
        -1 => errno(),
        0 => {
            // SAFETY: Ends this process without running anything of the parent's.
            unsafe { libc::_exit(0) }
        }
        _ => {
            // SAFETY: Waits for any child; null asks for no status.
            unsafe { libc::wait(ptr::null_mut()) };
            0
        }
    }
}

fn namespaces() -> Vec<(&'static str, c_int)> {
    let kinds = [
        ("user", libc::CLONE_NEWUSER),
        ("mnt", libc::CLONE_NEWNS),
        ("pid", libc::CLONE_NEWPID),
        ("net", libc::CLONE_NEWNET),
        ("ipc", libc::CLONE_NEWIPC),
        ("uts", libc::CLONE_NEWUTS),
        ("cgroup", libc::CLONE_NEWCGROUP),
    ];
    let unshares =
        kinds.map(|(name, flag)| (name, call(libc::SYS_unshare, [flag.into(), 0, 0, 0, 0, 0])));
    let clones = kinds.map(|(name, flag)| (name, clone(flag)));
    unshares.into_iter().chain(clones).collect()
}

fn mounts() -> Vec<(&'static str, c_int)> {
    let null = 0;
    vec![
        (
            "mount",
            call(
                libc::SYS_mount,
                [pointer(c"none"), pointer(c"/tmp"), pointer(c"tmpfs"), 0, null, 0],
            ),
        ),
        (
            "umount",
            call(libc::SYS_umount2, [pointer(c"/proc"), libc::MNT_DETACH.into(), 0, 0, 0, 0]),
        ),
        (
            "remount",
            call(
                libc::SYS_mount,
                [
                    null,
                    pointer(c"/usr"),
                    null,
                    i64::try_from(libc::MS_REMOUNT | libc::MS_BIND).unwrap_or(0),
                    null,
                    0,
                ],
            ),
        ),
        ("chroot", call(libc::SYS_chroot, [pointer(c"/tmp"), 0, 0, 0, 0, 0])),
        (
            "pivot_root",
            call(libc::SYS_pivot_root, [pointer(c"/tmp"), pointer(c"/tmp"), 0, 0, 0, 0]),
        ),
        ("fsopen", call(libc::SYS_fsopen, [pointer(c"tmpfs"), 0, 0, 0, 0, 0])),
        (
            "open_tree",
            call(libc::SYS_open_tree, [libc::AT_FDCWD.into(), pointer(c"/"), 1, 0, 0, 0]),
        ),
        ("move_mount", call(libc::SYS_move_mount, [-1, pointer(c""), -1, pointer(c"/tmp"), 4, 0])),
        (
            "mount_setattr",
            call(libc::SYS_mount_setattr, [libc::AT_FDCWD.into(), pointer(c"/"), 0, null, 0, 0]),
        ),
    ]
}

fn handles() -> Vec<(&'static str, c_int)> {
    let null = 0;
    vec![
        ("setns", call(libc::SYS_setns, [0, 0, 0, 0, 0, 0])),
        (
            "name_to_handle_at",
            call(
                libc::SYS_name_to_handle_at,
                [libc::AT_FDCWD.into(), pointer(c"/"), null, null, 0, 0],
            ),
        ),
        ("open_by_handle_at", call(libc::SYS_open_by_handle_at, [0, null, 0, 0, 0, 0])),
        (
            "mknod_device",
            call(
                libc::SYS_mknodat,
                [
                    libc::AT_FDCWD.into(),
                    pointer(c"/tmp/null"),
                    i64::from(libc::S_IFCHR | 0o666),
                    259,
                    0,
                    0,
                ],
            ),
        ),
        (
            "mknod_whiteout",
            call(
                libc::SYS_mknodat,
                [libc::AT_FDCWD.into(), pointer(c"whiteout"), i64::from(libc::S_IFCHR), 0, 0, 0],
            ),
        ),
    ]
}

fn kernel() -> Vec<(&'static str, c_int)> {
    let mut time = [0_i64; 2];
    let mut parameters = [0_u8; 256];
    let zeros = parameters.as_mut_ptr() as c_long;
    vec![
        ("bpf", call(libc::SYS_bpf, [0, zeros, 72, 0, 0, 0])),
        ("perf_event_open", call(libc::SYS_perf_event_open, [zeros, 0, -1, -1, 0, 0])),
        ("io_uring_setup", call(libc::SYS_io_uring_setup, [4, zeros, 0, 0, 0, 0])),
        ("userfaultfd", call(libc::SYS_userfaultfd, [1, 0, 0, 0, 0, 0])),
        ("keyctl", call(libc::SYS_keyctl, [0, -3, 0, 0, 0, 0])),
        (
            "add_key",
            call(libc::SYS_add_key, [pointer(c"user"), pointer(c"k"), pointer(c"v"), 1, -3, 0]),
        ),
        ("memfd_secret", call(libc::SYS_memfd_secret, [0, 0, 0, 0, 0, 0])),
        ("kexec_load", call(libc::SYS_kexec_load, [0, 0, 0, 0, 0, 0])),
        ("init_module", call(libc::SYS_init_module, [zeros, 0, pointer(c""), 0, 0, 0])),
        ("reboot", call(libc::SYS_reboot, [0xfee1_dead, 0x2812_1969, 0, 0, 0, 0])),
        ("swapon", call(libc::SYS_swapon, [pointer(c"/tmp/x"), 0, 0, 0, 0, 0])),
        (
            "clock_settime",
            call(libc::SYS_clock_settime, [0, time.as_mut_ptr() as c_long, 0, 0, 0, 0]),
        ),
        ("sethostname", call(libc::SYS_sethostname, [pointer(c"x"), 1, 0, 0, 0, 0])),
        ("syslog", call(libc::SYS_syslog, [3, zeros, 64, 0, 0, 0])),
        ("quotactl", call(libc::SYS_quotactl, [0, 0, 0, 0, 0, 0])),
        ("fanotify_init", call(libc::SYS_fanotify_init, [0, 0, 0, 0, 0, 0])),
        ("setuid_root", call(libc::SYS_setuid, [0, 0, 0, 0, 0, 0])),
        (
            "chown_root",
            call(libc::SYS_fchownat, [libc::AT_FDCWD.into(), pointer(c"."), 0, 0, 0, 0]),
        ),
    ]
}

fn sockets() -> Vec<(&'static str, c_int)> {
    vec![
        ("af_packet", socket(libc::AF_PACKET, libc::SOCK_RAW, 0)),
        ("af_vsock", socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
        ("af_alg", socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
        ("raw_icmp", socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)),
        ("netfilter", socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER)),
    ]
}

fn terminal() -> Vec<(&'static str, c_int)> {
    // The upper half must not slip past a comparison of 64 bits.
    const HIGH: c_ulong = 1 << 32;
    vec![
        ("tiocsti", ioctl(0x5412)),
        ("tiocsti_high", ioctl(0x5412 | HIGH)),
        ("tioclinux", ioctl(0x541c)),
        ("tioclinux_high", ioctl(0x541c | HIGH)),
        ("tiocsti_higher", ioctl(0x5412 | 1 << 62)),
        ("tioccons", ioctl(0x541d)),
        ("tiocsetd", ioctl(0x5423)),
        ("tiocsetd_high", ioctl(0x5423 | HIGH)),
    ]
}

fn files() -> Vec<(&'static str, c_int)> {
    vec![
        ("core_pattern", open(c"/proc/sys/kernel/core_pattern", libc::O_WRONLY)),
        ("sysrq", open(c"/proc/sysrq-trigger", libc::O_WRONLY)),
        ("drop_caches", open(c"/proc/sys/vm/drop_caches", libc::O_WRONLY)),
        ("pressure", open(c"/proc/pressure/memory", libc::O_RDWR)),
        ("max_user_namespaces", open(c"/proc/sys/user/max_user_namespaces", libc::O_WRONLY)),
        ("shadow", open(c"/etc/shadow", libc::O_RDONLY)),
        ("usr", open(c"/usr/probe", libc::O_WRONLY | libc::O_CREAT)),
        ("root", open(c"/probe", libc::O_WRONLY | libc::O_CREAT)),
        ("dev", open(c"/dev/probe", libc::O_WRONLY | libc::O_CREAT)),
        ("init_exe", open(c"/proc/1/exe", libc::O_RDONLY)),
        ("init_environ", open(c"/proc/1/environ", libc::O_RDONLY)),
        ("init_root", open(c"/proc/1/root/etc", libc::O_RDONLY)),
        ("kvm", open(c"/dev/kvm", libc::O_RDWR)),
        ("fuse", open(c"/dev/fuse", libc::O_RDWR)),
        ("mem", open(c"/dev/mem", libc::O_RDONLY)),
        (
            "link_out",
            call(
                libc::SYS_linkat,
                [
                    libc::AT_FDCWD.into(),
                    pointer(c"/etc/passwd"),
                    libc::AT_FDCWD.into(),
                    pointer(c"passwd"),
                    0,
                    0,
                ],
            ),
        ),
        ("kill_init", call(libc::SYS_kill, [1, 9, 0, 0, 0, 0])),
        ("ptrace_init", call(libc::SYS_ptrace, [16, 1, 0, 0, 0, 0])),
    ]
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("terminal") {
        // At a terminal of its own, where what is typed by a program would be run by whoever reads next.
        for (name, errno) in terminal() {
            println!("{name} {errno}");
        }
        return;
    }
    let probes = [namespaces(), mounts(), handles(), kernel(), sockets(), terminal(), files()];
    for (index, (name, errno)) in probes.into_iter().flatten().enumerate() {
        // The first fourteen are seven calls of unshare, then seven of clone.
        let call = if index < 7 {
            "unshare_"
        } else if index < 14 {
            "clone_"
        } else {
            ""
        };
        println!("{call}{name} {errno}");
    }
    // `clone3` must look absent, so that every C library falls back to what can be filtered.
    println!("clone3 {}", call(libc::SYS_clone3, [0, 0, 0, 0, 0, 0]));
}
