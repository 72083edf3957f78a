//! Entries that the client itself expands: `|program` and `<list` (spec/02 §6.2).

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::script;

/// Most bytes that a list or a program may give.
const LIST_BYTES_MAX: usize = 64 << 20;

/// Why an entry cannot be expanded; the job ends with it.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    /// The program did not run or failed.
    #[error("Error running program: {command}. status={status}: ERR={reason}")]
    Program {
        /// As run.
        command: String,
        /// Exit status, -1 when it could not be started.
        status: i32,
        /// What happened.
        reason: String,
    },
    /// The list cannot be read.
    #[error("Cannot open FileSet input file: {path}. ERR={reason}")]
    List {
        /// The file.
        path: String,
        /// What happened.
        reason: String,
    },
}

/// Expands one entry. `codes` expands the %-codes of a program's line. A plain entry is given back as it is.
///
/// # Errors
/// [`ExpandError`] when a program fails or a list cannot be read.
pub fn expand_entries(entry: &[u8], codes: impl Fn(&str) -> String) -> Result<Vec<Vec<u8>>, ExpandError> {
    match entry.split_first() {
        Some((b'|', command)) => {
            let command = codes(&String::from_utf8_lossy(command));
            let output = script::run_captured(&command, LIST_BYTES_MAX)
                .map_err(|reason| ExpandError::Program { command: command.clone(), status: -1, reason })?;
            if output.status != 0 {
                return Err(ExpandError::Program {
                    command,
                    status: output.status,
                    reason: output.status_text(),
                });
            }
            Ok(lines(&output.stdout).filter(|line| !line.is_empty()).collect())
        }
        Some((b'<', path)) => {
            let file = Path::new(std::ffi::OsStr::from_bytes(path));
            let bytes = fs::read(file).map_err(|error| ExpandError::List {
                path: file.display().to_string(),
                reason: sys::error_text(&error),
            })?;
            Ok(lines(&bytes).filter(|line| !line.is_empty()).collect())
        }
        _ => Ok(vec![entry.to_vec()]),
    }
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    bytes.split(|&b| b == b'\n').map(|line| line.trim_ascii_end().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_lists_give_entries() {
        let codes = |text: &str| text.replace("%c", "fd");
        assert_eq!(expand_entries(b"/plain |x", codes).unwrap(), [b"/plain |x".to_vec()]);
        assert_eq!(
            expand_entries(b"|printf '/a\\n\\n/b  \\n/%c\\n'", codes).unwrap(),
            [&b"/a"[..], b"/b", b"/fd"]
        );
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("list");
        fs::write(&list, "/x\n/y \n").unwrap();
        let entry = [b"<", list.as_os_str().as_bytes()].concat();
        assert_eq!(expand_entries(&entry, codes).unwrap(), [&b"/x"[..], b"/y"]);
        assert!(matches!(expand_entries(b"|false", codes), Err(ExpandError::Program { status: 1, .. })));
        assert!(expand_entries(b"</no/such/list", codes).is_err());
    }
}
