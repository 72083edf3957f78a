//! `FindMedia`: the steps of spec/04 §5.2, each decided by `policy` and executed here.

use super::names;
use super::session::Note;
use super::volumes::{FindMedia, Server, facts_of};
use catalog::media::{self, MediaRow};
use catalog::pool::{self, PoolRow};
use catalog::{journal, purge};
use policy::volume::{
    Choice, PoolFacts, Want, choose, choose_oldest, expiry, prune_order, take_from_scratch,
};
use types::{MediaId, PoolId, VolStatus};

/// Rounds of choosing and finding the choice expired before giving up.
const ROUNDS_MAX: u32 = 200;

/// Name of the Pool that new Volumes come from where no other is named.
const SCRATCH: &str = "Scratch";

/// Volumes already offered for the request that is going on: an SD asks for the next best by a higher index.
#[derive(Debug, Clone, Default)]
pub(super) struct Offered {
    ids: Vec<MediaId>,
}

/// The Volume to answer with, its changes made; none when there is none.
pub(super) fn find(
    server: &Server<'_>,
    find: &FindMedia,
    offered: &mut Offered,
    notes: &mut Vec<Note>,
) -> catalog::Result<Option<MediaRow>> {
    let Some(pool) = pool::get_by_name(server.tx, &find.pool)? else { return Ok(None) };
    if find.index <= 1 {
        offered.ids.clear();
    }
    // A session that was taken over knows nothing of what was offered before: so many are passed over.
    let mut skip = (find.index as usize).saturating_sub(1).saturating_sub(offered.ids.len());
    for _ in 0..ROUNDS_MAX {
        let want = server.want(&pool, &find.media_type, find.vol_type, offered.ids.clone())?;
        let facts = server.pool_facts(&pool)?;
        let Some(mut row) =
            (Search { server, want, pool: &pool, facts: &facts }).run(find.create && skip == 0, notes)?
        else {
            return Ok(None);
        };
        if let Some(reached) = expiry(&facts_of(&row), &facts, server.now) {
            server.close(&mut row, reached.status(), &reached.to_string(), notes)?;
            continue;
        }
        offered.ids.push(row.id);
        if skip > 0 {
            skip -= 1;
            continue;
        }
        return Ok(Some(row));
    }
    Ok(None)
}

struct Search<'s> {
    server: &'s Server<'s>,
    want: Want,
    pool: &'s PoolRow,
    facts: &'s PoolFacts,
}

impl Search<'_> {
    fn run(&self, create: bool, notes: &mut Vec<Note>) -> catalog::Result<Option<MediaRow>> {
        let passes: &[bool] = if self.want.changer.is_some() { &[true, false] } else { &[false] };
        for &in_changer in passes {
            if let Some(row) = self.ready(in_changer, notes)? {
                return Ok(Some(row));
            }
            if let Some(row) = self.pruned(in_changer, notes)? {
                return Ok(Some(row));
            }
            if let Some(row) = self.scratch(in_changer, notes)? {
                return Ok(Some(row));
            }
        }
        if create && let Some(row) = self.created(notes)? {
            return Ok(Some(row));
        }
        self.oldest(notes)
    }

    fn candidates(&self) -> catalog::Result<Vec<MediaRow>> {
        let mut rows = media::find_candidates(self.server.tx, self.want.pool, &self.want.media_type)?;
        let resting = self.server.resting()?;
        rows.retain(|row| !resting.contains(&row.storage_id));
        Ok(rows)
    }

    fn ready(&self, in_changer: bool, notes: &mut Vec<Note>) -> catalog::Result<Option<MediaRow>> {
        let mut rows = self.candidates()?;
        if self.server.is_held() {
            rows.retain(|row| row.status == VolStatus::Append);
        }
        let facts: Vec<_> = rows.iter().map(facts_of).collect();
        match choose(&self.want, &facts, in_changer) {
            Some(choice) => self.take(choice, notes),
            None => Ok(None),
        }
    }

    fn take(&self, choice: Choice, notes: &mut Vec<Note>) -> catalog::Result<Option<MediaRow>> {
        let Some(mut row) = media::get(self.server.tx, choice.id())? else { return Ok(None) };
        match choice {
            Choice::Append(_) | Choice::Recycle(_) => {}
            Choice::Purged(_) => self.server.recycle(&mut row, notes)?,
        }
        Ok(Some(row))
    }

    fn pruned(&self, in_changer: bool, notes: &mut Vec<Note>) -> catalog::Result<Option<MediaRow>> {
        if !(self.facts.auto_prune || self.server.context.prune_volumes) || self.server.is_held() {
            return Ok(None);
        }
        let rows = self.candidates()?;
        let facts: Vec<_> = rows.iter().map(facts_of).collect();
        for volume in prune_order(&self.want, &facts, in_changer) {
            let Some(mut row) = media::get(self.server.tx, volume.id)? else { continue };
            if self.server.prune(&mut row)? {
                notes.push(Note {
                    warning: false,
                    text: format!(
                        "There are no more Jobs associated with Volume \"{}\". Marking it purged.",
                        row.volume_name
                    ),
                });
                return self.ready(in_changer, notes);
            }
        }
        Ok(None)
    }

    fn scratch(&self, in_changer: bool, notes: &mut Vec<Note>) -> catalog::Result<Option<MediaRow>> {
        let tx = self.server.tx;
        let scratch = match self.pool.scratch_pool_id {
            PoolId(0) => pool::get_by_name(tx, SCRATCH)?,
            id => pool::get(tx, id)?,
        };
        let Some(scratch) = scratch.filter(|row| row.id != self.pool.id) else { return Ok(None) };
        let mut rows = media::list(tx, Some(scratch.id))?;
        let resting = self.server.resting()?;
        rows.retain(|row| !resting.contains(&row.storage_id));
        if self.server.is_held() {
            rows.retain(|row| row.status == VolStatus::Append);
        }
        let facts: Vec<_> = rows.iter().map(facts_of).collect();
        let Some(choice) = take_from_scratch(&self.want, self.facts, &facts, in_changer) else {
            return Ok(None);
        };
        let Some(mut row) = media::get(tx, choice.id())? else { return Ok(None) };
        row.limits = self.pool.limits.clone();
        media::move_to_pool(tx, &mut row, self.pool.id)?;
        notes.push(Note {
            warning: false,
            text: format!("Using Volume \"{}\" from '{}' pool.", row.volume_name, scratch.name),
        });
        if row.status == VolStatus::Purged {
            self.server.recycle(&mut row, notes)?;
        }
        Ok(Some(row))
    }

    fn created(&self, notes: &mut Vec<Note>) -> catalog::Result<Option<MediaRow>> {
        if !self.facts.names_volumes() || !self.facts.has_room() {
            return Ok(None);
        }
        let name = match names::next_name(self.server, self.facts, &self.want.media_type)? {
            Ok(name) => name,
            Err(problem) => {
                notes.push(Note { warning: true, text: problem });
                return Ok(None);
            }
        };
        let mut row = MediaRow::new(&name, self.pool.id, &self.want.media_type, self.pool.limits.clone());
        row.label_type = self.pool.label_type;
        row.storage_id = self.server.context.storage_id;
        row.recycle_pool_id = self.pool.recycle_pool_id;
        row.scratch_pool_id = self.pool.scratch_pool_id;
        row.id = media::create(self.server.tx, &row)?;
        notes.push(Note {
            warning: false,
            text: format!(
                "Created new Volume=\"{name}\", Pool=\"{}\", MediaType=\"{}\" in catalog.",
                self.pool.name, self.want.media_type
            ),
        });
        Ok(Some(row))
    }

    fn oldest(&self, notes: &mut Vec<Note>) -> catalog::Result<Option<MediaRow>> {
        if !(self.facts.purge_oldest || self.facts.recycle_oldest) || self.server.is_held() {
            return Ok(None);
        }
        let rows = self.candidates()?;
        let facts: Vec<_> = rows.iter().map(facts_of).collect();
        let Some(volume) = choose_oldest(&self.want, &facts) else { return Ok(None) };
        let Some(mut row) = media::get(self.server.tx, volume.id)? else { return Ok(None) };
        let by = self.server.context.job_id;
        if row.protected || journal::is_in_hand(self.server.tx, &row.volume_name, by)? {
            return Ok(None);
        }
        if self.facts.purge_oldest {
            self.purge_oldest(&mut row, notes)?;
        } else if !self.server.prune(&mut row)? {
            return Ok(None);
        }
        // Purged it may have moved to another Pool; then nothing is won for this job.
        if row.pool_id != self.pool.id {
            return Ok(None);
        }
        self.server.recycle(&mut row, notes)?;
        Ok(Some(row))
    }

    fn purge_oldest(&self, row: &mut MediaRow, notes: &mut Vec<Note>) -> catalog::Result<()> {
        let jobs = media::jobs_on(self.server.tx, row.id)?;
        notes.push(Note {
            warning: true,
            text: format!("Purging oldest volume \"{}\": {} Job(s)", row.volume_name, jobs.len()),
        });
        purge::delete_jobs(self.server.tx, &jobs)?;
        purge::mark_purged(self.server.tx, row)
    }
}
