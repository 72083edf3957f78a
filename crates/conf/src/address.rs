//! Where a daemon listens.

/// Which addresses of a host are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `ip`: IPv6 and IPv4.
    Any,
    /// `ipv4`.
    V4,
    /// `ipv6`.
    V6,
}

/// One entry of an address block; names are resolved when the socket is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// Which addresses of the host.
    pub family: Family,
    /// Host name or address; `None` for all of this machine.
    pub host: Option<String>,
    /// Port; `None` for the daemon's default.
    pub port: Option<u16>,
}

/// The addresses that a daemon listens at: the block when there is one, else the single address and port.
#[must_use]
pub(crate) fn listen(block: &[ListenAddress], single: Option<&String>, port: u16) -> Vec<ListenAddress> {
    if block.is_empty() {
        let family = if single.is_none() { Family::V4 } else { Family::Any };
        return vec![ListenAddress { family, host: single.cloned(), port: Some(port) }];
    }
    let mut list: Vec<ListenAddress> = Vec::new();
    for address in block {
        let address = ListenAddress { port: Some(address.port.unwrap_or(port)), ..address.clone() };
        if !list.contains(&address) {
            list.push(address);
        }
    }
    list
}
