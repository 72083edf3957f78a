//! The Director's decisions, pure: values in, values out. No I/O, no clock, no randomness.

pub mod plan;
