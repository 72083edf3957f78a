//! What the catalog knows of the jobs and Volumes that a Storage Daemon holds.

use super::{Fixture, T0, new_job, volume};
use catalog::attempt::{self, AttemptState, Totals};
use catalog::journal::{self, JournalKey};
use catalog::volume_state::{self, VolumeState};
use catalog::{job, known, media, plan};
use std::collections::BTreeMap;
use types::{Attempt, JobId, Seq, VolSession};

pub(crate) async fn what_a_daemon_holds_is_found_at_once(f: &Fixture) {
    let (first, second) = f
        .write(|tx| {
            let (first, second) = (job::create(tx, &new_job("a", 0))?, job::create(tx, &new_job("b", 1))?);
            let session = VolSession { id: 3, time: 4 };
            attempt::grant(tx, first, T0)?;
            attempt::set_session(tx, first, Attempt(1), "File1", session)?;
            attempt::finish(tx, first, Attempt(1), AttemptState::Closed, Totals::default(), T0)?;
            attempt::grant(tx, first, T0)?;
            attempt::set_session(tx, first, Attempt(2), "File2", session)?;
            let key = JournalKey { job_id: first, attempt: Attempt(2), storage: "File2".to_owned() };
            journal::advance(tx, &key, Seq(7))?;
            // Of a Storage that the attempt went on from: it does not count.
            journal::advance(tx, &JournalKey { storage: "File1".to_owned(), ..key }, Seq(9))?;
            let written = media::create(tx, &volume("Vol-1"))?;
            media::create(tx, &volume("Vol-2"))?;
            let state = VolumeState { label_date: 5, state_seq: 6, write_counter: 7 };
            volume_state::advance(tx, written, state)?;
            Ok((first, second))
        })
        .await;
    let (jobs, volumes, plans) = f
        .catalog
        .read(move |r| {
            // More than go into one statement.
            let ids: Vec<JobId> = (first.get()..first.get() + 500).map(JobId).collect();
            Ok((
                known::jobs(r, &ids)?,
                known::volumes(r, &["Vol-1", "Vol-2", "it's"])?,
                plan::list_unfinished(r)?,
            ))
        })
        .await
        .unwrap();
    assert_eq!(jobs.keys().copied().collect::<Vec<_>>(), [first, second]);
    assert_eq!(jobs[&first].attempts, BTreeMap::from([(Attempt(1), Seq(0)), (Attempt(2), Seq(7))]));
    assert!(jobs[&first].name.starts_with('a') && jobs[&second].attempts.is_empty(), "{jobs:?}");
    let states: Vec<u64> = volumes.values().map(|state| state.state_seq).collect();
    assert_eq!(
        (volumes.keys().map(String::as_str).collect::<Vec<_>>(), states),
        (vec!["Vol-1", "Vol-2"], vec![6, 0])
    );
    assert!(plans.is_empty(), "{plans:?}");
    let body = "{}".to_owned();
    f.write(move |tx| plan::store(tx, &plan::PlanRow { job_id: second, format: 1, body: body.clone() }))
        .await;
    let plans = f.catalog.read(plan::list_unfinished).await.unwrap();
    assert_eq!(plans.iter().map(|plan| plan.job_id).collect::<Vec<_>>(), [second]);
}
