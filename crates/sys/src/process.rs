//! The process: limits, umask, time used, texts of errors.

use std::fs::File;
use std::io;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files to what the system allows; gives the new limit.
pub fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

/// Sets the umask of the process; gives the old one.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask)).as_raw_mode()
}

/// Whether the process runs as root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Waits until a file (a FIFO, a device) can be read or its writers are gone; `false` when the time is over.
///
/// # Errors
/// The system's.
pub fn wait_readable(file: &File, timeout: Duration) -> io::Result<bool> {
    let mut fds = [PollFd::new(file, PollFlags::IN)];
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: timeout.subsec_nanos().into() };
    match poll(&mut fds, Some(&timeout)) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// CPU time used by the process so far, user and system, in milliseconds.
#[must_use]
pub fn cpu_time_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

/// The system's own text for an error (`No such file or directory`), as `ERR=` in messages has it.
#[must_use]
pub fn error_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Bounds the number of heap arenas of the C library. Without it each thread gets one and keeps what it once used.
pub fn limit_malloc_arenas(count: u16) {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets a tunable and may be called at any time.
    #[allow(unsafe_code)]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, i32::from(count));
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = count;
}

/// Gives unused heap back to the system, after a job.
pub fn trim_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes no pointer and may be called at any time.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_plain_text() {
        let error = std::fs::File::open("/no/such/file").unwrap_err();
        assert_eq!(error_text(&error), "No such file or directory");
    }

    #[test]
    fn limits_can_be_raised() {
        assert!(raise_open_files() > 0);
        limit_malloc_arenas(2);
        trim_heap();
        let _ = cpu_time_ms();
    }
}
