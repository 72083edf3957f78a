//! Places where a test ends or stops a daemon, to see that nothing is lost between two steps.
//!
//! In builds with debug assertions, and there only, the variable [`VARIABLE`] names a folder. A test arms a place while the daemon
//! runs, by a file of the place's name that says what shall happen: `kill` (`SIGKILL`), `stop` (`SIGSTOP`, until `SIGCONT`) or
//! `pass`. Whoever reaches the place first renames the file to `<place>.reached`, which is how it happens once only and how the
//! test learns of it, and does as it is told. A file that says `on` is a [switch](is_on) and stays. Without the variable a place
//! costs one atomic load; in a release build nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The environment variable that names the folder.
pub const VARIABLE: &str = "HOLDFAST_FAILPOINTS";

/// The process has come to a place.
pub fn reach(place: &str) {
    if let Some(folder) = folder() {
        reach_in(folder, place);
    }
}

/// Whether a switch is on: a known bug that a test puts back to see that it is found (docs/decisions/005). Never in a release build.
#[must_use]
pub fn is_on(switch: &str) -> bool {
    folder().is_some_and(|folder| fs::read(folder.join(switch)).is_ok_and(|said| said.trim_ascii() == b"on"))
}

fn folder() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    if !cfg!(debug_assertions) {
        return None;
    }
    FOLDER.get_or_init(|| std::env::var_os(VARIABLE).map(PathBuf::from)).as_deref()
}

fn reach_in(folder: &Path, place: &str) {
    let (armed, reached) = (folder.join(place), folder.join(format!("{place}.reached")));
    if fs::rename(&armed, &reached).is_err() {
        return; // not armed, or another process was first
    }
    match fs::read(&reached).unwrap_or_default().trim_ascii() {
        b"kill" => signal_here(libc::SIGKILL),
        b"stop" => signal_here(libc::SIGSTOP),
        _ => {}
    }
}

/// Signals the process through this very thread: of one that is sent to the process as a whole, this thread might still take the
/// next step before another thread has got it.
#[allow(unsafe_code)]
fn signal_here(signal: i32) {
    // SAFETY: `raise` takes a number and touches no memory of ours; these two signals run no handler.
    unsafe { libc::raise(signal) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_reached_once_when_it_is_armed() {
        let dir = tempfile::tempdir().unwrap();
        reach_in(dir.path(), "here");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        fs::write(dir.path().join("here"), "pass").unwrap();
        reach_in(dir.path(), "there");
        assert!(dir.path().join("here").exists());
        reach_in(dir.path(), "here");
        assert!(!dir.path().join("here").exists() && dir.path().join("here.reached").exists());
    }
}
