//! Who hears that credentials changed: the sandboxes of the tenant whose they are, and nobody else's.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use sandbar_types::TenantId;
use tokio::sync::watch;

use super::renewal;

/// Tells sandboxes that credentials of their tenant changed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The tenants of whom somebody hears.
    told: Mutex<BTreeMap<TenantId, watch::Sender<()>>>,
    /// Whose turn it is to renew which.
    pub(super) renewals: renewal::Turns,
}

impl Changes {
    /// Tells that credentials of `tenant` changed.
    pub(super) fn tell(&self, tenant: TenantId) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = told.get(&tenant) {
            sender.send_replace(());
        }
    }

    /// Hears of each change of credentials of `tenant` from now on.
    pub(super) fn of(&self, tenant: TenantId) -> watch::Receiver<()> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, sender| sender.receiver_count() > 0);
        told.entry(tenant).or_default().subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_to_the_sandboxes_of_its_tenant_alone() {
        let (red, blue) = (TenantId::generate(), TenantId::generate());
        let changes = Changes::default();
        let (one, other, theirs) = (changes.of(red), changes.of(red), changes.of(blue));
        changes.tell(red);
        let is_told = |receiver: &watch::Receiver<()>| receiver.has_changed().unwrap();
        assert!(is_told(&one) && is_told(&other) && !is_told(&theirs));
        // Who comes later has read what is there.
        assert!(!is_told(&changes.of(red)));
        drop((one, other, theirs));
        changes.tell(red);
        let _only = changes.of(blue);
        assert_eq!(changes.told.lock().unwrap().len(), 1);
    }
}
