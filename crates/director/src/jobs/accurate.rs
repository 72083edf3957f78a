//! The list of files of earlier jobs, sent to the FD (spec/01 §5.8, spec/04 §4.7).

use super::job::Job;
use super::session::{Fail, FdSession};
use crate::handle::Director;
use catalog::{CatalogError, ReadTx};
use policy::plan::JobPlan;
use tokio::sync::mpsc;
use types::{ClientId, FileIndex, JobId, JobLevel, JobType};
use wire::frame::Signal;

/// Entries read ahead of the FD.
const AHEAD: usize = 512;

/// Whether the job sends a list.
pub(crate) fn wanted(plan: &JobPlan) -> bool {
    let level = matches!(plan.level, JobLevel::Incremental | JobLevel::Differential | JobLevel::Since);
    plan.job_type == JobType::Backup && ((plan.accurate && level) || reruns(plan))
}

fn reruns(plan: &JobPlan) -> bool {
    plan.rerun.is_some_and(|rerun| rerun.same_job && rerun.files > 0)
}

/// Sends the list. The FD does not answer it.
pub(crate) async fn send(
    director: &Director,
    job: &Job,
    fd: &mut FdSession,
    client: ClientId,
) -> Result<(), Fail> {
    let plan = job.plan();
    job.messages.info("Sending Accurate information to the FD.");
    let jobs = chain(director, &plan, job.id, client).await?;
    let list = jobs.clone();
    let files = director.catalog().read(move |r| {
        list.iter().try_fold(0, |sum, id| Ok::<_, CatalogError>(sum + catalog::file::count(r, *id)?))
    });
    let count = files.await?;
    let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(AHEAD);
    let digests = needs_digest(&plan);
    // The catalog's thread waits when the FD is slow: the list is never in memory as a whole.
    let reading = director.catalog().read_long(move |r| {
        catalog::file::for_each_newest(r, &jobs, |row, _| {
            if row.file_index <= FileIndex(0) {
                return Ok(());
            }
            let digest = if digests && row.digest != "0" { row.digest.as_str() } else { "" };
            let entry = [
                &row.path,
                &row.name,
                &b"\0"[..],
                row.lstat.as_bytes(),
                b"\0",
                digest.as_bytes(),
                b"\0",
                row.delta_seq.to_string().as_bytes(),
            ]
            .concat();
            sender.blocking_send(entry).map_err(|_| CatalogError::Refused("the job has ended".to_owned()))
        })
    });
    fd.peer.send(format!("accurate files={count}\n")).await?;
    let out = fd.peer.out().clone();
    // Owning the receiver: when the FD goes, it is dropped, and the reading thread with it.
    let sending = async move {
        let mut batch = Vec::with_capacity(AHEAD);
        while receiver.recv_many(&mut batch, AHEAD).await > 0 {
            out.send_all(batch.drain(..)).await?;
        }
        Ok::<(), net::NetError>(())
    };
    let (read, sent) = tokio::join!(reading, sending);
    sent.map_err(|error| Fail::fatal(crate::peer::chain(&error)))?;
    read?;
    fd.peer.signal(Signal::Eod).await?;
    Ok(())
}

/// The jobs whose files make up the list.
async fn chain(
    director: &Director,
    plan: &JobPlan,
    own: JobId,
    client: ClientId,
) -> Result<Vec<JobId>, Fail> {
    let (name, fileset, level) = (plan.job.clone(), plan.fileset.name.clone(), plan.level);
    let rerun = reruns(plan);
    let accurate = plan.accurate;
    let jobs = director.catalog().read(move |r| {
        let mut jobs = Vec::new();
        if accurate && level != JobLevel::Full {
            jobs = chain_of(r, &name, client, &fileset, level == JobLevel::Differential)?;
        }
        jobs.extend(rerun.then_some(own));
        Ok(jobs)
    });
    Ok(jobs.await?)
}

/// Last good Full, then the last Differential after it, then all Incrementals after that, by start (spec/05 §7). A
/// Differential compares with the Full alone.
fn chain_of(
    r: &ReadTx<'_>,
    name: &str,
    client: ClientId,
    fileset: &str,
    only_full: bool,
) -> catalog::Result<Vec<JobId>> {
    let ids: Vec<_> =
        catalog::fileset::list(r)?.into_iter().filter(|row| row.name == fileset).map(|row| row.id).collect();
    let jobs = catalog::job::list_good_backups(r, name, client, &ids)?;
    let newest = |level, after: Option<(i64, JobId)>| {
        jobs.iter()
            .filter(|job| job.level == level && after.is_none_or(|after| (job.tdate.0, job.id) > after))
            .max_by_key(|job| (job.tdate, job.id))
    };
    let Some(full) = newest(JobLevel::Full, None) else { return Ok(Vec::new()) };
    let mut chain = vec![full.id];
    if only_full {
        return Ok(chain);
    }
    let mut after = (full.tdate.0, full.id);
    if let Some(differential) = newest(JobLevel::Differential, Some(after)) {
        chain.push(differential.id);
        after = (differential.tdate.0, differential.id);
    }
    let later = jobs.iter().filter(|j| j.level == JobLevel::Incremental && (j.tdate.0, j.id) > after);
    chain.extend(later.map(|job| job.id));
    Ok(chain)
}

/// Whether an Options group compares digests: only then they are sent.
fn needs_digest(plan: &JobPlan) -> bool {
    let groups = plan.fileset.includes.iter().flat_map(|block| &block.options);
    groups.into_iter().any(|options| compares_digest(&options.letters))
}

/// Looks for 1, 2, 3 or 5 in the letters of Accurate, BaseJob or Verify: `C…:`, `J…:`, `V…:`.
fn compares_digest(letters: &str) -> bool {
    let mut rest = letters.chars();
    while let Some(letter) = rest.next() {
        match letter {
            'C' | 'J' | 'V'
                if rest.by_ref().take_while(|c| *c != ':').any(|c| matches!(c, '1' | '2' | '3' | '5')) =>
            {
                return true;
            }
            'P' => rest.by_ref().take_while(|c| *c != ':').for_each(drop),
            'Z' | 'd' => drop(rest.next()),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_looked_for_only_in_the_letters_that_compare() {
        assert!(compares_digest("MCpins5:"));
        assert!(compares_digest("SZoCpms:Vpins1:"));
        assert!(!compares_digest("S2Z6Cpins:P2:d1"));
        assert!(!compares_digest(""));
    }
}
