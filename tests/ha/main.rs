//! Several instances of one Director: one is active, and running jobs live through its end (DESIGN §4).

mod auditor;
mod away;
mod back;
mod catalog;
mod centres;
mod check;
mod config;
mod console;
mod copy;
mod distance;
mod failpoints;
mod faults;
mod fence;
mod frozen;
mod groups;
mod known_bugs;
mod lease;
mod long;
mod mixed;
mod network;
mod random;
mod readback;
mod required;
mod restore;
mod room;
mod scattered;
mod spare;
mod status;
mod takeover;
mod two_directors;

use testkit::site::Builder;

/// Two instances, the first of them active.
fn two(builder: Builder) -> Builder {
    builder.instances(&["a", "b"]).cluster("Lease Time = 3 seconds")
}
