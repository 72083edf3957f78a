//! What daemons and consoles say to each other: packets, authentication, versions, typed messages (spec/01, spec/03 §2–3).
//!
//! Pure: bytes and values in, bytes and values out. No sockets, clock or randomness; whoever needs a challenge passes the
//! random number and the time in. Sockets are in `net`, which drives [`dialogue::handshake`].
//!
//! - [`frame`]: packets and signals, decoded without copying from a large receive buffer, encoded coalesced.
//! - [`cram`]: CRAM-MD5 and its two base64 flavours.
//! - [`tls`]: the `tlspsk=` number and the choice of early, late or no TLS.
//! - [`version`]: what a peer's number says it can do.
//! - [`hello`]: the first line of every session and the greeting that ends the handshake.
//! - [`dialogue`]: one state machine per pair and side, without I/O.
//! - [`verdict`]: what a daemon decides on a command: epoch, nonce, Volume version.
//! - [`msg`]: typed messages of every pair, parsed tolerantly and formatted as Bacula formats them.

pub mod cram;
pub mod dialogue;
pub mod frame;
pub mod fuzz;
pub mod hello;
pub mod msg;
pub mod scan;
pub mod tls;
pub mod verdict;
pub mod version;

pub use frame::{FrameDecoder, FrameEncoder, FrameError, Packet, PacketRef, Signal};
