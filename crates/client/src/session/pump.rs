//! Sending to the Director while work runs: messages, direct packets, progress, keep-alives; and noticing that it is gone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use wire::frame::{Packet, Signal};
use wire::msg::holdfast;

use super::{DirectReceiver, DirectorSession};
use crate::job::Job;
use crate::message::{JobLog, MessageKind};

/// How often progress is told (spec/02 §1.4).
const PROGRESS_EVERY: Duration = Duration::from_secs(30);
/// How long the last acknowledgement is waited for; afterwards the journal is kept for the next Director.
const LAST_ACK_WAIT: Duration = Duration::from_secs(60);
/// Packets between a thread and the Director's connection.
pub(super) const DIRECT_PACKETS: usize = 64;

impl DirectorSession {
    /// Sends one packet; a broken connection is noticed and forgotten.
    pub(super) async fn send(&mut self, payload: impl AsRef<[u8]>) {
        let Some(conn) = &mut self.conn else { return };
        if let Err(error) = conn.send(payload).await {
            self.lose(&error.to_string());
        }
    }

    /// Sends a signal.
    pub(super) async fn signal(&mut self, signal: Signal) {
        let Some(conn) = &mut self.conn else { return };
        if let Err(error) = conn.signal(signal).await {
            self.lose(&error.to_string());
        }
    }

    /// The next packet; `None` when the Director is gone, or the job is to end. Messages that come up meanwhile are sent.
    pub(super) async fn recv(&mut self) -> Option<Packet> {
        let stop = self.daemon.stop.clone();
        loop {
            self.flush_outbox().await;
            let job = self.job.clone();
            if job.as_ref().is_some_and(|job| job.stop.is_ending()) {
                return None;
            }
            let conn = self.conn.as_mut()?;
            let packet = tokio::select! {
                biased;
                () = outbox_changed(job.as_deref()) => continue,
                () = stop.cancelled() => {
                    if let Some(job) = &job {
                        job.stop_incomplete();
                    }
                    return None;
                }
                packet = conn.recv() => packet,
            };
            match packet {
                Ok(packet) => {
                    if !self.acknowledgement(&packet) {
                        return Some(packet);
                    }
                }
                Err(error) => {
                    self.lose(&error.to_string());
                    return None;
                }
            }
        }
    }

    /// Takes an acknowledgement; `false` when the packet is something else.
    fn acknowledgement(&self, packet: &Packet) -> bool {
        let (Packet::Data(line), Some(job)) = (packet, &self.job) else { return false };
        if !line.starts_with(b"Ack ") && !line.starts_with(b"Ans ") && !line.starts_with(b"Closed ") {
            return false;
        }
        match holdfast::Command::parse(line) {
            Ok(holdfast::Command::Ack { seq, .. } | holdfast::Command::Answer { seq, .. }) => {
                job.outbox.ack(seq.get());
            }
            Ok(holdfast::Command::Closed(attempt)) if attempt == job.identity.attempt => {
                // The catalog has closed this attempt: nobody wants what it does any more.
                job.cancel();
                job.outbox.ack(u64::MAX);
            }
            Ok(_) | Err(_) => {}
        }
        true
    }

    /// The Director is gone; its job goes on.
    fn lose(&mut self, reason: &str) {
        self.conn = None;
        if let Some(job) = &self.job
            && job.owner() == self.owner
        {
            tracing::warn!(job = %job.identity.name, reason, "the Director is gone; the job goes on");
            job.outbox.detach();
        }
    }

    /// Sends the messages of the job that are waiting.
    pub(super) async fn flush_outbox(&mut self) {
        let (Some(job), Some(conn)) = (self.job.clone(), &mut self.conn) else { return };
        if job.owner() != self.owner {
            // Another connection has the job now; this one only ends what it has begun.
            self.conn = None;
            return;
        }
        for (seq, payload) in job.outbox.unsent() {
            match seq {
                Some(seq) => conn.queue(holdfast::Record { seq: types::Seq(seq), payload }.format()),
                None => conn.queue(payload),
            }
        }
        if let Err(error) = conn.flush().await {
            self.lose(&error.to_string());
        }
    }

    /// Runs blocking work on a thread of its own and serves the Director meanwhile.
    pub(super) async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (_, direct) = tokio::sync::mpsc::channel(1);
        self.serve_while(spawn_thread(work), direct).await
    }

    /// Serves the Director until work on another thread is done; `None` when that thread panicked.
    pub(super) async fn serve_while<T>(
        &mut self,
        work: oneshot::Receiver<T>,
        mut direct: DirectReceiver,
    ) -> Option<T> {
        let mut work = work;
        let mut progress = interval_at(Instant::now() + PROGRESS_EVERY, PROGRESS_EVERY);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let heartbeat_every = self.daemon.config.daemon.heartbeat_interval;
        let mut heartbeat_due = Instant::now() + heartbeat_every.max(Duration::from_secs(1));
        let mut direct_open = true;
        loop {
            self.flush_outbox().await;
            let job = self.job.clone();
            let conn = self.conn.as_mut();
            tokio::select! {
                biased;
                packet = direct.recv(), if direct_open => match packet {
                    Some(packet) => self.send_direct(packet, &mut direct).await,
                    None => direct_open = false,
                },
                done = &mut work, if !direct_open || direct.is_empty() => {
                    self.drain_direct(&mut direct).await;
                    self.flush_outbox().await;
                    return done.ok();
                }
                () = outbox_changed(job.as_deref()) => {}
                packet = recv_or_wait(conn) => self.unexpected(packet),
                _ = progress.tick() => {
                    self.tell_progress().await;
                    if !heartbeat_every.is_zero() && Instant::now() >= heartbeat_due {
                        heartbeat_due = Instant::now() + heartbeat_every;
                        self.signal(Signal::Heartbeat).await;
                    }
                }
            }
        }
    }

    async fn send_direct(&mut self, first: Bytes, direct: &mut DirectReceiver) {
        let Some(conn) = &mut self.conn else {
            // Nobody is there to take a listing: the work ends at its next packet.
            return direct.close();
        };
        conn.queue(first);
        while let Ok(packet) = direct.try_recv() {
            conn.queue(packet);
        }
        if let Err(error) = conn.flush().await {
            self.lose(&error.to_string());
        }
    }

    async fn drain_direct(&mut self, direct: &mut DirectReceiver) {
        while let Ok(packet) = direct.try_recv() {
            self.send_direct(packet, direct).await;
        }
    }

    /// A packet of the Director while work runs: an acknowledgement, or its good-bye.
    fn unexpected(&mut self, packet: Result<Packet, net::NetError>) {
        match packet {
            Ok(packet) => {
                if !self.acknowledgement(&packet) && packet == Packet::Signal(Signal::Terminate) {
                    self.lose("it has ended the session");
                }
            }
            Err(error) => self.lose(&error.to_string()),
        }
    }

    async fn tell_progress(&mut self) {
        let Some(job) = self.job.clone().filter(|job| job.identity.id.get() != 0) else { return };
        self.send(job.progress()).await;
    }

    /// Waits until the Director has taken everything of an ended job.
    pub(super) async fn deliver_rest(&mut self, job: &Arc<Job>) {
        let deadline = Instant::now() + LAST_ACK_WAIT;
        while self.conn.is_some() && !job.outbox.is_done() {
            self.flush_outbox().await;
            if !job.is_journaled() || job.outbox.is_done() {
                break;
            }
            let conn = self.conn.as_mut();
            tokio::select! {
                biased;
                () = job.outbox.changed() => {}
                packet = recv_or_wait(conn) => self.unexpected(packet),
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        if job.outbox.is_done() {
            self.daemon.jobs.forget(&job.identity.director, &job.identity.name);
        }
    }

    /// A fatal error of the job, or of the daemon when there is none.
    pub(super) fn fatal(&self, text: &str) {
        match &self.job {
            Some(job) => job.message(MessageKind::Fatal, text),
            None => tracing::error!("{}", text.trim_end()),
        }
    }
}

/// Starts a thread; its result comes through the channel.
pub(super) fn spawn_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (done, result) = oneshot::channel();
    let body = move || {
        // Nobody waits any more when the session's task was dropped.
        let _ = done.send(work());
    };
    let builder = std::thread::Builder::new().name("fd-job".to_owned());
    if let Err(error) = builder.spawn(body) {
        tracing::error!(%error, "a thread cannot be started");
    }
    result
}

async fn outbox_changed(job: Option<&Job>) {
    match job {
        Some(job) => tokio::select! {
            () = job.outbox.changed() => {}
            () = job.owner_changed.notified() => {}
        },
        None => std::future::pending().await,
    }
}

async fn recv_or_wait(conn: Option<&mut net::Conn>) -> Result<Packet, net::NetError> {
    match conn {
        Some(conn) => conn.recv().await,
        None => std::future::pending().await,
    }
}
