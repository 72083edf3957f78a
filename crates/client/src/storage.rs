//! The session with the Storage Daemon (spec/02 §1).

use std::io;
use std::time::Duration;

use net::NetError;
use net::blocking::{Conn, Throttle};
use types::{JobStatus, VolSession};
use wire::frame::{Packet, PacketRef, Signal};
use wire::msg::fd_sd::{Answer, Command, RecordHeader};

use crate::backup::FrameSink;
use crate::counters::Counters;
use crate::job::Job;

/// Why the Storage Daemon's session failed. Texts are Bacula's.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The connection.
    #[error("Network error with Storage daemon: {}", chain(.0))]
    Net(#[from] NetError),
    /// Another answer than expected.
    #[error("Bad response from SD to {command} command. Wanted {wanted}, got len={len} msg=\"{got}\"", len = .got.len())]
    Answer {
        /// What was asked.
        command: &'static str,
        /// What was expected.
        wanted: &'static str,
        /// What came.
        got: String,
    },
    /// The SD ended the job in another way than well.
    #[error("Bad status {code} {letter} returned from Storage Daemon.", code = .0.map_or(0, JobStatus::code), letter = .0.map_or(' ', JobStatus::letter))]
    Status(Option<JobStatus>),
    /// A record's length is not what its header said.
    #[error("Actual data size {actual} not same as header {header}")]
    Size {
        /// As received.
        actual: usize,
        /// As announced.
        header: u32,
    },
    /// No record header where one must be.
    #[error("Record header scan error: {line}")]
    Header {
        /// As received.
        line: String,
    },
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// An authenticated connection to a Storage Daemon.
pub struct StorageSession {
    conn: Conn,
}

impl StorageSession {
    /// Around an open connection.
    #[must_use]
    pub fn new(conn: Conn) -> Self {
        Self { conn }
    }

    fn ask(&mut self, command: &Command) -> Result<Answer, StorageError> {
        self.conn.writer.send(command.format())?;
        self.answer()
    }

    /// The next answer; keep-alives and answers to polls are skipped.
    fn answer(&mut self) -> Result<Answer, StorageError> {
        loop {
            match self.conn.reader.recv()? {
                Packet::Data(line) => match Answer::parse(&line) {
                    Answer::Poll => {}
                    answer => return Ok(answer),
                },
                Packet::Signal(Signal::Heartbeat | Signal::HbResponse) => {}
                Packet::Signal(Signal::Poll) => self.conn.writer.send(Answer::Poll.format())?,
                Packet::Signal(signal) => {
                    let got = format!("signal {}", signal.number());
                    return Ok(Answer::Error(got));
                }
            }
        }
    }

    /// Opens the append session; data follows.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn append_open(&mut self) -> Result<u32, StorageError> {
        let ticket = match self.ask(&Command::AppendOpen)? {
            Answer::Ticket(ticket) => ticket,
            other => return Err(unexpected("append open", "3000 OK open ticket", &other)),
        };
        match self.ask(&Command::AppendData(ticket))? {
            Answer::Data => Ok(ticket),
            other => Err(unexpected("append data", "3000 OK data", &other)),
        }
    }

    /// Ends the append session behind the final end-of-data signal.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn append_close(&mut self, ticket: u32) -> Result<(), StorageError> {
        match self.answer()? {
            Answer::Append => {}
            other => return Err(unexpected("append data", "3000 OK append data", &other)),
        }
        match self.ask(&Command::AppendEnd(ticket))? {
            Answer::End => {}
            other => return Err(unexpected("append end", "3000 OK end", &other)),
        }
        match self.ask(&Command::AppendClose(ticket))? {
            Answer::Close(Some(JobStatus::Terminated | JobStatus::Warnings | JobStatus::Incomplete)) => {
                Ok(())
            }
            Answer::Close(status) => Err(StorageError::Status(status)),
            other => Err(unexpected("append close", "3000 OK close", &other)),
        }
    }

    /// What the Storage Daemon said before it closed the connection, if anything.
    pub fn last_words(&mut self) -> Option<String> {
        self.conn.reader.set_timeout(Some(Duration::from_secs(2))).ok()?;
        let mut words = None;
        for _ in 0..20 {
            match self.conn.reader.recv() {
                Ok(Packet::Data(line)) => {
                    if let Answer::Error(text) = Answer::parse(&line) {
                        words = Some(text);
                    }
                }
                Ok(Packet::Signal(_)) => {}
                Err(_) => break,
            }
        }
        words
    }

    /// Opens the read session.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn read_open(&mut self, session: VolSession) -> Result<u32, StorageError> {
        let open = Command::ReadOpen { volume: "DummyVolume".to_owned(), session };
        let ticket = match self.ask(&open)? {
            Answer::Ticket(ticket) => ticket,
            other => return Err(unexpected("read open", "3000 OK open ticket", &other)),
        };
        match self.ask(&Command::ReadData(ticket))? {
            Answer::Data => Ok(ticket),
            other => Err(unexpected("read data", "3000 OK data", &other)),
        }
    }

    /// Reads the session's records and gives each to `take`, until the end of data or until it gives `false`.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn read_records(
        &mut self,
        mut take: impl FnMut(RecordHeader, &[u8]) -> bool,
    ) -> Result<(), StorageError> {
        loop {
            let header = match self.conn.reader.recv_ref()? {
                PacketRef::Data(line) => RecordHeader::parse(line)
                    .map_err(|_| StorageError::Header { line: String::from_utf8_lossy(line).into_owned() })?,
                PacketRef::Signal(Signal::Eod | Signal::Terminate) => return Ok(()),
                PacketRef::Signal(_) => continue,
            };
            let more = loop {
                match self.conn.reader.recv_ref()? {
                    PacketRef::Data(data) if data.len() != header.len as usize => {
                        return Err(StorageError::Size { actual: data.len(), header: header.len });
                    }
                    PacketRef::Data(data) => break take(header, data),
                    PacketRef::Signal(Signal::Heartbeat) => {}
                    PacketRef::Signal(signal) => {
                        return Err(StorageError::Header { line: format!("signal {}", signal.number()) });
                    }
                }
            };
            if !more {
                return Ok(());
            }
        }
    }

    /// Ends the read session. Its status is the Storage Daemon's business: it tells the Director itself.
    ///
    /// # Errors
    /// [`StorageError::Net`].
    pub fn read_close(&mut self, ticket: u32) -> Result<(), StorageError> {
        self.ask(&Command::ReadClose(ticket)).map(|_| ())
    }

    /// Says good-bye.
    pub fn terminate(&mut self) {
        // The Storage Daemon may be gone already.
        let _ = self.conn.writer.signal(Signal::Terminate).and_then(|()| self.conn.writer.flush());
    }

    /// Where the data path writes to.
    pub fn sink<'s>(&'s mut self, job: &'s Job) -> StorageSink<'s> {
        StorageSink { session: self, job, throttle: Throttle::default() }
    }
}

fn unexpected(command: &'static str, wanted: &'static str, got: &Answer) -> StorageError {
    let got = String::from_utf8_lossy(&got.format()).trim_end().to_owned();
    StorageError::Answer { command, wanted, got }
}

/// Writes frames to the Storage Daemon, within the job's bandwidth.
pub struct StorageSink<'s> {
    session: &'s mut StorageSession,
    job: &'s Job,
    throttle: Throttle,
}

impl FrameSink for StorageSink<'_> {
    fn write_frames(&mut self, framed: &[u8], payload_bytes: u64) -> io::Result<()> {
        let rate = Counters::get(&self.job.counters.bandwidth);
        let wait = self.throttle.due_in(rate, framed.len() as u64);
        // A cancelled job finds out by itself what that means for its stream.
        let _ = self.throttle.pause(wait, || self.job.stop.is_canceled());
        self.session.conn.writer.raw(framed, payload_bytes).map_err(|error| io::Error::other(chain(&error)))
    }
}
