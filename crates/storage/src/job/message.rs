//! What goes from a job to the Director, as bytes (spec/03 §3).

use std::fmt::Write as _;

use types::{FileIndex, JobId, MediaId, VolAddr, VolSession, VolTime, VolumeName};
use wire::version::Generation;

use crate::text::unix_now;

/// Message types that an SD sends; their numbers differ by the Director's version (spec/03 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The job cannot go on.
    Fatal,
    /// An error, counted.
    Error,
    /// Odd, but it goes on.
    Warning,
    /// For the log.
    Info,
    /// The operator must do something.
    Mount,
}

impl Kind {
    /// The number in a Jmsg line.
    #[must_use]
    pub const fn number(self, generation: Generation) -> u32 {
        let old = match self {
            Self::Fatal => 3,
            Self::Error => 4,
            Self::Warning => 5,
            Self::Info => 6,
            Self::Mount => 10,
        };
        match generation {
            Generation::Old => old,
            Generation::New => old + 1,
        }
    }

    /// Words before the text, as Bacula's job log has them.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Fatal => "Fatal error: ",
            Self::Error => "Error: ",
            Self::Warning => "Warning: ",
            Self::Info | Self::Mount => "",
        }
    }
}

/// A Jmsg line.
#[must_use]
pub fn job_message(job: JobId, daemon: &str, kind: Kind, generation: Generation, text: &str) -> Vec<u8> {
    let number = kind.number(generation);
    let text = text.trim_end_matches('\n');
    format!(
        "Jmsg JobId={job} type={number} level={} {daemon} JobId {job}: {}{text}\n",
        unix_now(),
        kind.prefix()
    )
    .into_bytes()
}

/// An `UpdCat` message (spec/03 §3.4).
#[must_use]
pub fn attributes(job: JobId, session: VolSession, index: FileIndex, stream: i32, data: &[u8]) -> Vec<u8> {
    let mut out = format!("UpdCat JobId={job} FileAttributes ").into_bytes();
    out.reserve(20 + data.len());
    out.extend_from_slice(&session.id.to_be_bytes());
    out.extend_from_slice(&session.time.to_be_bytes());
    out.extend_from_slice(&index.0.to_be_bytes());
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    out.extend_from_slice(data);
    out
}

/// How a Volume is named in a JobMedia row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRef {
    /// Catalog key, for stock Directors.
    pub media_id: MediaId,
    /// Name and label time, for ours.
    pub volume: VolumeName,
    /// See above.
    pub label_time: VolTime,
}

/// A contiguous span of a job on a Volume (spec/03 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobMediaSpan {
    /// The Volume.
    pub media: MediaRef,
    /// Lowest file number with data in it.
    pub first: FileIndex,
    /// Highest.
    pub last: FileIndex,
    /// First byte.
    pub start: VolAddr,
    /// Last byte.
    pub end: VolAddr,
}

impl JobMediaSpan {
    fn numbers(&self) -> String {
        format!(
            "{} {} {} {} {} {}",
            self.first,
            self.last,
            self.start.file(),
            self.end.file(),
            self.start.block(),
            self.end.block()
        )
    }

    /// A row of a stock CreateJobMedia.
    #[must_use]
    pub fn stock_row(&self) -> String {
        format!("{} {}\n", self.numbers(), self.media.media_id)
    }

    /// A row of a CreateJobMedia record in a journal.
    #[must_use]
    pub fn journal_row(&self) -> String {
        format!("{} {} {}\n", self.numbers(), self.media.volume, self.media.label_time)
    }

    /// Reads a row of a journal.
    #[must_use]
    pub fn parse_journal_row(row: &str) -> Option<Self> {
        let words: Vec<&str> = row.split_whitespace().collect();
        let [first, last, start_file, end_file, start_block, end_block, volume, label_time] = words[..]
        else {
            return None;
        };
        Some(Self {
            media: MediaRef {
                media_id: MediaId(0),
                volume: VolumeName::new(volume).ok()?,
                label_time: VolTime(label_time.parse().ok()?),
            },
            first: first.parse().ok()?,
            last: last.parse().ok()?,
            start: VolAddr::from_file_block(start_file.parse().ok()?, start_block.parse().ok()?),
            end: VolAddr::from_file_block(end_file.parse().ok()?, end_block.parse().ok()?),
        })
    }
}

/// A CreateJobMedia record of a journal.
#[must_use]
pub fn job_media_record(job: JobId, spans: &[JobMediaSpan]) -> Vec<u8> {
    let mut out = format!("CatReq JobId={job} CreateJobMedia\n");
    for span in spans {
        out.push_str(&span.journal_row());
    }
    out.into_bytes()
}

/// A `Ckpt` record. The span that is still open stands at its end, for the recovery after a crash.
#[must_use]
pub fn checkpoint_record(files: FileIndex, bytes: u64, errors: u32, open: Option<&JobMediaSpan>) -> Vec<u8> {
    let mut out = format!("Ckpt files={files} bytes={bytes} errors={errors}");
    if let Some(span) = open {
        let _ = write!(out, " open={}", span.journal_row().trim_end().replace(' ', ","));
    }
    out.push('\n');
    out.into_bytes()
}

/// The span that was open at a checkpoint.
#[must_use]
pub fn open_span_of(checkpoint: &str) -> Option<JobMediaSpan> {
    let open = checkpoint.split_whitespace().find_map(|w| w.strip_prefix("open="))?;
    JobMediaSpan::parse_journal_row(&open.replace(',', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_types_by_version() {
        assert_eq!(Kind::Info.number(Generation::Old), 6);
        assert_eq!(Kind::Info.number(Generation::New), 7);
        assert_eq!(Kind::Mount.number(Generation::Old), 10);
        assert_eq!(Kind::Fatal.number(Generation::New), 4);
    }

    #[test]
    fn spans_and_checkpoints_read_back() {
        let span = JobMediaSpan {
            media: MediaRef {
                media_id: MediaId(0),
                volume: VolumeName::new("Vol-1").unwrap(),
                label_time: VolTime(1_795_447_134_100_964),
            },
            first: FileIndex(1),
            last: FileIndex(7),
            start: VolAddr(204),
            end: VolAddr((3 << 32) + 71_427),
        };
        assert_eq!(span.stock_row(), "1 7 0 3 204 71427 0\n");
        let line = checkpoint_record(FileIndex(6), 99, 0, Some(&span));
        let line = String::from_utf8(line).unwrap();
        assert!(line.starts_with("Ckpt files=6 bytes=99 errors=0 open="));
        assert_eq!(open_span_of(&line), Some(span));
        assert_eq!(open_span_of("Ckpt files=6 bytes=99 errors=0\n"), None);
    }

    #[test]
    fn an_attribute_message_has_the_record_behind_twenty_bytes() {
        let message = attributes(JobId(3), VolSession { id: 1, time: 2 }, FileIndex(5), 1, b"x");
        assert!(message.starts_with(
            b"UpdCat JobId=3 FileAttributes \0\0\0\x01\0\0\0\x02\0\0\0\x05\0\0\0\x01\0\0\0\x01x"
        ));
    }
}
