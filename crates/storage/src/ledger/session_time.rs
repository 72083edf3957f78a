//! VolSessionTime: the start time, but always above every one used before (docs/extensions.md §7).

use std::io;
use std::path::Path;

use super::Home;
use crate::disk::{Disk, SystemDisk};

/// Draws the session time of this life of the daemon and remembers it durably.
///
/// # Errors
/// What the system says; a file that holds no number is an error too, since a session might be used twice.
pub fn next_session_time(home: &Home, now: u32) -> io::Result<u32> {
    next_session_time_on(&SystemDisk, &home.session_time(), now)
}

/// [`next_session_time`] in the file at `path` of another disk.
///
/// # Errors
/// As there.
pub fn next_session_time_on(disk: &dyn Disk, path: &Path, now: u32) -> io::Result<u32> {
    let last: u32 = match disk.read(path) {
        Ok(bytes) => {
            std::str::from_utf8(&bytes).ok().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no number", path.display()))
            })?
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
        Err(e) => return Err(e),
    };
    let next = now.max(last.saturating_add(1));
    disk.write_durably(path, format!("{next}\n").as_bytes())?;
    Ok(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_goes_back_repeats_no_session() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        assert_eq!(next_session_time(&home, 1000).unwrap(), 1000);
        assert_eq!(next_session_time(&home, 1000).unwrap(), 1001);
        assert_eq!(next_session_time(&home, 500).unwrap(), 1002);
        std::fs::write(home.session_time(), "x").unwrap();
        assert!(next_session_time(&home, 2000).is_err());
    }
}
