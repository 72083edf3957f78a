//! VolSessionTime: the start time, but always above every one used before (docs/extensions.md §7).

use std::io;

use super::Home;

/// Draws the session time of this life of the daemon and remembers it durably.
///
/// # Errors
/// What the system says; a file that holds no number is an error too, since a session might be used twice.
pub fn next_session_time(home: &Home, now: u32) -> io::Result<u32> {
    let path = home.session_time();
    let last: u32 = match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no number", path.display()))
        })?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
        Err(e) => return Err(e),
    };
    let next = now.max(last.saturating_add(1));
    sys::durable_write(&path, format!("{next}\n").as_bytes())?;
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
