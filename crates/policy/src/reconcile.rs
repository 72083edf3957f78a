//! A catalog that may have gone back in time, beside what a Storage Daemon knows (DESIGN §4 "Reconciliation").
//!
//! [`sign`] tells whether it has: each sign is something that the catalog had stored before the daemon could know it. [`plan`]
//! tells what makes the two agree again without losing anything: numbers are drawn above the daemon's, jobs that only the daemon
//! knows are replayed from its journals, Volumes of which it knows more are kept from being written.

use std::collections::BTreeMap;
use std::fmt;
use types::{Attempt, JobId, JobType, Seq, VolTime};

/// A job that a Storage Daemon holds a journal of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldJob {
    /// Its number.
    pub id: JobId,
    /// Its unique name.
    pub name: String,
    /// What it is.
    pub job_type: JobType,
    /// Which start of it.
    pub attempt: Attempt,
    /// The last record that a catalog has confirmed.
    pub acked: Seq,
}

/// The newest state of a Volume on a Storage Daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldVolume {
    /// Its name.
    pub name: String,
    /// When it was labelled.
    pub label_time: VolTime,
    /// Number of the state.
    pub seq: u64,
    /// Bytes on it.
    pub bytes: u64,
    /// Jobs on it.
    pub jobs: u32,
}

/// What one Storage Daemon knows of this Director and catalog.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Storage resource by which it was asked.
    pub storage: String,
    /// The highest number that a job ever had there.
    pub highest_job: JobId,
    /// Journals that are kept.
    pub jobs: Vec<HeldJob>,
    /// Volumes.
    pub volumes: Vec<HeldVolume>,
}

/// A job as the catalog has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedJob {
    /// Its unique name.
    pub name: String,
    /// Its starts, and how far the journal of each is in the catalog.
    pub attempts: BTreeMap<Attempt, Seq>,
}

/// A Volume as the catalog has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordedVolume {
    /// Label time of the state that was applied last; 0 = none was.
    pub label_time: VolTime,
    /// Number of that state.
    pub seq: u64,
}

/// What the catalog has of an inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// The highest JobId ever given out, before any reconciliation that is not over.
    pub highest_job: JobId,
    /// Jobs of the inventory.
    pub jobs: BTreeMap<JobId, RecordedJob>,
    /// Volumes of the inventory.
    pub volumes: BTreeMap<String, RecordedVolume>,
}

/// That the catalog has gone back: the daemon knows what the catalog had committed before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// A JobId that was never given out.
    JobId {
        /// Who knows it.
        storage: String,
        /// It.
        job: JobId,
        /// The catalog's highest.
        highest: JobId,
    },
    /// A start of a job that was never granted.
    Attempt {
        /// Who knows it.
        storage: String,
        /// The job.
        job: JobId,
        /// The start.
        attempt: Attempt,
    },
    /// A record that was confirmed and is not there.
    Record {
        /// Who was told.
        storage: String,
        /// The job.
        job: JobId,
        /// The last record confirmed.
        acked: Seq,
        /// The last record there.
        stored: Seq,
    },
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JobId { storage, job, highest } => {
                write!(f, "Storage daemon {storage} knows JobId {job}, the catalog none above {highest}")
            }
            Self::Attempt { storage, job, attempt } => {
                write!(
                    f,
                    "Storage daemon {storage} knows attempt {attempt} of JobId {job}, the catalog does not"
                )
            }
            Self::Record { storage, job, acked, stored } => write!(
                f,
                "Storage daemon {storage} was told that record {acked} of JobId {job} is stored, the catalog has {stored}"
            ),
        }
    }
}

/// The first sign that the catalog has gone back; none when nothing says so. Jobs and Volumes that an operator has deleted
/// are no sign.
#[must_use]
pub fn sign(inventory: &Inventory, recorded: &Recorded) -> Option<Sign> {
    let storage = || inventory.storage.clone();
    if inventory.highest_job > recorded.highest_job {
        let (job, highest) = (inventory.highest_job, recorded.highest_job);
        return Some(Sign::JobId { storage: storage(), job, highest });
    }
    inventory.jobs.iter().find_map(|held| {
        let known = recorded.jobs.get(&held.id).filter(|known| known.name == held.name)?;
        let (job, attempt) = (held.id, held.attempt);
        match known.attempts.get(&attempt) {
            // Starts are granted in order, and kept as long as their job.
            None if !known.attempts.is_empty() => Some(Sign::Attempt { storage: storage(), job, attempt }),
            Some(&stored) if stored < held.acked => {
                Some(Sign::Record { storage: storage(), job, acked: held.acked, stored })
            }
            None | Some(_) => None,
        }
    })
}

/// What is done about a Volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeStep {
    /// The catalog does not know it: it is recorded, Read-Only.
    Record(HeldVolume),
    /// The catalog knows it older: its state is taken, and it is Read-Only.
    Advance(HeldVolume),
    /// It was labelled anew since: as [`Self::Advance`], and what the catalog believes to be on it is gone.
    Relabelled(HeldVolume),
}

/// What makes catalog and daemon agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Storage resource.
    pub storage: String,
    /// JobIds up to this one are not given out again.
    pub raise_jobs_to: JobId,
    /// Jobs of which the catalog knows nothing: replayed.
    pub lost: Vec<HeldJob>,
    /// Jobs whose number another job has got since: their journals stay where they are.
    pub displaced: Vec<HeldJob>,
    /// Volumes.
    pub volumes: Vec<VolumeStep>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Storage daemon {}: no JobId up to {} is given out again",
            self.storage, self.raise_jobs_to
        )?;
        for job in &self.lost {
            write!(f, "; JobId {} ({}) is replayed from its journal", job.id, job.name)?;
        }
        for job in &self.displaced {
            write!(
                f,
                "; the journal of JobId {} ({}) is left there: another job has its number",
                job.id, job.name
            )?;
        }
        for step in &self.volumes {
            match step {
                VolumeStep::Record(v) => {
                    write!(
                        f,
                        "; Volume \"{}\" ({} bytes, {} jobs) is recorded, Read-Only",
                        v.name, v.bytes, v.jobs
                    )?;
                }
                VolumeStep::Advance(v) => {
                    write!(f, "; Volume \"{}\" has more on it ({} bytes): Read-Only", v.name, v.bytes)?;
                }
                VolumeStep::Relabelled(v) => {
                    write!(f, "; Volume \"{}\" was labelled anew ({} bytes): Read-Only", v.name, v.bytes)?;
                }
            }
        }
        Ok(())
    }
}

/// How sure it is that the catalog has gone back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// It may have: it is on another server, or in another history of it.
    May,
    /// There was a sign.
    Did,
}

/// What is to be done about one daemon. Where it is not sure that the catalog has gone back, what differs by an ordinary
/// takeover is left to the journals: then only Volumes that the catalog does not know at all are recorded.
#[must_use]
pub fn plan(inventory: &Inventory, recorded: &Recorded, doubt: Doubt) -> Plan {
    let mut plan =
        Plan { storage: inventory.storage.clone(), raise_jobs_to: inventory.highest_job, ..Plan::default() };
    for held in &inventory.jobs {
        match recorded.jobs.get(&held.id) {
            // What is not above the catalog's highest was deleted, and stays so.
            None if held.id > recorded.highest_job => plan.lost.push(held.clone()),
            None => {}
            Some(known) if known.name != held.name => plan.displaced.push(held.clone()),
            Some(known) if !known.attempts.is_empty() && !known.attempts.contains_key(&held.attempt) => {
                plan.lost.push(held.clone());
            }
            Some(_) => {}
        }
    }
    plan.lost.sort_by_key(|job| (job.id, job.attempt));
    for held in &inventory.volumes {
        let step = match recorded.volumes.get(&held.name) {
            None => VolumeStep::Record(held.clone()),
            Some(known) if doubt == Doubt::May || known.seq >= held.seq => continue,
            Some(known) if known.label_time.0 != 0 && known.label_time != held.label_time => {
                VolumeStep::Relabelled(held.clone())
            }
            Some(_) => VolumeStep::Advance(held.clone()),
        };
        plan.volumes.push(step);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn held(id: u32, attempt: u32, acked: u64) -> HeldJob {
        HeldJob {
            id: JobId(id),
            name: format!("Job.{id}"),
            job_type: JobType::Backup,
            attempt: Attempt(attempt),
            acked: Seq(acked),
        }
    }

    fn volume(name: &str, label: u64, seq: u64) -> HeldVolume {
        HeldVolume { name: name.into(), label_time: VolTime(label), seq, bytes: 100 * seq, jobs: 1 }
    }

    fn inventory(highest: u32, jobs: Vec<HeldJob>, volumes: Vec<HeldVolume>) -> Inventory {
        Inventory { storage: "File1".into(), highest_job: JobId(highest), jobs, volumes }
    }

    fn recorded(highest: u32, jobs: &[(u32, u32, u64)], volumes: &[(&str, u64, u64)]) -> Recorded {
        let job = |&(id, attempt, seq): &(u32, u32, u64)| {
            let attempts = BTreeMap::from([(Attempt(attempt), Seq(seq))]);
            (JobId(id), RecordedJob { name: format!("Job.{id}"), attempts })
        };
        let volume = |&(name, label, seq): &(&str, u64, u64)| {
            (name.to_owned(), RecordedVolume { label_time: VolTime(label), seq })
        };
        Recorded {
            highest_job: JobId(highest),
            jobs: jobs.iter().map(job).collect(),
            volumes: volumes.iter().map(volume).collect(),
        }
    }

    #[track_caller]
    fn check(inventory: &Inventory, recorded: &Recorded, doubt: Doubt, expected: &Expect) {
        let sign = sign(inventory, recorded).map_or_else(|| "no sign".to_owned(), |sign| sign.to_string());
        let text = format!("{sign}\n{}\n", plan(inventory, recorded, doubt)).replace("; ", "\n  ");
        expected.assert_eq(&text);
    }

    #[test]
    fn what_a_takeover_leaves_open_is_no_sign() {
        // The job runs on: the daemon is ahead of the catalog, and was told of nothing that is not there.
        check(
            &inventory(7, vec![held(7, 1, 20)], vec![volume("A", 5, 9)]),
            &recorded(7, &[(7, 1, 22)], &[("A", 5, 8)]),
            Doubt::May,
            &expect![[r#"
                no sign
                Storage daemon File1: no JobId up to 7 is given out again
            "#]],
        );
        // Deleted by the operator, whose Volume is still there.
        check(
            &inventory(7, vec![held(6, 1, 20)], vec![volume("A", 5, 9)]),
            &recorded(9, &[], &[("A", 5, 9)]),
            Doubt::Did,
            &expect![[r#"
                no sign
                Storage daemon File1: no JobId up to 7 is given out again
            "#]],
        );
    }

    #[test]
    fn an_old_catalog_is_told_by_numbers_and_gets_back_jobs_and_volumes() {
        check(
            &inventory(
                9,
                vec![held(9, 1, 30), held(8, 1, 30), held(7, 2, 4), held(6, 1, 9)],
                vec![volume("A", 5, 9), volume("B", 6, 3), volume("C", 90, 4), volume("D", 8, 2)],
            ),
            &recorded(7, &[(7, 1, 22), (6, 1, 9)], &[("A", 5, 8), ("C", 7, 2), ("D", 8, 2)]),
            Doubt::Did,
            &expect![[r#"
                Storage daemon File1 knows JobId 9, the catalog none above 7
                Storage daemon File1: no JobId up to 9 is given out again
                  JobId 7 (Job.7) is replayed from its journal
                  JobId 8 (Job.8) is replayed from its journal
                  JobId 9 (Job.9) is replayed from its journal
                  Volume "A" has more on it (900 bytes): Read-Only
                  Volume "B" (300 bytes, 1 jobs) is recorded, Read-Only
                  Volume "C" was labelled anew (400 bytes): Read-Only
            "#]],
        );
    }

    #[test]
    fn a_confirmed_record_or_a_start_that_is_not_there_is_a_sign() {
        let signed = |held: HeldJob| sign(&inventory(7, vec![held], vec![]), &recorded(7, &[(7, 1, 5)], &[]));
        assert!(matches!(signed(held(7, 1, 6)), Some(Sign::Record { acked: Seq(6), stored: Seq(5), .. })));
        assert!(matches!(signed(held(7, 2, 0)), Some(Sign::Attempt { attempt: Attempt(2), .. })));
        assert_eq!(signed(held(7, 1, 5)), None);
    }

    #[test]
    fn a_number_that_another_job_has_got_is_left_alone() {
        let other = HeldJob { name: "Other.7".into(), ..held(7, 1, 9) };
        let (inventory, recorded) = (inventory(7, vec![other], vec![]), recorded(7, &[(7, 1, 5)], &[]));
        assert_eq!(sign(&inventory, &recorded), None);
        let plan = plan(&inventory, &recorded, Doubt::Did);
        assert_eq!((plan.lost.len(), plan.displaced.len()), (0, 1));
    }
}
