//! I6: every job that ended `T` comes back byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use testkit::compare::Compare;
use testkit::site::Site;
use testkit::wait;

use super::{Findings, Trees};

/// A restore that was queued.
struct Queued {
    job: String,
    level: String,
    restore: u32,
    to: PathBuf,
    roots: Vec<PathBuf>,
}

pub(super) fn check(site: &Site, trees: &Trees, findings: &mut Findings) -> Result<()> {
    let jobs = site.sql(
        "SELECT JobId, Name, Level FROM Job WHERE Type = 'B' AND JobStatus IN ('T', 'W') AND JobFiles > 0 \
         AND PurgedFiles = 0 ORDER BY JobId",
    )?;
    let mut queued = Vec::new();
    for row in jobs {
        let Some(roots) = trees.roots.get(&row[1]) else { continue };
        let to = site.dir().join("audit").join(format!("job-{}", row[0]));
        match queue(site, &row[0], &to, trees) {
            Ok(restore) => {
                let (job, level, roots) = (row[0].clone(), row[2].clone(), roots.clone());
                queued.push(Queued { job, level, restore, to, roots });
            }
            Err(error) => findings.add("I6", format!("job {} cannot be restored: {error:#}", row[0])),
        }
    }
    for one in queued {
        let row = site.wait_job(one.restore, wait::JOB)?;
        findings.unless(row.status() == 'T' && row.errors() == 0, "I6", || {
            format!("the restore of job {} ended {}: {:?}", one.job, row.status(), row.columns)
        });
        for root in &one.roots {
            let restored = one.to.join(root.strip_prefix("/").unwrap_or(root));
            let problem = if one.level == "F" { whole(root, &restored)? } else { part(root, &restored)? };
            if let Some(problem) = problem {
                findings.add("I6", format!("job {} came back otherwise: {problem}", one.job));
            }
        }
        fs::remove_dir_all(&one.to).with_context(|| format!("remove {}", one.to.display()))?;
    }
    Ok(())
}

fn queue(site: &Site, job: &str, to: &Path, trees: &Trees) -> Result<u32> {
    fs::create_dir_all(to)?;
    let start = format!("restore jobid={job} client=kit-fd where={} all", to.display());
    let mut lines = vec![start];
    for path in &trees.unmarked {
        let folder = path.parent().context("an entry has a folder")?;
        let name = path.file_name().context("an entry has a name")?;
        lines.push(format!("cd {}", folder.display()));
        lines.push(format!("unmark {}", name.display()));
    }
    lines.extend(["done".to_owned(), "yes".to_owned()]);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    site.run_dialogue(&lines)
}

/// A Full holds everything.
fn whole(root: &Path, restored: &Path) -> Result<Option<String>> {
    if !restored.exists() {
        return Ok(Some(format!("nothing of {}", root.display())));
    }
    let found = Compare::new(root, restored).run()?;
    Ok((!found.is_equal()).then(|| found.to_string()))
}

/// Any other level holds a part: what came back must be as it is in the original.
fn part(root: &Path, restored: &Path) -> Result<Option<String>> {
    let Ok(entries) = fs::read_dir(restored) else { return Ok(None) };
    for entry in entries {
        let entry = entry?;
        let original = root.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            if let Some(problem) = part(&original, &entry.path())? {
                return Ok(Some(problem));
            }
        } else if entry.file_type()?.is_file() && fs::read(entry.path())? != fs::read(&original)? {
            return Ok(Some(format!("{} differs", original.display())));
        }
    }
    Ok(None)
}
