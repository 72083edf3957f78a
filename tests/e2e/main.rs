//! Backup and restore with Holdfast in every position, on trees with every kind of entry.

mod accurate;
mod cold_spare;
mod copy;
mod copy_restore;
mod daemons;
mod faults;
mod latency;
mod levels;
mod media;
mod options;
mod postgres;
mod replication;
mod restore;
mod schedule;
mod scripts;
mod tape_copy;
mod tapes;
mod volumes;
