//! What processes say to each other. Journal records, answers, catalog requests and the lines of `jobs` are the daemons' own bytes; the
//! dialogue around them is told as values.

use storage::job::JobSpec;
use storage::ledger::Registration;
use types::{Attempt, FileIndex, JobId, Nonce, Seq, VolSession};
use wire::verdict::Standing;

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pid {
    /// A Director instance.
    Director(usize),
    /// A Storage Daemon.
    Storage(usize),
    /// A File Daemon.
    Client(usize),
    /// The catalog's server.
    Catalog,
}

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub u64);

/// One job of one client, as the Director orders it from the File Daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// Job.
    pub job: JobId,
    /// Unique name.
    pub unique: String,
    /// Attempt.
    pub attempt: Attempt,
    /// Where to send the data.
    pub storage: usize,
    /// Whose order it is.
    pub standing: Standing,
}

/// Bytes that are text to who reads a trace.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) Vec<u8>);

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Message {
    /// Director to Storage Daemon: the registration of extensions §2.
    Register(Box<Registration>),
    /// The answer.
    Registered(Nonce),
    /// A higher epoch is known, the one in the text.
    Stale(types::Epoch),
    /// `JobId=` and `use storage=`.
    StartJob(Box<JobSpec>),
    /// The answer.
    JobStarted(VolSession),
    /// `run`.
    Run,
    /// `jobs`.
    ListJobs,
    /// The answer's lines.
    Jobs(Vec<String>),
    /// `attach`.
    Attach {
        /// Job.
        unique: String,
        /// Attempt.
        attempt: Attempt,
        /// First record wanted.
        from: Seq,
    },
    /// The answer.
    Attached,
    /// `3983`: not known here.
    NotKnown,
    /// `close`, which is answered by [`Message::Closed`].
    Close {
        /// Job.
        unique: String,
        /// Attempt.
        attempt: Attempt,
    },
    /// The answer.
    Closed,
    /// A packet of a job's connection: `Jrn`, `Ack`, `Ans`.
    Packet(Line),
    /// Director to File Daemon: do this.
    Backup(Box<Order>),
    /// Whether the attempt is known; its end follows when it is there.
    AskJob {
        /// Job.
        job: JobId,
        /// Attempt.
        attempt: Attempt,
        /// Who asks.
        standing: Standing,
    },
    /// The answer.
    KnowsJob(bool),
    /// `2800 End Job …` of an attempt.
    ClientEnd(Line),
    /// The catalog has the end.
    TakenEnd,
    /// File Daemon to Storage Daemon: the data of a job come.
    Open {
        /// Job.
        unique: String,
        /// Attempt.
        attempt: Attempt,
    },
    /// A file.
    File {
        /// Its number.
        index: FileIndex,
        /// Its content.
        data: Vec<u8>,
    },
    /// No more files.
    End,
    /// The Storage Daemon takes the next.
    Next,
    /// All is stored and synced.
    Stored,
    /// The job has ended otherwise.
    Failed,
}
