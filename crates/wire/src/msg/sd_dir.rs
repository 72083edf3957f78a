//! SD → Director during a job: catalog requests, attributes, status, messages, and what the Director answers
//! (spec/03 §3).

mod request;
mod volume;

pub use request::{
    BlastAttr, CatalogRequest, FindMedia, GetVolInfo, JobMediaRow, JobMediaTarget, UpdateMedia,
    VolumeStateMark,
};
pub use volume::{VolumeInfo, VolumePermit, VolumeReply};

use types::{FileIndex, JobId, JobStatus, VolSession};

use crate::line_message;
use crate::msg::common::{Jmsg, Progress, Reply};
use crate::msg::holdfast::{Checkpoint, Record};
use crate::scan::{self, MsgError};
use crate::version::Generation;

line_message! {
    /// `Status JobId=… JobStatus=…`.
    StatusLine = "Status " {
        "JobId" job_id: JobId,
        "JobStatus" status: JobStatus,
    } "\n"
}

/// `3010 Job <Job> start`: the FD is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobStart {
    /// Full name.
    pub job: String,
}

impl JobStart {
    /// Reads the line.
    ///
    /// # Errors
    /// Another line.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let text = scan::text(line);
        let job = text.strip_prefix("3010 Job ").and_then(|rest| rest.strip_suffix(" start"));
        Ok(Self { job: job.ok_or_else(|| MsgError::unknown(line))?.to_owned() })
    }

    /// The line as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        format!("3010 Job {} start\n", self.job).into_bytes()
    }
}

/// `3099 Job <Job> end …`: the job's end on the SD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// Full name.
    pub job: String,
    /// `JobStatus=`.
    pub status: JobStatus,
    /// Files.
    pub files: u64,
    /// Bytes of record data stored or read.
    pub bytes: u64,
    /// Errors.
    pub errors: u64,
    /// Why, if it failed.
    pub message: String,
}

impl JobEnd {
    /// Reads the line.
    ///
    /// # Errors
    /// Another line, or a field that is missing.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let rest = scan::after(line, "3099 Job ").ok_or_else(|| MsgError::unknown(line))?;
        let fields = scan::Fields::new(rest);
        let job = fields.tokens().next().ok_or_else(|| MsgError::field("Job", line))?;
        Ok(Self {
            job: scan::text(job),
            status: fields.get("JobStatus")?,
            files: fields.get("JobFiles")?,
            bytes: fields.get("JobBytes")?,
            errors: fields.get::<Option<u64>>("JobErrors")?.unwrap_or(0),
            message: fields.get::<Option<String>>("ErrMsg")?.unwrap_or_default(),
        })
    }

    /// The line as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let mut out = format!("3099 Job {} end", self.job).into_bytes();
        scan::put(&mut out, "JobStatus", &self.status);
        scan::put(&mut out, "JobFiles", &self.files);
        scan::put(&mut out, "JobBytes", &self.bytes);
        scan::put(&mut out, "JobErrors", &self.errors);
        scan::put(&mut out, "ErrMsg", &self.message);
        out.push(b'\n');
        out
    }
}

/// `UpdCat JobId=… FileAttributes ` and binary: a record as it is stored (spec/03 §3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdCat<D> {
    /// The job.
    pub job_id: JobId,
    /// Session that wrote the record.
    pub session: VolSession,
    /// The file.
    pub file_index: FileIndex,
    /// Stream number with its flags.
    pub stream: i32,
    /// The record's data.
    pub data: D,
}

/// Bytes between the text and the data.
const UPDCAT_HEADER_BYTES: usize = 20;

impl<'a> UpdCat<&'a [u8]> {
    /// Reads the message; its data stays in place.
    ///
    /// # Errors
    /// Another message, or lengths that do not agree.
    pub fn parse(line: &'a [u8]) -> Result<Self, MsgError> {
        const MARK: &[u8] = b" FileAttributes ";
        let rest = scan::after(line, "UpdCat ").ok_or_else(|| MsgError::unknown(line))?;
        let at = rest.windows(MARK.len()).position(|window| window == MARK);
        let at = at.ok_or_else(|| MsgError::field("FileAttributes", line))?;
        let (head, body) = (&rest[..at], &rest[at + MARK.len()..]);
        let (header, data) =
            body.split_at_checked(UPDCAT_HEADER_BYTES).ok_or_else(|| MsgError::field("header", line))?;
        let word = |index: usize| {
            let bytes =
                [header[index * 4], header[index * 4 + 1], header[index * 4 + 2], header[index * 4 + 3]];
            u32::from_be_bytes(bytes)
        };
        if word(4) as usize != data.len() {
            return Err(MsgError::field("data_len", line));
        }
        Ok(Self {
            job_id: scan::Fields::new(head).get("JobId")?,
            session: VolSession { id: word(0), time: word(1) },
            file_index: FileIndex(word(2) as i32),
            stream: word(3) as i32,
            data,
        })
    }
}

impl<D: AsRef<[u8]>> UpdCat<D> {
    /// The message as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let data = self.data.as_ref();
        let mut out = format!("UpdCat JobId={} FileAttributes ", self.job_id).into_bytes();
        out.reserve(UPDCAT_HEADER_BYTES + data.len());
        let words = [
            self.session.id,
            self.session.time,
            self.file_index.0 as u32,
            self.stream as u32,
            data.len() as u32,
        ];
        out.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        out.extend_from_slice(data);
        out
    }
}

/// A packet of an SD, sorted by what the Director does with it (spec/03 §3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromStorage<'a> {
    /// The job has its client.
    Start(JobStart),
    /// The job's end.
    End(JobEnd),
    /// Another number: the answer being waited for.
    Reply(Reply),
    /// A job message.
    Jmsg(Jmsg),
    /// A request to the catalog.
    Catalog {
        /// The job.
        job_id: JobId,
        /// What is asked.
        request: CatalogRequest,
    },
    /// Attributes.
    UpdCat(UpdCat<&'a [u8]>),
    /// A file of attributes on a common disk.
    BlastAttr(BlastAttr),
    /// The job's state.
    Status(StatusLine),
    /// Progress.
    Progress(Progress),
    /// A checkpoint, inside a journal.
    Checkpoint(Checkpoint),
    /// A journal record: parse its payload again (docs/extensions.md §4).
    Record(Record),
    /// An event record, its text.
    Events(String),
    /// Anything else; `1990 Invalid Catalog Request: …` if it starts with `CatReq`.
    Unknown(String),
}

impl<'a> FromStorage<'a> {
    /// Sorts a packet (or a journal's payload) of an SD of the given generation.
    #[must_use]
    pub fn parse(line: &'a [u8], generation: Generation) -> Self {
        let starts = |prefix: &str| line.starts_with(prefix.as_bytes());
        let parsed = match () {
            () if starts("UpdCat ") => UpdCat::parse(line).map(Self::UpdCat),
            () if starts("CatReq ") => {
                CatalogRequest::parse(line).map(|(job_id, request)| Self::Catalog { job_id, request })
            }
            () if starts("Jrn ") => Record::parse(line).map(Self::Record),
            () if starts("Jmsg ") => Jmsg::parse(line, generation).map(Self::Jmsg),
            () if starts("Status ") => StatusLine::parse(line).map(Self::Status),
            () if starts("Progress ") => Progress::parse(line).map(Self::Progress),
            () if starts("Ckpt ") => Checkpoint::parse(line).map(Self::Checkpoint),
            () if starts("BlastAttr ") => BlastAttr::parse(line).map(Self::BlastAttr),
            () if starts("Events: ") => Ok(Self::Events(scan::text(line))),
            () if starts("3010 ") => JobStart::parse(line).map(Self::Start),
            () if starts("3099 ") => JobEnd::parse(line).map(Self::End),
            () => Reply::parse(line).map(Self::Reply),
        };
        parsed.unwrap_or_else(|_| Self::Unknown(scan::shorten(line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_binary_behind_text() {
        let update = UpdCat {
            job_id: JobId(3),
            session: VolSession { id: 3, time: 1_795_446_251 },
            file_index: FileIndex(2),
            stream: 1,
            data: b"2 3 /a FileAttributes \0".as_slice(),
        };
        let bytes = update.format();
        assert!(bytes.starts_with(b"UpdCat JobId=3 FileAttributes \0\0\0\x03"));
        assert_eq!(UpdCat::parse(&bytes).unwrap(), update);
        assert!(UpdCat::parse(&bytes[..bytes.len() - 1]).is_err());
        assert!(UpdCat::parse(b"UpdCat JobId=3 FileAttributes abc").is_err());
    }

    #[test]
    fn the_end_of_a_job() {
        let line = b"3099 Job Acc.2026-11-23_15.05.25_07 end JobStatus=84 JobFiles=8 JobBytes=14706 JobErrors=0 ErrMsg=\n";
        let FromStorage::End(end) = FromStorage::parse(line, Generation::Old) else { panic!() };
        assert_eq!((end.status, end.bytes), (JobStatus::Terminated, 14_706));
        assert_eq!(end.format(), line);
    }
}
