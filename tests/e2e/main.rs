//! Backup and restore with Holdfast in every position, on trees with every kind of entry.

mod accurate;
mod daemons;
mod faults;
mod latency;
mod levels;
mod media;
mod options;
mod postgres;
mod restore;
mod schedule;
mod scripts;
mod volumes;
