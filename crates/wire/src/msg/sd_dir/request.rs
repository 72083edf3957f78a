//! Requests of the SD to the catalog (spec/03 §3.2).

use types::{FileIndex, JobId, MediaId, Nonce, VolTime};

use crate::line_message;
use crate::scan::{self, Fields, MsgError};

line_message! {
    /// Asks for the n-th best Volume to append to.
    FindMedia = "" {
        /// 1, 2, 3 …
        "FindMedia" index: u32,
        "pool_name" pool: String,
        "media_type" media_type: String,
        "vol_type" vol_type: u32,
        /// Whether a Volume may be created ([13]+).
        "create" create: Option<bool>,
        /// [15].
        "use_protect" use_protect: Option<bool>,
        /// [15].
        "vol_encrypted" encrypted: Option<bool>,
        /// Drawn for this request (docs/extensions.md §3).
        "nonce" nonce: Option<Nonce>,
    } "\n"
}

line_message! {
    /// Asks for a Volume by name.
    GetVolInfo = "GetVolInfo " {
        "VolName" volume: String,
        /// To write.
        "write" write: bool,
        /// Drawn for this request (docs/extensions.md §3).
        "nonce" nonce: Option<Nonce>,
    } "\n"
}

line_message! {
    /// The state of a Volume.
    UpdateMedia = "UpdateMedia " {
        "VolName" volume: String,
        "VolJobs" jobs: u32,
        "VolFiles" files: u32,
        "VolBlocks" blocks: u32,
        "VolBytes" bytes: u64,
        "VolABytes" a_bytes: u64,
        "VolHoleBytes" hole_bytes: u64,
        "VolHoles" holes: u32,
        "VolMounts" mounts: u32,
        "VolErrors" errors: u32,
        "VolWrites" writes: u64,
        "MaxVolBytes" max_bytes: u64,
        /// Unix seconds.
        "EndTime" end_time: i64,
        "VolStatus" status: String,
        "Slot" slot: i32,
        /// A label has been written.
        "relabel" relabel: bool,
        "InChanger" in_changer: bool,
        /// Microseconds.
        "VolReadTime" read_time: i64,
        /// Microseconds.
        "VolWriteTime" write_time: i64,
        /// Unix seconds; 0 if unknown.
        "VolFirstWritten" first_written: i64,
        "VolType" vol_type: u32,
        "VolParts" parts: u32,
        "VolCloudParts" cloud_parts: u32,
        "LastPartBytes" last_part_bytes: u64,
        "Enabled" enabled: u32,
        "Recycle" recycle: u32,
        /// [15].
        "Protected" protected: Option<u32>,
        /// [15].
        "UseProtect" use_protect: Option<u32>,
        /// [15].
        "VolEncrypted" encrypted: Option<u32>,
        /// Number of this state of the Volume (docs/extensions.md §4).
        "HfVolSeq" hf_vol_seq: Option<u64>,
        /// Label time.
        "HfLabelTime" hf_label_time: Option<VolTime>,
        /// Write counter.
        "HfWrites" hf_writes: Option<u64>,
    } "\n"
}

/// The mark of an absolute state of a Volume (docs/extensions.md §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeStateMark {
    /// Grows with each state.
    pub seq: u64,
    /// Label time.
    pub label_time: VolTime,
    /// Write counter.
    pub writes: u64,
}

impl UpdateMedia {
    /// The mark, if the SD is ours.
    #[must_use]
    pub fn mark(&self) -> Option<VolumeStateMark> {
        match (self.hf_vol_seq, self.hf_label_time, self.hf_writes) {
            (Some(seq), Some(label_time), Some(writes)) => Some(VolumeStateMark { seq, label_time, writes }),
            _ => None,
        }
    }
}

line_message! {
    /// A file of attributes that the Director may read from the SD's disk, if both are on one host.
    BlastAttr = "BlastAttr " {
        "JobId" job_id: JobId,
        "File" file: String,
    } "\n"
}

/// Which Volume a row is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobMediaTarget {
    /// By its key, as Bacula does.
    Media(MediaId),
    /// By name and label time, in journals (docs/extensions.md §4).
    Named {
        /// Name.
        volume: String,
        /// Label time.
        label_time: VolTime,
    },
}

/// A contiguous span of one job on one Volume: `<FirstIndex> <LastIndex> <StartFile> <EndFile> <StartBlock> <EndBlock> …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobMediaRow {
    /// First file with data in it.
    pub first_index: FileIndex,
    /// Last file with data in it.
    pub last_index: FileIndex,
    /// High half of the first address.
    pub start_file: u32,
    /// High half of the last address.
    pub end_file: u32,
    /// Low half of the first address.
    pub start_block: u32,
    /// Low half of the last address.
    pub end_block: u32,
    /// The Volume.
    pub target: JobMediaTarget,
}

impl JobMediaRow {
    /// Reads a row.
    ///
    /// # Errors
    /// Too few or illegal fields.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let words: Vec<String> = Fields::new(line).tokens().map(scan::text).collect();
        let wrong = |field| MsgError::field(field, line);
        let [first, last, start_file, end_file, start_block, end_block, rest @ ..] = words.as_slice() else {
            return Err(wrong("JobMedia"));
        };
        let number = |word: &String, field| word.parse::<u32>().map_err(|_| wrong(field));
        let index = |word: &String, field| word.parse().map_err(|_| wrong(field));
        let target = match rest {
            [volume, label_time, ..] => JobMediaTarget::Named {
                volume: volume.clone(),
                label_time: VolTime(label_time.parse().map_err(|_| wrong("label time"))?),
            },
            [media_id] => JobMediaTarget::Media(media_id.parse().map_err(|_| wrong("MediaId"))?),
            [] => return Err(wrong("Volume")),
        };
        Ok(Self {
            first_index: index(first, "FirstIndex")?,
            last_index: index(last, "LastIndex")?,
            start_file: number(start_file, "StartFile")?,
            end_file: number(end_file, "EndFile")?,
            start_block: number(start_block, "StartBlock")?,
            end_block: number(end_block, "EndBlock")?,
            target,
        })
    }

    /// The row as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let target = match &self.target {
            JobMediaTarget::Media(id) => id.to_string(),
            JobMediaTarget::Named { volume, label_time } => format!("{volume} {label_time}"),
        };
        let Self { first_index, last_index, start_file, end_file, start_block, end_block, .. } = self;
        format!("{first_index} {last_index} {start_file} {end_file} {start_block} {end_block} {target}\n")
            .into_bytes()
    }
}

/// What follows `CatReq JobId=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogRequest {
    /// A Volume to append to.
    FindMedia(FindMedia),
    /// A Volume by name.
    GetVolInfo(GetVolInfo),
    /// A Volume's state.
    UpdateMedia(Box<UpdateMedia>),
    /// Spans of the job. Empty from a stock SD, which sends the rows as packets up to EOD; in journals they are here.
    CreateJobMedia(Vec<JobMediaRow>),
    /// Offsets inside files; rows follow up to EOD ([13]+).
    CreateFileMedia,
}

impl CatalogRequest {
    /// Reads a request. The job is 0 in the old form with `Job=<name>`.
    ///
    /// # Errors
    /// [`MsgError::Unknown`] for requests that nobody knows.
    pub fn parse(line: &[u8]) -> Result<(JobId, Self), MsgError> {
        let rest = scan::after(line, "CatReq ").ok_or_else(|| MsgError::unknown(line))?;
        let blank = rest.iter().position(|&b| b == b' ').ok_or_else(|| MsgError::unknown(line))?;
        let (head, body) = (&rest[..blank], &rest[blank + 1..]);
        let job_id = Fields::new(head).get::<Option<JobId>>("JobId")?.unwrap_or_default();
        let starts = |prefix: &str| body.starts_with(prefix.as_bytes());
        let request = match () {
            () if starts("FindMedia=") => Self::FindMedia(FindMedia::parse(body)?),
            () if starts("GetVolInfo ") => Self::GetVolInfo(GetVolInfo::parse(body)?),
            () if starts("UpdateMedia ") => Self::UpdateMedia(Box::new(UpdateMedia::parse(body)?)),
            () if starts("CreateJobMedia") => {
                let lines = body.split(|&b| b == b'\n').skip(1).filter(|line| !scan::trim(line).is_empty());
                Self::CreateJobMedia(lines.map(JobMediaRow::parse).collect::<Result<_, _>>()?)
            }
            () if starts("CreateFileMedia") => Self::CreateFileMedia,
            () => return Err(MsgError::unknown(line)),
        };
        Ok((job_id, request))
    }

    /// The request as it is sent.
    #[must_use]
    pub fn format(&self, job_id: JobId) -> Vec<u8> {
        let mut out = format!("CatReq JobId={job_id} ").into_bytes();
        match self {
            Self::FindMedia(request) => out.extend(request.format()),
            Self::GetVolInfo(request) => out.extend(request.format()),
            Self::UpdateMedia(request) => out.extend(request.format()),
            Self::CreateJobMedia(rows) => {
                out.extend_from_slice(b"CreateJobMedia\n");
                out.extend(rows.iter().flat_map(JobMediaRow::format));
            }
            Self::CreateFileMedia => out.extend_from_slice(b"CreateFileMedia\n"),
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_all_ages_round_trip() {
        for line in [
            "CatReq JobId=3 FindMedia=1 pool_name=Def\u{1}ault media_type=File1 vol_type=1\n",
            "CatReq JobId=3 FindMedia=1 pool_name=Default media_type=File1 vol_type=1 create=1 use_protect=0 vol_encrypted=0\n",
            "CatReq JobId=3 GetVolInfo VolName=Vol-0001 write=1 nonce=000000000000000000000000000000ff\n",
            "CatReq JobId=3 CreateJobMedia\n",
            "CatReq JobId=3 CreateJobMedia\n1 8 0 0 44555 59812 Vol-0001 1795446327000000\n",
            "CatReq JobId=3 UpdateMedia VolName=V VolJobs=1 VolFiles=0 VolBlocks=2 VolBytes=3 VolABytes=0 VolHoleBytes=0 \
             VolHoles=0 VolMounts=1 VolErrors=0 VolWrites=3 MaxVolBytes=0 EndTime=9 VolStatus=Append Slot=0 relabel=0 \
             InChanger=0 VolReadTime=0 VolWriteTime=5 VolFirstWritten=8 VolType=1 VolParts=0 VolCloudParts=0 \
             LastPartBytes=0 Enabled=1 Recycle=1 HfVolSeq=4 HfLabelTime=77 HfWrites=3\n",
        ] {
            let (job_id, request) = CatalogRequest::parse(line.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(request.format(job_id)).unwrap(), line);
        }
        assert!(CatalogRequest::parse(b"CatReq JobId=3 Nonsense\n").is_err());
        let row = JobMediaRow::parse(b"1 8 0 0 44555 59812 1\n").unwrap();
        assert_eq!(row.target, JobMediaTarget::Media(MediaId(1)));
        assert_eq!(row.format(), b"1 8 0 0 44555 59812 1\n");
    }
}
