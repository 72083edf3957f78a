//! The commands. Lists that follow a command (`fileset`, `accurate` …) are packets of their own up to EOD.

use types::{Attempt, FileIndex, JobId, Replace, Timestamp, VolSession};

use crate::line_message;
use crate::msg::common::{CancelKind, SetDebug, StatusQuery};
use crate::msg::holdfast;
use crate::scan::{self, Fields, MsgError};

line_message! {
    /// `JobId=… Job=… SDid=… SDtime=… Authorization=…`: names the job of this connection.
    FdJob = "" {
        /// 0 for console requests.
        "JobId" job_id: JobId,
        /// Full name.
        "Job" job: String,
        /// Session id on the SD; 0 without SD.
        "SDid" session_id: u32,
        /// Session time on the SD.
        "SDtime" session_time: u32,
        /// Session key, or `dummy`.
        "Authorization" key: String,
        /// Start of the job (docs/extensions.md §4).
        "attempt" attempt: Option<Attempt>,
    } "\n"
}

impl FdJob {
    /// The session on the SD.
    #[must_use]
    pub fn session(&self) -> VolSession {
        VolSession { id: self.session_id, time: self.session_time }
    }

    /// The key, unless it is the placeholder.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        (self.key != "dummy").then_some(self.key.as_str())
    }
}

line_message! {
    /// Bytes per second for a job, or for the daemon if the name is empty; 0 lifts the limit.
    SetBandwidth = "" {
        "setbandwidth" bytes_per_second: i64,
        "Job" job: String,
    } "\n"
}

line_message! {
    /// `estimate listing=%d[ limit=%d]`.
    EstimateCommand = "estimate " {
        /// Whether each file is listed.
        "listing" listing: bool,
        /// Most files to list ([15]).
        "limit" limit: Option<u64>,
    } "\n"
}

line_message! {
    /// Where the job's SD is. Port 0: it will call.
    StorageAddress = "storage " {
        "address" address: String,
        "port" port: u16,
        /// Informative.
        "ssl" ssl: u32,
        /// Key of the session (restores).
        "Authorization" key: Option<String>,
    } "\n"
}

line_message! {
    /// A script of the job that runs on the client.
    RunScript = "Run " {
        "OnSuccess" on_success: bool,
        "OnFailure" on_failure: bool,
        /// Whether its failure ends the job.
        "AbortOnError" abort_on_error: bool,
        /// Bits of [`run_when`].
        "When" when: u32,
        /// With %-codes.
        "Command" command: String,
    } "\n"
}

/// Bits of [`RunScript::when`].
pub mod run_when {
    /// After the job.
    pub const AFTER: u32 = 1;
    /// Before the job.
    pub const BEFORE: u32 = 2;
    /// After the snapshot.
    pub const AFTER_VSS: u32 = 4;
}

line_message! {
    /// Measures the line to the SD.
    TestNetwork = "testnetwork " {
        "bytes" bytes: i64,
        "rtt" rtt: i64,
    } "\n"
}

/// Word of a `level` command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LevelWord {
    /// Everything.
    Full,
    /// Base job.
    Base,
    /// Since the last Full; a since packet follows.
    Differential,
    /// Since the last backup; a since packet follows.
    Incremental,
}

impl LevelWord {
    const ALL: [(&'static str, Self); 4] = [
        ("full", Self::Full),
        ("base", Self::Base),
        ("differential", Self::Differential),
        ("incremental", Self::Incremental),
    ];
}

/// `level = …` (spec/01 §5.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// The level itself.
    Word {
        /// Which.
        word: LevelWord,
        /// Compare with a list of files.
        accurate: bool,
        /// Goes on with an incomplete job.
        rerunning: bool,
        /// Only an estimate ([15]).
        estimate: bool,
    },
    /// The time from which on files are taken; starts the comparison of clocks.
    Since {
        /// Director's time.
        time: Timestamp,
        /// Full name of the job that it is of; may be empty.
        prev_job: String,
    },
}

impl Level {
    fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let rest = scan::after(line, "level = ").ok_or_else(|| MsgError::unknown(line))?;
        let fields = Fields::new(rest);
        let words: Vec<String> = fields.tokens().map(scan::text).collect();
        let first = words.first().ok_or_else(|| MsgError::field("level", line))?;
        if first == "since_utime" {
            let time = words
                .get(1)
                .and_then(|word| word.parse().ok())
                .ok_or_else(|| MsgError::field("since", line))?;
            return Ok(Self::Since {
                time: Timestamp(time),
                prev_job: fields.get::<Option<String>>("prev_job")?.unwrap_or_default(),
            });
        }
        let (word, accurate) = match first.strip_prefix("accurate_") {
            Some(word) => (word, true),
            None => (first.as_str(), false),
        };
        let word = LevelWord::ALL
            .iter()
            .find(|(name, _)| *name == word)
            .ok_or_else(|| MsgError::field("level", line))?
            .1;
        let has = |text: &str| words.iter().any(|word| word == text);
        Ok(Self::Word { word, accurate, rerunning: has("rerunning"), estimate: has("estimate") })
    }

    fn format(&self) -> String {
        match self {
            Self::Since { time, prev_job } => {
                format!("level = since_utime {time} mtime_only=0 prev_job={prev_job}\n")
            }
            Self::Word { word, accurate, rerunning, estimate } => {
                let accurate = if *accurate { "accurate_" } else { "" };
                let name = LevelWord::ALL.iter().find(|(_, of)| of == word).map_or("full", |(name, _)| name);
                let rerunning = if *rerunning { " rerunning " } else { " " };
                let estimate = if *estimate { " estimate " } else { "" };
                format!("level = {accurate}{name}{rerunning} mtime_only=0 {estimate}\n")
            }
        }
    }
}

/// Where restored files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTarget {
    /// Below this directory; empty means to where they were.
    Where(Vec<u8>),
    /// By replacing parts of their paths (`!from!to!…`).
    Regex(Vec<u8>),
}

/// `restore files=… replace=… prelinks=… where=…` (spec/01 §5.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreCommand {
    /// Files expected; absent for old FDs.
    pub files: Option<u64>,
    /// What happens to files that exist.
    pub replace: Replace,
    /// Whether absolute symbolic links are put under the target too.
    pub prefix_links: bool,
    /// Where to.
    pub target: RestoreTarget,
}

impl RestoreCommand {
    fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let fields = Fields::new(line);
        let letter: Option<u8> = fields.raw("replace").and_then(|raw| raw.first().copied());
        let replace = letter.and_then(|letter| Replace::from_letter(char::from(letter)));
        let target =
            match (fields.get::<Option<Vec<u8>>>("where")?, fields.get::<Option<Vec<u8>>>("regexwhere")?) {
                (Some(path), _) => RestoreTarget::Where(path),
                (None, Some(regex)) => RestoreTarget::Regex(regex),
                (None, None) => return Err(MsgError::field("where", line)),
            };
        Ok(Self {
            files: fields.get("files")?,
            replace: replace.ok_or_else(|| MsgError::field("replace", line))?,
            prefix_links: fields.get::<Option<bool>>("prelinks")?.unwrap_or(false),
            target,
        })
    }

    fn format(&self) -> Vec<u8> {
        let mut out = b"restore ".to_vec();
        scan::put(&mut out, "files", &self.files);
        scan::put(&mut out, "replace", &self.replace.letter().to_string());
        scan::put(&mut out, "prelinks", &self.prefix_links);
        match &self.target {
            RestoreTarget::Where(path) => scan::put(&mut out, "where", path),
            RestoreTarget::Regex(regex) => scan::put(&mut out, "regexwhere", regex),
        }
        out.push(b'\n');
        out
    }
}

/// What a Verify job compares (spec/01 §5.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VerifyLevel {
    /// Fills the catalog.
    Init,
    /// Disk with catalog.
    Catalog,
    /// Volume with catalog.
    Volume,
    /// Data on the Volume.
    Data,
    /// Disk with the last backup.
    DiskToCatalog,
}

impl VerifyLevel {
    const ALL: [(&'static str, Self); 5] = [
        ("init", Self::Init),
        ("catalog", Self::Catalog),
        ("volume", Self::Volume),
        ("data", Self::Data),
        ("disk_to_catalog", Self::DiskToCatalog),
    ];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("catalog", |(name, _)| name)
    }
}

/// First packet of a restore object, or the end of them (spec/01 §5.10). Two packets follow: name and bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreObject {
    /// An object, with the command's text after `restoreobject `.
    Object(String),
    /// No more.
    End,
}

/// A command of the Director.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `backup FileIndex=%ld`.
    Backup {
        /// 0, or the next index of a job that goes on.
        file_index: FileIndex,
    },
    /// `cancel Job=` or `stop Job=`.
    Cancel {
        /// Which of both.
        kind: CancelKind,
        /// Full name.
        job: String,
    },
    /// `setdebug=…`.
    SetDebug(SetDebug),
    /// `setbandwidth=…`.
    SetBandwidth(SetBandwidth),
    /// `snapshot …`, the text after it.
    Snapshot(String),
    /// `estimate …`.
    Estimate(EstimateCommand),
    /// `fileset[ vss=1][ snap=1]`; lines follow up to EOD.
    FileSet {
        /// Windows only.
        vss: bool,
        /// Snapshots are wanted.
        snapshot: bool,
    },
    /// `JobId=…`.
    Job(FdJob),
    /// `level = …`.
    Level(Level),
    /// `restore …`.
    Restore(RestoreCommand),
    /// `endrestore`.
    EndRestore,
    /// `session …`, obsolete.
    Session(String),
    /// `status`.
    Status,
    /// `.status …`.
    StatusQuery(StatusQuery),
    /// `storage …`.
    Storage(StorageAddress),
    /// `verify level=…`.
    Verify(VerifyLevel),
    /// `component_info`; lines follow up to EOD.
    ComponentInfo,
    /// `RunBeforeNow`.
    RunBeforeNow,
    /// `RunBeforeJob %s`.
    RunBeforeJob(String),
    /// `RunAfterJob %s`.
    RunAfterJob(String),
    /// `Run …`.
    Run(RunScript),
    /// `accurate files=%s`; records follow up to EOD.
    Accurate {
        /// Number of files, as a hint.
        files: u64,
    },
    /// `restoreobject …`.
    RestoreObject(RestoreObject),
    /// `sm_dump`.
    MemoryDump,
    /// `proxy`.
    Proxy,
    /// `caps`.
    Caps,
    /// `testnetwork …`.
    TestNetwork(TestNetwork),
    /// `PluginFeatures`.
    PluginFeatures,
    /// `restorefilelist plugin=%s`; records follow up to EOD.
    RestoreFileList {
        /// Plugin.
        plugin: String,
    },
    /// `statistics …`.
    Statistics(String),
    /// `query …`.
    Query(String),
    /// Holdfast's additions (docs/extensions.md).
    Holdfast(holdfast::Command),
}

impl Command {
    /// Reads a command, by the first prefix that fits.
    ///
    /// # Errors
    /// [`MsgError::Unknown`] (answer `2999 Invalid command\n`), [`MsgError::Field`] (the command's own error answer).
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let fields = Fields::new(line);
        let starts = |prefix: &str| line.starts_with(prefix.as_bytes());
        let rest = |prefix: &str| scan::after(line, prefix).map(scan::text).unwrap_or_default();
        Ok(match () {
            () if starts("backup") => {
                Self::Backup { file_index: fields.get::<Option<FileIndex>>("FileIndex")?.unwrap_or_default() }
            }
            () if starts("cancel") => Self::Cancel { kind: CancelKind::Cancel, job: fields.get("Job")? },
            () if starts("stop") => Self::Cancel { kind: CancelKind::Stop, job: fields.get("Job")? },
            () if starts("setdebug=") => Self::SetDebug(SetDebug::parse(line)?),
            () if starts("setbandwidth=") => Self::SetBandwidth(SetBandwidth::parse(line)?),
            () if starts("snapshot") => Self::Snapshot(rest("snapshot ")),
            () if starts("estimate") => Self::Estimate(EstimateCommand::parse(line)?),
            () if starts("fileset") => Self::FileSet {
                vss: fields.get::<Option<bool>>("vss")?.unwrap_or(false),
                snapshot: fields.get::<Option<bool>>("snap")?.unwrap_or(false),
            },
            () if starts("JobId=") => Self::Job(FdJob::parse(line)?),
            () if starts("level = ") => Self::Level(Level::parse(line)?),
            () if starts("restore ") => Self::Restore(RestoreCommand::parse(line)?),
            () if starts("endrestore") => Self::EndRestore,
            () if starts("session") => Self::Session(rest("session ")),
            () if starts("statistics") => Self::Statistics(rest("statistics")),
            () if starts("status") => Self::Status,
            () if starts(".status") => Self::StatusQuery(StatusQuery::parse(line)?),
            () if starts("storage ") => Self::Storage(StorageAddress::parse(line)?),
            () if starts("verify") => {
                let name: String = fields.get("level")?;
                let level = VerifyLevel::ALL.iter().find(|(word, _)| *word == name);
                Self::Verify(level.ok_or_else(|| MsgError::field("level", line))?.1)
            }
            () if starts("component") => Self::ComponentInfo,
            () if starts("RunBeforeNow") => Self::RunBeforeNow,
            () if starts("RunBeforeJob") => Self::RunBeforeJob(types::unbash_spaces(&rest("RunBeforeJob "))),
            () if starts("RunAfterJob") => Self::RunAfterJob(types::unbash_spaces(&rest("RunAfterJob "))),
            () if starts("Run ") => Self::Run(RunScript::parse(line)?),
            () if starts("accurate") => Self::Accurate { files: fields.get("files")? },
            () if starts("restoreobject end") => Self::RestoreObject(RestoreObject::End),
            () if starts("restoreobject") => {
                Self::RestoreObject(RestoreObject::Object(rest("restoreobject ")))
            }
            () if starts("sm_dump") => Self::MemoryDump,
            () if starts("proxy") => Self::Proxy,
            () if starts("caps") => Self::Caps,
            () if starts("testnetwork") => Self::TestNetwork(TestNetwork::parse(line)?),
            () if starts("PluginFeatures") => Self::PluginFeatures,
            () if starts("restorefilelist") => Self::RestoreFileList { plugin: fields.get("plugin")? },
            () if starts("query") => Self::Query(rest("query ")),
            () => Self::Holdfast(holdfast::Command::parse(line)?),
        })
    }

    /// The command as it is sent.
    #[must_use]
    pub fn format(&self) -> Vec<u8> {
        match self {
            Self::Backup { file_index } => format!("backup FileIndex={file_index}\n").into_bytes(),
            Self::Cancel { kind, job } => format!("{} Job={job}\n", kind.word()).into_bytes(),
            Self::SetDebug(command) => command.format(),
            Self::SetBandwidth(command) => command.format(),
            Self::Snapshot(text) => format!("snapshot {text}\n").into_bytes(),
            Self::Estimate(command) => command.format(),
            Self::FileSet { vss, snapshot } => {
                let vss = if *vss { " vss=1" } else { "" };
                let snapshot = if *snapshot { " snap=1" } else { "" };
                format!("fileset{vss}{snapshot}\n").into_bytes()
            }
            Self::Job(command) => command.format(),
            Self::Level(level) => level.format().into_bytes(),
            Self::Restore(command) => command.format(),
            Self::EndRestore => b"endrestore".to_vec(),
            Self::Session(text) => format!("session {text}\n").into_bytes(),
            Self::Status => b"status".to_vec(),
            Self::StatusQuery(query) => query.format(),
            Self::Storage(command) => command.format(),
            Self::Verify(level) => format!("verify level={}\n", level.name()).into_bytes(),
            Self::ComponentInfo => b"component_info\n".to_vec(),
            Self::RunBeforeNow => b"RunBeforeNow\n".to_vec(),
            Self::RunBeforeJob(command) => {
                format!("RunBeforeJob {}\n", types::bash_spaces(command)).into_bytes()
            }
            Self::RunAfterJob(command) => {
                format!("RunAfterJob {}\n", types::bash_spaces(command)).into_bytes()
            }
            Self::Run(script) => script.format(),
            Self::Accurate { files } => format!("accurate files={files}\n").into_bytes(),
            Self::RestoreObject(RestoreObject::Object(text)) => {
                format!("restoreobject {text}\n").into_bytes()
            }
            Self::RestoreObject(RestoreObject::End) => b"restoreobject end\n".to_vec(),
            Self::MemoryDump => b"sm_dump".to_vec(),
            Self::Proxy => b"proxy".to_vec(),
            Self::Caps => b"caps".to_vec(),
            Self::TestNetwork(command) => command.format(),
            Self::PluginFeatures => b"PluginFeatures\n".to_vec(),
            Self::RestoreFileList { plugin } => format!("restorefilelist plugin={plugin}\n").into_bytes(),
            Self::Statistics(text) => format!("statistics{text}\n").into_bytes(),
            Self::Query(text) => format!("query {text}\n").into_bytes(),
            Self::Holdfast(command) => command.format(),
        }
    }
}
