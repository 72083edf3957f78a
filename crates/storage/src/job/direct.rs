//! The way to a stock Director: as a stock SD would (spec/03 §3).

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use types::{JobId, JobStatus};
use wire::Signal;
use wire::version::Generation;

use super::line::Line;
use super::message::{self, JobMediaSpan, Kind};
use super::outbox::OutboxError;
use super::state::StopFlag;
use crate::lock::lock;

/// How often a waiting request looks whether the job is to stop.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The way to a stock Director.
#[derive(Debug)]
pub struct DirectOutbox {
    job: JobId,
    daemon: String,
    generation: Generation,
    line: Arc<Line>,
    /// Answers that the connection's reader passes on. Held while asking: one request at a time.
    answers: Mutex<Receiver<Vec<u8>>>,
    stop: Arc<StopFlag>,
    spool: Option<Mutex<Spool>>,
}

impl DirectOutbox {
    /// Over a connection; `spool` is a file for attributes until the end of the job.
    #[must_use]
    pub fn new(
        job: JobId,
        daemon: &str,
        generation: Generation,
        line: Arc<Line>,
        answers: Receiver<Vec<u8>>,
        stop: Arc<StopFlag>,
        spool: Option<Spool>,
    ) -> Self {
        Self {
            job,
            daemon: daemon.to_owned(),
            generation,
            line,
            answers: Mutex::new(answers),
            stop,
            spool: spool.map(Mutex::new),
        }
    }

    /// The connection.
    #[must_use]
    pub const fn line(&self) -> &Arc<Line> {
        &self.line
    }

    pub(crate) fn message(&self, kind: Kind, text: &str) {
        let payload = message::job_message(self.job, &self.daemon, kind, self.generation, text);
        // A Director that is gone hears no messages; the next request fails and ends the job.
        let _ = self.line.send(&payload);
    }

    pub(crate) fn status(&self, status: JobStatus) {
        let _ = self.line.send(format!("Status JobId={} JobStatus={}\n", self.job, status.code()).as_bytes());
    }

    pub(crate) fn request(&self, line: &str) -> Result<Vec<u8>, OutboxError> {
        let answers = lock(&self.answers);
        while answers.try_recv().is_ok() {
            tracing::warn!(job = %self.job, "an answer that nobody asked for");
        }
        self.line.send(format!("{line}\n").as_bytes()).map_err(|_| OutboxError::Lost)?;
        self.answer(&answers)
    }

    fn answer(&self, answers: &Receiver<Vec<u8>>) -> Result<Vec<u8>, OutboxError> {
        loop {
            match answers.recv_timeout(LOOK_EVERY) {
                Ok(answer) => return Ok(answer),
                Err(RecvTimeoutError::Disconnected) => return Err(OutboxError::Lost),
                Err(RecvTimeoutError::Timeout) if !self.line.is_open() => return Err(OutboxError::Lost),
                Err(RecvTimeoutError::Timeout) if self.stop.is_canceled() => {
                    return Err(OutboxError::Canceled);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    pub(crate) fn attributes(&self, messages: &[Vec<u8>]) -> Result<(), OutboxError> {
        if let Some(spool) = &self.spool {
            return lock(spool).put(messages);
        }
        self.send_all(messages)
    }

    fn send_all(&self, messages: &[Vec<u8>]) -> Result<(), OutboxError> {
        let sent = self.line.with(|writer| {
            messages.iter().try_for_each(|m| writer.data(m))?;
            writer.flush()
        });
        sent.map_err(|_| OutboxError::Lost)
    }

    pub(crate) fn job_media(&self, spans: &[JobMediaSpan]) -> Result<(), OutboxError> {
        let answers = lock(&self.answers);
        let sent = self.line.with(|writer| {
            writer.data(format!("CatReq JobId={} CreateJobMedia\n", self.job).as_bytes())?;
            spans.iter().try_for_each(|s| writer.data(s.stock_row().as_bytes()))?;
            writer.signal(Signal::Eod)?;
            writer.flush()
        });
        sent.map_err(|_| OutboxError::Lost)?;
        let answer = self.answer(&answers)?;
        drop(answers);
        if !answer.starts_with(b"1000 ") {
            self.message(
                Kind::Error,
                &format!("Error creating JobMedia records: {}", wire::scan::text(&answer)),
            );
        }
        Ok(())
    }

    /// Sends the spooled attributes: the job's data are on the Volume.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn despool(&self) -> Result<(), OutboxError> {
        let Some(spool) = &self.spool else { return Ok(()) };
        let mut spool = lock(spool);
        if spool.bytes == 0 {
            return Ok(());
        }
        self.status(JobStatus::AttrDespooling);
        let bytes = crate::text::with_commas(spool.bytes);
        self.message(
            Kind::Info,
            &format!("Sending spooled attrs to the Director. Despooling {bytes} bytes ..."),
        );
        spool.each(|messages| self.send_all(messages))
    }
}

/// Attributes of a job until its end, in a file: `u32 length, message`, big-endian.
#[derive(Debug)]
pub struct Spool {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

/// Messages read back from a spool at once.
const BATCH: usize = 256;

impl Spool {
    /// An empty spool. The file is removed with it.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file), bytes: 0 })
    }

    fn failed(&self, source: std::io::Error) -> OutboxError {
        OutboxError::Journal(crate::journal::JournalError::Io {
            path: self.path.display().to_string(),
            source,
        })
    }

    fn put(&mut self, messages: &[Vec<u8>]) -> Result<(), OutboxError> {
        for message in messages {
            let len = (message.len() as u32).to_be_bytes();
            let written = self.file.write_all(&len).and_then(|()| self.file.write_all(message));
            written.map_err(|e| self.failed(e))?;
            self.bytes += 4 + message.len() as u64;
        }
        Ok(())
    }

    fn each(
        &mut self,
        mut send: impl FnMut(&[Vec<u8>]) -> Result<(), OutboxError>,
    ) -> Result<(), OutboxError> {
        let rewound = self.file.flush().and_then(|()| self.file.get_ref().try_clone());
        let mut file = rewound.map_err(|e| self.failed(e))?;
        file.seek(SeekFrom::Start(0)).map_err(|e| self.failed(e))?;
        let mut reader = BufReader::new(file);
        let mut left = self.bytes;
        let mut batch = Vec::with_capacity(BATCH);
        while left > 0 {
            let mut len = [0; 4];
            reader.read_exact(&mut len).map_err(|e| self.failed(e))?;
            let mut message = vec![0; u32::from_be_bytes(len) as usize];
            reader.read_exact(&mut message).map_err(|e| self.failed(e))?;
            left = left.saturating_sub(4 + message.len() as u64);
            batch.push(message);
            if batch.len() == BATCH {
                send(&batch)?;
                batch.clear();
            }
        }
        send(&batch)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Left behind it would only take room; the next start does not read it.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_gives_back_what_was_put() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.spool");
        let mut spool = Spool::create(&path).unwrap();
        let messages: Vec<Vec<u8>> = (0..1000u32).map(|n| n.to_be_bytes().repeat(n as usize % 7)).collect();
        spool.put(&messages[..400]).unwrap();
        spool.put(&messages[400..]).unwrap();
        let mut got = Vec::new();
        spool
            .each(|batch| {
                got.extend_from_slice(batch);
                Ok(())
            })
            .unwrap();
        assert_eq!(got, messages);
        drop(spool);
        assert!(!path.exists());
    }
}
