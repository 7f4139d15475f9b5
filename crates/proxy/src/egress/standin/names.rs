//! Which address of the loopback stands in for which name.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};

use crate::egress::policy::HostName;

/// LIMIT: names of one sandbox that are stood in for at once. Each takes a listener for each of its ports.
pub const NAMES_MAX: usize = 128;

/// How long a name that nobody asks for keeps its place when others want it.
const UNASKED_MAX: Duration = Duration::from_mins(10);

/// `127.64.0.0/10`.
const NETWORK: u32 = 0x7f40_0000;
const HOSTS: u32 = 1 << 22;

/// A name's place.
#[derive(Debug)]
pub(super) struct Place<T> {
    pub(super) address: Ipv4Addr,
    asked: Instant,
    /// What is kept with it.
    pub(super) kept: T,
}

/// The names that were asked for.
#[derive(Debug, Default)]
pub(super) struct Names<T> {
    places: BTreeMap<HostName, Place<T>>,
}

impl<T: Default> Names<T> {
    /// Returns the place of `name`, made if need be; `None` where all are taken by names that are asked for.
    ///
    /// The same name has the same address again, also after a restart, unless another one has it meanwhile.
    pub(super) fn place(&mut self, name: &HostName, now: Instant) -> Option<&mut Place<T>> {
        if !self.places.contains_key(name) {
            if self.places.len() >= NAMES_MAX {
                let oldest = self.places.iter().min_by_key(|(_, place)| place.asked)?;
                if now.duration_since(oldest.1.asked) < UNASKED_MAX {
                    return None;
                }
                let oldest = oldest.0.clone();
                self.places.remove(&oldest);
            }
            let place = Place { address: self.free(name), asked: now, kept: T::default() };
            self.places.insert(name.clone(), place);
        }
        let place = self.places.get_mut(name)?;
        place.asked = now;
        Some(place)
    }

    fn free(&self, name: &HostName) -> Ipv4Addr {
        let digest = Sha256::digest(name.as_str());
        let wished = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        // The first and the last are no hosts to some programs.
        (0..HOSTS)
            .map(|step| wished.wrapping_add(step) % HOSTS)
            .filter(|host| !matches!(host & 0xff, 0 | 0xff))
            .map(|host| Ipv4Addr::from_bits(NETWORK | host))
            .find(|address| self.places.values().all(|place| place.address != *address))
            .expect("there are more addresses than places")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn name(number: usize) -> HostName {
        format!("n{number}.example").parse().unwrap()
    }

    #[test]
    fn a_name_keeps_its_address_and_no_other_has_it() {
        let (mut names, now) = (Names::<()>::default(), Instant::now());
        let mut place = |number| names.place(&name(number), now).map(|place| place.address);
        let addresses: Vec<_> = (0..NAMES_MAX).map(|number| place(number).unwrap()).collect();
        assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), NAMES_MAX);
        for address in &addresses {
            assert!(matches!(address.octets(), [127, 64..=127, _, 1..=254]), "{address}");
        }
        assert_eq!(place(7), Some(addresses[7]));
        // LIMIT: and then there is none for another.
        assert_eq!(place(NAMES_MAX), None);
        let later = now + UNASKED_MAX;
        assert!(names.place(&name(3), later).is_some());
        assert!(names.place(&name(NAMES_MAX), later).is_some());
        assert_eq!(names.places.len(), NAMES_MAX);
        // After a restart, too.
        let mut again = Names::<()>::default();
        assert_eq!(again.place(&name(7), now).unwrap().address, addresses[7]);
    }
}
