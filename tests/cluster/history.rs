//! Who was active when, by what the instances logged and the power switch did.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use testkit::cluster::Cluster;
use testkit::site::Site;

/// One time of an instance as the active one.
#[derive(Debug, Clone)]
pub(crate) struct Tenure {
    pub(crate) node: String,
    pub(crate) epoch: u64,
    /// Since the Unix epoch.
    pub(crate) began: Duration,
    /// None while it lasts.
    pub(crate) ended: Option<Duration>,
}

/// All of them, in the order of their epochs.
///
/// One ends when its instance says so, when its node is switched off, or when the next process begins to write the instance's log: a
/// killed one says nothing.
pub(crate) fn of(site: &Site, cluster: &Cluster) -> Result<Vec<Tenure>> {
    let mut all: Vec<Tenure> = Vec::new();
    for node in cluster.names() {
        let log = site.instance_log(node).unwrap_or_default();
        let offs: Vec<Duration> =
            cluster.offs().iter().filter(|off| off.node == *node).map(|off| since_epoch(off.wall)).collect();
        let mut open: Option<Tenure> = None;
        for line in log.lines() {
            let Some(at) = time_of(line) else { continue };
            let end = |open: &mut Option<Tenure>, all: &mut Vec<Tenure>, at| {
                if let Some(mut tenure) = open.take() {
                    let off = offs.iter().copied().find(|off| *off >= tenure.began && *off <= at);
                    tenure.ended = Some(off.unwrap_or(at));
                    all.push(tenure);
                }
            };
            if let Some((_, rest)) = line.split_once(" the lease is held director=") {
                end(&mut open, &mut all, at);
                let epoch = rest.split_once("epoch=").and_then(|(_, rest)| rest.split(' ').next());
                let epoch = epoch.and_then(number).with_context(|| format!("no epoch in {line:?}"))?;
                open = Some(Tenure { node: node.clone(), epoch, began: at, ended: None });
            } else if line.contains(" the activation is over") || line.contains(" starting daemon=") {
                end(&mut open, &mut all, at);
            }
        }
        if let Some(mut tenure) = open {
            tenure.ended = offs.iter().copied().find(|off| *off >= tenure.began);
            all.push(tenure);
        }
    }
    all.sort_by_key(|tenure| tenure.epoch);
    Ok(all)
}

/// One instance at most was active at any time, and no epoch was given out twice.
pub(crate) fn one_at_a_time(site: &Site, cluster: &Cluster) -> Result<Vec<Tenure>> {
    let all = of(site, cluster)?;
    for pair in all.windows(2) {
        let [before, after] = pair else { continue };
        ensure!(before.epoch < after.epoch, "an epoch was given out twice: {all:?}");
        // The end of a killed process is known by its successor's begin alone, on its own node.
        let over = before.ended.with_context(|| format!("two are active: {all:?}"))?;
        ensure!(over <= after.began || before.node == after.node, "two were active at once: {all:?}");
    }
    ensure!(all.last().is_some_and(|last| last.ended.is_none()), "nobody is active: {all:?}");
    Ok(all)
}

pub(crate) fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// `1/7`, with the catalog's timeline in front, as one number.
fn number(epoch: &str) -> Option<u64> {
    let (timeline, counter) = epoch.split_once('/').unwrap_or(("0", epoch));
    Some((timeline.parse::<u64>().ok()? << 32) + counter.parse::<u64>().ok()?)
}

/// The time at the beginning of a line of a log, `2026-11-28T08:45:00.123456Z`.
fn time_of(line: &str) -> Option<Duration> {
    let (day, rest) = line.split_once('T')?;
    let (clock, _) = rest.split_once('Z')?;
    let mut day = day.split('-').map(str::parse::<i64>);
    let (year, month, date) = (day.next()?.ok()?, day.next()?.ok()?, day.next()?.ok()?);
    let mut clock = clock.split(':');
    let (hours, minutes) = (clock.next()?.parse::<u64>().ok()?, clock.next()?.parse::<u64>().ok()?);
    let seconds: f64 = clock.next()?.parse().ok()?;
    // Days from the civil date: the year begins in March, so that the leap day is its last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let of_year = (153 * month + 2) / 5 + date - 1;
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468;
    let whole = u64::try_from(days).ok()? * 86_400 + hours * 3600 + minutes * 60;
    Some(Duration::from_secs(whole) + Duration::from_secs_f64(seconds))
}

#[test]
fn times_of_logs_are_read() {
    let at = time_of("2026-11-28T08:45:00.5Z  INFO starting").unwrap();
    assert_eq!(at, Duration::from_millis(1_795_855_500_500));
    assert_eq!(time_of("1970-03-01T00:00:01Z x"), Some(Duration::from_secs(59 * 86_400 + 1)));
    assert_eq!(time_of("no time"), None);
    assert_eq!(number("1/7"), Some((1 << 32) + 7));
}
