//! Certificates on their way into a sandbox: in memory without a name, beside the plan.
//!
//! They are some hundred kilobytes. In the plan they would be encoded and read twice, which takes longer than everything
//! else that is done about them, and stay in the memory of a keeper as long as its sandbox runs.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    os::fd::OwnedFd,
};

use rustix::fs::{MemfdFlags, memfd_create};

/// Puts `pem` where a descriptor leads to it; nothing where there are none.
pub(super) fn hand_over(pem: &str) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("certificates", MemfdFlags::CLOEXEC)?);
    file.write_all(pem.as_bytes())?;
    Ok(file.into())
}

/// Reads what was put there; `None` where there are none.
pub(super) fn take_over(descriptor: &OwnedFd) -> io::Result<Option<String>> {
    let mut file = File::from(descriptor.try_clone()?);
    file.rewind()?;
    let mut pem = String::new();
    file.read_to_string(&mut pem)?;
    Ok(Some(pem).filter(|pem| !pem.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_taken_over_more_than_once() {
        let handed = hand_over("pem").unwrap();
        for _ in 0..2 {
            assert_eq!(take_over(&handed).unwrap().as_deref(), Some("pem"));
        }
        assert_eq!(take_over(&hand_over("").unwrap()).unwrap(), None);
    }
}
