//! Messages of one job.

use super::center::{LogRow, MessageCenter};
use super::codes::{Codes, expand};
use super::mail;
use super::sinks::syslog;
use crate::text;
use conf::messages::{Destination, DestinationKind, MessageType};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use types::{JobId, Timestamp};

/// Text kept for a mail; what comes after it is counted.
const MAIL_BYTES_MAX: usize = 2 << 20;

/// One message as it is routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// When it was said.
    pub time: Timestamp,
    /// What kind it is.
    pub kind: MessageType,
    /// `<daemon> JobId <n>: text`, ending in a line feed.
    pub text: String,
}

/// The messages of one job (or of the daemon, JobId 0). Cheap to clone.
#[derive(Clone)]
pub struct JobMessages {
    shared: Arc<Shared>,
}

struct Shared {
    center: MessageCenter,
    destinations: Arc<[Destination]>,
    job: JobId,
    codes: Mutex<Codes>,
    /// Per destination, the text for the mail at the end.
    collected: Mutex<Vec<Collected>>,
    errors: AtomicU32,
    warnings: AtomicU32,
}

#[derive(Default, Clone)]
struct Collected {
    text: String,
    left_out: u32,
}

impl JobMessages {
    pub(super) fn new(center: MessageCenter, destinations: Arc<[Destination]>, job: JobId) -> Self {
        let collected = Mutex::new(vec![Collected::default(); destinations.len()]);
        let codes = Codes { director: center.inner.director.clone(), job_id: job.get(), ..Codes::default() };
        Self {
            shared: Arc::new(Shared {
                center,
                destinations,
                job,
                codes: Mutex::new(codes),
                collected,
                errors: AtomicU32::new(0),
                warnings: AtomicU32::new(0),
            }),
        }
    }

    /// What mail and operator commands may name.
    pub(crate) fn set_codes(&self, codes: Codes) {
        *self.shared.codes.lock().unwrap_or_else(PoisonError::into_inner) = codes;
    }

    /// Errors (of any daemon) so far.
    #[must_use]
    pub fn errors(&self) -> u32 {
        self.shared.errors.load(Ordering::Relaxed)
    }

    /// Warnings so far.
    #[must_use]
    pub fn warnings(&self) -> u32 {
        self.shared.warnings.load(Ordering::Relaxed)
    }

    /// A message of the Director itself: gets the Director's name, the JobId and the word for its severity.
    pub fn put(&self, kind: MessageType, text: &str) {
        let prefix = &self.shared.center.inner.director;
        let job = self.shared.job;
        let feed = if text.ends_with('\n') { "" } else { "\n" };
        let text = format!("{prefix} JobId {job}: {}{text}{feed}", label(kind));
        self.send(&Message { time: crate::text::now(), kind, text });
    }

    /// A report: as [`Self::put`], but it says itself how it ended, so it is not counted as an error.
    pub(crate) fn report(&self, kind: MessageType, text: &str) {
        let prefix = &self.shared.center.inner.director;
        let text = format!("{prefix} JobId {}: {}{text}", self.shared.job, label(kind));
        let counted = (self.errors(), self.warnings());
        self.send(&Message { time: crate::text::now(), kind, text });
        self.shared.errors.store(counted.0, Ordering::Relaxed);
        self.shared.warnings.store(counted.1, Ordering::Relaxed);
    }

    /// Information by the Director.
    pub fn info(&self, text: &str) {
        self.put(MessageType::Info, text);
    }

    /// A warning by the Director.
    pub fn warning(&self, text: &str) {
        self.put(MessageType::Warning, text);
    }

    /// An error by the Director.
    pub fn error(&self, text: &str) {
        self.put(MessageType::Error, text);
    }

    /// A fatal error by the Director.
    pub fn fatal(&self, text: &str) {
        self.put(MessageType::Fatal, text);
    }

    /// Routes a message, as one that a daemon sent.
    pub fn send(&self, message: &Message) {
        if self.send_but_catalog(message) {
            let (job, time, text) = (self.shared.job, message.time, message.text.clone());
            self.shared.center.to_log(LogRow { job, time, text });
        }
    }

    /// Routes a message to all destinations but the catalog; tells whether it is wanted there too.
    pub(crate) fn send_but_catalog(&self, message: &Message) -> bool {
        match message.kind {
            MessageType::Fatal | MessageType::Error | MessageType::ErrorTerm => {
                self.shared.errors.fetch_add(1, Ordering::Relaxed);
            }
            MessageType::Warning => {
                self.shared.warnings.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        tracing::debug!(job = %self.shared.job, kind = ?message.kind, "{}", message.text.trim_end());
        let line = format!("{} {}", text::message_time(message.time), message.text);
        for (position, destination) in self.shared.destinations.iter().enumerate() {
            if destination.types.contains(message.kind) {
                self.deliver(position, destination, message, &line);
            }
        }
        let catalog = |d: &&Destination| d.kind == DestinationKind::Catalog && d.types.contains(message.kind);
        self.shared.destinations.iter().any(|destination| catalog(&destination))
    }

    fn deliver(&self, position: usize, destination: &Destination, message: &Message, line: &str) {
        let center = &self.shared.center;
        let address = || destination.addresses.first().map_or("", String::as_str);
        match destination.kind {
            DestinationKind::Console => center.to_console(line),
            // Stored by whoever called: with the journal's position, or through `to_log`.
            DestinationKind::Catalog => {}
            DestinationKind::Append => center.to_files(|files| files.append(address(), line)),
            DestinationKind::File => {
                let first = self.collect(position, "") == 0;
                self.collect(position, "\n");
                center.to_files(|files| files.write(address(), line, first));
            }
            DestinationKind::Stdout => center.to_files(|files| files.stdout(line)),
            DestinationKind::Stderr => center.to_files(|files| files.stderr(line)),
            DestinationKind::Syslog => syslog(message.kind, &message.text),
            DestinationKind::Operator => self.send_operator(destination, line),
            DestinationKind::Mail | DestinationKind::MailOnError | DestinationKind::MailOnSuccess => {
                self.collect(position, line);
            }
            // A Director has no Director above it.
            DestinationKind::Director => {}
        }
    }

    /// Keeps text for the end; returns the bytes kept before.
    fn collect(&self, position: usize, line: &str) -> usize {
        let mut collected = self.shared.collected.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = collected.get_mut(position) else { return 0 };
        let before = kept.text.len();
        if before + line.len() > MAIL_BYTES_MAX {
            kept.left_out += 1;
        } else {
            kept.text.push_str(line);
        }
        before
    }

    fn send_operator(&self, destination: &Destination, line: &str) {
        let codes = self.shared.codes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let command = self.command(destination, &codes);
        mail::spawn(command, line.to_owned());
    }

    fn command(&self, destination: &Destination, codes: &Codes) -> String {
        let codes = (self.shared.job != JobId(0)).then_some(codes);
        let recipients = destination.addresses.join(" ");
        expand(destination.command.as_deref().unwrap_or_default(), codes, &recipients)
    }

    /// Sends the mails at the job's end. Returns when all mail programs have ended or were given up.
    pub(crate) async fn end(&self, codes: &Codes, success: bool) {
        let collected = {
            let mut collected = self.shared.collected.lock().unwrap_or_else(PoisonError::into_inner);
            let count = collected.len();
            std::mem::replace(&mut *collected, vec![Collected::default(); count])
        };
        for (destination, kept) in self.shared.destinations.iter().zip(collected) {
            let wanted = match destination.kind {
                DestinationKind::Mail => true,
                DestinationKind::MailOnError => !success,
                DestinationKind::MailOnSuccess => success,
                _ => false,
            };
            if !wanted || kept.text.is_empty() {
                continue;
            }
            let mut body = kept.text;
            if kept.left_out > 0 {
                body.push_str(&format!("({} more messages are in the catalog's job log.)\n", kept.left_out));
            }
            mail::run(self.command(destination, codes), body).await;
        }
    }
}

/// The word before the text of a message by its severity (spec/04 §9.2).
fn label(kind: MessageType) -> &'static str {
    match kind {
        MessageType::Abort => "ABORTING due to ERROR\n",
        MessageType::ErrorTerm => "ERROR TERMINATION\n",
        MessageType::Fatal => "Fatal error: ",
        MessageType::Error => "Error: ",
        MessageType::Warning => "Warning: ",
        MessageType::Security => "Security Alert: ",
        MessageType::Debug
        | MessageType::Info
        | MessageType::Saved
        | MessageType::NotSaved
        | MessageType::Skipped
        | MessageType::Mount
        | MessageType::Terminate
        | MessageType::Restored
        | MessageType::Alert
        | MessageType::VolMgmt
        | MessageType::Verified
        | MessageType::Events => "",
    }
}
