//! Which drills there were: a file of JSON lines, one a drill, that is only ever added to.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use conf::DirectorConfig;

use super::record::{Drill, seconds};
use super::scenario::Scenario;

/// Where it is, unless another place is given.
pub(crate) fn path(config: &DirectorConfig) -> PathBuf {
    let director = &config.director;
    Path::new(&director.working_directory).join(format!("{}.drills.jsonl", director.name))
}

/// Adds a drill, durably.
///
/// # Errors
/// Those of writing.
pub(super) fn add(path: &Path, drill: &Drill) -> Result<()> {
    let mut line = serde_json::to_string(drill)?;
    line.push('\n');
    append(path, &line).with_context(|| format!("write {}", path.display()))
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    if !ends_a_line(&mut file)? {
        file.write_all(b"\n")?; // a line that a power cut has left open
    }
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => sys::fsync_dir(folder),
        _ => sys::fsync_dir(Path::new(".")),
    }
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The last drill of each scenario; none where none was made. Lines that cannot be read are passed over.
///
/// # Errors
/// Those of reading.
pub(crate) fn last(path: &Path) -> Result<BTreeMap<Scenario, Drill>> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let lines = text.split(|byte| *byte == b'\n');
    let drills = lines.filter_map(|line| serde_json::from_slice::<Drill>(line).ok());
    Ok(drills.map(|drill| (drill.scenario, drill)).collect())
}

/// One drill in a line.
pub(crate) fn line(drill: &Drill) -> String {
    let (at, verdict, rto) = (drill.at, drill.verdict(), seconds(drill.rto_ms));
    let why = drill.reasons.first().map(|why| format!(": {why}")).unwrap_or_default();
    format!("drill {:<13} {at:.0} RTO {rto}, {verdict}{why}", drill.scenario)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::good;
    use super::*;

    #[test]
    fn the_last_of_each_scenario_is_found_behind_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.drills.jsonl");
        assert!(last(&path).unwrap().is_empty());
        add(&path, &good()).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(br#"{"scenario":"kill-dir"#).unwrap();
        let second = Drill { rto_ms: Some(99), ..good() };
        add(&path, &second).unwrap();
        add(&path, &Drill { scenario: Scenario::Switchover, ..good() }).unwrap();
        let found = last(&path).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[&Scenario::KillDirector], second);
        assert_eq!(line(&second), "drill kill-director 2026-11-28T08:45:00Z RTO 0.09 s, passed");
    }
}
