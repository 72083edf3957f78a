//! Where the Director's words go: the standard output, a file (`@output`), or both (`@tee`).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// The output and its last, unfinished line: the prompt of a question.
#[derive(Default)]
pub(crate) struct Output {
    file: Option<File>,
    also_terminal: bool,
    tail: Vec<u8>,
}

impl Output {
    /// Appends to a file; `tee` writes to the terminal as well.
    pub(crate) fn open(&mut self, path: &Path, tee: bool) -> io::Result<()> {
        self.file = Some(OpenOptions::new().create(true).append(true).open(path)?);
        self.also_terminal = tee;
        Ok(())
    }

    /// Back to the terminal.
    pub(crate) fn close(&mut self) {
        self.file = None;
    }

    /// Writes; a reader that has gone away ends the program quietly.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match bytes.iter().rposition(|&b| b == b'\n') {
            Some(at) => self.tail = bytes[at + 1..].to_vec(),
            None => self.tail.extend_from_slice(bytes),
        }
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        if self.file.is_none() || self.also_terminal {
            io::stdout().write_all(bytes)?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }

    /// The unfinished line, taken: it becomes the prompt.
    pub(crate) fn take_tail(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.tail)).into_owned()
    }
}
