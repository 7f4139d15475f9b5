//! Giving up privileges for good, in the order that the kernel asks for. See capabilities(7).

use std::io;

use rustix::{
    io::Errno,
    process::{DumpableBehavior, set_dumpable_behavior},
    thread::{
        CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities,
        clear_ambient_capability_set, configure_capability_in_ambient_set,
        remove_capability_from_bounding_set, set_capabilities, set_capabilities_secure_bits,
        set_no_new_privs,
    },
};

/// What happens to the kept capabilities at the next exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtExec {
    /// They are gone.
    Lost,
    /// They are there still: through the ambient set, which a change of all user ids to non-zero empties.
    Kept,
}

/// Keeps `kept` and nothing else, and locks it so that no exec of anything gains a capability again.
///
/// The bounding set is emptied, the secure bits are locked, and no ambient capability can be raised later.
/// Needs `CAP_SETPCAP`, and that `kept` is permitted now.
///
/// # Errors
/// The kernel refused; part of it may have been done, so the process must not go on.
pub fn settle(kept: CapabilitySet, at_exec: AtExec) -> io::Result<()> {
    let inheritable = match at_exec {
        AtExec::Lost => CapabilitySet::empty(),
        AtExec::Kept => kept,
    };
    // INVARIANT: inheritable before the bounding set, beyond which it cannot be raised; ambient before the secure bits,
    // which forbid raising it; all of them before CAP_SETPCAP goes.
    let now = capabilities(None)?;
    set_capabilities(None, CapabilitySets { inheritable, ..now })?;
    empty_bounding_set()?;
    clear_ambient_capability_set()?;
    for one in inheritable.iter() {
        configure_capability_in_ambient_set(one, true)?;
    }
    set_capabilities_secure_bits(locked_secure_bits())?;
    set_capabilities(None, CapabilitySets { effective: kept, permitted: kept, inheritable })?;
    Ok(())
}

/// Gives up every capability that the process has, the ambient and inheritable ones included.
///
/// # Errors
/// The kernel refused, which it has no reason to.
pub fn drop_all() -> io::Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    Ok(())
}

/// Sets `no_new_privs`: from now on no exec gains privileges by set-user-id bits or file capabilities.
///
/// # Errors
/// The kernel is older than 3.5.
pub fn forbid_new_privileges() -> io::Result<()> {
    Ok(set_no_new_privs(true)?)
}

/// Makes the process undumpable: its `/proc` entries belong to root, and other processes cannot trace it.
///
/// Every `set*id` and every exec undoes it, so it comes last.
///
/// # Errors
/// The kernel refused.
pub fn forbid_dumps() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// `NO_SETUID_FIXUP` stays off and is locked off: a change from user id 0 to another then empties the sets by itself,
/// should a step that does it by hand ever be forgotten.
fn locked_secure_bits() -> CapabilitiesSecureBits {
    type Bits = CapabilitiesSecureBits;
    Bits::NO_ROOT
        | Bits::NO_ROOT_LOCKED
        | Bits::NO_SETUID_FIXUP_LOCKED
        | Bits::KEEP_CAPS_LOCKED
        | Bits::NO_CAP_AMBIENT_RAISE
        | Bits::NO_CAP_AMBIENT_RAISE_LOCKED
}

fn empty_bounding_set() -> io::Result<()> {
    // By number, not by name: a newer kernel may have capabilities that nobody here has heard of.
    for number in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}
