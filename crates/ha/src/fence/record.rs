//! When fencing was last tried out, kept in the Working Directory: `holdfast ha check` holds it against the time.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use conf::DirectorConfig;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a test, or a switching off, came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Test {
    #[serde(with = "text")]
    pub(crate) at: Timestamp,
    /// Whether the device works, as far as that was seen.
    pub(crate) worked: bool,
    /// Whether the machine was switched off, and not only asked for its status.
    pub(crate) switched_off: bool,
}

/// Times as people read them.
pub(crate) mod text {
    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(at)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// The last test of each instance, by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(default)]
    pub(crate) instances: BTreeMap<String, Test>,
}

/// Where it is.
pub(crate) fn path(config: &DirectorConfig) -> PathBuf {
    let director = &config.director;
    Path::new(&director.working_directory).join(format!("{}.fencing.json", director.name))
}

/// Reads it; empty where nothing was recorded yet.
///
/// # Errors
/// A file that cannot be read, or is none of ours.
pub(crate) fn load(path: &Path) -> Result<Record> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Record::default()),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is no record of fencing; remove it", path.display()))
}

/// Adds a test, durably.
///
/// # Errors
/// Those of reading and writing.
pub(crate) fn save(path: &Path, instance: &str, test: Test) -> Result<()> {
    let mut record = load(path)?;
    record.instances.insert(instance.to_owned(), test);
    let text = serde_json::to_vec_pretty(&record)?;
    sys::durable_write(path, &text).with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_test_of_each_instance_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.fencing.json");
        assert_eq!(load(&path).unwrap(), Record::default());
        let test = |at: &str, worked| Test { at: at.parse().unwrap(), worked, switched_off: false };
        save(&path, "a", test("2026-01-01T00:00:00Z", false)).unwrap();
        save(&path, "b", test("2026-01-02T00:00:00Z", true)).unwrap();
        save(&path, "a", test("2026-01-03T00:00:00Z", true)).unwrap();
        let kept = load(&path).unwrap().instances;
        assert_eq!(kept["a"], test("2026-01-03T00:00:00Z", true));
        assert_eq!(kept.len(), 2);
        std::fs::write(&path, "{").unwrap();
        assert!(format!("{:#}", load(&path).unwrap_err()).contains("no record of fencing; remove it"));
        save(&path, "a", test("2026-01-03T00:00:00Z", true)).unwrap_err();
    }
}
