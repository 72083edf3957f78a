//! What the daemons say of themselves: nobody has a job left, one instance is active, epochs were given out once.

use std::collections::BTreeMap;

use anyhow::Result;
use testkit::site::{Role, Site};
use testkit::wait;

use super::{Findings, Trees, number};

/// Statuses that a Job row may rest at, as SQL.
const FINAL: &str = "'T', 'W', 'E', 'e', 'f', 'A', 'I', 'D'";

/// Waits until no job is under way, in the catalog and on the daemons; what does not come to rest is a finding.
pub(super) fn quiet(site: &Site, findings: &mut Findings) -> Result<()> {
    let open = format!("SELECT JobId, JobStatus FROM Job WHERE JobStatus NOT IN ({FINAL}) ORDER BY JobId");
    let ended =
        wait::until("the end of every job", wait::JOB, || Ok(site.sql(&open)?.is_empty().then_some(())));
    if ended.is_err() {
        findings.add("I5", format!("jobs that do not end: {:?}", site.sql(&open)?));
    }
    for role in [Role::Director, Role::Storage, Role::Client] {
        if site.maker(role).is_bacula() {
            continue;
        }
        let command = match role {
            Role::Director => "status dir",
            Role::Storage => "status storage=File1",
            Role::Client => "status client=kit-fd",
            Role::FarStorage => "status storage=Far",
        };
        let mut said = String::new();
        let idle = wait::until("a daemon to have no job", crate::NOTICE, || {
            said = site.console(&[command])?;
            Ok(said.contains("No Jobs running.").then_some(()))
        });
        if idle.is_err() {
            findings.add("I5", format!("a ghost on the {role:?}:\n{said}"));
        }
    }
    Ok(())
}

/// Epochs and roles of the instances.
pub(super) fn instances(site: &Site, trees: &Trees, findings: &mut Findings) -> Result<()> {
    let mut given: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for (instance, log) in site.director_logs()? {
        let mut before = 0;
        for epoch in log.lines().filter_map(activation) {
            findings.unless(epoch > before || trees.has_gone_back, "I1", || {
                format!("{instance} became active in {epoch} after {before}")
            });
            before = epoch;
            given.entry(epoch).or_default().push(instance.clone());
        }
    }
    let is_last = |epoch: &u64| given.keys().next_back() == Some(epoch);
    for (epoch, who) in given.iter().filter(|(epoch, _)| !trees.has_gone_back || is_last(epoch)) {
        findings.unless(who.len() == 1, "I1", || format!("epoch {epoch} was given to {who:?}"));
    }
    let highest = given.keys().next_back().copied().unwrap_or(0);
    let leaders = site.sql("SELECT Holder, Epoch FROM hf_leader")?;
    findings.unless(leaders.len() == 1, "I1", || format!("rows of hf_leader: {leaders:?}"));
    let epoch = leaders.first().map_or(0, |row| number(&row[1]));
    // An activation that was killed in its middle has raised the epoch and logged nothing.
    findings
        .unless(epoch >= highest, "I1", || format!("the catalog knows epoch {epoch}, {highest} was active"));
    let attempts = site.sql("SELECT JobId, Attempt, Epoch FROM hf_attempt ORDER BY JobId, Attempt")?;
    for pair in attempts.windows(2).filter(|pair| pair[0][0] == pair[1][0]) {
        let falls = number(&pair[1][2]) < number(&pair[0][2]);
        findings.unless(!falls, "I1", || format!("an attempt is of an older epoch: {pair:?}"));
    }
    for row in attempts.iter().filter(|row| number(&row[2]) > epoch) {
        findings.add("I1", format!("an attempt of an epoch that never was: {row:?}"));
    }
    for (file, text) in site.storage_records("directors")? {
        let known = text.lines().find_map(|line| line.strip_prefix("epoch=")).map_or(0, number);
        let ours = !leaders.is_empty() && file.starts_with("kit-dir.");
        findings.unless(!ours || known <= epoch, "I1", || {
            format!("the Storage Daemon knows epoch {known}, the catalog {epoch}")
        });
    }
    one_is_active(site, epoch, findings)
}

/// `… active director="kit-dir" epoch=2 …` by a lock, `… epoch raised above one that a Storage Daemon knew epoch=3 …` behind that, `… the lease is held director="kit-dir" epoch=1/2 …` by a lease, with the
/// catalog's timeline before the counter.
fn activation(line: &str) -> Option<u64> {
    let words = [" active director=", " epoch raised above one ", " the lease is held director="];
    let (_, rest) = words.iter().find_map(|words| line.split_once(words))?;
    let epoch = rest.split_once("epoch=")?.1.split(' ').next()?;
    match epoch.split_once('/') {
        Some((timeline, counter)) => {
            Some((timeline.parse::<u64>().ok()? << 32) + counter.parse::<u64>().ok()?)
        }
        None => epoch.parse().ok(),
    }
}

fn one_is_active(site: &Site, epoch: u64, findings: &mut Findings) -> Result<()> {
    for asked in site.running_instances() {
        let report = site.cluster_report(&asked)?;
        let all = report["instances"].as_array().cloned().unwrap_or_default();
        let active: Vec<_> = all.iter().filter(|one| one["role"] == "active").collect();
        findings.unless(active.len() == 1, "I11", || format!("{asked} sees as active: {active:?}"));
        let known = active.first().and_then(|one| one["epoch"].as_u64());
        findings.unless(known == Some(epoch), "I1", || {
            format!("{asked} sees epoch {known:?} active, the catalog has {epoch}")
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn activations_are_read_from_a_log() {
        let line = "2026-11-28T03:32:00.348813Z  INFO active director=\"kit-dir\" epoch=12 instance=\"b\"";
        assert_eq!(super::activation(line), Some(12));
        let line = "2026-11-28T08:45:00Z  INFO the lease is held director=\"kit-dir\" epoch=1/2 basis=First reconcile=false";
        assert_eq!(super::activation(line), Some((1 << 32) + 2));
        assert_eq!(super::activation("INFO active in epoch 2: nobody else was instance=\"b\""), None);
    }
}
