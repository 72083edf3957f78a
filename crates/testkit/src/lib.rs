//! What the tests, the demo and the benchmarks share.
//!
//! - [`tree`]: deterministic directory trees with every kind of entry that a backup must keep, and many small files.
//! - [`compare`]: two trees compared entry by entry (content, mode, owner, mtime, links, xattrs, ACLs, holes).
//! - [`site`]: a Director, a Storage Daemon, a File Daemon and a console started from one description, each of them
//!   Holdfast's or real Bacula's, on loopback and in a temporary folder.
//! - [`postgres`]: private PostgreSQL servers.
//! - [`patroni`]: two of them under Patroni with etcd.
//! - [`centres`]: two data centres, from the page of the documentation.
//! - [`bmc`]: a management board with a power switch, for fence agents.
//! - [`network`]: hosts as network namespaces on a switch, whose wires are cut.
//! - [`cluster`]: nodes under Pacemaker and Corosync, with a power switch; or bare.
//! - [`disk`]: a disk with a catalog on it, which moves between nodes.
//! - [`vm`]: virtual machines with kernels of their own.
//! - [`fault`]: damage to Volumes, full disks.
//! - [`wait`]: waiting on a condition with a bound.
//!
//! Nothing here ships in a daemon; the `demo` crate uses the comparison and the site.

pub mod bmc;
pub mod centres;
pub mod cluster;
pub mod compare;
pub mod disk;
pub mod fault;
pub mod network;
pub mod patroni;
pub mod postgres;
pub mod site;
pub mod tree;
pub mod vm;
pub mod wait;

mod rng;
mod tied;

pub use rng::Rng;
