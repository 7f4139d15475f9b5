//! How what is in a connection is carried, and until when: a change of the rules or of what is bound ends what would not
//! be carried so any more. The next one is carried as they say then.

use std::{future::pending, sync::Arc};

use tokio::sync::watch;

use super::{
    intercept::CredentialSet,
    log::{Passage, Way},
    policy::{Policy, Target},
    proxy::EgressProxy,
};

/// What is done with what is in a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carriage {
    /// One request in plain HTTP.
    Plain,
    /// The bytes are passed on, and not looked at.
    Opaque,
    /// The same, once they have named the host.
    Named,
    /// It is ended here, and credentials are put in.
    Intercepted,
}

impl Carriage {
    fn of(
        (way, target): (Way, &Target),
        policy: &Policy,
        credentials: Option<&CredentialSet>,
    ) -> Self {
        match way {
            Way::Plain => Self::Plain,
            Way::Tunnel if credentials.is_some_and(|set| set.has(target)) => Self::Intercepted,
            Way::Tunnel if policy.requires_name(target) => Self::Named,
            Way::Tunnel => Self::Opaque,
        }
    }

    /// Whether what began so may go on where `now` would be chosen.
    fn satisfies(self, now: Self) -> bool {
        match (self, now) {
            // It has named its host, which nobody asks any more.
            (Self::Named, Self::Opaque) => true,
            (Self::Plain | Self::Opaque | Self::Named | Self::Intercepted, _) => self == now,
        }
    }
}

impl EgressProxy {
    /// Decides how what passes is carried, by what holds now.
    pub(super) fn carriage(&self, passage: &Passage) -> Carriage {
        let policy = Arc::clone(&self.policy.borrow());
        let credentials = self.interception.as_ref().map(|how| how.credentials.borrow());
        let way = (passage.way, &passage.target);
        Carriage::of(way, &policy, credentials.as_deref().map(|set| &**set))
    }

    /// Returns once the policy refuses what passes, or it would be carried in another way than `began`.
    pub(super) async fn revoked(&self, passage: &Passage, began: Carriage) {
        let mut policy = self.policy.subscribe();
        let mut credentials = self.interception.as_ref().map(|how| how.credentials.clone());
        loop {
            // Seen before it is looked at: what changes in between is looked at again.
            let is_admitted = policy.borrow_and_update().admit(&passage.target).is_ok();
            if let Some(credentials) = &mut credentials {
                credentials.mark_unchanged();
            }
            if !is_admitted || !began.satisfies(self.carriage(passage)) {
                return;
            }
            tokio::select! {
                () = changed(Some(&mut policy)) => {}
                () = changed(credentials.as_mut()) => {}
            }
        }
    }
}

/// Returns with the next change; never where nobody is left to make one.
async fn changed<T>(watched: Option<&mut watch::Receiver<T>>) {
    let Some(watched) = watched else { return pending().await };
    if watched.changed().await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::{intercept::Credential, policy::Mode};

    const ALL: [Carriage; 4] =
        [Carriage::Plain, Carriage::Opaque, Carriage::Named, Carriage::Intercepted];

    #[test]
    fn what_is_bound_comes_before_what_must_be_named_and_plain_http_is_neither() {
        let target = Target::parse("api.example", Some(443)).unwrap();
        let rule = sandbar_types::InjectionRule {
            host: "api.example".to_owned(),
            port: 443,
            methods: Vec::new(),
            path: "/".to_owned(),
            place: sandbar_types::InjectionPlace::Body,
        };
        let bound = CredentialSet::new(vec![Credential {
            name: "model".to_owned(),
            secret: None,
            placeholder: "sbx-1".to_owned(),
            rules: vec![rule],
            renewal: None,
        }]);
        let (listed, open) = (Policy::new(Mode::AllowList), Policy::new(Mode::Open));
        let none = CredentialSet::default();
        let of = |way, policy, set| Carriage::of((way, &target), policy, set);
        assert_eq!(of(Way::Tunnel, &listed, Some(&bound)), Carriage::Intercepted);
        assert_eq!(of(Way::Tunnel, &open, Some(&bound)), Carriage::Intercepted);
        assert_eq!(of(Way::Tunnel, &listed, Some(&none)), Carriage::Named);
        assert_eq!(of(Way::Tunnel, &open, None), Carriage::Opaque);
        assert_eq!(of(Way::Plain, &listed, Some(&bound)), Carriage::Plain);
    }

    #[test]
    fn whatever_is_to_be_carried_in_another_way_ends_but_one_that_named_its_host_for_nothing() {
        for began in ALL {
            for now in ALL {
                let goes_on = began == now || (began, now) == (Carriage::Named, Carriage::Opaque);
                assert_eq!(began.satisfies(now), goes_on, "{began:?} where {now:?} is due");
            }
        }
    }
}
