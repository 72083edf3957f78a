//! A Director's session: jobs and console commands over one connection (spec/03 §2).

mod job;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::Sender;
use net::blocking::{Conn, PacketReader};
use types::{ActivationId, CatalogId, Epoch};
use wire::hello::Hello;
use wire::msg::holdfast::StoragePlace;
use wire::scan::Fields;
use wire::version::{DirVersion, Generation};
use wire::{PacketRef, Signal};

use super::Daemon;
use super::command::Console;
use super::inventory::list_line;
use crate::job::{Job, JobPhase, Line, Outbox};
use crate::ledger::{DirectorKey, NotServing, RegisterError, Registration};
use crate::session::chain;

/// Serves a Director until it leaves.
pub(crate) fn serve(daemon: &Arc<Daemon>, director: &conf::storage::Director, conn: Conn) {
    let version = match &conn.peer().hello {
        Hello::DirectorToStorage { version, .. } => *version,
        _ => DirVersion::default(),
    };
    let has_additions = conn.peer().holdfast > 0;
    let (reader, writer, _peer, closer) = conn.split();
    let line = Arc::new(Line::new(writer, closer));
    let mut session = Session {
        daemon: Arc::clone(daemon),
        director: director.name.clone(),
        is_monitor: director.monitor,
        generation: version.generation(),
        has_additions,
        line,
        registration: None,
        job: None,
        not_serving: None,
        answers: None,
        is_busy: Arc::new(AtomicBool::new(false)),
    };
    session.run(reader);
    session.leave();
}

/// What the loop does after a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Go,
    Leave,
}

struct Session {
    daemon: Arc<Daemon>,
    director: String,
    is_monitor: bool,
    generation: Generation,
    has_additions: bool,
    line: Arc<Line>,
    registration: Option<Registration>,
    job: Option<Arc<Job>>,
    /// Why nothing is read or written for this connection: its Storage is not the one that serves.
    not_serving: Option<NotServing>,
    /// Where a stock Director's answers go while a job of this connection asks.
    answers: Option<Sender<Vec<u8>>>,
    /// Whether the job's thread is at work: then a stock Director's packets are answers.
    is_busy: Arc<AtomicBool>,
}

impl Session {
    fn run(&mut self, mut reader: PacketReader) {
        if !self.has_additions && self.daemon.registry.has_epochs(&self.director) {
            self.refuse(&format!(
                "3982 Director \"{d}\" has had epochs here; a connection without one is refused. Use \"holdfast storage \
                 forget-director {d}\" if it has gone back to Bacula.\n",
                d = self.director
            ));
            return;
        }
        loop {
            let packet = match reader.recv_ref() {
                Ok(PacketRef::Data(data)) => data.to_vec(),
                Ok(PacketRef::Signal(Signal::Terminate)) => return,
                Ok(PacketRef::Signal(_)) => continue,
                Err(error) => {
                    tracing::debug!(director = self.director, error = chain(&error), "connection ended");
                    return;
                }
            };
            if self.packet(&packet, &mut reader) == Next::Leave {
                return;
            }
        }
    }

    /// The connection is over: what depended on it is told.
    fn leave(&mut self) {
        self.line.note_closed();
        self.answers = None;
        let Some(job) = &self.job else { return };
        match &job.outbox {
            Outbox::Journaled(journal) => journal.detach(&self.line),
            Outbox::Direct(_) => {
                let phase = job.state().phase;
                if !self.is_busy.load(Ordering::Acquire) && phase == JobPhase::Reserved {
                    // It never came to `run`.
                    self.daemon.release_devices(job.session);
                    self.daemon.jobs.remove(job);
                }
            }
        }
        self.line.close();
    }

    fn refuse(&self, text: &str) {
        tracing::warn!(director = self.director, answer = text.trim_end(), "refused");
        let _ = self.line.send(text.as_bytes());
        let _ = self.line.signal(Signal::Terminate);
    }

    fn say(&self, text: &str) {
        // A Director that has gone is noticed by the receiving side.
        let _ = self.line.send(text.as_bytes());
    }

    fn packet(&mut self, packet: &[u8], reader: &mut PacketReader) -> Next {
        if let Err(error) = self.check_epoch(packet) {
            self.refuse(&format!("3981 {error}\n"));
            return Next::Leave;
        }
        if self.for_journal(packet) {
            return Next::Go;
        }
        if self.is_busy.load(Ordering::Acquire) && !self.has_additions {
            if let Some(answers) = &self.answers
                && answers.try_send(packet.to_vec()).is_err()
            {
                tracing::warn!(director = self.director, "more answers than questions");
            }
            return Next::Go;
        }
        self.command(packet, reader)
    }

    fn check_epoch(&self, packet: &[u8]) -> Result<(), RegisterError> {
        if !self.has_additions || packet.starts_with(b"director ") {
            return Ok(());
        }
        match &self.registration {
            Some(held) => self.daemon.registry.check_current(held),
            None => Ok(()),
        }
    }

    fn command(&mut self, line: &[u8], reader: &mut PacketReader) -> Next {
        let text = wire::scan::text(line);
        if line.starts_with(b"director ") && self.has_additions {
            return self.register(line);
        }
        if self.has_additions && self.registration.is_none() {
            self.refuse("3984 The first command of a Director must be \"director\".\n");
            return Next::Leave;
        }
        if self.is_monitor && !(text.starts_with("status") || text.starts_with(".status")) {
            self.say("3997 Invalid command for a Director with Monitor directive enabled.\n");
            let _ = self.line.signal(Signal::Eod);
            return Next::Go;
        }
        tracing::debug!(director = self.director, command = text, "command");
        if let Some(refused) = self.not_serving.as_ref().filter(|_| uses_storage(line)) {
            self.say(&format!("3989 {refused}\n"));
            if !line.starts_with(b"JobId=") {
                let _ = self.line.signal(Signal::Eod);
            }
            return Next::Go;
        }
        if line.starts_with(b"JobId=") {
            self.start_job(line);
        } else if line.starts_with(b"use storage=") {
            self.use_storage(line, reader);
        } else if line.starts_with(b"bootstrap") {
            self.bootstrap(reader);
        } else if line.starts_with(b"client ") {
            self.client_address(line);
        } else if line.starts_with(b"storage address=") {
            self.storage_address(line);
        } else if line.starts_with(b"run") {
            return self.run_command();
        } else if line.starts_with(b"sendprogress") {
            // Progress lines are optional.
        } else if self.is_holdfast_command(line) {
            self.holdfast_command(line);
        } else {
            let console = Console {
                daemon: &self.daemon,
                key: self.key(),
                line: &self.line,
                registration: self.registration.as_ref(),
            };
            console.command(&text);
        }
        Next::Go
    }

    fn key(&self) -> DirectorKey {
        match &self.registration {
            Some(registration) => registration.key.clone(),
            None => DirectorKey { name: self.director.clone(), catalog: None },
        }
    }

    /// `director epoch= activation= catalog= instance=` (docs/extensions.md §2).
    fn register(&mut self, line: &[u8]) -> Next {
        let f = Fields::new(line);
        let parsed = (|| {
            Some(Registration {
                key: DirectorKey {
                    name: self.director.clone(),
                    catalog: Some(f.get::<CatalogId>("catalog").ok()?),
                },
                epoch: f.get::<Epoch>("epoch").ok()?,
                activation: f.get::<ActivationId>("activation").ok()?,
                instance: types::unbash_spaces(&String::from_utf8_lossy(f.raw("instance")?)),
            })
        })();
        let Some(registration) = parsed else {
            self.refuse("3986 Bad director command.\n");
            return Next::Leave;
        };
        match self.daemon.registry.register(&registration) {
            Ok(()) => {
                let nonce = self.daemon.draw_nonce(&registration);
                self.say(&format!("3000 OK director epoch={} nonce={nonce}\n", registration.epoch.0));
                self.registration = Some(registration);
                Next::Go
            }
            Err(error @ RegisterError::Stale { .. }) => {
                self.refuse(&format!("3981 {error}\n"));
                Next::Leave
            }
            Err(error @ RegisterError::Save(_)) => {
                tracing::error!(error = chain(&error), "a Director's epoch could not be remembered");
                self.refuse(&format!("3987 {}\n", chain(&error)));
                Next::Leave
            }
        }
    }

    fn is_holdfast_command(&self, line: &[u8]) -> bool {
        let words: [&[u8]; 7] = [b"nonce", b"jobs", b"inventory", b"space", b"place ", b"attach ", b"close "];
        self.has_additions && words.iter().any(|w| line.starts_with(w))
    }

    fn holdfast_command(&mut self, line: &[u8]) {
        if line.starts_with(b"nonce") {
            if let Some(registration) = &self.registration {
                let nonce = self.daemon.draw_nonce(registration);
                self.say(&format!("3000 OK nonce={nonce}\n"));
            }
        } else if line.starts_with(b"jobs") {
            self.list_jobs();
        } else if line.starts_with(b"inventory") {
            self.tell_inventory();
        } else if line.starts_with(b"space") {
            self.tell_space();
        } else if line.starts_with(b"place ") {
            self.place(line);
        } else if line.starts_with(b"attach ") {
            self.attach(line);
        } else {
            self.close(line);
        }
    }

    /// `place storage= epoch= serving= here=` (docs/extensions.md §11).
    fn place(&mut self, line: &[u8]) {
        let Ok(said) = StoragePlace::parse(line) else {
            return self.say("3986 Bad place command.\n");
        };
        match self.daemon.places.learn(&self.key(), &said) {
            Ok((epoch, None)) => {
                self.not_serving = None;
                self.say(&format!("3000 OK place epoch={epoch}\n"));
            }
            Ok((_, Some(refused))) => {
                self.say(&format!("3989 {refused}\n"));
                self.not_serving = Some(refused);
            }
            Err(error) => {
                tracing::error!(%error, "the place of a Storage could not be remembered");
                let refused =
                    NotServing { role: said.role, serving: said.serving, epoch: said.epoch, here: said.here };
                self.not_serving = Some(refused);
                self.say(&format!("3987 {error}\n"));
            }
        }
    }

    fn list_jobs(&self) {
        let key = self.key();
        for job in self.daemon.jobs.all().into_iter().filter(|j| j.owner == key) {
            if let Some(line) = list_line(&job) {
                self.say(&line);
            }
        }
        let _ = self.line.signal(Signal::Eod);
    }

    fn tell_space(&self) {
        for device in super::space::of_devices(&self.daemon) {
            // A Director that has gone is noticed by the receiving side.
            let _ = self.line.send(&device.format());
        }
        let _ = self.line.signal(Signal::Eod);
    }

    fn tell_inventory(&self) {
        match super::inventory::lines(&self.daemon, &self.key()) {
            Ok(lines) => {
                for line in &lines {
                    // A Director that has gone is noticed by the receiving side.
                    let _ = self.line.send(line);
                }
            }
            Err(error) => {
                tracing::error!(error, "the inventory cannot be told");
                self.say(&format!("3988 No inventory: {error}\n"));
            }
        }
        let _ = self.line.signal(Signal::Eod);
    }
}

/// Whether a command reads or writes Volumes, so that it is only for the Storage that serves.
fn uses_storage(line: &[u8]) -> bool {
    let words: [&[u8]; 4] = [b"JobId=", b"label ", b"relabel ", b"mount "];
    words.iter().any(|word| line.starts_with(word))
}
