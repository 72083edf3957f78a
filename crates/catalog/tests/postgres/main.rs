//! What only PostgreSQL has: connections that break, servers that fail over, locks, partitions, databases made by others.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

mod broken;
mod databases;
mod leading;
mod settings;
mod support;
mod tls;
