//! Finding a Volume and putting it into the drive. What is asked ([`Search`]), what is done to the Volume ([`Placing`]) and what is
//! reported are the daemon's own; told anew is who waits for what (`storage::session::mount`).

use std::cell::Cell;
use std::sync::Arc;

use storage::daemon::judge;
use storage::device::{DeviceKind, Mounted, VolumeInfo, VolumeReply};
use storage::disk::Disk;
use storage::session::{
    DriveSeen, Finding, LabelMaker, Placed, Placing, Search, Step, Unfit, report_request, take_report,
};
use types::{VolTime, VolumeName};
use volume::Verify;

use super::session::FORMAT;
use super::{JobKey, RECONNECT_MS, journal_of, state_path, volume_path};
use crate::bug::Bug;
use crate::message::Pid;
use crate::world::{Input, World};

/// How often a Volume is asked for anew when there is none.
const AGAIN_MS: u64 = 2_000;

/// What is done with the Volume once it is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The session begins.
    Open,
    /// Its blocks go on.
    GoOn,
}

/// What a report of a Volume's state was about.
#[derive(Debug, Clone)]
pub(super) enum Reported {
    /// It is mounted.
    Mounted { is_labelled_now: bool, then: Then },
    /// It is full; the next one is looked for.
    Full,
    /// The session has ended.
    Last,
}

/// A search for a Volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hunt {
    search: Search,
    then: Then,
}

/// What a session waits for.
#[derive(Debug, Clone)]
pub(super) enum Wait {
    Nothing,
    /// An answer that the search needs.
    Search(u64, Hunt),
    /// That a state was taken.
    Report(u64, Arc<Mounted>, Reported),
    /// The same of a Volume that is out of use.
    Error(u64, Hunt),
    /// Some time.
    Again(Hunt),
}

impl Wait {
    pub(super) fn is_request(&self) -> bool {
        !matches!(self, Self::Nothing | Self::Again(_))
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

impl World {
    /// Looks for a Volume.
    pub(super) fn mount(&mut self, at: usize, key: &JobKey, then: Then, left: Option<u64>) {
        let Some(job) = self.session(at, key).map(|session| session.job.spec.id) else { return };
        let finding = Finding::new(job, &crate::director::pool_name(at), "File", 31);
        self.hunt(at, key, Hunt { search: Search::new(finding, left, None), then });
    }

    pub(super) fn mount_again(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        if let Wait::Again(hunt) = std::mem::replace(&mut session.wait, Wait::Nothing) {
            self.hunt(at, key, hunt);
        }
    }

    fn ask(&mut self, at: usize, key: &JobKey, line: &str, wait: impl FnOnce(u64) -> Wait) {
        let now = self.now;
        let Some(session) = self.session(at, key) else { return };
        if let Ok(seq) = journal_of(&session.job).ask(line) {
            session.wait = wait(seq);
        }
        if session.line.is_none() {
            let left = (session.alone_since + RECONNECT_MS).saturating_sub(now);
            self.later(left, Pid::Storage(at), Input::Forsaken(key.0.clone(), key.1));
        }
        self.pump(at, key);
    }

    fn seen(&self, at: usize, key: &JobKey) -> DriveSeen {
        let daemon = &self.storages[at];
        let place = self.drive_of(at, key);
        let is_writing = |(other, session): (&JobKey, &super::Session)| {
            other != key && !session.is_over && session.drive == place && session.is_writing
        };
        let is_shared = daemon.sessions.iter().any(is_writing);
        let drive = &daemon.drives[place];
        let shared = drive.mounted.as_ref().filter(|mounted| is_shared && !mounted.is_closed());
        DriveSeen { shared: shared.map(|m| (m.volume.clone(), m.generation)), mounts: drive.generation }
    }

    fn drive_of(&self, at: usize, key: &JobKey) -> usize {
        self.storages[at].sessions.get(key).map_or(0, |session| session.drive)
    }

    /// Claims a Volume for the session's drive, where no other has it (`storage::daemon::Daemon::claim_volume`).
    fn may_take(&mut self, at: usize, key: &JobKey, volume: &VolumeName) -> bool {
        let place = self.drive_of(at, key);
        let daemon = &mut self.storages[at];
        let is_in_use = |drive: usize| {
            let mut there = daemon.sessions.values().filter(|s| !s.is_over && s.drive == drive).peekable();
            let mounted = daemon.drives[drive].mounted.as_ref();
            let is_mounted = mounted.is_some_and(|m| m.volume == *volume && !m.is_closed());
            (is_mounted && there.peek().is_some()) || there.any(|s| s.claim.as_ref() == Some(volume))
        };
        let others = (0..daemon.drives.len()).filter(|drive| *drive != place);
        if self.bug != Some(Bug::VolumeNotClaimed) && others.into_iter().any(is_in_use) {
            self.oracle.counts.volumes_in_use += 1;
            return false;
        }
        if let Some(session) = daemon.sessions.get_mut(key) {
            session.claim = Some(volume.clone());
        }
        true
    }

    fn give_back(&mut self, at: usize, key: &JobKey) {
        if let Some(session) = self.session(at, key) {
            session.claim = None;
        }
    }

    fn hunt(&mut self, at: usize, key: &JobKey, mut hunt: Hunt) {
        let step = hunt.search.begin(self.seen(at, key));
        self.step(at, key, hunt, step);
    }

    fn step(&mut self, at: usize, key: &JobKey, hunt: Hunt, step: Step) {
        match step {
            Step::Ask(line) => self.ask(at, key, &line, |seq| Wait::Search(seq, hunt)),
            Step::Join(generation) => self.join(at, key, hunt, generation),
            Step::Mount(volume, info) => self.put_in(at, key, hunt, &volume, *info),
            Step::Busy => self.rest(at, key, hunt),
            Step::Next => {
                self.give_back(at, key);
                self.next_volume(at, key, hunt);
            }
            Step::Nothing => {
                let mut hunt = hunt;
                hunt.search.rested();
                self.rest(at, key, hunt);
            }
        }
    }

    fn rest(&mut self, at: usize, key: &JobKey, hunt: Hunt) {
        let Some(session) = self.session(at, key) else { return };
        session.wait = Wait::Again(hunt);
        self.later(AGAIN_MS, Pid::Storage(at), Input::Retry(key.0.clone(), key.1));
    }

    fn next_volume(&mut self, at: usize, key: &JobKey, mut hunt: Hunt) {
        if hunt.search.may_try() { self.hunt(at, key, hunt) } else { self.rest(at, key, hunt) }
    }

    /// Goes on if the answer that the session waits for is there.
    pub(super) fn answered(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        let seq = match &session.wait {
            Wait::Nothing | Wait::Again(_) => return,
            Wait::Search(seq, _) | Wait::Report(seq, ..) | Wait::Error(seq, _) => *seq,
        };
        let Some(answer) = journal_of(&session.job).take_answer(seq) else { return };
        let reply = VolumeReply::parse(&answer);
        match std::mem::replace(&mut session.wait, Wait::Nothing) {
            Wait::Nothing | Wait::Again(_) => {}
            Wait::Search(_, mut hunt) => {
                let step = hunt.search.answered(reply, |volume| self.may_take(at, key, volume));
                self.step(at, key, hunt, step);
            }
            Wait::Report(_, mounted, reported) => {
                take_report(&mounted, reply);
                self.reported(at, key, mounted, &reported);
            }
            Wait::Error(_, hunt) => self.next_volume(at, key, hunt),
        }
    }

    fn join(&mut self, at: usize, key: &JobKey, hunt: Hunt, generation: u64) {
        let mounted = self.storages[at].drives[self.drive_of(at, key)].mounted.clone();
        let Some(mounted) = mounted.filter(|m| m.generation == generation && !m.is_closed()) else {
            return self.hunt(at, key, hunt);
        };
        if !mounted.join() {
            return self.rest(at, key, hunt);
        }
        self.in_drive(at, key, &mounted, false, hunt.then);
    }

    fn put_in(&mut self, at: usize, key: &JobKey, hunt: Hunt, volume: &VolumeName, info: VolumeInfo) {
        if !hunt.search.is_still_so(&self.seen(at, key)) {
            return self.hunt(at, key, hunt);
        }
        if !self.may_take(at, key, volume) {
            return self.next_volume(at, key, hunt);
        }
        match self.place(at, key, volume, info.clone()) {
            Some(Placed::Mounted(mut mounted)) => {
                let is_labelled_now = mounted.has_new_label();
                let place = self.drive_of(at, key);
                let drive = &mut self.storages[at].drives[place];
                drive.generation += 1;
                mounted.generation = drive.generation;
                let mounted = Arc::new(*mounted);
                drive.mounted = Some(Arc::clone(&mounted));
                self.oracle.counts.volumes += u64::from(is_labelled_now);
                self.in_drive(at, key, &mounted, is_labelled_now, hunt.then);
            }
            Some(Placed::Refused(refusal)) => {
                if let Some(refusal) = refusal {
                    self.note(|| format!("Storage Daemon {at}: {refusal}"));
                    self.oracle.counts.refused_permit += 1;
                }
                self.give_back(at, key);
                self.next_volume(at, key, hunt);
            }
            Some(Placed::Unfit(why)) => {
                self.give_back(at, key);
                self.put_in_error(at, key, hunt, info, &why);
            }
            None => {}
        }
    }

    fn place(&mut self, at: usize, key: &JobKey, volume: &VolumeName, info: VolumeInfo) -> Option<Placed> {
        let now = self.vol_time();
        let session = self.session(at, key)?;
        let (job, ordinal) = (Arc::clone(&session.job), session.writing.volumes());
        let disk: Arc<dyn Disk> = self.storages[at].disk();
        let (is_asked, nonces) = (self.bug != Some(Bug::NoNonce), Arc::clone(&self.storages[at].nonces));
        let maker = LabelMaker { program: "sd".to_owned(), host: "simulated".to_owned() };
        let overwritten = Cell::new(None);
        let mut placing = Placing {
            disk: &disk,
            volume,
            path: volume_path(volume.as_str()),
            kind: DeviceKind::File,
            tape: None,
            file_bytes_max: 0,
            state_path: state_path(volume.as_str()),
            is_being_read: false,
            drive: "drive".to_owned(),
            format: FORMAT,
            verify: Verify::Checksum,
            may_label: true,
            size_max: 0,
            media_type: "File",
            owner: &job.owner,
            session: job.session,
            pool: "",
            ordinal,
            maker: &maker,
            now,
            permit: &|permit, medium| {
                judge(&job.owner, volume.as_str(), permit, medium, |permit| {
                    !is_asked || nonces.is_fresh(&job.owner, permit.nonce, permit.lease_ms)
                })?;
                overwritten.set(Some(medium.label.map(|label| label.labelled).unwrap_or_default()));
                Ok(())
            },
            says: Vec::new(),
        };
        let placed = placing.place(info);
        if let Some(labelled) = overwritten.get() {
            let line = self.session(at, key).and_then(|session| session.line);
            let by =
                line.and_then(|line| self.storages[at].conns.get(&line)).map(|r| (r.epoch, r.activation));
            crate::invariants::i04::overwritten(self, at, volume.as_str(), labelled, by);
        }
        match placed {
            Ok(placed) => Some(placed),
            Err(error) => {
                self.violate("I3", format!("Storage Daemon {at}: Volume {volume}: {error}"));
                None
            }
        }
    }

    /// The time in microseconds, which does not come twice.
    pub(super) fn vol_time(&mut self) -> VolTime {
        let micros = self.draw(0, 999) + self.now % 1000 * 1000;
        let seconds = u64::try_from(crate::director::wall(self.now).0).unwrap_or(0);
        VolTime(seconds * 1_000_000 + micros)
    }

    /// The job writes it from here on; its state is reported.
    fn in_drive(
        &mut self,
        at: usize,
        key: &JobKey,
        mounted: &Arc<Mounted>,
        is_labelled_now: bool,
        then: Then,
    ) {
        if let Some(session) = self.session(at, key) {
            session.is_writing = true;
            session.claim = Some(mounted.volume.clone());
        }
        self.report(at, key, mounted, Reported::Mounted { is_labelled_now, then });
    }

    /// Reports a state that is on stable storage.
    pub(super) fn report(&mut self, at: usize, key: &JobKey, mounted: &Arc<Mounted>, reported: Reported) {
        let Some(job) = self.session(at, key).map(|session| session.job.spec.id) else { return };
        let Ok(snapshot) = mounted.checkpoint() else { return };
        let end_time = u64::try_from(crate::director::wall(self.now).0).unwrap_or(0);
        let request = report_request(job, &snapshot, end_time, mounted.has_new_label(), true);
        let mounted = Arc::clone(mounted);
        self.ask(at, key, &request, |seq| Wait::Report(seq, mounted, reported));
    }

    fn reported(&mut self, at: usize, key: &JobKey, mounted: Arc<Mounted>, reported: &Reported) {
        match *reported {
            Reported::Mounted { is_labelled_now, then } => {
                let Some(session) = self.session(at, key) else { return };
                match then {
                    Then::Open => self.opened(at, key, mounted, is_labelled_now),
                    Then::GoOn => {
                        session.writing.use_volume(mounted);
                        self.write_on(at, key);
                    }
                }
            }
            Reported::Full => self.mount(at, key, Then::GoOn, Some(mounted.generation)),
            Reported::Last => self.committed(at, key),
        }
    }

    fn put_in_error(&mut self, at: usize, key: &JobKey, hunt: Hunt, mut info: VolumeInfo, why: &Unfit) {
        self.note(|| format!("Storage Daemon {at}: Volume {}: {why}", info.name));
        if let Unfit::Short { size, known } = *why {
            crate::invariants::i09::short(self, at, &info.name, size, known);
        }
        "Error".clone_into(&mut info.status);
        let Some(job) = self.session(at, key).map(|session| session.job.spec.id) else { return };
        let request = info.update_request(job, 0, false);
        self.ask(at, key, &request, |seq| Wait::Error(seq, hunt));
    }
}
