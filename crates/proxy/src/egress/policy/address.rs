//! What an IP address is good for, by the registries of special-purpose addresses of IANA (RFC 6890 and what followed).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of address it is; everything but [`AddressKind::Public`] is refused unless somebody named it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressKind {
    /// An ordinary address of the internet.
    Public,
    /// One of the host's own, whatever else it is.
    ThisHost,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `fc00::/7`.
    Private,
    /// `100.64.0.0/10`: between a provider and its customers.
    Shared,
    /// `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// Where a cloud tells a machine its credentials.
    Metadata,
    /// Set apart for documents; some networks use them inside.
    Documentation,
    /// `198.18.0.0/15`, `2001:2::/48`: set apart for measurements.
    Benchmark,
    /// `224.0.0.0/4`, `ff00::/8`.
    Multicast,
    /// Nobody's: unspecified, broadcast, unassigned, or a tunnel whose other end cannot be told.
    Reserved,
}

impl AddressKind {
    /// Returns the kind of `ip`; an address that holds another one (mapped, NAT64) is of that one's kind.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }

    /// Returns the kind with its article, as a refusal tells it.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::ThisHost => "an address of this host",
            Self::Loopback => "a loopback address",
            Self::Private => "a private address",
            Self::Shared => "an address of a provider's inner network",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "the address of a cloud's metadata service",
            Self::Documentation => "an address set apart for documentation",
            Self::Benchmark => "an address set apart for measurements",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        }
    }

    /// Whether a network gives such addresses to its own services. The others belong to a host or to nobody.
    pub(crate) fn is_of_a_site(self) -> bool {
        match self {
            Self::Private | Self::Shared | Self::Documentation | Self::Benchmark => true,
            Self::Public
            | Self::ThisHost
            | Self::Loopback
            | Self::LinkLocal
            | Self::Metadata
            | Self::Multicast
            | Self::Reserved => false,
        }
    }
}

/// The services that clouds have at addresses of their own: AWS and most others, AWS over IPv6, Google over IPv6,
/// Alibaba, Oracle, and Azure's, which looks public and is not.
const METADATA: [IpAddr; 6] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

fn of_v4(ip: Ipv4Addr) -> AddressKind {
    if METADATA.contains(&IpAddr::V4(ip)) {
        return AddressKind::Metadata;
    }
    match ip.octets() {
        [127, ..] => AddressKind::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => AddressKind::Private,
        [100, 64..=127, ..] => AddressKind::Shared,
        [169, 254, ..] => AddressKind::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => AddressKind::Documentation,
        [198, 18..=19, ..] => AddressKind::Benchmark,
        [224..=239, ..] => AddressKind::Multicast,
        // 192.88.99.0/24 led to relays of 6to4, and so to wherever an inner address says.
        [0 | 240..=255, ..] | [192, 0, 0, _] | [192, 88, 99, _] => AddressKind::Reserved,
        _ => AddressKind::Public,
    }
}

fn of_v6(ip: Ipv6Addr) -> AddressKind {
    if METADATA.contains(&IpAddr::V6(ip)) {
        return AddressKind::Metadata;
    }
    if let Some(inner) = embedded_v4(ip) {
        return of_v4(inner);
    }
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressKind::Loopback,
        [0xfc00..=0xfdff, ..] => AddressKind::Private,
        [0xfe80..=0xfebf, ..] => AddressKind::LinkLocal,
        [0xff00..=0xffff, ..] => AddressKind::Multicast,
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => AddressKind::Documentation,
        [0x2001, 2, 0, ..] => AddressKind::Benchmark,
        // 2001::/23 is for protocols (Teredo is among them), 2002::/16 is 6to4: what is behind is not told by a route.
        [0x2001, 0..=0x01ff, ..] | [0x2002, ..] => AddressKind::Reserved,
        // Only 2000::/3 was ever given out for ordinary use; the rest is unassigned, or special in ways to come.
        [0x2000..=0x3fff, ..] => AddressKind::Public,
        _ => AddressKind::Reserved,
    }
}

/// Returns the IPv4 address that `ip` stands for: mapped, or behind the well-known prefix of NAT64.
///
/// The prefix of NAT64 for local use (`64:ff9b:1::/48`) is not here: where the address is in it differs by site.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [a, b, c, d, e, f, ..] = ip.segments();
    let [.., w, x, y, z] = ip.octets();
    matches!([a, b, c, d, e, f], [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0])
        .then(|| Ipv4Addr::new(w, x, y, z))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(text: &str) -> AddressKind {
        AddressKind::of(text.parse().unwrap())
    }

    /// Special-purpose address registries of IANA, as of 2026: every block that is not globally reachable, and the kinds
    /// that clouds add. First and last address of each.
    const SPECIAL: &[(&str, &str)] = &[
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "239.255.255.255"),
        ("240.0.0.0", "255.255.255.255"),
        ("168.63.129.16", "168.63.129.16"),
    ];

    const SPECIAL_V6: &[(&str, &str)] = &[
        ("::", "::ff:ffff"),
        ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
        ("100::", "100::1:ffff:ffff:ffff:ffff"),
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ];

    fn special_v4() -> impl Strategy<Value = Ipv4Addr> {
        proptest::sample::select(SPECIAL).prop_flat_map(|(first, last)| {
            let bits = |text: &str| text.parse::<Ipv4Addr>().unwrap().to_bits();
            (bits(first)..=bits(last)).prop_map(Ipv4Addr::from_bits)
        })
    }

    fn special_v6() -> impl Strategy<Value = Ipv6Addr> {
        proptest::sample::select(SPECIAL_V6).prop_flat_map(|(first, last)| {
            let bits = |text: &str| text.parse::<Ipv6Addr>().unwrap().to_bits();
            (bits(first)..=bits(last)).prop_map(Ipv6Addr::from_bits)
        })
    }

    proptest! {
        #[test]
        fn no_special_address_is_public(ip in special_v4()) {
            prop_assert_ne!(AddressKind::of(IpAddr::V4(ip)), AddressKind::Public);
        }

        #[test]
        fn no_special_address_of_version_six_is_public(ip in special_v6()) {
            prop_assert_ne!(AddressKind::of(IpAddr::V6(ip)), AddressKind::Public);
        }

        #[test]
        fn a_special_address_in_another_is_as_special(ip in special_v4()) {
            let [a, b, c, d] = ip.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for outer in [
                ip.to_ipv6_mapped(),
                ip.to_ipv6_compatible(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, high, low, 0, 0, !high, !low),
            ] {
                prop_assert_ne!(AddressKind::of(IpAddr::V6(outer)), AddressKind::Public, "{}", outer);
            }
        }

        #[test]
        fn a_mapped_address_is_of_the_kind_of_what_it_maps(bits: u32) {
            let ip = Ipv4Addr::from_bits(bits);
            prop_assert_eq!(
                AddressKind::of(IpAddr::V6(ip.to_ipv6_mapped())),
                AddressKind::of(IpAddr::V4(ip))
            );
        }
    }

    #[test]
    fn the_edges_of_each_block_are_where_iana_has_them() {
        for public in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::",
            "3ffe::",
            "3fff:1000::",
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
            "::ffff:8.8.8.8",
        ] {
            assert_eq!(kind(public), AddressKind::Public, "{public}");
        }
    }

    #[test]
    fn metadata_is_told_from_what_surrounds_it() {
        for metadata in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
        ] {
            assert_eq!(kind(metadata), AddressKind::Metadata, "{metadata}");
        }
        assert_eq!(kind("169.254.169.253"), AddressKind::LinkLocal);
        assert_eq!(kind("fd00:ec2::253"), AddressKind::Private);
        assert_eq!(kind("168.63.129.17"), AddressKind::Public);
    }
}
