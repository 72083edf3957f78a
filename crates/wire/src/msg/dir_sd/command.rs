//! The commands. What follows a command (devices, bootstrap lines) are packets of their own up to EOD.

use types::{Attempt, JobId, JobLevel, JobType, Nonce, VolSession, VolTime};

use crate::line_message;
use crate::msg::common::{CancelKind, SetDebug, StatusQuery};
use crate::msg::holdfast;
use crate::scan::{self, Fields, MsgError};

line_message! {
    /// Start of a job: 19 fields, the same in all versions (spec/03 §2.2).
    SdJob = "" {
        "JobId" job_id: JobId,
        /// Full name.
        "job" job: String,
        /// Job resource.
        "job_name" job_name: String,
        "client_name" client_name: String,
        "type" job_type: JobType,
        "level" level: JobLevel,
        "FileSet" file_set: String,
        /// Do not send attributes to the Director.
        "NoAttr" no_attributes: bool,
        "SpoolAttr" spool_attributes: bool,
        /// `**Dummy**` for restores.
        "FileSetMD5" file_set_md5: String,
        "SpoolData" spool_data: bool,
        /// Obsolete.
        "WritePartAfterJob" write_part_after_job: bool,
        "PreferMountedVols" prefer_mounted_volumes: bool,
        /// Bytes; limit of this job.
        "SpoolSize" spool_size: u64,
        /// Goes on with the session below.
        "rerunning" rerunning: bool,
        "VolSessionId" session_id: u32,
        "VolSessionTime" session_time: u32,
        /// This SD will be the client of another.
        "sd_client" sd_client: bool,
        /// `dummy` normally.
        "Authorization" key: String,
        /// Start of the job (docs/extensions.md §4).
        "attempt" attempt: Option<Attempt>,
    } "\n"
}

impl SdJob {
    /// The session to go on with, if `rerunning`.
    #[must_use]
    pub fn session(&self) -> VolSession {
        VolSession { id: self.session_id, time: self.session_time }
    }
}

line_message! {
    /// One Storage that a device is wanted of; `use device=` lines follow, then EOD.
    UseStorage = "use " {
        "storage" storage: String,
        "media_type" media_type: String,
        "pool_name" pool: String,
        "pool_type" pool_type: String,
        /// To write.
        "append" append: bool,
        /// Always 0.
        "copy" copy: u32,
        /// Always 0.
        "stripe" stripe: u32,
        /// Whether to wait for a device ([13], [15]).
        "wait" wait: Option<bool>,
    } "\n"
}

line_message! {
    /// Where another SD (`storage`) or the FD (`client`) is.
    HostPort = "" {
        "address" address: String,
        "port" port: u16,
        /// Informative.
        "ssl" ssl: u32,
    } "\n"
}

line_message! {
    /// The reading SD of a copy, for the writing one.
    StorageAddress = "storage " {
        "address" address: String,
        "port" port: u16,
        /// Informative.
        "ssl" ssl: u32,
        /// Full name of the reader's job.
        "Job" job: String,
        /// The reader's session key.
        "Authentication" key: String,
    } "\n"
}

/// What a destructive command was planned on (docs/extensions.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumePlan {
    /// Label time that the Director believes in; 0 where the SD has no state of the Volume.
    pub label_time: VolTime,
    /// Write counter that it believes in.
    pub writes: u64,
    /// A nonce of the SD.
    pub nonce: Nonce,
    /// What was left of the lease, in ms; `u64::MAX` for a lock on the local host.
    pub lease_ms: u64,
}

impl VolumePlan {
    fn parse(fields: &Fields<'_>) -> Result<Option<Self>, MsgError> {
        let Some(nonce) = fields.get::<Option<Nonce>>("nonce")? else {
            return Ok(None);
        };
        Ok(Some(Self {
            label_time: fields.get("expect_label")?,
            writes: fields.get("expect_writes")?,
            nonce,
            lease_ms: fields.get("lease_ms")?,
        }))
    }

    fn put(&self, out: &mut Vec<u8>) {
        scan::put(out, "expect_label", &self.label_time);
        scan::put(out, "expect_writes", &self.writes);
        scan::put(out, "nonce", &self.nonce);
        scan::put(out, "lease_ms", &self.lease_ms);
    }
}

/// `label <dev> VolumeName=… …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCommand {
    /// Device or autochanger.
    pub device: String,
    /// New name.
    pub volume: String,
    /// Pool.
    pub pool: String,
    /// Media type.
    pub media_type: String,
    /// Slot; 0 for none.
    pub slot: i32,
    /// Drive; −1 if not given.
    pub drive: i32,
    /// With the additions, if a label may be written over.
    pub plan: Option<VolumePlan>,
}

/// `relabel <dev> OldName=… NewName=… …`; with equal names: truncate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelabelCommand {
    /// Device or autochanger.
    pub device: String,
    /// Name on the Volume.
    pub old_volume: String,
    /// New name.
    pub new_volume: String,
    /// Pool.
    pub pool: String,
    /// Media type.
    pub media_type: String,
    /// Slot; 0 for none.
    pub slot: i32,
    /// Drive; −1 if not given.
    pub drive: i32,
    /// With the additions.
    pub plan: Option<VolumePlan>,
}

/// `mount`, `unmount`, `release`, `enable`, `disable` with `<dev> drive=<n> slot=<n>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountCommand {
    /// Device or autochanger.
    pub device: String,
    /// Drive; −1 if not given.
    pub drive: i32,
    /// Slot; 0 for none.
    pub slot: i32,
}

impl MountCommand {
    fn parse(rest: &[u8]) -> Result<Self, MsgError> {
        let fields = Fields::new(rest);
        Ok(Self {
            device: device(rest)?,
            drive: fields.get::<Option<i32>>("drive")?.unwrap_or(-1),
            slot: match fields.get::<Option<i32>>("slot")? {
                Some(slot) => slot,
                None => fields.get::<Option<i32>>("Slot")?.unwrap_or(0),
            },
        })
    }

    fn format(&self, word: &str, tail: &str) -> Vec<u8> {
        let device = types::bash_spaces(&self.device);
        format!("{word} {device} drive={} slot={}{tail}", self.drive, self.slot).into_bytes()
    }
}

/// First word after the command.
fn device(rest: &[u8]) -> Result<String, MsgError> {
    let word = Fields::new(rest).tokens().next().filter(|word| !word.contains(&b'='));
    word.map(|word| types::unbash_spaces(&scan::text(word))).ok_or_else(|| MsgError::field("device", rest))
}

/// A command of the Director.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `JobId=…`.
    Job(SdJob),
    /// `bootstrap`; lines follow up to EOD.
    Bootstrap,
    /// `use storage=…`; devices follow.
    UseStorage(UseStorage),
    /// `use device=…`, after [`Command::UseStorage`].
    UseDevice(String),
    /// `run`.
    Run,
    /// `cancel Job=` or `stop Job=`.
    Cancel {
        /// Which of both.
        kind: CancelKind,
        /// Full name.
        job: String,
    },
    /// `client address=…`: call this client ("SD calls client").
    Client(HostPort),
    /// `storage address=…`: call this SD (copy).
    Storage(StorageAddress),
    /// `status`.
    Status,
    /// `.status …`.
    StatusQuery(StatusQuery),
    /// `label …`.
    Label(LabelCommand),
    /// `relabel …`.
    Relabel(RelabelCommand),
    /// `mount …`.
    Mount(MountCommand),
    /// `unmount …`.
    Unmount(MountCommand),
    /// `release …`.
    Release(MountCommand),
    /// `enable …`.
    Enable(MountCommand),
    /// `disable …`.
    Disable(MountCommand),
    /// `readlabel <dev> Slot= drive=`.
    ReadLabel(MountCommand),
    /// `autochanger <list|listall|slots|drives> <dev>`.
    Autochanger {
        /// What is asked.
        what: String,
        /// Device or autochanger.
        device: String,
    },
    /// `setdebug=…`.
    SetDebug(SetDebug),
    /// `setbandwidth=… Job=…` (docs/extensions.md §5 lets it work on every daemon).
    SetBandwidth(crate::msg::dir_fd::SetBandwidth),
    /// `truncate cache …`.
    TruncateCache(String),
    /// `upload …`.
    Upload(String),
    /// `prunecache …`.
    PruneCache(String),
    /// `cloudlist …`.
    CloudList(String),
    /// `statistics …`.
    Statistics(String),
    /// `volumeprotect …` ([15]).
    VolumeProtect(String),
    /// `sendprogress` ([15]): progress may be sent from now on; no answer.
    SendProgress,
    /// `store_mngr …` ([15]).
    StoreManager(String),
    /// Holdfast's additions (docs/extensions.md).
    Holdfast(holdfast::Command),
}

impl Command {
    /// Reads a command, by the first prefix that fits.
    ///
    /// # Errors
    /// [`MsgError::Unknown`] (answer `3900 Invalid command:\n`), [`MsgError::Field`] (the command's own error answer).
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let after = |prefix: &str| scan::after(line, prefix);
        let rest = |prefix: &str| after(prefix).map(scan::text).unwrap_or_default();
        let starts = |prefix: &str| line.starts_with(prefix.as_bytes());
        let tail = |prefix: &str| after(prefix).unwrap_or_default();
        Ok(match () {
            () if starts("JobId=") => Self::Job(SdJob::parse(line)?),
            () if starts("bootstrap") => Self::Bootstrap,
            () if starts("use storage=") => Self::UseStorage(UseStorage::parse(line)?),
            () if starts("use device=") => Self::UseDevice(Fields::new(tail("use ")).get("device")?),
            () if starts("run") => Self::Run,
            () if starts("cancel") => {
                Self::Cancel { kind: CancelKind::Cancel, job: Fields::new(line).get("Job")? }
            }
            () if starts("stop") => {
                Self::Cancel { kind: CancelKind::Stop, job: Fields::new(line).get("Job")? }
            }
            () if starts("client ") => Self::Client(HostPort::parse(tail("client "))?),
            () if starts("storage ") => Self::Storage(StorageAddress::parse(line)?),
            () if starts("statistics") => Self::Statistics(rest("statistics")),
            () if starts("status") => Self::Status,
            () if starts(".status") => Self::StatusQuery(StatusQuery::parse(line)?),
            () if starts("label ") => Self::Label(parse_label(tail("label "))?),
            () if starts("relabel ") => Self::Relabel(parse_relabel(tail("relabel "))?),
            () if starts("mount ") => Self::Mount(MountCommand::parse(tail("mount "))?),
            () if starts("unmount ") => Self::Unmount(MountCommand::parse(tail("unmount "))?),
            () if starts("release ") => Self::Release(MountCommand::parse(tail("release "))?),
            () if starts("enable ") => Self::Enable(MountCommand::parse(tail("enable "))?),
            () if starts("disable ") => Self::Disable(MountCommand::parse(tail("disable "))?),
            () if starts("readlabel ") => Self::ReadLabel(MountCommand::parse(tail("readlabel "))?),
            () if starts("autochanger ") => {
                let text = rest("autochanger ");
                let (what, name) = text.split_once(' ').ok_or_else(|| MsgError::field("device", line))?;
                Self::Autochanger { what: what.to_owned(), device: types::unbash_spaces(name.trim()) }
            }
            () if starts("setdebug=") => Self::SetDebug(SetDebug::parse(line)?),
            () if starts("setbandwidth=") => {
                Self::SetBandwidth(crate::msg::dir_fd::SetBandwidth::parse(line)?)
            }
            () if starts("truncate ") => Self::TruncateCache(rest("truncate cache ")),
            () if starts("upload ") => Self::Upload(rest("upload ")),
            () if starts("prunecache") => Self::PruneCache(rest("prunecache ")),
            () if starts("cloudlist") => Self::CloudList(rest("cloudlist ")),
            () if starts("volumeprotect") => Self::VolumeProtect(rest("volumeprotect ")),
            () if starts("sendprogress") => Self::SendProgress,
            () if starts("store_mngr") => Self::StoreManager(rest("store_mngr ")),
            () => Self::Holdfast(holdfast::Command::parse(line)?),
        })
    }

    /// The command as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        match self {
            Self::Job(command) => command.format(),
            Self::Bootstrap => b"bootstrap\n".to_vec(),
            Self::UseStorage(command) => command.format(),
            Self::UseDevice(device) => format!("use device={}\n", types::bash_spaces(device)).into_bytes(),
            Self::Run => b"run".to_vec(),
            Self::Cancel { kind, job } => format!("{} Job={job}\n", kind.word()).into_bytes(),
            Self::Client(command) => [b"client ".as_slice(), &command.format()].concat(),
            Self::Storage(command) => command.format(),
            Self::Status => b"status".to_vec(),
            Self::StatusQuery(query) => query.format(),
            Self::Label(command) => format_label(command),
            Self::Relabel(command) => format_relabel(command),
            Self::Mount(command) => command.format("mount", ""),
            Self::Unmount(command) => command.format("unmount", "\n"),
            Self::Release(command) => command.format("release", "\n"),
            Self::Enable(command) => command.format("enable", "\n"),
            Self::Disable(command) => command.format("disable", "\n"),
            Self::ReadLabel(command) => {
                let device = types::bash_spaces(&command.device);
                format!("readlabel {device} Slot={} drive={}\n", command.slot, command.drive).into_bytes()
            }
            Self::Autochanger { what, device } => {
                let blank = if what.starts_with("list") { " " } else { "" };
                format!("autochanger {what} {}{blank}\n", types::bash_spaces(device)).into_bytes()
            }
            Self::SetDebug(command) => command.format(),
            Self::SetBandwidth(command) => command.format(),
            Self::TruncateCache(text) => format!("truncate cache {text}\n").into_bytes(),
            Self::Upload(text) => format!("upload {text}\n").into_bytes(),
            Self::PruneCache(text) => format!("prunecache {text}\n").into_bytes(),
            Self::CloudList(text) => format!("cloudlist {text}\n").into_bytes(),
            Self::Statistics(text) => format!("statistics{text}\n").into_bytes(),
            Self::VolumeProtect(text) => format!("volumeprotect {text}").into_bytes(),
            Self::SendProgress => b"sendprogress\n".to_vec(),
            Self::StoreManager(text) => format!("store_mngr {text}\n").into_bytes(),
            Self::Holdfast(command) => command.format(),
        }
    }
}

fn parse_label(rest: &[u8]) -> Result<LabelCommand, MsgError> {
    let fields = Fields::new(rest);
    Ok(LabelCommand {
        device: device(rest)?,
        volume: fields.get("VolumeName")?,
        pool: fields.get("PoolName")?,
        media_type: fields.get("MediaType")?,
        slot: fields.get::<Option<i32>>("Slot")?.unwrap_or(0),
        drive: fields.get::<Option<i32>>("drive")?.unwrap_or(-1),
        plan: VolumePlan::parse(&fields)?,
    })
}

fn format_label(command: &LabelCommand) -> Vec<u8> {
    let mut out = format!("label {}", types::bash_spaces(&command.device)).into_bytes();
    scan::put(&mut out, "VolumeName", &command.volume);
    put_volume(
        &mut out,
        &command.pool,
        &command.media_type,
        command.slot,
        command.drive,
        command.plan.as_ref(),
    );
    out
}

fn parse_relabel(rest: &[u8]) -> Result<RelabelCommand, MsgError> {
    let fields = Fields::new(rest);
    Ok(RelabelCommand {
        device: device(rest)?,
        old_volume: fields.get("OldName")?,
        new_volume: fields.get("NewName")?,
        pool: fields.get("PoolName")?,
        media_type: fields.get("MediaType")?,
        slot: fields.get::<Option<i32>>("Slot")?.unwrap_or(0),
        drive: fields.get::<Option<i32>>("drive")?.unwrap_or(-1),
        plan: VolumePlan::parse(&fields)?,
    })
}

fn format_relabel(command: &RelabelCommand) -> Vec<u8> {
    let mut out = format!("relabel {}", types::bash_spaces(&command.device)).into_bytes();
    scan::put(&mut out, "OldName", &command.old_volume);
    scan::put(&mut out, "NewName", &command.new_volume);
    put_volume(
        &mut out,
        &command.pool,
        &command.media_type,
        command.slot,
        command.drive,
        command.plan.as_ref(),
    );
    out
}

fn put_volume(
    out: &mut Vec<u8>,
    pool: &str,
    media_type: &str,
    slot: i32,
    drive: i32,
    plan: Option<&VolumePlan>,
) {
    scan::put(out, "PoolName", &pool.to_owned());
    scan::put(out, "MediaType", &media_type.to_owned());
    scan::put(out, "Slot", &slot);
    scan::put(out, "drive", &drive);
    if let Some(plan) = plan {
        plan.put(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_of_the_console_round_trip() {
        for line in [
            "label File\u{1}Dev VolumeName=Vol-1 PoolName=Default MediaType=File1 Slot=0 drive=-1",
            "relabel FileDev OldName=Vol-1 NewName=Vol-1 PoolName=Default MediaType=File1 Slot=0 drive=0 \
             expect_label=1795446327000000 expect_writes=12 nonce=0000000000000000000000000000002a lease_ms=2500",
            "mount FileDev drive=-1 slot=0",
            "unmount FileDev drive=0 slot=3\n",
            "readlabel FileDev Slot=3 drive=0\n",
            "autochanger list Chg \n",
            "autochanger slots Chg\n",
            "client address=10.0.0.1 port=9102 ssl=0\n",
            ".status devices api=2 api_opts= device=F1",
            "setdebug=5 trace=0 hangup=0 blowup=0 options=0 tags=\n",
        ] {
            let command = Command::parse(line.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(command.format()).unwrap(), line);
        }
        assert!(matches!(Command::parse(b"bogus"), Err(MsgError::Unknown { .. })));
        assert!(matches!(Command::parse(b"use storage=x"), Err(MsgError::Field { .. })));
    }
}
