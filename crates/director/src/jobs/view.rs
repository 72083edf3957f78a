//! What others see of a living job.

use std::fmt;
use types::{JobId, JobLevel, JobStatus, JobType, Timestamp};

/// One queued or running job, for `status director`, `cancel`, `wait` and the like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// JobId.
    pub job_id: JobId,
    /// Unique name: `NightlySave.2026-11-23_15.07.25_08`.
    pub job: String,
    /// Name of the Job resource.
    pub name: String,
    /// Type.
    pub job_type: JobType,
    /// Level, after promotion once that was decided.
    pub level: JobLevel,
    /// Status as the catalog has it.
    pub status: JobStatus,
    /// Why it waits; `None` when it does not.
    pub waiting: Option<WaitReason>,
    /// Files so far.
    pub files: u64,
    /// Bytes so far.
    pub bytes: u64,
    /// Errors so far.
    pub errors: u32,
    /// Priority.
    pub priority: u32,
    /// When it was due.
    pub sched_time: Timestamp,
    /// When it started running; `None` while it is queued.
    pub start_time: Option<Timestamp>,
    /// Client resource.
    pub client: String,
    /// Storage resources, those written to first.
    pub storages: Vec<String>,
    /// Pool resource.
    pub pool: String,
    /// FileSet resource.
    pub fileset: String,
    /// Attempt that runs, from 1.
    pub attempt: u32,
    /// It was taken over from an earlier life of the Director.
    pub adopted: bool,
}

impl JobView {
    /// The phrase of `status director` (spec/04 §8.5): `is running`, `is waiting on Client lab-fd` …
    #[must_use]
    pub fn phrase(&self) -> String {
        if let Some(waiting) = &self.waiting {
            return waiting.to_string();
        }
        match self.status {
            JobStatus::Created => "is waiting execution".to_owned(),
            JobStatus::Running => "is running".to_owned(),
            JobStatus::Blocked => "is blocked".to_owned(),
            JobStatus::Terminated | JobStatus::Warnings => "has terminated".to_owned(),
            JobStatus::ErrorTerminated => "has erred".to_owned(),
            JobStatus::Error => "has errors".to_owned(),
            JobStatus::FatalError => "has a fatal error".to_owned(),
            JobStatus::Differences => "has verify differences".to_owned(),
            JobStatus::Canceled => "has been canceled".to_owned(),
            JobStatus::Incomplete => "is incomplete".to_owned(),
            JobStatus::WaitFd => {
                let storage = self.storages.first().map_or("", String::as_str);
                format!("is waiting for Client {} to connect to Storage {storage}", self.client)
            }
            JobStatus::WaitSd => {
                format!("is waiting on Storage \"{}\"", self.storages.first().map_or("", String::as_str))
            }
            JobStatus::WaitMedia => "is waiting for an appendable Volume".to_owned(),
            JobStatus::WaitMount => "is waiting for a mount request".to_owned(),
            JobStatus::WaitStorage => "is waiting on max Storage jobs".to_owned(),
            JobStatus::WaitJob => "is waiting on max Job jobs".to_owned(),
            JobStatus::WaitClient => "is waiting on max Client jobs".to_owned(),
            JobStatus::WaitMaxJobs => "is waiting on max total jobs".to_owned(),
            JobStatus::WaitStartTime => "is waiting for its start time".to_owned(),
            JobStatus::WaitPriority => "is waiting for higher priority jobs to finish".to_owned(),
            JobStatus::WaitDevice => "is waiting for a device".to_owned(),
            JobStatus::AttrDespooling => "SD despooling Attributes".to_owned(),
            JobStatus::AttrInserting => "Dir inserting Attributes".to_owned(),
            JobStatus::DataDespooling => "SD despooling Data".to_owned(),
            JobStatus::Committing => "SD committing Data".to_owned(),
            JobStatus::CloudUpload => "uploading to the cloud".to_owned(),
            JobStatus::CloudDownload => "downloading from the cloud".to_owned(),
        }
    }
}

/// Why a job waits before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitReason {
    /// `when=` or a reschedule interval lies ahead.
    StartTime(Timestamp),
    /// A Storage that was lost is to answer again; at the latest the job goes on at that time.
    Comeback(String, Timestamp),
    /// Jobs of another priority run or wait.
    Priority,
    /// `Maximum Concurrent Jobs` of the Director.
    MaxJobs,
    /// `Maximum Concurrent Jobs` of a Storage.
    Storage(String),
    /// `Maximum Concurrent Jobs` of the client.
    Client(String),
    /// `Maximum Concurrent Jobs` of the Job.
    Job(String),
    /// The daemons that may hold this job from an earlier life of the Director have not answered yet.
    Adoption(String),
}

impl WaitReason {
    /// The status letter that the catalog gets.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        match self {
            Self::StartTime(_) => JobStatus::WaitStartTime,
            Self::Priority => JobStatus::WaitPriority,
            Self::MaxJobs => JobStatus::WaitMaxJobs,
            Self::Storage(_) => JobStatus::WaitStorage,
            Self::Client(_) => JobStatus::WaitClient,
            Self::Job(_) => JobStatus::WaitJob,
            Self::Comeback(..) | Self::Adoption(_) => JobStatus::WaitSd,
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartTime(at) => write!(f, "is waiting for its start time ({})", day_and_time(*at)),
            Self::Comeback(storage, at) => {
                write!(f, "is waiting on Storage \"{storage}\", at most until {}", day_and_time(*at))
            }
            Self::Priority => f.write_str("is waiting for higher priority jobs to finish"),
            Self::MaxJobs => f.write_str("is waiting on max total jobs"),
            Self::Storage(_) => f.write_str("is waiting on max Storage jobs"),
            Self::Client(_) => f.write_str("is waiting on max Client jobs"),
            Self::Job(_) => f.write_str("is waiting on max Job jobs"),
            Self::Adoption(peer) => write!(f, "is waiting on {peer}"),
        }
    }
}

fn day_and_time(at: Timestamp) -> impl fmt::Display {
    let zone = jiff::tz::TimeZone::system();
    let at = jiff::Timestamp::from_second(at.0).unwrap_or_default().to_zoned_datetime(zone);
    at.strftime("%d-%b %H:%M").to_string()
}
