//! After a crash: a journal is cut back to what may have been streamed (docs/extensions.md §4).

use std::path::Path;
use std::sync::Arc;

use super::codec::{Header, JournalError, RecordKind};
use super::file::{Journal, JournalReader, io_at};
use crate::disk::{Disk, SystemDisk};

/// A journal found on disk.
#[derive(Debug)]
pub struct Recovered {
    /// Its header.
    pub header: Header,
    /// It, open for appending behind what is left.
    pub journal: Journal,
    /// The last checkpoint's line.
    pub checkpoint: Option<String>,
    /// The `3099` line, where the job had ended.
    pub end: Option<String>,
    /// Bytes that were cut off.
    pub cut_bytes: u64,
}

/// Reads a journal and cuts it back: to its last checkpoint, and the records behind that which are no data. Those may have been
/// streamed, and their numbers must not be given to others.
///
/// # Errors
/// [`JournalError`]; a torn end is no error.
pub fn recover(path: &Path) -> Result<Recovered, JournalError> {
    recover_on(&SystemDisk, path)
}

/// [`recover`] on another disk.
///
/// # Errors
/// As there.
pub fn recover_on(disk: &dyn Disk, path: &Path) -> Result<Recovered, JournalError> {
    let file = disk.open(path).map_err(io_at(path))?;
    let size = file.len().map_err(io_at(path))?;
    let mut reader = JournalReader::new(path, Arc::clone(&file), 0, 0);
    let header_error = || JournalError::Header { path: path.display().to_string() };
    let first = reader.next().ok().flatten().ok_or_else(header_error)?;
    let header = std::str::from_utf8(&first.payload).ok().and_then(Header::parse).ok_or_else(header_error)?;

    let mut keep = Keep { end: reader.offset(), next_seq: 1 };
    let (mut checkpoint, mut end) = (None, None);
    let mut index = Vec::new();
    let mut is_behind_data = false;
    loop {
        let at = reader.offset();
        // A torn or damaged record ends what can be believed.
        let Ok(Some(record)) = reader.next() else { break };
        if (record.seq - 1).is_multiple_of(1024) {
            index.push(at);
        }
        let text = || String::from_utf8_lossy(&record.payload).into_owned();
        match RecordKind::of(&record.payload) {
            RecordKind::Data => is_behind_data = true,
            RecordKind::Checkpoint => {
                is_behind_data = false;
                checkpoint = Some(text());
            }
            RecordKind::End if !is_behind_data => end = Some(text()),
            RecordKind::End | RecordKind::Other => {}
        }
        if !is_behind_data {
            keep = Keep { end: reader.offset(), next_seq: record.seq + 1 };
        }
    }
    index.truncate(usize::try_from((keep.next_seq - 1).div_ceil(1024)).unwrap_or(usize::MAX));
    if size > keep.end {
        file.set_len(keep.end).map_err(io_at(path))?;
        file.sync_data().map_err(io_at(path))?;
    }
    let journal = Journal::at(path, file, keep.end, keep.next_seq, index);
    Ok(Recovered { header, journal, checkpoint, end, cut_bytes: size.saturating_sub(keep.end) })
}

struct Keep {
    end: u64,
    next_seq: u64,
}

/// Reads any file as a journal; for tests of damage.
#[cfg(test)]
fn records(path: &Path) -> Vec<super::Record> {
    let file = Arc::new(std::fs::File::open(path).unwrap());
    let mut reader = JournalReader::new(path, file, 0, 0);
    let mut out = Vec::new();
    while let Ok(Some(record)) = reader.next() {
        out.push(record);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_behind_the_last_checkpoint_goes_and_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let mut journal = Journal::create(&path, &Header { job: "J.1".into(), ..Header::default() }).unwrap();
        for line in ["Jmsg a", "UpdCat 1", "Ckpt files=1 bytes=5 errors=0\n", "Jmsg b", "UpdCat 2", "Jmsg c"]
        {
            journal.append(line.as_bytes()).unwrap();
        }
        journal.prepare_sync().unwrap();
        drop(journal);
        let mut recovered = recover(&path).unwrap();
        assert_eq!(recovered.header.job, "J.1");
        assert_eq!(recovered.checkpoint.as_deref(), Some("Ckpt files=1 bytes=5 errors=0\n"));
        assert_eq!(recovered.end, None);
        assert!(recovered.cut_bytes > 0);
        assert_eq!(recovered.journal.append(b"3099 Job end").unwrap(), 5);
        let texts: Vec<_> =
            records(&path).into_iter().skip(1).map(|r| String::from_utf8(r.payload).unwrap()).collect();
        assert_eq!(
            texts,
            ["Jmsg a", "UpdCat 1", "Ckpt files=1 bytes=5 errors=0\n", "Jmsg b", "3099 Job end"]
        );
        let again = recover(&path).unwrap();
        assert_eq!(again.end.as_deref(), Some("3099 Job end"));
        assert_eq!(again.cut_bytes, 0);
    }

    #[test]
    fn a_journal_cut_anywhere_recovers_to_a_prefix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("j");
        let mut journal = Journal::create(&path, &Header::default()).unwrap();
        for n in 0..50 {
            journal.append(format!("UpdCat {n}").as_bytes()).unwrap();
            if n % 7 == 6 {
                journal.append(format!("Ckpt files={n} bytes=0 errors=0\n").as_bytes()).unwrap();
            }
        }
        journal.prepare_sync().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let all = records(&path);
        for cut in (0..whole.len()).step_by(13) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let Ok(recovered) = recover(&path) else { continue };
            let left = records(&path);
            assert_eq!(left[..], all[..left.len()]);
            assert_eq!(recovered.journal.last_seq() + 1, left.len() as u64);
            assert!(
                left.len() == 1 || RecordKind::of(&left[left.len() - 1].payload) == RecordKind::Checkpoint
            );
        }
    }
}
