//! Places that take lines at once: the console spool, files, standard output, the system's log.

use conf::messages::MessageType;
use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

/// Text kept for consoles; the oldest lines go when nobody ever asks.
const CONSOLE_BYTES_MAX: usize = 4 << 20;

/// Messages that wait for a console, beside a file that keeps them over a restart.
pub(super) struct ConsoleSpool {
    path: PathBuf,
    file: Option<File>,
    lines: VecDeque<String>,
    bytes: usize,
}

impl ConsoleSpool {
    /// Takes up what an earlier life of the Director left.
    pub(super) fn open(path: PathBuf) -> Self {
        let left = std::fs::read(&path).unwrap_or_default();
        let lines: VecDeque<String> =
            String::from_utf8_lossy(&left).split_inclusive('\n').map(str::to_owned).collect();
        let file = OpenOptions::new().append(true).create(true).open(&path).ok();
        Self { path, file, bytes: left.len(), lines }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn push(&mut self, line: &str) {
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
        while self.bytes > CONSOLE_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len();
        }
        let written = self.file.as_mut().map(|file| file.write_all(line.as_bytes()));
        if let Some(Err(error)) = written {
            tracing::warn!(path = %self.path.display(), %error, "console messages are kept in memory only");
            self.file = None;
        }
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        self.bytes = 0;
        if let Some(file) = &self.file {
            let _ = file.set_len(0);
        }
        self.lines.drain(..).collect()
    }
}

/// Open log files by path.
#[derive(Default)]
pub(super) struct Files {
    open: BTreeMap<String, File>,
}

impl Files {
    /// Appends a line; a file that was moved away by log rotation is made anew when writing fails or the path is gone.
    pub(super) fn append(&mut self, path: &str, line: &str) {
        if !std::path::Path::new(path).exists() {
            self.open.remove(path);
        }
        self.put(path, line, false);
    }

    /// Writes a line to a file that is emptied first when `truncate`.
    pub(super) fn write(&mut self, path: &str, line: &str, truncate: bool) {
        if truncate {
            self.open.remove(path);
        }
        self.put(path, line, truncate);
    }

    fn put(&mut self, path: &str, line: &str, truncate: bool) {
        for _ in 0..2 {
            let file = match self.open.remove(path) {
                Some(file) => Ok(file),
                None => open(path, truncate),
            };
            match file.and_then(|mut file| file.write_all(line.as_bytes()).map(|()| file)) {
                Ok(file) => {
                    self.open.insert(path.to_owned(), file);
                    return;
                }
                Err(error) => tracing::error!(path, %error, "write messages to a file"),
            }
        }
    }

    #[expect(clippy::unused_self, reason = "taken with the lock that keeps lines whole")]
    pub(super) fn stdout(&mut self, line: &str) {
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }

    #[expect(clippy::unused_self, reason = "taken with the lock that keeps lines whole")]
    pub(super) fn stderr(&mut self, line: &str) {
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

fn open(path: &str, truncate: bool) -> std::io::Result<File> {
    if truncate { File::create(path) } else { OpenOptions::new().append(true).create(true).open(path) }
}

/// One datagram to the system's log, facility daemon.
pub(super) fn syslog(kind: MessageType, text: &str) {
    const DAEMON: u8 = 3 << 3;
    let severity = match kind {
        MessageType::Abort | MessageType::ErrorTerm => 3,
        MessageType::Fatal | MessageType::Error | MessageType::Warning | MessageType::Security => 5,
        _ => 6,
    };
    let line = format!("<{}>holdfast-dir[{}]: {}", DAEMON | severity, std::process::id(), text.trim_end());
    let sent = UnixDatagram::unbound().and_then(|socket| socket.send_to(line.as_bytes(), "/dev/log"));
    if let Err(error) = sent {
        tracing::debug!(%error, "the system's log takes no messages");
    }
}
