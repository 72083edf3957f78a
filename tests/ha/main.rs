//! Several instances of one Director: one is active, and running jobs live through its end (DESIGN §4).

mod away;
mod catalog;
mod config;
mod console;
mod fence;
mod lease;
mod readback;
mod restore;
mod takeover;
