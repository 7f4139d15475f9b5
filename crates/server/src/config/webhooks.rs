//! `[webhooks]`: where events may be sent to, beside `https` at public addresses.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};

use super::value::Text;

/// What the operator says about webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Webhooks {
    /// Whether `http://` is taken, too: whoever is between reads the events.
    pub(crate) allow_http: bool,
    /// Addresses that are not public and may be reached.
    pub(crate) allow_private: Vec<Text<Network>>,
}

/// A range of addresses: `10.0.0.5/32`, `fd00::/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    first: IpAddr,
    length: u8,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a range of addresses such as `10.0.0.5/32`, with zeros behind its length")]
pub(crate) struct InvalidNetwork;

/// The bits of an address, from the left, and how many there are.
fn bits(ip: IpAddr) -> (u128, u8) {
    match ip {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl Network {
    /// Whether `ip` is in it; one of version 6 that holds one of version 4 is that one.
    pub(crate) fn has(self, ip: IpAddr) -> bool {
        let ((first, width), (other, other_width)) = (bits(self.first), bits(ip.to_canonical()));
        width == other_width && {
            let mask = u128::MAX.checked_shl(128 - u32::from(self.length)).unwrap_or(0);
            first & mask == other & mask
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (ip, length) = text.split_once('/').map_or((text, None), |(ip, len)| (ip, Some(len)));
        let first: IpAddr = ip.parse().map_err(|_| InvalidNetwork)?;
        let (all, width) = bits(first);
        let length = match length {
            None => width,
            Some(digits) => digits.parse().map_err(|_| InvalidNetwork)?,
        };
        let behind = all.checked_shl(u32::from(length)).unwrap_or(0);
        let is_one = first.to_canonical() == first && length <= width && behind == 0;
        if is_one { Ok(Self { first, length }) } else { Err(InvalidNetwork) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_has_what_begins_like_it() {
        let has =
            |range: &str, ip: &str| range.parse::<Network>().unwrap().has(ip.parse().unwrap());
        assert!(has("10.0.0.5/32", "10.0.0.5") && !has("10.0.0.5/32", "10.0.0.4"));
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.0.0.5", "::ffff:10.0.0.5") && !has("0.0.0.0/0", "::1"));
        assert!(has("fd00::/8", "fd12::1") && !has("fd00::/8", "fe80::1"));
        for odd in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "fd00::/129",
            "::ffff:1.2.3.4/128",
            "host",
        ] {
            assert!(odd.parse::<Network>().is_err(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn a_range_reads_back_as_itself(bits: u32, length in 0_u8..=32) {
            let masked = bits & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            let text = format!("{}/{length}", std::net::Ipv4Addr::from_bits(masked));
            prop_assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
    }
}
