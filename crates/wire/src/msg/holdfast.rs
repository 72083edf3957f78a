//! Holdfast's own lines: registration of the Director, journals, adoption (docs/extensions.md).

use bytes::Bytes;
use types::{
    ActivationId, Attempt, CatalogId, Epoch, FileIndex, JobId, JobLevel, JobStatus, JobType, Nonce, Seq,
    StorageEpoch, VolTime,
};

use crate::line_message;
use crate::scan::{self, Fields, MsgError};

line_message! {
    /// First command of a Director on every connection with the additions on (§2).
    Registration = "director " {
        "epoch" epoch: Epoch,
        "activation" activation: ActivationId,
        "catalog" catalog: CatalogId,
        /// Instance of the Director.
        "instance" instance: String,
    } "\n"
}

line_message! {
    /// Which of a Storage and its cold spare serves, and which of them this connection is for (§11).
    StoragePlace = "place " {
        /// The main Storage of the pair.
        "storage" role: String,
        "epoch" epoch: StorageEpoch,
        /// The one that serves.
        "serving" serving: String,
        /// The one that this connection is for.
        "here" here: String,
    } "\n"
}

line_message! {
    /// An SD's answer to [`StoragePlace`] where the Storage addressed serves.
    StoragePlaced = "3000 OK place " {
        "epoch" epoch: StorageEpoch,
    } "\n"
}

line_message! {
    /// Takes over a running or ended job (§5).
    Attach = "attach " {
        "JobId" job_id: JobId,
        "Job" job: String,
        "attempt" attempt: Attempt,
        /// First record wanted.
        "from" from: Seq,
    } "\n"
}

line_message! {
    /// The attempt is over by the catalog's word (§5).
    Close = "close " {
        "JobId" job_id: JobId,
        "Job" job: String,
        "attempt" attempt: Attempt,
    } "\n"
}

line_message! {
    /// One job in the answer to `jobs` (§5).
    JobEntry = "job " {
        "JobId" job_id: JobId,
        "Job" job: String,
        "attempt" attempt: Attempt,
        "type" job_type: JobType,
        "level" level: JobLevel,
        "SDid" session_id: u32,
        "SDtime" session_time: u32,
        /// `reserved`, `waiting`, `running` or `ended`.
        "state" state: JobState,
        "status" status: JobStatus,
        "files" files: u64,
        "bytes" bytes: u64,
        /// Last record of the journal.
        "last" last: Seq,
        /// Last record acknowledged.
        "acked" acked: Seq,
    } "\n"
}

line_message! {
    /// First line of the answer to `inventory` (§9).
    InventoryHead = "inventory " {
        /// The highest that this Director and catalog ever gave to a job here; 0 = none.
        "JobId" highest_job: JobId,
    } "\n"
}

line_message! {
    /// One Volume in the answer to `inventory` (§9): its newest state (§6).
    VolumeEntry = "volume " {
        "VolName" volume: String,
        /// When it was labelled; with the name the identity of the Volume.
        "label" label_time: VolTime,
        /// Number of the state.
        "seq" seq: u64,
        "bytes" bytes: u64,
        "writes" writes: u64,
        "blocks" blocks: u64,
        "files" files: u32,
        "jobs" jobs: u32,
        "status" status: String,
        /// Of its label; empty where the daemon has not noted it.
        "pool" pool: String,
        "media_type" media_type: String,
    } "\n"
}

line_message! {
    /// One Device in the answer to `space` (§12).
    DeviceSpace = "space " {
        "Device" device: String,
        /// The autochanger whose drive it is; empty where it is none.
        "changer" changer: String,
        /// Number of its file system: Devices with the same one share the space.
        "filesystem" filesystem: u64,
        /// Bytes that are free.
        "free" free_bytes: u64,
    } "\n"
}

/// Where a job is on a daemon (§5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It has a device.
    Reserved,
    /// It waits for its peer or a Volume.
    Waiting,
    /// Data flows.
    Running,
    /// Only its journal is left.
    Ended,
}

impl JobState {
    const ALL: [(&'static str, Self); 4] = [
        ("reserved", Self::Reserved),
        ("waiting", Self::Waiting),
        ("running", Self::Running),
        ("ended", Self::Ended),
    ];
}

impl scan::Field for JobState {
    fn read(raw: Option<&[u8]>) -> Option<Self> {
        let raw = raw?;
        Self::ALL.iter().find(|(name, _)| name.as_bytes() == raw).map(|(_, state)| *state)
    }

    fn write(&self, out: &mut Vec<u8>) -> bool {
        if let Some((name, _)) = Self::ALL.iter().find(|(_, state)| state == self) {
            out.extend_from_slice(name.as_bytes());
        }
        true
    }
}

line_message! {
    /// Journal payload: everything before it is on stable storage (§4).
    Checkpoint = "Ckpt " {
        /// Last whole file.
        "files" files: FileIndex,
        /// JobBytes.
        "bytes" bytes: u64,
        "errors" errors: u64,
    } "\n"
}

/// A command of the Director to SD or FD, and its answers to journal records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `director …`.
    Register(Registration),
    /// `nonce`: a fresh one is wanted (SD).
    Nonce,
    /// `jobs`: which jobs of this Director and catalog are there?
    Jobs,
    /// `inventory`: what is known here of this Director and catalog (SD)?
    Inventory,
    /// `space`: how much space do the Devices have (SD)?
    Space,
    /// `place …`: who serves of a Storage and its cold spare (SD).
    Place(StoragePlace),
    /// `attach …`.
    Attach(Attach),
    /// `close …`.
    Close(Close),
    /// `Ack <seq>[ replicated]`.
    Ack {
        /// Every record up to this one is committed.
        seq: Seq,
        /// … and on a synchronous standby.
        replicated: bool,
    },
    /// `Ans <seq> <reply>`: the answer to the request in record `seq`; implies its `Ack`.
    Answer {
        /// The request's record.
        seq: Seq,
        /// As a stock Director would answer.
        reply: Bytes,
    },
    /// `Closed <attempt>`: the attempt is over; drop the journal.
    Closed(Attempt),
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// Another command, or a field that is missing.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let words: Vec<&[u8]> = Fields::new(line).tokens().take(3).collect();
        let number = |index: usize, field: &'static str| -> Result<u64, MsgError> {
            let word = words.get(index).map(|word| scan::text(word));
            word.and_then(|word| word.parse().ok()).ok_or_else(|| MsgError::field(field, line))
        };
        match words.first().copied().unwrap_or_default() {
            b"director" => Registration::parse(line).map(Self::Register),
            b"nonce" => Ok(Self::Nonce),
            b"jobs" => Ok(Self::Jobs),
            b"inventory" => Ok(Self::Inventory),
            b"space" => Ok(Self::Space),
            b"place" => StoragePlace::parse(line).map(Self::Place),
            b"attach" => Attach::parse(line).map(Self::Attach),
            b"close" => Close::parse(line).map(Self::Close),
            b"Ack" => Ok(Self::Ack {
                seq: Seq(number(1, "seq")?),
                replicated: words.get(2).is_some_and(|word| *word == b"replicated"),
            }),
            b"Ans" => {
                let (seq, reply) = numbered(line, "Ans ")?;
                Ok(Self::Answer { seq, reply })
            }
            b"Closed" => {
                let attempt =
                    u32::try_from(number(1, "attempt")?).map_err(|_| MsgError::field("attempt", line))?;
                Ok(Self::Closed(Attempt(attempt)))
            }
            _ => Err(MsgError::unknown(line)),
        }
    }

    /// The command as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        match self {
            Self::Register(command) => command.format(),
            Self::Nonce => b"nonce\n".to_vec(),
            Self::Jobs => b"jobs\n".to_vec(),
            Self::Inventory => b"inventory\n".to_vec(),
            Self::Space => b"space\n".to_vec(),
            Self::Place(command) => command.format(),
            Self::Attach(command) => command.format(),
            Self::Close(command) => command.format(),
            Self::Ack { seq, replicated } => {
                format!("Ack {seq}{}\n", if *replicated { " replicated" } else { "" }).into_bytes()
            }
            Self::Answer { seq, reply } => [format!("Ans {seq} ").as_bytes(), reply].concat(),
            Self::Closed(attempt) => format!("Closed {attempt}\n").into_bytes(),
        }
    }
}

/// `Jrn <seq> <payload>`: a journal record; the payload is the message that a stock daemon would send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// From 1, without gaps.
    pub seq: Seq,
    /// The message, binary included.
    pub payload: Bytes,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// Another message.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        numbered(line, "Jrn ").map(|(seq, payload)| Self { seq, payload })
    }

    /// The record as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        [format!("Jrn {} ", self.seq).as_bytes(), &self.payload].concat()
    }
}

fn numbered(line: &[u8], prefix: &str) -> Result<(Seq, Bytes), MsgError> {
    let rest = scan::after(line, prefix).ok_or_else(|| MsgError::unknown(line))?;
    let blank = rest.iter().position(|&b| b == b' ').ok_or_else(|| MsgError::field("seq", line))?;
    let seq = std::str::from_utf8(&rest[..blank]).ok().and_then(|text| text.parse().ok());
    let seq = Seq(seq.ok_or_else(|| MsgError::field("seq", line))?);
    Ok((seq, Bytes::copy_from_slice(&rest[blank + 1..])))
}

/// Refusals of a registration or of what needs one (§2, §3, §5): the daemon's digit is put in front.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another instance is active.
    #[error(
        "Stale Director: epoch {active} of Director \"{director}\" is active on instance \"{instance}\"; this connection has epoch {own}."
    )]
    Stale {
        /// Director's name.
        director: String,
        /// Highest epoch known.
        active: Epoch,
        /// Its instance.
        instance: String,
        /// This connection's.
        own: Epoch,
    },
    /// No epoch where there was one.
    #[error(
        "Director \"{director}\" has had epochs here; a connection without one is refused. Use \"holdfast storage forget-director {director}\" if it has gone back to Bacula."
    )]
    NoEpoch {
        /// Director's name.
        director: String,
    },
    /// No such job.
    #[error("Job \"{job}\" attempt {attempt} is not known here.")]
    UnknownJob {
        /// Full name.
        job: String,
        /// Start of the job.
        attempt: Attempt,
    },
    /// The Volume is not what the command was planned on.
    #[error("Volume \"{volume}\" is not as the Director believes: {difference}. Nothing was changed.")]
    VolumeDiffers {
        /// Its name.
        volume: String,
        /// What differs.
        difference: String,
    },
}

impl Refusal {
    /// Last three digits of its number.
    const fn code(&self) -> u32 {
        match self {
            Self::Stale { .. } => 981,
            Self::NoEpoch { .. } => 982,
            Self::UnknownJob { .. } => 983,
            Self::VolumeDiffers { .. } => 985,
        }
    }

    /// The answer of an SD.
    #[must_use]
    pub fn format_storage(&self) -> Vec<u8> {
        format!("{} {self}\n", 3000 + self.code()).into_bytes()
    }

    /// The answer of an FD.
    #[must_use]
    pub fn format_client(&self) -> Vec<u8> {
        format!("{} {self}\n", 2000 + self.code()).into_bytes()
    }
}

line_message! {
    /// An SD's answer to [`Registration`].
    StorageRegistered = "3000 OK director " {
        "epoch" epoch: Epoch,
        "nonce" nonce: Nonce,
    } "\n"
}

line_message! {
    /// An FD's answer to [`Registration`].
    ClientRegistered = "2000 OK director " {
        "epoch" epoch: Epoch,
    } "\n"
}

line_message! {
    /// An SD's answer to `nonce`.
    NonceReply = "3000 OK " {
        "nonce" nonce: Nonce,
    } "\n"
}

line_message! {
    /// What both daemons say to `attach`, after `3000 OK ` or `2000 OK `.
    Attached = "attach " {
        "JobId" job_id: JobId,
        "status" status: JobStatus,
        "last" last: Seq,
    } "\n"
}

impl Attached {
    /// Reads the answer of SD or FD.
    ///
    /// # Errors
    /// Any other answer.
    pub fn parse_reply(line: &[u8]) -> Result<Self, MsgError> {
        let rest = scan::after(line, "3000 OK ").or_else(|| scan::after(line, "2000 OK "));
        Self::parse(rest.ok_or_else(|| MsgError::unknown(line))?)
    }

    /// The answer of an SD.
    #[must_use]
    pub fn format_storage(&self) -> Vec<u8> {
        [b"3000 OK ".as_slice(), &self.format()].concat()
    }

    /// The answer of an FD.
    #[must_use]
    pub fn format_client(&self) -> Vec<u8> {
        [b"2000 OK ".as_slice(), &self.format()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_round_trip() {
        for line in [
            "director epoch=7 activation=0000000000000000000000000000002a catalog=000000000000000000000000000000ff instance=a\n",
            "nonce\n",
            "jobs\n",
            "inventory\n",
            "space\n",
            "place storage=sd1 epoch=2 serving=sd1\x01spare here=sd1\n",
            "attach JobId=3 Job=x.2026-11-23_15.05.25_07 attempt=1 from=18\n",
            "close JobId=3 Job=x.2026-11-23_15.05.25_07 attempt=1\n",
            "Ack 17\n",
            "Ack 17 replicated\n",
            "Ans 18 1901 No Media. x\n",
            "Closed 2\n",
        ] {
            assert_eq!(String::from_utf8(Command::parse(line.as_bytes()).unwrap().format()).unwrap(), line);
        }
        assert!(Command::parse(b"Ans x y\n").is_err());
        assert!(Command::parse(b"").is_err());
    }

    #[test]
    fn records_carry_binary() {
        let record = Record { seq: Seq(5), payload: Bytes::from_static(b"UpdCat \0\xff \n") };
        assert_eq!(Record::parse(&record.format()).unwrap(), record);
    }

    #[test]
    fn answers_round_trip() {
        let line = "job JobId=3 Job=x attempt=1 type=66 level=70 SDid=1 SDtime=2 state=running status=82 files=3 bytes=4 last=9 acked=5\n";
        assert_eq!(JobEntry::parse(line.as_bytes()).unwrap().format(), line.as_bytes());
        let line = "volume VolName=Full-1 label=99 seq=7 bytes=71428 writes=3 blocks=2 files=0 jobs=1 status=Append pool=Full\x01Pool media_type=\n";
        let entry = VolumeEntry::parse(line.as_bytes()).unwrap();
        assert_eq!((entry.pool.as_str(), entry.media_type.as_str(), entry.seq), ("Full Pool", "", 7));
        assert_eq!(entry.format(), line.as_bytes());
        let attached = Attached { job_id: JobId(3), status: JobStatus::Running, last: Seq(9) };
        assert_eq!(Attached::parse_reply(&attached.format_storage()).unwrap(), attached);
        assert_eq!(Attached::parse_reply(&attached.format_client()).unwrap(), attached);
        let stale =
            Refusal::Stale { director: "d".into(), active: Epoch(8), instance: "b".into(), own: Epoch(7) };
        assert!(stale.format_client().starts_with(b"2981 Stale Director: epoch 8 of Director \"d\""));
    }
}
