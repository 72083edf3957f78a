//! A loopback address for each site.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, bail};

use crate::Rng;

/// Port that holds an address; the daemons' ports are above it, below the range of outgoing connections.
const CLAIM_PORT: u16 = 21_100;

/// Takes an address of 127.0.0.0/8 that no other site has; it is free again when the listener is dropped.
pub(crate) fn claim() -> Result<(Ipv4Addr, TcpListener)> {
    let mut rng = Rng::new(u64::from(std::process::id()) ^ seed());
    for _ in 0..1000 {
        let pick = rng.next_u64();
        let [a, b, c, ..] = pick.to_le_bytes();
        let address = Ipv4Addr::new(127, 16 + (a & 127), b, 1 + (c % 250));
        match TcpListener::bind((address, CLAIM_PORT)) {
            Ok(listener) => return Ok((address, listener)),
            Err(error) if error.kind() == ErrorKind::AddrInUse => {}
            Err(error) => return Err(error).with_context(|| format!("bind {address}:{CLAIM_PORT}")),
        }
    }
    bail!("no free loopback address found")
}

/// Differs from call to call; unlike a tree's seed it need not be repeatable. The standard library draws the keys of its
/// hash maps at random.
fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
