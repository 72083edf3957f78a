//! Finding a Volume and mounting it, as `storage::session::mount` has it. Requests, answers, permits, states, labels and the end of
//! what is on a Volume are the daemon's own.

use std::sync::Arc;

use storage::daemon::{OnMedium, judge};
use storage::device::{Mounted, VOL_TYPE_FILE, VolumeFile, VolumeInfo, VolumeReply};
use storage::disk::Disk;
use storage::job::Job;
use storage::ledger::{Owner, VolumeState};
use storage::session::{end_of_whole_blocks, overwrite};
use types::{VolTime, VolumeName};
use volume::{DiskVolume, LabelKind, RawFile, Verify, VolumeLabel, read_label};

use super::session::FORMAT;
use super::{JobKey, RECONNECT_MS, journal_of, state_path, volume_path};
use crate::bug::Bug;
use crate::message::Pid;
use crate::world::{Input, World};

/// How often a Volume is asked for anew when there is none.
const AGAIN_MS: u64 = 2_000;
/// How long a session waits for the right to mount.
const WAIT_MS: u64 = 200;
/// Volumes that are tried before that.
const TRIES_MAX: u32 = 12;

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
    Mounted { mounted: Arc<Mounted>, is_labelled_now: bool, search: Search },
    /// It is full; the next one is looked for.
    Full { generation: u64 },
    /// The session has ended.
    Last,
}

/// A search for a Volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    then: Then,
    /// The Volume that was left, full.
    left: Option<u64>,
    tries: u32,
    last: String,
}

/// What a session waits for.
#[derive(Debug, Clone)]
pub(super) enum Wait {
    Nothing,
    /// The answer to this request: a Volume's name.
    Find(u64, Search),
    /// Whether the Volume in the drive may be shared.
    Join(u64, Search),
    /// What the catalog says of a Volume.
    Info(u64, VolumeName, Search),
    /// That a state was taken.
    Report(u64, Arc<Mounted>, Reported),
    /// Some time.
    Again(Search),
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
        self.search(at, key, Search { then, left, tries: 0, last: String::new() });
    }

    pub(super) fn mount_again(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        if let Wait::Again(search) = std::mem::replace(&mut session.wait, Wait::Nothing) {
            self.search(at, key, Search { tries: 0, last: String::new(), ..search });
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

    fn search(&mut self, at: usize, key: &JobKey, search: Search) {
        let daemon = &mut self.storages[at];
        if daemon.mounting.as_ref().is_some_and(|other| other != key) {
            return self.rest(at, key, search, WAIT_MS);
        }
        daemon.mounting = Some(key.clone());
        let others = self.storages[at]
            .sessions
            .iter()
            .any(|(other, session)| other != key && !session.is_over && session.mounted.is_some());
        let shared = self.storages[at].mounted.clone();
        let shared = shared.filter(|m| others && !m.is_closed() && Some(m.generation) != search.left);
        let Some(job) = self.session(at, key).map(|session| session.job.spec.id) else { return };
        if let Some(mounted) = shared {
            let line = format!("CatReq JobId={job} GetVolInfo VolName={} write=1", mounted.volume);
            return self.ask(at, key, &line, |seq| Wait::Join(seq, search));
        }
        let index = search.tries + 1;
        if index > TRIES_MAX {
            return self.rest(at, key, search, AGAIN_MS);
        }
        let pool = crate::director::pool_name(at);
        let line = format!(
            "CatReq JobId={job} FindMedia={index} pool_name={pool} media_type=File vol_type={VOL_TYPE_FILE} create=1 \
             use_protect=0 vol_encrypted=0"
        );
        self.ask(at, key, &line, |seq| Wait::Find(seq, search));
    }

    /// Lets another session mount.
    pub(super) fn give_up_mounting(&mut self, at: usize, key: &JobKey) {
        let daemon = &mut self.storages[at];
        daemon.mounting = daemon.mounting.take().filter(|holder| holder != key);
    }

    fn rest(&mut self, at: usize, key: &JobKey, search: Search, pause: u64) {
        self.give_up_mounting(at, key);
        let Some(session) = self.session(at, key) else { return };
        session.wait = Wait::Again(search);
        self.later(pause, Pid::Storage(at), Input::Retry(key.0.clone(), key.1));
    }

    /// Goes on if the answer that the session waits for is there.
    pub(super) fn answered(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        let seq = match &session.wait {
            Wait::Nothing | Wait::Again(_) => return,
            Wait::Find(seq, _) | Wait::Join(seq, _) | Wait::Info(seq, ..) | Wait::Report(seq, ..) => *seq,
        };
        let Some(answer) = journal_of(&session.job).take_answer(seq) else { return };
        let reply = VolumeReply::parse(&answer);
        match std::mem::replace(&mut session.wait, Wait::Nothing) {
            Wait::Nothing | Wait::Again(_) => {}
            Wait::Find(_, search) => self.found_volume(at, key, reply, search),
            Wait::Join(_, search) => self.join(at, key, &reply, search),
            Wait::Info(_, name, search) => match reply {
                VolumeReply::Found(info) => self.try_volume(at, key, &name, *info, search),
                VolumeReply::Refused(_) => self.next_volume(at, key, search),
            },
            Wait::Report(_, mounted, reported) => self.reported(at, key, &mounted, reply, reported),
        }
    }

    fn next_volume(&mut self, at: usize, key: &JobKey, search: Search) {
        self.search(at, key, Search { tries: search.tries + 1, ..search });
    }

    fn found_volume(&mut self, at: usize, key: &JobKey, reply: VolumeReply, search: Search) {
        let VolumeReply::Found(info) = reply else { return self.rest(at, key, search, AGAIN_MS) };
        if info.name == search.last {
            return self.rest(at, key, search, AGAIN_MS);
        }
        let Ok(name) = VolumeName::new(info.name) else { return self.next_volume(at, key, search) };
        let search = Search { last: name.to_string(), ..search };
        let Some(job) = self.session(at, key).map(|session| session.job.spec.id) else { return };
        let line = format!("CatReq JobId={job} GetVolInfo VolName={name} write=1");
        self.ask(at, key, &line, |seq| Wait::Info(seq, name, search));
    }

    fn join(&mut self, at: usize, key: &JobKey, reply: &VolumeReply, search: Search) {
        let shared = self.storages[at].mounted.clone();
        match (reply, shared) {
            (VolumeReply::Found(_), Some(mounted))
                if !mounted.is_closed() && Some(mounted.generation) != search.left =>
            {
                mounted.update_info(|info| info.jobs += 1);
                let reported =
                    Reported::Mounted { mounted: Arc::clone(&mounted), is_labelled_now: false, search };
                self.report(at, key, &mounted, false, reported);
            }
            _ => self.rest(at, key, search, AGAIN_MS),
        }
    }

    fn try_volume(&mut self, at: usize, key: &JobKey, name: &VolumeName, info: VolumeInfo, search: Search) {
        let disk = self.storages[at].disk();
        let is_recycling = info.status == "Recycle";
        let Ok(file) = disk.open(&volume_path(name.as_str())) else {
            if info.bytes == 0 || is_recycling {
                return self.label_volume(at, key, name, info, None, search);
            }
            return self.put_in_error(at, key, name, info, search, "its file is not there");
        };
        let file = VolumeFile::over(file);
        match read_label(&mut DiskVolume::new(file.clone()), Verify::Checksum) {
            Ok((_, label)) if is_recycling => self.recycle(at, key, name, info, Some(&label), search),
            Ok((_, label)) => self.append_to(at, key, name, info, file, label, search),
            Err(_) if is_recycling => self.recycle(at, key, name, info, None, search),
            Err(volume::ReadLabelError::Empty) if info.bytes == 0 => {
                self.label_volume(at, key, name, info, None, search);
            }
            Err(_) => self.put_in_error(at, key, name, info, search, "its label cannot be read"),
        }
    }

    fn load_state(&self, at: usize, name: &VolumeName, label_time: Option<VolTime>) -> Option<VolumeState> {
        let state = VolumeState::load_on(&*self.storages[at].disk(), &state_path(name.as_str())).ok()??;
        label_time.is_none_or(|time| state.label_time == time).then_some(state)
    }

    fn recycle(
        &mut self,
        at: usize,
        key: &JobKey,
        name: &VolumeName,
        info: VolumeInfo,
        label: Option<&VolumeLabel>,
        search: Search,
    ) {
        let state = self.load_state(at, name, label.map(|label| label.labelled));
        let medium = OnMedium { state: state.as_ref(), label };
        let Some(owner) = self.session(at, key).map(|session| session.job.owner.clone()) else { return };
        let is_asked = self.bug != Some(Bug::NoNonce);
        let nonces = Arc::clone(&self.storages[at].nonces);
        let judged = judge(&owner, name.as_str(), info.permit, medium, |permit| {
            !is_asked || nonces.is_fresh(&owner, permit.nonce, permit.lease_ms)
        });
        if let Err(refusal) = judged {
            self.note(|| format!("Storage Daemon {at}: {refusal}"));
            self.oracle.counts.refused_permit += 1;
            return self.next_volume(at, key, search);
        }
        let labelled = label.map(|label| label.labelled).unwrap_or_default();
        let line = self.session(at, key).and_then(|session| session.line);
        let by = line.and_then(|line| self.storages[at].conns.get(&line)).map(|r| (r.epoch, r.activation));
        crate::invariants::i04::overwritten(self, at, name.as_str(), labelled, by);
        let info = VolumeInfo { bytes: 0, blocks: 0, jobs: 0, files: 0, ..info };
        self.label_volume(at, key, name, info, None, search);
    }

    fn label_volume(
        &mut self,
        at: usize,
        key: &JobKey,
        name: &VolumeName,
        mut info: VolumeInfo,
        before: Option<VolumeLabel>,
        search: Search,
    ) {
        let Some(job) = self.session(at, key).map(|session| Arc::clone(&session.job)) else { return };
        let ordinal = self.session(at, key).map_or(0, |session| session.volumes);
        // Microseconds, and never the same twice.
        let labelled = VolTime(self.now * 1000 + self.draw(0, 999));
        let label = before.unwrap_or_else(|| label_of(name, labelled));
        let disk = self.storages[at].disk();
        let path = volume_path(name.as_str());
        let opened = disk.open(&path).or_else(|_| disk.create(&path));
        let Ok(file) = opened.map(VolumeFile::over) else { return };
        let Ok(size) = overwrite(file.clone(), FORMAT, job.session, ordinal, &label) else { return };
        self.oracle.counts.volumes += 1;
        info.bytes = size;
        info.writes += 1;
        info.blocks = 0;
        "Append".clone_into(&mut info.status);
        let old = self.load_state(at, name, None);
        let state = VolumeState {
            seq: old.map_or(0, |state| state.seq),
            label_time: label.labelled,
            owner: owner_of(&job),
            bytes: size,
            writes: info.writes,
            status: info.status.clone(),
            synced_end: size,
            ..VolumeState::default()
        };
        self.mounted(at, key, name, label, file, info, state, true, search);
    }

    #[allow(clippy::too_many_arguments, reason = "as in storage::session::mount, with the world's keys")]
    fn append_to(
        &mut self,
        at: usize,
        key: &JobKey,
        name: &VolumeName,
        mut info: VolumeInfo,
        mut file: VolumeFile,
        label: VolumeLabel,
        search: Search,
    ) {
        let Some(job) = self.session(at, key).map(|session| Arc::clone(&session.job)) else { return };
        let state = self.load_state(at, name, Some(label.labelled));
        let size = file.len().unwrap_or(0);
        let known = state.as_ref().map_or(info.bytes, |state| state.synced_end.max(info.bytes));
        if size < known {
            crate::invariants::i09::short(self, at, name.as_str(), size, known);
            return self.put_in_error(at, key, name, info, search, "it is shorter than what was written");
        }
        let mut state = state.unwrap_or_default();
        let is_ours = state.seq > 0;
        let mut end = size;
        if is_ours && size > state.synced_end {
            end = end_of_whole_blocks(&file, state.synced_end).unwrap_or(size);
            if end < size {
                let _ = file.truncate(end);
            }
            if end > state.synced_end {
                state.add_unowned(state.synced_end, end);
            }
        }
        info.bytes = end;
        info.files = 0;
        if is_ours {
            info.blocks = info.blocks.max(state.blocks);
            info.writes = info.writes.max(state.writes);
        }
        state.label_time = label.labelled;
        state.owner = owner_of(&job);
        state.bytes = end;
        self.mounted(at, key, name, label, file, info, state, false, search);
    }

    #[allow(clippy::too_many_arguments, reason = "each is a fact found by a different step of mounting")]
    fn mounted(
        &mut self,
        at: usize,
        key: &JobKey,
        name: &VolumeName,
        label: VolumeLabel,
        file: VolumeFile,
        mut info: VolumeInfo,
        state: VolumeState,
        is_labelled_now: bool,
        search: Search,
    ) {
        info.mounts += 1;
        info.jobs += 1;
        info.vol_type = VOL_TYPE_FILE;
        let disk = self.storages[at].disk();
        let daemon = &mut self.storages[at];
        daemon.generation += 1;
        let mounted = Mounted::new(
            name.clone(),
            label,
            volume_path(name.as_str()),
            file,
            info,
            state,
            state_path(name.as_str()),
            0,
            daemon.generation,
        );
        let mounted = Arc::new(mounted.on_disk(disk));
        daemon.mounted = Some(Arc::clone(&mounted));
        let reported = Reported::Mounted { mounted: Arc::clone(&mounted), is_labelled_now, search };
        self.report(at, key, &mounted, is_labelled_now, reported);
    }

    /// Reports a state that is on stable storage.
    pub(super) fn report(
        &mut self,
        at: usize,
        key: &JobKey,
        mounted: &Arc<Mounted>,
        is_relabel: bool,
        reported: Reported,
    ) {
        let Some(job) = self.session(at, key).map(|session| session.job.spec.id) else { return };
        let Ok(snapshot) = mounted.checkpoint() else { return };
        let end_time = u64::try_from(crate::director::wall(self.now).0).unwrap_or(0);
        let mut request = snapshot.info.update_request(job, end_time, is_relabel);
        let state = &snapshot.state;
        let tail =
            format!(" HfVolSeq={} HfLabelTime={} HfWrites={}", state.seq, state.label_time, state.writes);
        request.push_str(&tail);
        let mounted = Arc::clone(mounted);
        self.ask(at, key, &request, |seq| Wait::Report(seq, mounted, reported));
    }

    fn reported(
        &mut self,
        at: usize,
        key: &JobKey,
        reported_on: &Arc<Mounted>,
        reply: VolumeReply,
        reported: Reported,
    ) {
        if let VolumeReply::Found(info) = reply {
            reported_on.update_info(|own| {
                own.bytes_max = info.bytes_max;
                own.jobs_max = info.jobs_max;
                if own.status == "Append" {
                    own.status = info.status;
                }
            });
        }
        match reported {
            Reported::Mounted { mounted, is_labelled_now, search } => {
                self.give_up_mounting(at, key);
                if let Some(session) = self.session(at, key) {
                    session.use_volume(mounted);
                }
                match search.then {
                    Then::Open => self.opened(at, key, is_labelled_now),
                    Then::GoOn => self.write_on(at, key),
                }
            }
            Reported::Full { generation } => self.mount(at, key, Then::GoOn, Some(generation)),
            Reported::Last => self.committed(at, key),
        }
    }

    fn put_in_error(
        &mut self,
        at: usize,
        key: &JobKey,
        name: &VolumeName,
        mut info: VolumeInfo,
        search: Search,
        why: &str,
    ) {
        self.note(|| format!("Storage Daemon {at}: Volume {name}: {why}"));
        "Error".clone_into(&mut info.status);
        let Some(job) = self.session(at, key).map(|session| session.job.spec.id) else { return };
        let request = info.update_request(job, 0, false);
        self.ask_error(at, key, &request, search);
    }

    /// The answer does not matter.
    fn ask_error(&mut self, at: usize, key: &JobKey, request: &str, search: Search) {
        let Some(session) = self.session(at, key) else { return };
        let _ = journal_of(&session.job).ask(request);
        self.rest(at, key, search, AGAIN_MS);
        self.pump(at, key);
    }
}

fn owner_of(job: &Job) -> Owner {
    Owner { director: job.owner.name.clone(), catalog: job.owner.catalog }
}

fn label_of(name: &VolumeName, labelled: VolTime) -> VolumeLabel {
    VolumeLabel {
        kind: LabelKind::Volume,
        id: volume::label::ID_BACULA.to_owned(),
        version: volume::label::VERSION,
        labelled,
        written: labelled,
        write_date: 0.0,
        write_time: 0.0,
        volume: name.to_string(),
        previous_volume: String::new(),
        pool: String::new(),
        pool_type: "Backup".to_owned(),
        media_type: "File".to_owned(),
        host: "simulated".to_owned(),
        program: "sd".to_owned(),
        program_version: String::new(),
        program_date: String::new(),
        aligned_volume: String::new(),
        first_data: 0,
        file_alignment: 0,
        padding: 0,
        block_size: 0,
        cipher_key: Vec::new(),
        master_key_id: Vec::new(),
    }
}
