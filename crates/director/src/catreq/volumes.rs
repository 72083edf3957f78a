//! Requests about Volumes: decided and answered inside one transaction.

use super::find::{self, Offered};
use super::reply::{Extra, volume_reply};
use super::session::Note;
use super::{JobContext, Shared};
use catalog::media::{self, MediaRow};
use catalog::pool::{self, PoolRow};
use catalog::volume_state::{self, VolumeState};
use catalog::{WriteTx, jobmedia, journal, purge};
use policy::volume::{Named, PoolFacts, VolumeFacts, Want, check_named, expiry, plan_volume_prune};
use std::cell::RefCell;
use types::{JobType, Nonce, Timestamp, VolAddr, VolStatus, VolTime};

/// A request about a Volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VolumeRequest {
    /// Which Volume next?
    Find(FindMedia),
    /// May this one be used?
    Get(GetVolInfo),
    /// Its state now.
    Update(Box<UpdateMedia>),
}

/// `FindMedia`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FindMedia {
    /// The n-th best, from 1.
    pub(super) index: u32,
    pub(super) pool: String,
    pub(super) media_type: String,
    /// Class of the device; 0 = not told.
    pub(super) vol_type: u32,
    /// Whether a new Volume may be made.
    pub(super) create: bool,
    /// Drawn for this request by a Holdfast SD.
    pub(super) nonce: Option<Nonce>,
}

/// `GetVolInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GetVolInfo {
    pub(super) volume: String,
    pub(super) write: bool,
    pub(super) nonce: Option<Nonce>,
}

/// `UpdateMedia`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UpdateMedia {
    pub(super) volume: String,
    pub(super) vol_jobs: u32,
    pub(super) vol_files: u32,
    pub(super) vol_blocks: u32,
    pub(super) vol_bytes: u64,
    pub(super) vol_abytes: u64,
    pub(super) vol_hole_bytes: u64,
    pub(super) vol_holes: u32,
    pub(super) vol_mounts: u32,
    pub(super) vol_errors: u32,
    pub(super) vol_writes: u64,
    pub(super) max_vol_bytes: u64,
    pub(super) end_time: i64,
    pub(super) status: VolStatus,
    pub(super) slot: i32,
    pub(super) relabel: bool,
    pub(super) in_changer: bool,
    pub(super) vol_read_time: u64,
    pub(super) vol_write_time: u64,
    pub(super) first_written: i64,
    pub(super) vol_type: u32,
    pub(super) vol_parts: u32,
    pub(super) vol_cloud_parts: u32,
    pub(super) last_part_bytes: u64,
    pub(super) enabled: u32,
    pub(super) recycle: bool,
    pub(super) protected: Option<bool>,
    pub(super) use_protect: Option<bool>,
    pub(super) vol_encrypted: Option<bool>,
    /// A Holdfast SD's own sequence of the state.
    pub(super) state_seq: Option<u64>,
    pub(super) label_time: Option<VolTime>,
    pub(super) write_counter: Option<u64>,
}

/// What a Holdfast SD checks before it recycles (docs/extensions.md §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Guarded {
    pub(super) label_time: u64,
    pub(super) write_counter: u64,
    pub(super) nonce: Nonce,
    pub(super) lease_ms: u64,
}

/// The answer, decided and with its effects in the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decision {
    /// Line to send.
    pub(super) reply: String,
    /// Messages for the job.
    pub(super) notes: Vec<Note>,
    /// The Volume that the reply lets be overwritten.
    pub(super) permitted: Option<String>,
}

/// Serves a request inside a transaction.
pub(super) struct Server<'t> {
    pub(super) tx: &'t WriteTx<'t>,
    pub(super) shared: &'t Shared,
    pub(super) context: &'t JobContext,
    pub(super) now: Timestamp,
    /// Lease time for a reply that lets a Volume be overwritten; none when the request brings no nonce.
    pub(super) lease_ms: Option<u64>,
    /// The Volume of such a reply.
    pub(super) permitted: RefCell<Option<String>>,
}

impl VolumeRequest {
    /// Whether the answer may let a Volume be overwritten.
    pub(super) fn wants_permit(&self) -> bool {
        match self {
            Self::Find(find) => find.nonce.is_some(),
            Self::Get(get) => get.nonce.is_some(),
            Self::Update(_) => false,
        }
    }

    /// Whether it shows that the Storage Daemon has dealt with a permit for `volume`: it has labelled it, or asks anew which
    /// Volume it may mount. It mounts one at a time for a job.
    pub(super) fn spends(&self, volume: &str) -> bool {
        match self {
            Self::Find(_) => true,
            Self::Get(get) => get.write,
            Self::Update(update) => update.volume == volume,
        }
    }
}

impl Server<'_> {
    pub(super) fn serve(&self, request: &VolumeRequest, offered: &mut Offered) -> catalog::Result<Decision> {
        let mut notes = Vec::new();
        let reply = match request {
            VolumeRequest::Find(find) => self.find(find, offered, &mut notes)?,
            VolumeRequest::Get(get) => self.get(get, &mut notes)?,
            VolumeRequest::Update(update) => self.update(update, &mut notes)?,
        };
        Ok(Decision { reply, notes, permitted: self.permitted.take() })
    }

    fn find(
        &self,
        find: &FindMedia,
        offered: &mut Offered,
        notes: &mut Vec<Note>,
    ) -> catalog::Result<String> {
        match find::find(self, find, offered, notes)? {
            Some(row) => self.reply(&row, find.nonce),
            None => Ok("1901 No Media.\n".to_owned()),
        }
    }

    fn get(&self, get: &GetVolInfo, notes: &mut Vec<Note>) -> catalog::Result<String> {
        let Some(mut row) = media::get_by_name(self.tx, &get.volume)? else {
            return Ok(format!("1997 Volume \"{}\" not in catalog.\n", get.volume));
        };
        let reason = if get.write { self.check_write(&mut row, notes)? } else { check_read(&row) };
        match reason {
            None => self.reply(&row, get.nonce),
            Some(reason) => Ok(format!(
                "1998 Volume \"{}\" catalog status is {}, {reason}.\n",
                row.volume_name, row.status
            )),
        }
    }

    /// Why the Volume must not be written; none when it may. Recycles it where that is due.
    fn check_write(&self, row: &mut MediaRow, notes: &mut Vec<Note>) -> catalog::Result<Option<String>> {
        if self.resting()?.contains(&row.storage_id) {
            return Ok(Some("but it lies at a Storage that does not serve".to_owned()));
        }
        let Some(pool_row) = pool::get_by_name(self.tx, &self.context.pool)? else {
            return Ok(Some(format!("Pool \"{}\" is not in the catalog", self.context.pool)));
        };
        let pool = self.pool_facts(&pool_row)?;
        // The SD named the Volume by what it has in the drive; the Media Type is the Storage's, which wrote it.
        let want = self.want(&pool_row, &row.media_type, 0, Vec::new())?;
        let facts = facts_of(row);
        if let Some(reached) = expiry(&facts, &pool, self.now) {
            self.close(row, reached.status(), &reached.to_string(), notes)?;
            return Ok(Some(reached.to_string()));
        }
        match check_named(&want, &pool, &facts) {
            Named::Usable => Ok(None),
            Named::Recycle | Named::Prune if self.shared.is_held() => {
                Ok(Some("and nothing is recycled while the catalog is being reconciled".to_owned()))
            }
            Named::Recycle => self.recycle(row, notes).map(|()| None),
            Named::Prune => match self.prune(row)? {
                true => self.recycle(row, notes).map(|()| None),
                false => Ok(Some("but should be Append, Purged or Recycle (jobs are left on it)".to_owned())),
            },
            Named::Refused(reason) => Ok(Some(reason.to_owned())),
        }
    }

    fn update(&self, update: &UpdateMedia, notes: &mut Vec<Note>) -> catalog::Result<String> {
        let Some(mut row) = media::get_by_name(self.tx, &update.volume)? else {
            return Ok(format!("1991 Catalog Request for vol={} failed: not in catalog.\n", update.volume));
        };
        if self.is_news(&row, update)? {
            self.apply(&mut row, update, notes);
            media::update(self.tx, &row)?;
            self.reserve(&row, update)?;
            if let Some(pool_row) = pool::get(self.tx, row.pool_id)? {
                let pool = self.pool_facts(&pool_row)?;
                if let Some(reached) = expiry(&facts_of(&row), &pool, self.now) {
                    self.close(&mut row, reached.status(), &reached.to_string(), notes)?;
                }
            }
        }
        self.reply(&row, None)
    }

    /// A backup on a stock SD has begun with this Volume. An adoption by read-back must know where, and the SD tells of its
    /// pieces only at their end.
    fn reserve(&self, row: &MediaRow, update: &UpdateMedia) -> catalog::Result<()> {
        let begins = self.context.job_type == JobType::Backup && update.status == VolStatus::Append;
        if self.context.holdfast || !begins {
            return Ok(());
        }
        jobmedia::reserve(self.tx, self.context.job_id, row.id, VolAddr(update.vol_bytes), update.relabel)
    }

    /// A state of a Holdfast SD counts only if its number is above the stored one.
    fn is_news(&self, row: &MediaRow, update: &UpdateMedia) -> catalog::Result<bool> {
        let Some(state_seq) = update.state_seq else { return Ok(true) };
        let state = VolumeState {
            label_date: update.label_time.map_or(0, |t| t.0),
            state_seq,
            write_counter: update.write_counter.unwrap_or(update.vol_writes),
        };
        volume_state::advance(self.tx, row.id, state)
    }

    fn apply(&self, row: &mut MediaRow, u: &UpdateMedia, notes: &mut Vec<Note>) {
        let blocks_changed = row.vol_blocks != u.vol_blocks;
        if u.relabel {
            row.label_date = Some(self.now);
        }
        if row.first_written.is_none() && (u.vol_blocks > 0 || u.first_written > 0) {
            let told = (u.first_written > 0).then_some(Timestamp(u.first_written));
            row.first_written = told.or(Some(self.context.start_time));
        }
        if blocks_changed {
            row.last_written = Some(if u.end_time > 0 { Timestamp(u.end_time) } else { self.now });
        }
        if u.vol_writes > row.vol_writes {
            row.storage_id = self.context.storage_id;
        }
        if u.vol_files < row.vol_files && !u.relabel && u.vol_writes >= row.vol_writes {
            notes.push(Note {
                warning: false,
                text: format!(
                    "Attempt to set Volume \"{}\" Files from {} to {}; not done",
                    row.volume_name, row.vol_files, u.vol_files
                ),
            });
        } else {
            row.vol_files = u.vol_files;
        }
        row.vol_jobs = u.vol_jobs;
        row.vol_blocks = u.vol_blocks;
        row.vol_bytes = u.vol_bytes;
        row.vol_abytes = u.vol_abytes;
        row.vol_hole_bytes = u.vol_hole_bytes;
        row.vol_holes = u.vol_holes;
        row.vol_mounts = u.vol_mounts;
        row.vol_errors = u.vol_errors;
        row.vol_writes = u.vol_writes;
        row.status = u.status;
        row.slot = u.slot;
        row.in_changer = u.in_changer;
        row.vol_read_time = keep_if_unknown(u.vol_read_time, row.vol_read_time);
        row.vol_write_time = keep_if_unknown(u.vol_write_time, row.vol_write_time);
        if u.vol_type != 0 {
            row.vol_type = u.vol_type;
        }
        row.vol_parts = u.vol_parts;
        row.vol_cloud_parts = u.vol_cloud_parts;
        row.last_part_bytes = u.last_part_bytes;
        row.protected = u.protected.unwrap_or(row.protected);
        row.use_protect = u.use_protect.unwrap_or(row.use_protect);
        row.vol_encrypted = u.vol_encrypted.unwrap_or(row.vol_encrypted);
    }

    /// Full or Used: the Volume takes no further job.
    pub(super) fn close(
        &self,
        row: &mut MediaRow,
        status: VolStatus,
        why: &str,
        notes: &mut Vec<Note>,
    ) -> catalog::Result<()> {
        notes.push(Note {
            warning: false,
            text: format!("{why}. Marking Volume \"{}\" as {status}.", row.volume_name),
        });
        row.status = status;
        media::update(self.tx, row)
    }

    /// Purged to Recycle.
    pub(super) fn recycle(&self, row: &mut MediaRow, notes: &mut Vec<Note>) -> catalog::Result<()> {
        purge::recycle(self.tx, row)?;
        notes.push(Note { warning: false, text: format!("Recycled volume \"{}\"", row.volume_name) });
        Ok(())
    }

    /// Prunes a Volume by its retention if that leaves nothing on it, and no other job may have more there; says whether it is Purged now.
    pub(super) fn prune(&self, row: &mut MediaRow) -> catalog::Result<bool> {
        let jobs = super::prune::jobs_on(self.tx, row.id)?;
        let plan = plan_volume_prune(row.id, &row.volume_name, row.limits.vol_retention, &jobs, self.now);
        let by = self.context.job_id;
        if !plan.purges() || row.protected || journal::is_in_hand(self.tx, &row.volume_name, by)? {
            return Ok(false);
        }
        super::prune::execute_volume_prune(self.tx, row, &plan, by)?;
        Ok(true)
    }

    /// Whether only what is to be appended to may be given out (DESIGN §4 "Reconciliation").
    pub(super) fn is_held(&self) -> bool {
        self.shared.is_held()
    }

    /// Storages that do not serve: what is there is out of reach.
    pub(super) fn resting(&self) -> catalog::Result<Vec<types::StorageId>> {
        self.shared.rules.resting(self.tx)
    }

    pub(super) fn pool_facts(&self, row: &PoolRow) -> catalog::Result<PoolFacts> {
        Ok(self.shared.rules.pool(row, pool::bytes(self.tx, row.id)?))
    }

    pub(super) fn want(
        &self,
        pool: &PoolRow,
        media_type: &str,
        vol_type: u32,
        exclude: Vec<types::MediaId>,
    ) -> catalog::Result<Want> {
        Ok(Want {
            pool: pool.id,
            media_type: media_type.to_owned(),
            vol_type,
            changer: self.shared.rules.changer(self.tx, &self.context.storage)?,
            exclude,
            now: self.now,
        })
    }

    fn reply(&self, row: &MediaRow, nonce: Option<Nonce>) -> catalog::Result<String> {
        let pool = pool::get(self.tx, row.pool_id)?;
        // Only such a Volume is overwritten by its next use.
        let permit = nonce.zip(self.lease_ms).filter(|_| row.status == VolStatus::Recycle);
        let guarded = match permit {
            None => None,
            Some((nonce, lease_ms)) => {
                self.permitted.replace(Some(row.volume_name.clone()));
                let state = volume_state::get(self.tx, row.id)?;
                Some(Guarded {
                    label_time: state.label_date,
                    write_counter: state.write_counter,
                    nonce,
                    lease_ms,
                })
            }
        };
        let extra = Extra {
            max_pool_bytes: pool.map_or(0, |row| row.max_pool_bytes),
            pool_bytes: pool::bytes(self.tx, row.pool_id)?,
            guarded,
        };
        Ok(volume_reply(row, &extra, self.context.sd_version))
    }
}

fn check_read(row: &MediaRow) -> Option<String> {
    (row.enabled == 0 || row.status == VolStatus::Disabled).then(|| "is not Enabled".to_owned())
}

/// An SD that does not measure sends 0.
fn keep_if_unknown(new: u64, old: u64) -> u64 {
    if new == 0 { old } else { new }
}

/// A row as the decisions see it.
pub(super) fn facts_of(row: &MediaRow) -> VolumeFacts {
    VolumeFacts {
        id: row.id,
        name: row.volume_name.clone(),
        pool: row.pool_id,
        media_type: row.media_type.clone(),
        status: row.status,
        enabled: row.enabled,
        vol_type: row.vol_type,
        in_changer: row.in_changer,
        storage: row.storage_id,
        first_written: row.first_written,
        last_written: row.last_written,
        jobs: row.vol_jobs,
        files: row.vol_files,
        bytes: row.vol_bytes.saturating_add(row.vol_abytes),
        recycle: row.limits.recycle,
        retention: row.limits.vol_retention,
        use_duration: row.limits.vol_use_duration,
        max_jobs: row.limits.max_vol_jobs,
        max_files: row.limits.max_vol_files,
        max_bytes: row.limits.max_vol_bytes,
        recycle_pool: row.recycle_pool_id,
    }
}
