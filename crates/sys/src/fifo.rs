//! FIFOs: opened for writing without waiting for ever for a reader.

use std::fs::File;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use crate::DirFd;

const FLAGS: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NOCTTY);

impl DirFd {
    /// Opens the FIFO `name` for writing, waiting up to `wait` for a reader.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when no reader came; the system's.
    pub fn open_fifo_write(&self, name: &[u8], wait: Duration) -> io::Result<File> {
        let (sender, opened) = sync_channel(1);
        std::thread::scope(|scope| {
            // The system wakes a writer in its open when a reader comes, and tells nobody else of it.
            scope.spawn(move || {
                let file = rustix::fs::openat(self, name, OFlags::WRONLY | FLAGS, Mode::empty());
                let _ = sender.send(file.map(File::from));
            });
            match opened.recv_timeout(wait) {
                Ok(file) => Ok(file?),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    // A reader of our own ends the thread's wait.
                    let _reader = rustix::fs::openat(
                        self,
                        name,
                        OFlags::RDONLY | OFlags::NONBLOCK | FLAGS,
                        Mode::empty(),
                    )?;
                    drop(opened.recv());
                    Err(io::Error::new(io::ErrorKind::TimedOut, "no reader has opened the FIFO"))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_reader_is_waited_for_and_its_absence_ends_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        let root = crate::open_root(dir.path().to_str().unwrap().as_bytes()).unwrap();
        crate::make_fifo(&root, b"fifo", 0o600).unwrap();
        let nobody = root.open_fifo_write(b"fifo", Duration::from_millis(20)).unwrap_err();
        assert_eq!(nobody.kind(), io::ErrorKind::TimedOut);
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            File::open(path).unwrap().read_to_string(&mut text).unwrap();
            text
        });
        let mut writer = root.open_fifo_write(b"fifo", Duration::from_secs(30)).unwrap();
        writer.write_all(b"through").unwrap();
        drop(writer);
        assert_eq!(reader.join().unwrap(), "through");
    }
}
