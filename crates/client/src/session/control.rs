//! What concerns jobs of other sessions: cancel, bandwidth, debug, and Holdfast's own commands.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use wire::frame::Signal;
use wire::msg::common::{CancelKind, SetDebug};
use wire::msg::dir_fd::SetBandwidth;
use wire::msg::holdfast;

use super::{DirectorSession, Next};
use crate::job::Job;
use crate::status;

impl DirectorSession {
    pub(super) async fn cancel(&mut self, kind: CancelKind, name: &str) -> Next {
        let answer = match self.daemon.jobs.running(self.director_name(), name) {
            Some(job) => {
                match kind {
                    CancelKind::Cancel => job.cancel(),
                    CancelKind::Stop => job.stop_incomplete(),
                }
                format!("2001 Job \"{name}\" marked to be {}.\n", kind.marked())
            }
            None => format!("2901 Job {name} not found.\n"),
        };
        self.send(answer).await;
        self.signal(Signal::Eod).await;
        Next::Go
    }

    pub(super) async fn bandwidth(&mut self, command: SetBandwidth) -> Next {
        let limit = command.bytes_per_second.max(0) as u64;
        let name = command.job.trim();
        if name.is_empty() || name == "*" {
            self.daemon.bandwidth.store(limit, Ordering::Relaxed);
            for job in self.daemon.jobs.all_running() {
                job.counters.bandwidth.store(limit, Ordering::Relaxed);
            }
        } else if let Some(job) = self.daemon.jobs.running(self.director_name(), name) {
            job.counters.bandwidth.store(limit, Ordering::Relaxed);
        } else {
            self.send(format!("2901 Job {name} not found.\n")).await;
        }
        self.answer("2000 OK Bandwidth\n").await
    }

    pub(super) async fn debug(&mut self, command: SetDebug) -> Next {
        if command.level >= 0 {
            self.daemon.debug.store(command.level, Ordering::Relaxed);
        }
        let (level, trace) = (command.level, command.trace.max(0));
        let hangup = command.hangup.unwrap_or(0).max(0);
        let blowup = command.blowup.unwrap_or(0).max(0);
        let (options, tags) = (command.options.unwrap_or_default(), command.tags.unwrap_or_default());
        let answer = format!(
            "2000 OK setdebug={level} trace={trace} hangup={hangup} blowup={blowup} options={options} tags={tags}\n"
        );
        self.answer(&answer).await
    }

    pub(super) async fn holdfast(&mut self, command: holdfast::Command) -> Next {
        match command {
            holdfast::Command::Register(registration) if self.additions => {
                let epoch = registration.epoch;
                match self.daemon.epochs.register(self.director_name(), registration) {
                    Ok(registered) => {
                        self.registered = Some(registered);
                        self.send(holdfast::ClientRegistered { epoch }.format()).await;
                        Next::Go
                    }
                    Err(refusal) => {
                        self.send(refusal.format_client()).await;
                        Next::End
                    }
                }
            }
            holdfast::Command::Jobs => self.jobs().await,
            holdfast::Command::Attach(attach) => self.attach(attach).await,
            holdfast::Command::Close(close) => {
                if let Some(job) = self.own_job(&close.job, close.attempt) {
                    job.outbox.ack(u64::MAX);
                    job.cancel();
                    self.daemon.jobs.forget(&job.identity.director, &close.job);
                }
                self.answer("2000 OK close\n").await
            }
            // Acknowledgements are taken where packets are received; a client draws no nonces.
            holdfast::Command::Ack { .. }
            | holdfast::Command::Answer { .. }
            | holdfast::Command::Closed(_) => Next::Go,
            holdfast::Command::Register(_)
            | holdfast::Command::Nonce
            | holdfast::Command::Inventory
            | holdfast::Command::Space
            | holdfast::Command::Place(_) => {
                self.send("2999 Invalid command\n").await;
                Next::End
            }
        }
    }

    /// A job of this Director and catalog.
    pub(super) fn own_job(&self, name: &str, attempt: types::Attempt) -> Option<Arc<Job>> {
        let registered = self.registered.as_ref()?;
        self.daemon.jobs.find(self.director_name(), name).filter(|job| {
            job.identity.attempt == attempt
                && job.identity.director == registered.director
                && job.identity.catalog == Some(registered.registration.catalog)
        })
    }

    pub(super) async fn jobs(&mut self) -> Next {
        let catalog = self.registered.as_ref().map(|registered| registered.registration.catalog);
        let director = self.director_name().to_owned();
        let known = self.daemon.jobs.all_known();
        let own = known.iter().filter(|job| {
            catalog.is_some() && job.identity.catalog == catalog && job.identity.director == director
        });
        let lines: Vec<Vec<u8>> = own.map(|job| status::job_entry(job).format()).collect();
        if let Some(conn) = &mut self.conn {
            for line in lines {
                conn.queue(line);
            }
        }
        self.signal(Signal::Eod).await;
        Next::Go
    }

    /// Makes this connection the job's and streams its journal until the job has ended and everything is taken.
    pub(super) async fn attach(&mut self, attach: holdfast::Attach) -> Next {
        let Some(job) = self.own_job(&attach.job, attach.attempt) else {
            let refusal = holdfast::Refusal::UnknownJob { job: attach.job, attempt: attach.attempt };
            self.send(refusal.format_client()).await;
            return Next::Go;
        };
        let (last, _) = job.outbox.positions();
        let attached =
            holdfast::Attached { job_id: job.identity.id, status: job.status(), last: types::Seq(last) };
        self.send(attached.format_client()).await;
        self.owner = job.take_over();
        job.outbox.attach(attach.from.get());
        self.job = Some(Arc::clone(&job));
        self.job_elsewhere = true;
        let (done, ended) = tokio::sync::oneshot::channel();
        let waiting = Arc::clone(&job);
        let daemon = Arc::clone(&self.daemon);
        tokio::spawn(async move {
            while !waiting.outbox.has_ended() {
                // The tick heals a lost notification.
                let _ = tokio::time::timeout(Duration::from_millis(500), daemon.jobs.ended.notified()).await;
            }
            // Nobody waits any more when the session has ended.
            let _ = done.send(());
        });
        let (_, direct) = tokio::sync::mpsc::channel(1);
        self.serve_while(ended, direct).await;
        self.deliver_rest(&job).await;
        Next::End
    }
}
