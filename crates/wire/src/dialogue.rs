//! State machines of the protocol, one per pair and side, without I/O.

pub mod handshake;
