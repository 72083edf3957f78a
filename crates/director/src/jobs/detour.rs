//! A restore that cannot have a job from its own Volumes takes the job's copy (DESIGN §4 "Copies").
//!
//! Two occasions: before it starts, a Storage that cannot be reached; while it runs, a Volume that is damaged or missing. Each job
//! of the restore is looked at on its own. A copy is taken only when its file records are those of the job, number by number.

use super::create::save_plan;
use super::job::Job;
use super::lost::Lost;
use super::session::Fail;
use crate::handle::Director;
use crate::peer::Tries;
use catalog::job::JobRow;
use catalog::{ReadTx, copies};
use policy::plan::{JobPlan, StoragePlan, bootstrap_by_storage, bootstrap_sections, storage_plan};
use policy::restore::{JobSelection, Piece, Wanted, plan_bootstrap};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{FileIndex, JobId, VolSession};

/// Another place where what is wanted lies.
struct Elsewhere {
    copy: JobId,
    storages: Vec<String>,
    text: String,
}

/// A job that holds the same data, with where it is.
struct Alike {
    row: JobRow,
    pieces: Vec<Piece>,
}

/// Whether Storages answer, asked once each.
#[derive(Default)]
struct Reach(BTreeMap<String, Result<(), String>>);

impl Reach {
    async fn of(&mut self, director: &Director, name: &str) -> Result<(), String> {
        if let Some(known) = self.0.get(name) {
            return known.clone();
        }
        let asked = ask(director, name).await;
        self.0.insert(name.to_owned(), asked.clone());
        asked
    }
}

async fn ask(director: &Director, name: &str) -> Result<(), String> {
    let config = director.config();
    let storage = config.storage(name).ok_or_else(|| "it is not in the configuration".to_owned())?;
    let opened = director.connect_storage(storage, Tries::Soon).await;
    let conn = opened.map_err(|error| crate::peer::chain(&error))?;
    conn.terminate().await;
    Ok(())
}

/// Changes the plan of a restore so that it reads nothing from a Storage that cannot be reached, as far as there are copies.
pub(crate) async fn around_storages(director: &Director, job: &Arc<Job>) -> Result<(), Fail> {
    let plan = job.plan();
    let Some(restore) = &plan.restore else { return Ok(()) };
    let (mut reach, mut text, mut changed) = (Reach::default(), String::new(), false);
    let mut taken: BTreeMap<(JobId, JobId), String> = BTreeMap::new();
    let mut storages = plan.read_storages.clone();
    for (name, part) in bootstrap_by_storage(&restore.bootstrap) {
        let storage = name.or_else(|| plan.read_storages.first().map(|storage| storage.name.clone()));
        let Some(storage) = storage else { continue };
        let mut lines = String::new();
        for (session, sections) in by_session(&part) {
            let elsewhere = match session {
                Some(session) => {
                    unless_reached(director, &plan, &mut reach, &storage, session, &sections).await?
                }
                None => None,
            };
            match elsewhere {
                Some((of, other)) => {
                    for name in &other.storages {
                        note_storage(director, &mut storages, name);
                    }
                    lines.push_str(&other.text);
                    taken.insert((of, other.copy), other.storages.join(", "));
                    changed = true;
                }
                None => lines.push_str(&sections.concat()),
            }
        }
        text.push_str(&lines);
    }
    if !changed {
        return Ok(());
    }
    for (name, why) in reach.0.iter().filter_map(|(name, asked)| Some((name, asked.as_ref().err()?))) {
        job.messages.warning(&format!("Storage \"{name}\" cannot be reached: {why}"));
    }
    for ((of, copy), storage) in taken {
        job.messages.warning(&format!(
            "JobId {of} is restored from JobId {copy}, which holds the same data on Storage \"{storage}\"."
        ));
    }
    let mut plan = JobPlan::clone(&plan);
    storages.retain(|storage| {
        !matches!(reach.0.get(&storage.name), Some(Err(_))) || text_names(&text, &storage.name)
    });
    plan.read_storages = storages;
    if let Some(restore) = &mut plan.restore {
        restore.bootstrap = text;
    }
    save_plan(director, job.id, &plan).await?;
    job.set_plan(plan);
    Ok(())
}

fn text_names(bootstrap: &str, storage: &str) -> bool {
    bootstrap_by_storage(bootstrap).iter().any(|(name, _)| name.as_deref() == Some(storage))
}

fn note_storage(director: &Director, storages: &mut Vec<StoragePlan>, name: &str) {
    if storages.iter().all(|storage| storage.name != name)
        && let Some(storage) = director.config().storage(name)
    {
        storages.push(storage_plan(storage, "Copy"));
    }
}

/// Where to read a session's sections when its Storage is away. The Storage is asked only when there is a choice.
async fn unless_reached(
    director: &Director,
    plan: &JobPlan,
    reach: &mut Reach,
    storage: &str,
    session: VolSession,
    sections: &[String],
) -> Result<Option<(JobId, Elsewhere)>, Fail> {
    let Some((of, alike)) = alike(director, plan, session).await? else { return Ok(None) };
    if alike.is_empty() || reach.of(director, storage).await.is_ok() {
        return Ok(None);
    }
    let Some(wanted) = wanted_of(sections) else { return Ok(None) };
    let found = find(director, reach, of, &alike, &wanted).await?;
    Ok(found.map(|elsewhere| (of, elsewhere)))
}

/// Further parts that bring what Volumes did not give, and what no copy gives either.
pub(crate) async fn for_lost(
    director: &Director,
    job: &Arc<Job>,
    lost: Vec<Lost>,
) -> Result<(Vec<(StoragePlan, String)>, Vec<Lost>), Fail> {
    let plan = job.plan();
    let mut by_session: BTreeMap<(u32, u32), Vec<Lost>> = BTreeMap::new();
    for lost in lost {
        by_session.entry((lost.session.id, lost.session.time)).or_default().push(lost);
    }
    let (mut parts, mut rest, mut reach) = (Vec::new(), Vec::new(), Reach::default());
    let mut storages = plan.read_storages.clone();
    for ((id, time), lost) in by_session {
        let Some((of, alike)) = alike(director, &plan, VolSession { id, time }).await? else {
            rest.extend(lost);
            continue;
        };
        let mut ranges: Vec<(FileIndex, FileIndex)> = lost
            .iter()
            .map(|lost| (FileIndex(*lost.indexes.start()), FileIndex(*lost.indexes.end())))
            .collect();
        ranges.sort_unstable();
        ranges.dedup();
        let Some(elsewhere) = find(director, &mut reach, of, &alike, &Wanted::Ranges(ranges)).await? else {
            rest.extend(lost);
            continue;
        };
        let (copy, names) = (elsewhere.copy, elsewhere.storages.join(", "));
        job.messages.warning(&format!(
            "What the Volumes of JobId {of} did not give is restored from JobId {copy}, which holds the same data on Storage \"{names}\"."
        ));
        for (name, text) in bootstrap_by_storage(&elsewhere.text) {
            let Some(name) = name else { continue };
            note_storage(director, &mut storages, &name);
            let Some(storage) = storages.iter().find(|storage| storage.name == name) else { continue };
            match parts.iter_mut().find(|(known, _): &&mut (StoragePlan, String)| known.name == name) {
                Some((_, lines)) => lines.push_str(&text),
                None => parts.push((storage.clone(), text)),
            }
        }
    }
    Ok((parts, rest))
}

/// Sections of a bootstrap, those of one session that follow on each other together; `None` where they name no single session.
fn by_session(part: &str) -> Vec<(Option<VolSession>, Vec<String>)> {
    let mut groups: Vec<(Option<VolSession>, Vec<String>)> = Vec::new();
    for section in bootstrap_sections(part) {
        let session = session_of(&section);
        match groups.last_mut() {
            Some((known, sections)) if *known == session => sections.push(section),
            _ => groups.push((session, vec![section])),
        }
    }
    groups
}

fn session_of(section: &str) -> Option<VolSession> {
    let bsr: volume::Bsr = section.parse().ok()?;
    let [section] = bsr.sections.as_slice() else { return None };
    let ([id], [time]) = (section.session_ids.as_slice(), section.session_times.as_slice()) else {
        return None;
    };
    (id.start() == id.end()).then(|| VolSession { id: *id.start(), time: *time })
}

/// What sections of one session select.
fn wanted_of(sections: &[String]) -> Option<Wanted> {
    let mut ranges: Vec<(FileIndex, FileIndex)> = Vec::new();
    let mut regex = None;
    for section in sections {
        let bsr: volume::Bsr = section.parse().ok()?;
        for section in bsr.sections {
            ranges.extend(section.indexes.iter().map(|r| (FileIndex(*r.start()), FileIndex(*r.end()))));
            regex = section.file_regex.or(regex);
        }
    }
    if let Some(regex) = regex {
        return Some(Wanted::Regex(regex));
    }
    ranges.sort_unstable();
    ranges.dedup();
    Some(if ranges.is_empty() { Wanted::All } else { Wanted::Ranges(ranges) })
}

/// The job of a session, and the others that hold the same data.
async fn alike(
    director: &Director,
    plan: &JobPlan,
    session: VolSession,
) -> Result<Option<(JobId, Vec<Alike>)>, Fail> {
    let of_restore: Vec<JobId> = plan.restore.iter().flat_map(policy::plan::RestorePlan::jobs).collect();
    let config = director.config();
    let found = director.catalog().read(move |r| {
        let jobs = if of_restore.is_empty() {
            copies::list_of_session(r, session)?
        } else {
            catalog::job::get_many(r, &of_restore)?
        };
        let Some(job) = jobs.into_iter().find(|row| row.session == session) else { return Ok(None) };
        let storages = catalog::storage::list(r)?;
        let mut alike = Vec::new();
        for row in copies::list_alike(r, job.id)? {
            if has_same_numbers(r, &job, &row)? {
                let rows = catalog::jobmedia::list(r, row.id)?;
                let pieces =
                    rows.into_iter().map(|row| super::pieces::piece(&config, &storages, row)).collect();
                alike.push(Alike { row, pieces });
            }
        }
        Ok(Some((job.id, alike)))
    });
    Ok(found.await?)
}

fn has_same_numbers(r: &ReadTx<'_>, job: &JobRow, other: &JobRow) -> catalog::Result<bool> {
    if job.purged_files || other.purged_files {
        return Ok(job.files == other.files);
    }
    Ok(copies::count_renumbered(r, job.id, other.id)? == 0)
}

/// The first job whose pieces are all on Storages that answer.
async fn find(
    director: &Director,
    reach: &mut Reach,
    of: JobId,
    alike: &[Alike],
    wanted: &Wanted,
) -> Result<Option<Elsewhere>, Fail> {
    for other in alike.iter().filter(|other| other.row.id != of) {
        let selection = JobSelection {
            job_id: other.row.id,
            session: other.row.session,
            pieces: other.pieces.clone(),
            wanted: wanted.clone(),
        };
        let plan = plan_bootstrap(&[selection]);
        let mut storages: Vec<String> = Vec::new();
        for name in plan.sections.iter().filter_map(|section| section.piece.storage.as_ref()) {
            if !storages.contains(name) {
                storages.push(name.clone());
            }
        }
        let is_known = plan.sections.iter().all(|section| section.piece.storage.is_some());
        let mut all_answer = is_known && !storages.is_empty();
        for name in &storages {
            all_answer &= reach.of(director, name).await.is_ok();
        }
        if all_answer {
            return Ok(Some(Elsewhere { copy: other.row.id, storages, text: plan.to_text() }));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_one_session_are_wanted_together() {
        let section = |volume: &str, id: u32, files: &str| {
            format!(
                "Storage=\"S\"\nVolume=\"{volume}\"\nMediaType=\"F\"\nVolSessionId={id}\nVolSessionTime=9\nFileIndex={files}\n"
            )
        };
        let text = [section("A", 1, "1-3"), section("B", 1, "3-5"), section("B", 2, "7")].concat();
        let groups = by_session(&text);
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].0, groups[0].1.len()), (Some(VolSession { id: 1, time: 9 }), 2));
        let ranges = |group: &[String]| match wanted_of(group) {
            Some(Wanted::Ranges(ranges)) => ranges.iter().map(|(a, b)| (a.0, b.0)).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(ranges(&groups[0].1), [(1, 3), (3, 5)]);
        assert_eq!(ranges(&groups[1].1), [(7, 7)]);
        assert_eq!(groups.iter().flat_map(|(_, sections)| sections.clone()).collect::<String>(), text);
    }
}
