//! Makes one system call in a way that no program of this machine does, and says whether it came back.
//!
//! `i386`: through the 32-bit gate. `x32`: with bit 30 of the number set. Both must kill it with SIGSYS.

#![expect(unsafe_code, reason = "a foreign system call is what it is for")]
#![expect(clippy::print_stdout, reason = "its output is its result")]

/// Bit 30 marks the x32 ABI; see syscall(2).
const X32: libc::c_long = 1 << 30;

fn main() {
    let answer = match std::env::args().nth(1).as_deref() {
        Some("x32") => {
            // SAFETY: getpid takes nothing and changes nothing.
            unsafe { libc::syscall(X32 | libc::SYS_getpid) }
        }
        Some("i386") => i386_getpid(),
        _ => libc::c_long::MIN,
    };
    println!("came back {answer}");
}

#[cfg(target_arch = "x86_64")]
fn i386_getpid() -> libc::c_long {
    /// Its number there; here 20 is `writev`.
    const GETPID: u32 = 20;
    let answer: u32;
    // SAFETY: getpid takes nothing and changes nothing; the gate may clobber r8 to r11, which is said.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("eax") GETPID => answer,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    answer.into()
}

#[cfg(not(target_arch = "x86_64"))]
fn i386_getpid() -> libc::c_long {
    libc::c_long::MIN
}
