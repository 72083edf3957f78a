//! `<Pid Directory>/<program>.<port>.pid`, named as Bacula names it.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

/// A PID file that this process holds locked, and removes when it ends.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    _locked: File,
}

impl PidFile {
    /// Writes the file.
    ///
    /// # Errors
    /// Another process runs under it, or it cannot be written.
    pub(crate) fn create(directory: &Path, program: &str, port: u16) -> Result<Self> {
        let path = directory.join(format!("{program}.{port}.pid"));
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(&path).with_context(
                || {
                    format!(
                        "write the PID file {}; create its directory, or start with -P for none",
                        path.display()
                    )
                },
            )?;
        // Released by the system when the process dies, whatever it dies of: no stale file keeps a daemon from starting.
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut other = String::new();
            let _ = file.read_to_string(&mut other);
            bail!(
                "{program} is running already on port {port}, as process {} ({})",
                other.trim(),
                path.display()
            );
        }
        // Bacula's daemons do not lock theirs.
        let mut other = String::new();
        file.read_to_string(&mut other).unwrap_or_default();
        if let Some(pid) = other.trim().parse::<i32>().ok().filter(|&pid| is_daemon(pid, program)) {
            bail!("{program} is running already on port {port}, as process {pid} ({})", path.display());
        }
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { path, _locked: file })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the PID file could not be removed");
        }
    }
}

/// Whether a process of this number is Bacula's daemon of this name.
fn is_daemon(pid: i32, program: &str) -> bool {
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.trim() == program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_daemon_is_refused_and_a_stale_file_is_not_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("bacula-sd.9103.pid"), "999999999\n").unwrap();
        let held = PidFile::create(dir.path(), "bacula-sd", 9103).unwrap();
        let text = std::fs::read_to_string(dir.path().join("bacula-sd.9103.pid")).unwrap();
        assert_eq!(text.trim(), std::process::id().to_string());
        let refused = PidFile::create(dir.path(), "bacula-sd", 9103).unwrap_err().to_string();
        assert!(refused.contains("running already"), "{refused}");
        drop(held);
        assert!(!dir.path().join("bacula-sd.9103.pid").exists());
        assert!(PidFile::create(&dir.path().join("none"), "bacula-sd", 9103).is_err());
    }
}
