//! The loopback interface of the calling process's network namespace.

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Brings `lo` up; see netdevice(7).
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` over the namespace.
pub fn bring_up() -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    set_flags(rustix::fd::AsFd::as_fd(&socket))
}

fn set_flags(socket: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an all-zero ifreq is valid: integers and a union of plain data.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = from.cast_signed();
    }
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(up).expect("interface flags fit");
    // SAFETY: SIOCSIFFLAGS reads one ifreq, which outlives the call.
    let rc = unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, std::ptr::from_mut(&mut request))
    };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
