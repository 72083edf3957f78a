//! An IP address and the network it is in.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr};

/// An address of an interface with the length of its network's prefix: `10.1.0.11/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetAddress {
    ip: IpAddr,
    prefix: u8,
}

impl NetAddress {
    /// From its text; `None` when there is no prefix or it is longer than the address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (ip, prefix) = text.split_once('/')?;
        let ip: IpAddr = ip.parse().ok()?;
        // A `+` is no part of an address, though a number may begin with it.
        let prefix: u8 = prefix.bytes().all(|b| b.is_ascii_digit()).then(|| prefix.parse().ok())??;
        (prefix <= bits(ip)).then_some(Self { ip, prefix })
    }

    /// The address alone.
    #[must_use]
    pub const fn ip(self) -> IpAddr {
        self.ip
    }

    /// Bits of the network.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether an address is in this one's network.
    #[must_use]
    pub fn network_has(self, ip: IpAddr) -> bool {
        bits(self.ip) == bits(ip) && masked(self.ip, self.prefix) == masked(ip, self.prefix)
    }

    /// Whether both name one network.
    #[must_use]
    pub fn same_network(self, other: Self) -> bool {
        self.prefix == other.prefix && self.network_has(other.ip)
    }
}

impl Default for NetAddress {
    fn default() -> Self {
        Self { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), prefix: 0 }
    }
}

impl fmt::Display for NetAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

const fn bits(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The network's bits of an address.
fn masked(ip: IpAddr, prefix: u8) -> u128 {
    let (number, bits) = match ip {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    number.checked_shr(bits - u32::from(prefix)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> NetAddress {
        NetAddress::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn networks_are_told_apart() {
        assert!(address("10.1.0.11/24").network_has("10.1.0.200".parse().unwrap()));
        assert!(!address("10.1.0.11/24").network_has("10.1.1.11".parse().unwrap()));
        assert!(!address("10.1.0.11/24").network_has("fd00::1".parse().unwrap()));
        assert!(address("10.1.0.11/0").network_has("192.0.2.1".parse().unwrap()));
        assert!(address("fd00:1::11/64").same_network(address("fd00:1::12/64")));
        assert!(!address("10.1.0.11/24").same_network(address("10.1.0.12/25")));
        assert!(address("::1/0").network_has("fd00::1".parse().unwrap()));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in
            ["10.1.0.11", "10.1.0.11/", "10.1.0.11/33", "10.1.0/24", "host/24", "10.1.0.1/+8", "fd00::/129"]
        {
            assert_eq!(NetAddress::parse(text), None, "{text}");
        }
        assert_eq!(address("10.1.0.11/24").to_string(), "10.1.0.11/24");
    }
}
