//! What must be so of a run, besides what the audit looks at: which jobs end well, which Volumes must not be there, due runs.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use testkit::site::Site;
use testkit::wait;

/// Keeps account of what has an excuse for not ending well.
#[derive(Debug)]
pub(super) struct Watch {
    /// When the due runs were first considered, seconds since 1970.
    since: u64,
    excused: BTreeSet<u64>,
    harm: Option<Harm>,
    /// Volumes that only a Director of an epoch that was over can have made.
    pub(super) late: Vec<String>,
    /// Whether a command takes saved files away: restores may lack them.
    pub(super) is_lossy: bool,
}

/// Something that a job may fail of lasts.
#[derive(Debug, Clone)]
struct Harm {
    /// Jobs that were not over when it began.
    open: Vec<u64>,
    /// The highest JobId at that time; later jobs began under it.
    above: u64,
}

fn numbers(site: &Site, query: &str) -> Result<Vec<u64>> {
    Ok(site.sql(query)?.iter().filter_map(|row| row.first()?.parse().ok()).collect())
}

const OPEN: &str = "SELECT JobId FROM Job WHERE JobStatus IN ('C', 'R') ORDER BY JobId";
const HIGHEST: &str = "SELECT coalesce(max(JobId), 0) FROM Job";

/// The Job that a schedule starts, too.
pub(super) const SCHEDULED: &str = "One";
const MINUTE: u64 = 60;

/// The schedule with a due run in every minute.
pub(super) fn every_minute() -> String {
    let runs: String = (0..MINUTE).map(|minute| format!("  Run = Full hourly at 0:{minute:02}\n")).collect();
    format!("Schedule {{\n  Name = EveryMinute\n{runs}}}")
}

fn watermark(site: &Site) -> Result<Option<u64>> {
    let query = "SELECT Until FROM hf_watermark WHERE Schedule = 'EveryMinute'";
    Ok(numbers(site, query)?.first().copied())
}

impl Watch {
    /// Once the first instance is active.
    pub(super) fn new(site: &Site) -> Result<Self> {
        let since = wait::until("the schedule to be considered", wait::START, || watermark(site))?;
        let (excused, late) = (BTreeSet::new(), Vec::new());
        Ok(Self { since, excused, harm: None, late, is_lossy: false })
    }

    /// From now on until [`Self::is_healed`] a job may fail. A catalog that is away does not tell which there are: all.
    pub(super) fn harm(&mut self, site: &Site) {
        // In this order: a job that comes between is counted twice, and not left out.
        let above = numbers(site, HIGHEST).ok().and_then(|one| one.first().copied()).unwrap_or(0);
        let open = numbers(site, OPEN).unwrap_or_default();
        let harm = self.harm.get_or_insert(Harm { open: Vec::new(), above });
        harm.open.extend(open);
    }

    pub(super) fn is_healed(&mut self, site: &Site) -> Result<()> {
        if let Some(harm) = self.harm.take() {
            let highest = numbers(site, HIGHEST)?.first().copied().unwrap_or(0);
            self.excused.extend(harm.open);
            self.excused.extend(harm.above + 1..=highest);
        }
        Ok(())
    }

    pub(super) fn excuse(&mut self, job: u64) {
        self.excused.insert(job);
    }

    /// I2: what only lost its Director, or its catalog, ended well. I1: nobody acted in an epoch that was over.
    pub(super) fn check(&self, site: &Site) -> Result<()> {
        let rows = site.sql("SELECT JobId, Name, Type, JobStatus, JobErrors FROM Job ORDER BY JobId")?;
        let is_good =
            |row: &Vec<String>| (row[3] == "T" && row[4] == "0") || (self.is_lossy && row[2] == "R");
        let bad: Vec<_> = rows
            .iter()
            .filter(|row| !is_good(row) && !row[0].parse().is_ok_and(|id| self.excused.contains(&id)))
            .collect();
        ensure!(bad.is_empty(), "I2: jobs that nothing happened to did not end well: {bad:?}");
        for name in &self.late {
            ensure!(
                site.find_volume(name).is_none(),
                "I1: a Director of an epoch that is over has made Volume {name}"
            );
        }
        Ok(())
    }

    /// I5: each minute until now has one run that was started.
    pub(super) fn check_due_runs(&self, site: &Site) -> Result<()> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
        let first = (self.since / MINUTE + 1) * MINUTE;
        let due: Vec<u64> = (first..=now).step_by(MINUTE as usize).collect();
        let query = format!(
            "SELECT DueAt FROM hf_due WHERE Schedule = 'EveryMinute' AND Outcome = 'started' AND DueAt <= {now} ORDER BY DueAt"
        );
        let mut started = Vec::new();
        let _ = wait::until("the due runs until now", wait::START, || {
            started = numbers(site, &query)?;
            Ok((started.len() >= due.len()).then_some(()))
        });
        ensure!(started == due, "I5: due at {due:?}, started {started:?}");
        Ok(())
    }
}
