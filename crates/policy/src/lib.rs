//! The Director's decisions, pure: values in, values out. No I/O, no clock, no randomness.

pub mod duplicates;
pub mod level;
pub mod plan;
pub mod queue;
pub mod schedule;
pub mod volume;
