//! The reading job of a copy or migration: its records go to the Storage Daemon that writes them (spec/03 §7.1).

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use net::blocking::{Conn, PacketReader, PacketWriter, Throttle};
use types::{FileIndex, VolSession};
use volume::Record;
use wire::Signal;

use super::{ClientError, RestoreError, Session, Sink, chain, expect, failed, recv_line};
use crate::daemon::Daemon;
use crate::device::Device;
use crate::job::{Job, JobEnd, StopRequest};

/// A wait that is worth a flush and a sleep.
const WAIT_MIN: Duration = Duration::from_millis(25);

/// Runs the reading job of a copy whose writing side is connected.
pub fn run_copy_source(daemon: &Arc<Daemon>, job: &Arc<Job>, device: &Arc<Device>, conn: Conn) -> JobEnd {
    let runs = Runs::new(conn.peer().holdfast > 0);
    let (mut reader, writer, _peer, closer) = conn.split();
    let mut session = match Session::new(daemon, job, device, writer, Sink::Storage(runs)) {
        Ok(session) => session,
        Err(error) => return failed(job, &error),
    };
    let result = session.feed(&mut reader);
    let end = session.end(result, "copied");
    closer.close();
    end
}

impl Session<'_> {
    /// Both sides say that they are ready, the records flow, the writer answers when all of them are safe.
    fn feed(&mut self, reader: &mut PacketReader) -> Result<(), RestoreError> {
        // The writing side calls by order of the Director.
        self.job.is_opened.store(true, Ordering::Relaxed);
        self.writer.send(b"3000 OK data\n").map_err(ClientError::from)?;
        expect(reader, "3000 OK data")?;
        // Without its last EOD the writer knows that something is missing.
        self.read_volumes()?;
        if let Sink::Storage(runs) = &mut self.sink {
            runs.close(&mut self.writer)?;
        }
        self.writer.signal(Signal::Eod).map_err(ClientError::from)?;
        self.writer.flush().map_err(ClientError::from)?;
        // What becomes of the copy its own job tells.
        match recv_line(reader) {
            Ok(line) if line.starts_with(b"3000 OK append data") => {}
            Ok(line) => {
                let said = wire::scan::shorten(&line);
                tracing::info!(job = %self.job.spec.id, said, "the writing side did not take the data well");
            }
            Err(error) => {
                tracing::info!(job = %self.job.spec.id, error = chain(&error), "the writing side left without an answer");
            }
        }
        Ok(())
    }
}

/// Records as the writing side takes them: those of one file and stream that follow on each other are one run.
#[derive(Debug)]
pub(super) struct Runs {
    /// The peer takes the files' own numbers; another one gets 1, 2, 3 …
    keeps_numbers: bool,
    open: Option<(VolSession, FileIndex, i32)>,
    last_number: i32,
    header: Vec<u8>,
    throttle: Throttle,
}

impl Runs {
    fn new(keeps_numbers: bool) -> Self {
        Self { keeps_numbers, open: None, last_number: 0, header: Vec::new(), throttle: Throttle::default() }
    }

    /// Sends a record, no faster than the job may.
    pub(super) fn put(
        &mut self,
        job: &Job,
        writer: &mut PacketWriter,
        record: &Record<'_>,
    ) -> Result<(), RestoreError> {
        let run = (record.session, record.index, record.stream);
        if self.open != Some(run) {
            self.close(writer)?;
            let number = self.number(record);
            self.header.clear();
            let _ = write!(self.header, "{number} {} {}", record.stream, record.data.len());
            writer.data(&self.header).map_err(ClientError::from)?;
            self.open = Some(run);
            self.last_number = number;
        }
        writer.data(&record.data).map_err(ClientError::from)?;
        self.pace(job, writer, record.data.len() as u64)
    }

    /// The number of the record's file, when its run begins: the last one's while the file is the same.
    fn number(&self, record: &Record<'_>) -> i32 {
        if self.keeps_numbers {
            return record.index.0;
        }
        let is_same =
            self.open.is_some_and(|(session, index, _)| (session, index) == (record.session, record.index));
        self.last_number + i32::from(!is_same)
    }

    /// Ends the run that is open.
    fn close(&mut self, writer: &mut PacketWriter) -> Result<(), RestoreError> {
        if self.open.is_some() {
            writer.signal(Signal::Eod).map_err(ClientError::from)?;
        }
        Ok(())
    }

    fn pace(&mut self, job: &Job, writer: &mut PacketWriter, bytes: u64) -> Result<(), RestoreError> {
        let wait = self.throttle.due_in(job.bandwidth_bytes_per_s.load(Ordering::Relaxed), bytes);
        if wait < WAIT_MIN {
            return Ok(());
        }
        writer.flush().map_err(ClientError::from)?;
        if self.throttle.pause(wait, || job.stop.get() != StopRequest::None) {
            Ok(())
        } else {
            Err(RestoreError::Stopped)
        }
    }
}
