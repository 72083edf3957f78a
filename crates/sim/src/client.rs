//! A File Daemon, as small as it can be: it sends the files of a job one by one, and keeps how the job ended until a Director has
//! taken it (docs/extensions.md §4).

use std::collections::BTreeMap;

use types::{Attempt, FileIndex, JobId, JobStatus};
use wire::verdict::Standing;

use crate::message::{ConnId, Line, Message, Order, Pid};
use crate::oracle::{content, file_count};
use crate::world::{Input, World};

#[derive(Debug, Default)]
pub(crate) struct ClientDaemon {
    jobs: BTreeMap<(JobId, Attempt), ClientJob>,
    /// The highest epoch heard.
    known: Option<Standing>,
}

#[derive(Debug)]
struct ClientJob {
    order: Order,
    director: Option<ConnId>,
    storage: Option<ConnId>,
    /// Next file to send, from 1.
    next: u32,
    files: u32,
    bytes: u64,
    end: Option<Vec<u8>>,
}

impl World {
    pub(crate) fn client_input(&mut self, at: usize, input: Input) {
        match input {
            Input::Message(conn, message) => self.client_hears(at, conn, message),
            Input::Gone(conn) => self.client_lost(at, conn),
            Input::Go(job, attempt) => self.client_sends(at, (job, attempt)),
            _ => {}
        }
    }

    fn client_takes(&mut self, at: usize, conn: ConnId, standing: Standing) -> bool {
        let client = &mut self.clients[at];
        if let Some(known) = client.known.filter(|known| standing.is_stale_beside(*known)) {
            self.say(Pid::Client(at), conn, Message::Stale(known.epoch));
            return false;
        }
        client.known = Some(standing);
        true
    }

    fn client_hears(&mut self, at: usize, conn: ConnId, message: Message) {
        match message {
            Message::Backup(order) => {
                if !self.client_takes(at, conn, order.standing) {
                    return;
                }
                let key = (order.job, order.attempt);
                let files = file_count(self.plan.seed, order.job, self.plan.files_max);
                let job = ClientJob {
                    order: *order,
                    director: Some(conn),
                    storage: None,
                    next: 1,
                    files,
                    bytes: 0,
                    end: None,
                };
                let to = Pid::Storage(job.order.storage);
                let open = Message::Open { unique: job.order.unique.clone(), attempt: job.order.attempt };
                self.clients[at].jobs.insert(key, job);
                let storage = self.connect(Pid::Client(at), to);
                if let Some(job) = self.clients[at].jobs.get_mut(&key) {
                    job.storage = Some(storage);
                }
                self.say(Pid::Client(at), storage, open);
            }
            Message::AskJob { job, attempt, standing } => {
                if !self.client_takes(at, conn, standing) {
                    return;
                }
                let known = self.clients[at].jobs.get_mut(&(job, attempt));
                let (is_known, end) = match known {
                    Some(known) => {
                        known.director = Some(conn);
                        (true, known.end.clone())
                    }
                    None => (false, None),
                };
                self.say(Pid::Client(at), conn, Message::KnowsJob(is_known));
                if let Some(end) = end {
                    self.say(Pid::Client(at), conn, Message::ClientEnd(Line(end)));
                }
            }
            Message::TakenEnd => {
                self.clients[at].jobs.retain(|_, job| job.director != Some(conn) || job.end.is_none());
            }
            Message::Next => {
                if let Some(key) = self.client_job_of(at, conn) {
                    let pause = self.draw(5, 300);
                    self.later(pause, Pid::Client(at), Input::Go(key.0, key.1));
                }
            }
            Message::Stored => self.client_ends(at, conn, JobStatus::Terminated),
            Message::Failed | Message::NotKnown => self.client_ends(at, conn, JobStatus::ErrorTerminated),
            _ => {}
        }
    }

    fn client_job_of(&self, at: usize, conn: ConnId) -> Option<(JobId, Attempt)> {
        let jobs = &self.clients[at].jobs;
        jobs.iter().find(|(_, job)| job.storage == Some(conn)).map(|(key, _)| *key)
    }

    fn client_sends(&mut self, at: usize, key: (JobId, Attempt)) {
        let (seed, bytes_max) = (self.plan.seed, self.plan.file_bytes_max);
        let Some(job) = self.clients[at].jobs.get_mut(&key) else { return };
        let Some(storage) = job.storage else { return };
        let message = if job.next > job.files {
            Message::End
        } else {
            let index = job.next;
            let data = content(seed, key.0, index, bytes_max);
            job.next += 1;
            job.bytes += data.len() as u64;
            Message::File { index: FileIndex(index.cast_signed()), data }
        };
        self.say(Pid::Client(at), storage, message);
    }

    fn client_ends(&mut self, at: usize, conn: ConnId, status: JobStatus) {
        let Some(key) = self.client_job_of(at, conn) else { return };
        let Some(job) = self.clients[at].jobs.get_mut(&key) else { return };
        job.storage = None;
        if job.end.is_some() {
            return;
        }
        let (files, bytes) = (job.next - 1, job.bytes);
        let line = format!(
            "2800 End Job TermCode={} JobFiles={files} ReadBytes={bytes} JobBytes={bytes} Errors=0 VSS=0 Encrypt=0 CommBytes=0 \
             CompressCommBytes=0\n",
            status.code()
        );
        job.end = Some(line.clone().into_bytes());
        let director = job.director;
        self.hang_up(Pid::Client(at), conn);
        if let Some(director) = director {
            self.say(Pid::Client(at), director, Message::ClientEnd(Line(line.into_bytes())));
        }
    }

    fn client_lost(&mut self, at: usize, conn: ConnId) {
        for job in self.clients[at].jobs.values_mut() {
            if job.director == Some(conn) {
                job.director = None;
            }
        }
        self.client_ends(at, conn, JobStatus::ErrorTerminated);
    }
}
