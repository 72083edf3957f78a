//! Daemons killed in mid-job (`SIGKILL`).
//!
//! The job is held in the middle by a FIFO among its files: what comes before it has been sent, what comes after has
//! not, and the File Daemon waits until the test writes.

mod aftermath;
mod client;
mod director;
mod incomplete;
mod schedule;
mod storage;
