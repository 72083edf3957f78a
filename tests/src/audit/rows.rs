//! What the catalog's rows must be, each by itself and together.

use std::path::Path;

use anyhow::{Context, Result};
use testkit::site::Site;

use super::{Findings, number};

pub(super) fn check(site: &Site, findings: &mut Findings) -> Result<()> {
    files(site, findings)?;
    numbers(site, findings)?;
    due_runs(site, findings)?;
    journals(site, findings)
}

/// I3: every FileIndex of a job once, without gaps, as many as the Job row says.
fn files(site: &Site, findings: &mut Findings) -> Result<()> {
    let twice = site.sql(
        "SELECT JobId, FileIndex, count(*) FROM File WHERE FileIndex > 0 GROUP BY JobId, FileIndex HAVING count(*) > 1 \
         ORDER BY JobId, FileIndex LIMIT 20",
    )?;
    findings.unless(twice.is_empty(), "I3", || format!("files that are in the catalog twice: {twice:?}"));
    let jobs = site.sql(
        "SELECT Job.JobId, Job.JobStatus, Job.JobFiles, count(File.FileIndex), max(File.FileIndex) \
         FROM Job LEFT JOIN File ON File.JobId = Job.JobId AND File.FileIndex > 0 \
         WHERE Job.Type = 'B' AND Job.JobStatus IN ('T', 'W', 'I') AND Job.PurgedFiles = 0 \
         GROUP BY Job.JobId, Job.JobStatus, Job.JobFiles ORDER BY Job.JobId",
    )?;
    for row in jobs {
        let [files, rows, highest] = [number(&row[2]), number(&row[3]), number(&row[4])];
        findings.unless(files == rows && rows == highest, "I3", || {
            format!("job {} ({}): JobFiles {files}, rows {rows}, highest FileIndex {highest}", row[0], row[1])
        });
    }
    Ok(())
}

/// I8: nothing is used twice, also not after rows were deleted.
fn numbers(site: &Site, findings: &mut Findings) -> Result<()> {
    let sessions = site.sql(
        "SELECT VolSessionId, VolSessionTime, count(*) FROM Job WHERE VolSessionTime > 0 \
         GROUP BY VolSessionId, VolSessionTime HAVING count(*) > 1",
    )?;
    findings.unless(sessions.is_empty(), "I8", || format!("sessions of several jobs: {sessions:?}"));
    let attempts = site.sql(
        "SELECT VolSessionId, VolSessionTime, count(*) FROM hf_attempt WHERE VolSessionTime > 0 \
         GROUP BY VolSessionId, VolSessionTime HAVING count(DISTINCT JobId) > 1",
    )?;
    findings
        .unless(attempts.is_empty(), "I8", || format!("sessions of several jobs' attempts: {attempts:?}"));
    let names = site.sql("SELECT VolumeName, count(*) FROM Media GROUP BY VolumeName HAVING count(*) > 1")?;
    findings.unless(names.is_empty(), "I8", || format!("Volumes of one name: {names:?}"));
    let unique = site.sql("SELECT Job, count(*) FROM Job GROUP BY Job HAVING count(*) > 1")?;
    findings.unless(unique.is_empty(), "I8", || format!("jobs of one unique name: {unique:?}"));
    for (name, query) in
        [("JobId", "SELECT max(JobId) FROM Job"), ("MediaId", "SELECT max(MediaId) FROM Media")]
    {
        let highest = site.sql(query)?.first().map_or(0, |row| number(&row[0]));
        let marked = site.sql(&format!("SELECT Value FROM hf_highwater WHERE Name = '{name}'"))?;
        let marked = marked.first().map_or(0, |row| number(&row[0]));
        findings.unless(marked >= highest, "I8", || {
            format!("the highest {name} is {highest}, its mark {marked}")
        });
    }
    Ok(())
}

/// I5: each due run has one job, which no other due run has.
fn due_runs(site: &Site, findings: &mut Findings) -> Result<()> {
    let shared = site.sql(
        "SELECT JobId, count(*) FROM hf_due WHERE Outcome = 'started' GROUP BY JobId HAVING count(*) > 1",
    )?;
    findings.unless(shared.is_empty(), "I5", || format!("jobs of several due runs: {shared:?}"));
    let mark = site.sql(
        "SELECT hf_due.Job, hf_due.Schedule, DueAt FROM hf_due LEFT JOIN hf_watermark \
         ON hf_watermark.Job = hf_due.Job AND hf_watermark.Schedule = hf_due.Schedule \
         WHERE hf_watermark.Until IS NULL OR hf_watermark.Until < DueAt",
    )?;
    findings.unless(mark.is_empty(), "I5", || format!("due runs above their watermark: {mark:?}"));
    Ok(())
}

/// I3: what a Storage Daemon keeps of ended jobs is in the catalog to the last record that makes rows of files, unless the attempt was closed.
fn journals(site: &Site, findings: &mut Findings) -> Result<()> {
    for path in site.journals()? {
        let name = path.file_name().and_then(|name| name.to_str()).context("a journal's name")?;
        let numbers = name.strip_prefix("job-").and_then(|rest| rest.strip_suffix(".journal"));
        let (job, attempt) = numbers.and_then(|rest| rest.split_once('.')).context("a journal's name")?;
        // Nothing is left of a purged job, and where its journal was in the catalog has gone with it.
        let ended = site.sql(&format!(
            "SELECT count(*) FROM hf_attempt JOIN Job ON Job.JobId = hf_attempt.JobId \
             WHERE Job.JobId = {job} AND Attempt = {attempt} AND State = 'ended' AND PurgedFiles = 0"
        ))?;
        if ended != [["1"]] {
            continue;
        }
        let position = site
            .sql(&format!("SELECT max(Seq) FROM hf_journal WHERE JobId = {job} AND Attempt = {attempt}"))?;
        let position = position.first().map_or(0, |row| number(&row[0]));
        let last = last_row(&path)?;
        findings.unless(position >= last, "I3", || {
            format!("journal {name} has rows to record {last}, the catalog has it to {position}")
        });
    }
    Ok(())
}

/// Number of the last record with attributes or JobMedia: `length u32, number u64, checksum u32, payload`, big-endian (docs/extensions.md §4).
fn last_row(path: &Path) -> Result<u64> {
    const HEAD: usize = 16;
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let (mut rest, mut last) = (bytes.as_slice(), 0);
    while let Some((head, behind)) = rest.split_at_checked(HEAD) {
        let length = u32::from_be_bytes(head[..4].try_into()?) as usize;
        let seq = u64::from_be_bytes(head[4..12].try_into()?);
        let Some(next) = behind.get(length..) else { break };
        if length == 0 {
            break; // room that was taken ahead
        }
        let payload = &behind[..length];
        if payload.starts_with(b"UpdCat ") || payload.windows(15).any(|part| part == b" CreateJobMedia") {
            last = last.max(seq);
        }
        rest = next;
    }
    Ok(last)
}
