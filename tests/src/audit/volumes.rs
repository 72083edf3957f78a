//! What is on the Volumes, read by a decoder that is not ours.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use testkit::site::Site;

use super::{Findings, number};

/// Id and time of a session.
type Session = (u64, u64);

/// A block of a session.
struct Block {
    start: u64,
    length: u64,
    session: Session,
    /// FileIndexes of its data; 0: it holds none.
    first: u64,
    last: u64,
}

/// A Volume as it is on the medium.
#[derive(Default)]
struct Volume {
    label: Option<(u64, String)>,
    blocks: Vec<Block>,
    /// Sessions that begin here, with their JobIds.
    starts: Vec<(Session, u64)>,
    /// Sessions that end here, with their status.
    ends: Vec<(Session, String)>,
    broken: Vec<u64>,
    whole_until: u64,
    size: u64,
}

pub(super) fn check(site: &Site, findings: &mut Findings) -> Result<()> {
    let rows = site.sql(
        "SELECT Media.MediaId, VolumeName, VolBytes, VolStatus, coalesce(hf_volume.LabelDate, 0) \
         FROM Media LEFT JOIN hf_volume ON hf_volume.MediaId = Media.MediaId",
    )?;
    let mut found = BTreeMap::new();
    for row in &rows {
        let (id, name, bytes) = (number(&row[0]), &row[1], number(&row[2]));
        let Some(path) = site.find_volume(name) else {
            findings.unless(bytes == 0, "I9", || format!("Volume {name} with {bytes} bytes has no file"));
            continue;
        };
        let volume = decode(&path)?;
        medium(name, bytes, number(&row[4]), &volume, findings);
        found.insert(id, (name.clone(), volume));
    }
    owners(site, &found, findings)?;
    good_jobs(site, &found, findings)
}

fn decode(path: &Path) -> Result<Volume> {
    let tool = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tools/volume_blocks.py");
    let output = Command::new("python3").arg("-B").arg(&tool).arg(path).output();
    let output = output.context("run python3 (package python3), which reads the Volumes")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} could not read {}:\n{errors}", tool.display(), path.display());
    let mut volume = Volume::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let n = |at: usize| words.get(at).map_or(0, |word| number(word));
        match words[0] {
            "L" if volume.label.is_none() => volume.label = Some((n(2), words[3..].join(" "))),
            "B" => {
                let block =
                    Block { start: n(1), length: n(2), session: (n(3), n(4)), first: n(5), last: n(6) };
                if n(7) == 0 {
                    volume.broken.push(block.start);
                }
                volume.blocks.push(block);
            }
            "S" => volume.starts.push(((n(2), n(3)), n(4))),
            "E" => volume.ends.push(((n(2), n(3)), words[5].to_owned())),
            "X" => (volume.whole_until, volume.size) = (n(1), n(2)),
            _ => {}
        }
    }
    Ok(volume)
}

/// I4, I9: the medium is the one that the catalog means, and all of it is there.
fn medium(name: &str, bytes: u64, label_date: u64, volume: &Volume, findings: &mut Findings) {
    findings.unless(volume.size >= bytes, "I9", || {
        format!("Volume {name} has {} bytes, the catalog says {bytes}", volume.size)
    });
    findings.unless(volume.whole_until >= bytes, "I6", || {
        format!("Volume {name} is whole to {}, the catalog says {bytes}", volume.whole_until)
    });
    findings.unless(volume.broken.is_empty(), "I6", || {
        format!("Volume {name}: bad blocks at {:?}", volume.broken)
    });
    let Some((labelled, written)) = &volume.label else {
        findings.unless(bytes == 0, "I4", || format!("Volume {name} has no label"));
        return;
    };
    findings.unless(written == name, "I4", || format!("Volume {name} has the label of {written}"));
    findings.unless(label_date == 0 || *labelled == label_date, "I4", || {
        format!("Volume {name} was labelled at {labelled}, the catalog says {label_date}")
    });
}

/// I8: every block is of a session that one job began, known to the catalog or marked unowned.
fn owners(site: &Site, found: &BTreeMap<u64, (String, Volume)>, findings: &mut Findings) -> Result<()> {
    let mut job_of: BTreeMap<Session, BTreeSet<u64>> = BTreeMap::new();
    for (_, volume) in found.values() {
        for (session, job) in &volume.starts {
            job_of.entry(*session).or_default().insert(*job);
        }
    }
    for (session, jobs) in job_of.iter().filter(|(_, jobs)| jobs.len() > 1) {
        findings.add("I8", format!("session {session:?} was begun by jobs {jobs:?}"));
    }
    let known: BTreeSet<Session> = site
        .sql("SELECT VolSessionId, VolSessionTime FROM hf_attempt UNION SELECT VolSessionId, VolSessionTime FROM Job")?
        .iter()
        .map(|row| (number(&row[0]), number(&row[1])))
        .collect();
    let kept: BTreeSet<u64> = site.sql("SELECT JobId FROM Job")?.iter().map(|row| number(&row[0])).collect();
    let states = site.storage_records("volumes")?;
    for (name, volume) in found.values() {
        let unowned =
            states.iter().find(|(file, _)| file == name).map(|(_, text)| ranges(text)).unwrap_or_default();
        let strange = volume.blocks.iter().filter(|block| block.first > 0).find(|block| {
            let is_known = known.contains(&block.session);
            // Rows of a job that was pruned are gone, and its session with them.
            let is_gone = job_of.get(&block.session).is_some_and(|jobs| jobs.is_disjoint(&kept));
            let end = block.start + block.length;
            !is_known && !is_gone && !unowned.iter().any(|(from, to)| *from <= block.start && end <= *to)
        });
        if let Some(block) = strange {
            findings.add(
                "I8",
                format!("Volume {name}: block at {} of session {:?} is nobody's", block.start, block.session),
            );
        }
    }
    Ok(())
}

/// `unowned=<from>-<to>` lines of a Volume state.
fn ranges(state: &str) -> Vec<(u64, u64)> {
    let lines = state.lines().filter_map(|line| line.strip_prefix("unowned=")?.split_once('-'));
    lines.map(|(from, to)| (number(from), number(to))).collect()
}

/// I6: what a good job's rows point at is there, and it is all of the job.
fn good_jobs(site: &Site, found: &BTreeMap<u64, (String, Volume)>, findings: &mut Findings) -> Result<()> {
    let jobs = site.sql(
        "SELECT JobId, VolSessionId, VolSessionTime, JobFiles FROM Job WHERE Type = 'B' AND JobStatus IN ('T', 'W')",
    )?;
    for job in jobs {
        let (id, session, files) = (&job[0], (number(&job[1]), number(&job[2])), number(&job[3]));
        let spans = site.sql(&format!(
            "SELECT MediaId, FirstIndex, LastIndex, StartFile, StartBlock, EndFile, EndBlock FROM JobMedia \
             WHERE JobId = {id} ORDER BY JobMediaId"
        ))?;
        let address = |file: &str, block: &str| (number(file) << 32) + number(block);
        let spans: Vec<_> = spans
            .iter()
            .map(|s| {
                (number(&s[0]), number(&s[1])..=number(&s[2]), address(&s[3], &s[4])..=address(&s[5], &s[6]))
            })
            .collect();
        let mut highest = 0;
        for (media, indexes, _) in &spans {
            findings.unless(found.contains_key(media), "I6", || {
                format!("job {id} is on Volume {media}, which is gone")
            });
            findings.unless(*indexes.start() <= highest + 1, "I6", || {
                format!("job {id}: JobMedia jump from file {highest} to {}", indexes.start())
            });
            highest = highest.max(*indexes.end());
        }
        findings
            .unless(highest == files, "I6", || format!("job {id}: JobMedia reach file {highest} of {files}"));
        let reruns =
            site.sql(&format!("SELECT count(*) FROM hf_attempt WHERE JobId = {id} AND State = 'ended'"))?;
        let ended = found.values().flat_map(|(_, volume)| &volume.ends).filter(|(of, _)| *of == session);
        let ended: Vec<_> = ended.map(|(_, status)| status.as_str()).collect();
        findings.unless(files == 0 || ended.contains(&"T"), "I6", || {
            format!("job {id}: its session ends {ended:?}")
        });
        for (media, (name, volume)) in found {
            let mine = volume.blocks.iter().filter(|block| block.session == session && block.first > 0);
            let bare = mine.clone().find(|block| {
                !spans.iter().any(|(of, _, place)| {
                    of == media
                        && place.contains(&block.start)
                        && place.contains(&(block.start + block.length - 1))
                })
            });
            // A file that an earlier attempt had begun is sent again; its blocks of then are in no row.
            if let (Some(block), true) = (bare, number(&reruns[0][0]) == 1) {
                findings.add(
                    "I6",
                    format!("job {id}: no JobMedia row holds its block at {} of {name}", block.start),
                );
            }
            let beyond = mine.map(|block| block.last).max().unwrap_or(0) > files;
            findings.unless(!beyond, "I6", || format!("job {id}: {name} holds files above its {files}"));
        }
    }
    Ok(())
}
