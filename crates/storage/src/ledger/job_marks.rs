//! The highest JobId that each Director has given to a job here, durable (docs/extensions.md §9). A catalog that has gone back in
//! time draws its numbers above it.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use types::JobId;

use super::DirectorKey;
use crate::lock::lock;

/// The marks of all Directors; each is read when it is first wanted.
#[derive(Debug)]
pub struct JobMarks {
    directory: PathBuf,
    highest: Mutex<HashMap<DirectorKey, JobId>>,
}

impl JobMarks {
    /// Over the directory of the Directors' records.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, highest: Mutex::default() }
    }

    /// Notes a job, durably, before it is begun.
    ///
    /// # Errors
    /// What the system says; a mark that holds no number is an error too, since a JobId might be used twice.
    pub fn note(&self, key: &DirectorKey, job: JobId) -> io::Result<()> {
        let mut marks = lock(&self.highest);
        if job <= self.known(&mut marks, key)? {
            return Ok(());
        }
        sys::durable_write(&self.path(key), format!("{job}\n").as_bytes())?;
        marks.insert(key.clone(), job);
        Ok(())
    }

    /// The highest JobId of a Director; 0 when it has given none.
    ///
    /// # Errors
    /// As [`Self::note`].
    pub fn highest(&self, key: &DirectorKey) -> io::Result<JobId> {
        self.known(&mut lock(&self.highest), key)
    }

    fn known(&self, marks: &mut HashMap<DirectorKey, JobId>, key: &DirectorKey) -> io::Result<JobId> {
        if let Some(known) = marks.get(key) {
            return Ok(*known);
        }
        let path = self.path(key);
        let stored = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no number", path.display()))
            })?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => JobId(0),
            Err(e) => return Err(e),
        };
        marks.insert(key.clone(), stored);
        Ok(stored)
    }

    fn path(&self, key: &DirectorKey) -> PathBuf {
        self.directory.join(format!("{}.job", key.file_name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::CatalogId;

    #[test]
    fn the_highest_job_is_remembered_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let key = DirectorKey { name: "d".into(), catalog: Some(CatalogId(7)) };
        let other = DirectorKey { name: "d".into(), catalog: Some(CatalogId(8)) };
        let marks = JobMarks::new(dir.path().to_owned());
        for job in [3, 9, 4] {
            marks.note(&key, JobId(job)).unwrap();
        }
        for marks in [marks, JobMarks::new(dir.path().to_owned())] {
            assert_eq!(marks.highest(&key).unwrap(), JobId(9));
            assert_eq!(marks.highest(&other).unwrap(), JobId(0));
        }
        std::fs::write(dir.path().join(format!("{}.job", key.file_name())), "x").unwrap();
        assert!(JobMarks::new(dir.path().to_owned()).note(&key, JobId(10)).is_err());
    }
}
