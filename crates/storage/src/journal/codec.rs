//! A journal on disk: a header record, then records, each `len u32, seq u64, crc32 u32, payload`, big-endian.

use types::{Attempt, JobId, VolSession};

/// Longest payload in bytes: an attribute record is bounded by the packet size.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Bytes before the payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 16;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("journal {path}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Its header is damaged.
    #[error("journal {path} has no readable header")]
    Header {
        /// The file.
        path: String,
    },
    /// A record that must be there is not readable.
    #[error("journal {path} is damaged at byte {at}")]
    Damaged {
        /// The file.
        path: String,
        /// Offset in bytes.
        at: u64,
    },
}

/// What the header says about the job.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    /// JobId.
    pub job_id: JobId,
    /// Unique job name.
    pub job: String,
    /// Attempt.
    pub attempt: Attempt,
    /// Session.
    pub session: VolSession,
    /// ASCII code of the type.
    pub job_type: u32,
    /// ASCII code of the level.
    pub level: u32,
    /// FileSet.
    pub file_set: String,
    /// Device.
    pub device: String,
}

impl Header {
    pub(crate) fn format(&self) -> String {
        format!(
            "holdfast-journal 1\njobid={}\njob={}\nattempt={}\nsession={}\ntime={}\ntype={}\nlevel={}\nfileset={}\ndevice={}\n",
            self.job_id,
            self.job,
            self.attempt,
            self.session.id,
            self.session.time,
            self.job_type,
            self.level,
            self.file_set,
            self.device
        )
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some("holdfast-journal 1") {
            return None;
        }
        let mut header = Self::default();
        for line in lines {
            let (key, value) = line.split_once('=')?;
            match key {
                "jobid" => header.job_id = value.parse().ok()?,
                "job" => value.clone_into(&mut header.job),
                "attempt" => header.attempt = value.parse().ok()?,
                "session" => header.session.id = value.parse().ok()?,
                "time" => header.session.time = value.parse().ok()?,
                "type" => header.job_type = value.parse().ok()?,
                "level" => header.level = value.parse().ok()?,
                "fileset" => value.clone_into(&mut header.file_set),
                "device" => value.clone_into(&mut header.device),
                _ => {}
            }
        }
        Some(header)
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number; the header has 0.
    pub seq: u64,
    /// The message.
    pub payload: Vec<u8>,
}

/// What a record is, as far as streaming and recovery care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// `UpdCat` or `CreateJobMedia`: waits for a checkpoint.
    Data,
    /// `Ckpt`.
    Checkpoint,
    /// `3099 …`: the last one.
    End,
    /// Anything else: is streamed at once.
    Other,
}

impl RecordKind {
    /// By the first words of the payload.
    #[must_use]
    pub fn of(payload: &[u8]) -> Self {
        if payload.starts_with(b"UpdCat ") {
            return Self::Data;
        }
        if payload.starts_with(b"CatReq ") {
            let words = &payload[..payload.len().min(64)];
            let is_job_media = words.windows(15).any(|w| w == b" CreateJobMedia");
            return if is_job_media { Self::Data } else { Self::Other };
        }
        if payload.starts_with(b"Ckpt ") {
            Self::Checkpoint
        } else if payload.starts_with(b"3099 ") {
            Self::End
        } else {
            Self::Other
        }
    }
}

/// Appends an encoded record.
pub(crate) fn encode(seq: u64, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend_from_slice(&checksum(seq, payload).to_be_bytes());
    out.extend_from_slice(payload);
}

/// What stands at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded<'a> {
    /// A record and its length on disk.
    Record { seq: u64, payload: &'a [u8], bytes: usize },
    /// More bytes are needed: this many in all.
    Need(usize),
    /// No record.
    Damaged,
}

pub(crate) fn decode(bytes: &[u8]) -> Decoded<'_> {
    let Some((head, rest)) = bytes.split_at_checked(RECORD_HEADER_BYTES) else {
        return Decoded::Need(RECORD_HEADER_BYTES);
    };
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let len = word(0) as usize;
    if len > PAYLOAD_BYTES_MAX {
        return Decoded::Damaged;
    }
    let Some(payload) = rest.get(..len) else { return Decoded::Need(RECORD_HEADER_BYTES + len) };
    let seq = (u64::from(word(4)) << 32) | u64::from(word(8));
    if checksum(seq, payload) != word(12) {
        return Decoded::Damaged;
    }
    Decoded::Record { seq, payload, bytes: RECORD_HEADER_BYTES + len }
}

fn checksum(seq: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(payload.len() as u32).to_be_bytes());
    hasher.update(&seq.to_be_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Reads any bytes as a journal; must not panic.
pub fn fuzz_journal(data: &[u8]) {
    let mut rest = data;
    while let Decoded::Record { payload, bytes, .. } = decode(rest) {
        let _ = RecordKind::of(payload);
        let _ = std::str::from_utf8(payload).ok().and_then(Header::parse);
        rest = &rest[bytes..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_damage_is_seen() {
        let mut bytes = Vec::new();
        encode(7, b"UpdCat JobId=1 FileAttributes x", &mut bytes);
        let Decoded::Record { seq, payload, bytes: len } = decode(&bytes) else { panic!() };
        assert_eq!((seq, payload, len), (7, b"UpdCat JobId=1 FileAttributes x".as_slice(), bytes.len()));
        assert_eq!(decode(&bytes[..20]), Decoded::Need(bytes.len()));
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[at] ^= 4;
            assert!(!matches!(decode(&bad), Decoded::Record { .. }), "byte {at}");
            fuzz_journal(&bad);
        }
    }

    #[test]
    fn kinds() {
        assert_eq!(RecordKind::of(b"CatReq JobId=1 CreateJobMedia\n1 2"), RecordKind::Data);
        assert_eq!(RecordKind::of(b"CatReq JobId=1 FindMedia=1 x"), RecordKind::Other);
        assert_eq!(RecordKind::of(b"UpdCat JobId=1 FileAttributes "), RecordKind::Data);
        assert_eq!(RecordKind::of(b"Ckpt files=1 bytes=2 errors=0\n"), RecordKind::Checkpoint);
        assert_eq!(RecordKind::of(b"3099 Job x end"), RecordKind::End);
        assert_eq!(RecordKind::of(b"Jmsg JobId=1"), RecordKind::Other);
    }
}
