//! Typed messages of every pair: `parse` is tolerant, `format` gives Bacula's bytes.

pub mod fd_sd;
