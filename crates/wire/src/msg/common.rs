//! Messages that several pairs have in common.

use types::{JobId, JobStatus, Timestamp};

use crate::line_message;
use crate::scan::{self, Fields, MsgError};
use crate::version::Generation;

/// Kind of a job message (spec/01 §5.1). Its number on the wire differs between 9.6 and 13.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// The daemon aborts.
    Abort,
    /// Debugging.
    Debug,
    /// Event records; unknown to 9.6.
    Events,
    /// Ends the job.
    Fatal,
    /// An error; the job goes on.
    Error,
    /// A warning.
    Warning,
    /// Information.
    Info,
    /// A saved file.
    Saved,
    /// A file that could not be saved.
    NotSaved,
    /// A skipped file.
    Skipped,
    /// A request to mount a Volume.
    Mount,
    /// Ends the daemon in error.
    ErrorTerm,
    /// Ends the daemon.
    Term,
    /// A restored file.
    Restored,
    /// Security.
    Security,
    /// Alerts of tape drives.
    Alert,
    /// Volume management.
    VolMgmt,
    /// A verified file; unknown to 9.6.
    Verified,
}

impl MessageType {
    /// All types, in the order of 13's numbers, which start at 1.
    pub const ALL: [Self; 18] = [
        Self::Abort,
        Self::Debug,
        Self::Events,
        Self::Fatal,
        Self::Error,
        Self::Warning,
        Self::Info,
        Self::Saved,
        Self::NotSaved,
        Self::Skipped,
        Self::Mount,
        Self::ErrorTerm,
        Self::Term,
        Self::Restored,
        Self::Security,
        Self::Alert,
        Self::VolMgmt,
        Self::Verified,
    ];

    /// The number that peers of a generation use. What 9.6 has no number for goes as information.
    #[must_use]
    pub const fn number(self, generation: Generation) -> u32 {
        let new = self as u32 + 1;
        match (generation, self) {
            (Generation::New, _) => new,
            (Generation::Old, Self::Events | Self::Verified) => Self::Info.number(Generation::Old),
            (Generation::Old, Self::Abort | Self::Debug) => new,
            (Generation::Old, _) => new - 1,
        }
    }

    /// The type of a number; numbers without a meaning count as information.
    #[must_use]
    pub fn from_number(number: u32, generation: Generation) -> Self {
        let index = match generation {
            Generation::Old if number >= 3 => number,
            Generation::Old | Generation::New => number.wrapping_sub(1),
        };
        Self::ALL.get(index as usize).copied().unwrap_or(Self::Info)
    }
}

/// `Jmsg JobId=… type=… level=… text`: a job message on its way to the Director.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jmsg {
    /// Its job; 0 for the daemon itself.
    pub job_id: JobId,
    /// Kind.
    pub kind: MessageType,
    /// When it was made (`level=` for historical reasons).
    pub time: Timestamp,
    /// Normally `<daemon> JobId <n>: [Error: …]<message>\n`; may hold several lines.
    pub text: String,
}

impl Jmsg {
    /// Reads a message of a peer of the given generation. `Job=<name>` in place of `JobId=` gives job 0.
    ///
    /// # Errors
    /// Another message, or a field that is missing.
    pub fn parse(line: &[u8], generation: Generation) -> Result<Self, MsgError> {
        let rest = scan::after(line, "Jmsg ").ok_or_else(|| MsgError::unknown(line))?;
        let fields = Fields::new(rest);
        let level = fields.raw("level").ok_or_else(|| MsgError::field("level", line))?;
        let after_level = level.as_ptr() as usize - rest.as_ptr() as usize + level.len();
        let text = rest.get(after_level + 1..).unwrap_or_default();
        let text = String::from_utf8_lossy(text.strip_suffix(b"\0").unwrap_or(text)).into_owned();
        Ok(Self {
            job_id: fields.get::<Option<JobId>>("JobId")?.unwrap_or_default(),
            kind: MessageType::from_number(fields.get("type")?, generation),
            time: Timestamp(fields.get("level")?),
            text,
        })
    }

    /// The line as it is sent to a Director of the given generation.
    #[must_use]
    pub fn format(&self, generation: Generation) -> Vec<u8> {
        let kind = self.kind.number(generation);
        format!("Jmsg JobId={} type={kind} level={} {}", self.job_id, self.time, self.text).into_bytes()
    }
}

line_message! {
    /// How far a job is; every 30 s from 13 and 15.
    Progress = "Progress " {
        "JobId" job_id: JobId,
        "files" files: u64,
        "bytes" bytes: u64,
        /// Bytes per second.
        "bps" bps: u64,
    } "\n"
}

/// `cancel Job=…` and `stop Job=…`, to FD and SD alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CancelKind {
    /// The job ends as canceled.
    Cancel,
    /// The job ends as incomplete and can be resumed.
    Stop,
}

impl CancelKind {
    /// The command's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Stop => "stop",
        }
    }

    /// What the job's mark is called in the answer.
    #[must_use]
    pub const fn marked(self) -> &'static str {
        match self {
            Self::Cancel => "canceled",
            Self::Stop => "stopped",
        }
    }

    /// The status that the job ends with.
    #[must_use]
    pub const fn status(self) -> JobStatus {
        match self {
            Self::Cancel => JobStatus::Canceled,
            Self::Stop => JobStatus::Incomplete,
        }
    }
}

line_message! {
    /// `setdebug=… trace=… …`; the short old form has the first two fields.
    SetDebug = "" {
        "setdebug" level: i64,
        "trace" trace: i64,
        "hangup" hangup: Option<i64>,
        "blowup" blowup: Option<i64>,
        "options" options: Option<String>,
        "tags" tags: Option<String>,
    } "\n"
}

line_message! {
    /// One job in the answer to `.status current` and `.status last`.
    JobLine = "" {
        "JobId" job_id: JobId,
        /// A letter here, not a code.
        "JobStatus" status: String,
        "JobErrors" errors: u64,
    } "\n"
}

/// `.status <what> api=<n> api_opts=<s> [device=…]` to FD and SD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusQuery {
    /// `header`, `running`, `terminated` …
    pub what: String,
    /// 0 for people, 1 and 2 for programs; absent in the old form.
    pub api: Option<u32>,
    /// Letters (spec/01 §6.2).
    pub api_opts: Option<String>,
    /// One device only (SD).
    pub device: Option<String>,
}

impl StatusQuery {
    /// Reads the command.
    ///
    /// # Errors
    /// Another command, or no word after `.status`.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let rest = scan::after(line, ".status").ok_or_else(|| MsgError::unknown(line))?;
        let fields = Fields::new(rest);
        let what = fields.tokens().next().filter(|word| !word.contains(&b'='));
        Ok(Self {
            what: what
                .map(scan::text)
                .filter(|what| !what.is_empty())
                .ok_or_else(|| MsgError::field("what", line))?,
            api: fields.get("api")?,
            api_opts: fields.get("api_opts")?,
            device: fields.get("device")?,
        })
    }

    /// The command as it is sent, without line feed.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        let mut out = format!(".status {}", self.what).into_bytes();
        scan::put(&mut out, "api", &self.api);
        scan::put(&mut out, "api_opts", &self.api_opts);
        scan::put(&mut out, "device", &self.device);
        out
    }
}

/// What starts with a digit is the answer to a command (spec/01 §5.1): its number and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 1xxx Director, 2xxx FD, 3xxx SD; `x9xx` errors.
    pub number: u32,
    /// The whole line, trimmed.
    pub text: String,
}

impl Reply {
    /// Reads an answer.
    ///
    /// # Errors
    /// What does not start with a number.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
        let number = std::str::from_utf8(&line[..digits]).ok().and_then(|text| text.parse().ok());
        Ok(Self { number: number.ok_or_else(|| MsgError::unknown(line))?, text: scan::text(line) })
    }

    /// Whether the number says success: its second digit is no 9.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.number / 100 % 10 != 9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_numbers_of_both_generations() {
        let of = |kind: MessageType| (kind.number(Generation::Old), kind.number(Generation::New));
        assert_eq!(of(MessageType::Abort), (1, 1));
        assert_eq!(of(MessageType::Fatal), (3, 4));
        assert_eq!(of(MessageType::Error), (4, 5));
        assert_eq!(of(MessageType::Info), (6, 7));
        assert_eq!(of(MessageType::Mount), (10, 11));
        assert_eq!(of(MessageType::Security), (14, 15));
        assert_eq!(of(MessageType::VolMgmt), (16, 17));
        assert_eq!(of(MessageType::Events), (6, 3));
        for kind in MessageType::ALL {
            assert_eq!(MessageType::from_number(kind.number(Generation::New), Generation::New), kind);
            if !matches!(kind, MessageType::Events | MessageType::Verified) {
                assert_eq!(MessageType::from_number(kind.number(Generation::Old), Generation::Old), kind);
            }
        }
        assert_eq!(MessageType::from_number(99, Generation::New), MessageType::Info);
        assert_eq!(MessageType::from_number(0, Generation::Old), MessageType::Info);
    }

    #[test]
    fn a_job_message_keeps_its_text() {
        let line = b"Jmsg JobId=3 type=6 level=1795446327 a1-sd JobId 3: level=9 \"x\"\n second line\n";
        let jmsg = Jmsg::parse(line, Generation::Old).unwrap();
        assert_eq!((jmsg.kind, jmsg.time), (MessageType::Info, Timestamp(1_795_446_327)));
        assert_eq!(jmsg.text, "a1-sd JobId 3: level=9 \"x\"\n second line\n");
        assert_eq!(jmsg.format(Generation::Old), line);
        assert_eq!(Jmsg::parse(b"Jmsg Job=x type=1 level=5", Generation::Old).unwrap().text, "");
    }

    #[test]
    fn status_queries() {
        for line in [
            ".status header api=2 api_opts=",
            ".status current",
            ".status devices api=0 api_opts=o device=F1",
        ] {
            assert_eq!(StatusQuery::parse(line.as_bytes()).unwrap().format(), line.as_bytes());
        }
        assert!(StatusQuery::parse(b".status api=1").is_err());
    }

    #[test]
    fn replies_tell_success() {
        assert!(Reply::parse(b"2000 OK level\n").unwrap().is_ok());
        assert!(!Reply::parse(b"3924 Device\n").unwrap().is_ok());
        assert!(Reply::parse(b"Jmsg").is_err());
    }
}
