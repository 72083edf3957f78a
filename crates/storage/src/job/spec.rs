//! The `JobId=` command (spec/03 §2.2).

use types::{Attempt, JobId, VolSession};
use wire::scan::{Fields, MsgError};

use crate::journal::Header;

/// A job as the Director describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobSpec {
    /// Catalog key.
    pub id: JobId,
    /// Unique name.
    pub job: String,
    /// Job resource.
    pub job_name: String,
    /// Client resource.
    pub client: String,
    /// ASCII code of the type.
    pub job_type: u32,
    /// ASCII code of the level.
    pub level: u32,
    /// FileSet resource.
    pub file_set: String,
    /// Digest of the FileSet.
    pub file_set_md5: String,
    /// The Director wants no attributes.
    pub no_attributes: bool,
    /// Spool attributes.
    pub spool_attributes: bool,
    /// Prefer Mounted Volumes.
    pub prefer_mounted: bool,
    /// This SD calls another one: the key in the reply is a placeholder.
    pub is_sd_client: bool,
    /// Session of an incomplete job that is run again.
    pub rerun: Option<VolSession>,
    /// Attempt; 0 from a stock Director.
    pub attempt: Attempt,
    /// `bandwidth=` of a Holdfast Director, for the reading job of a copy: bytes per second, 0 = no limit.
    pub bandwidth_bytes_per_s: u64,
}

impl JobSpec {
    /// The head of the job's journal.
    #[must_use]
    pub fn journal_header(&self, session: VolSession) -> Header {
        Header {
            job_id: self.id,
            job: self.job.clone(),
            attempt: self.attempt,
            session,
            job_type: self.listed_type(),
            level: self.level,
            file_set: self.file_set.clone(),
            device: String::new(),
        }
    }

    /// The journal's file among those of its Director.
    #[must_use]
    pub fn journal_name(&self) -> String {
        format!("job-{}.{}.journal", self.id, self.attempt)
    }

    /// Reads the line.
    ///
    /// # Errors
    /// A field is missing or wrong.
    pub fn parse(line: &[u8]) -> Result<Self, MsgError> {
        let f = Fields::new(line);
        let text = |key: &'static str| -> Result<String, MsgError> {
            let raw = f.raw(key).ok_or_else(|| MsgError::field(key, line))?;
            Ok(types::unbash_spaces(&String::from_utf8_lossy(raw)))
        };
        let flag = |key: &'static str| f.get::<bool>(key).unwrap_or(false);
        let rerun = if flag("rerunning") {
            Some(VolSession { id: f.get("VolSessionId")?, time: f.get("VolSessionTime")? })
        } else {
            None
        };
        Ok(Self {
            id: f.get("JobId")?,
            job: text("job")?,
            job_name: text("job_name")?,
            client: text("client_name")?,
            job_type: f.get("type")?,
            level: f.get("level")?,
            file_set: text("FileSet")?,
            file_set_md5: text("FileSetMD5")?,
            no_attributes: flag("NoAttr"),
            spool_attributes: flag("SpoolAttr") || flag("SpoolData"),
            prefer_mounted: f.get::<bool>("PreferMountedVols").unwrap_or(true),
            is_sd_client: flag("sd_client"),
            rerun,
            attempt: Attempt(f.get::<u32>("attempt").unwrap_or(0)),
            bandwidth_bytes_per_s: f.get::<u64>("bandwidth").unwrap_or(0),
        })
    }

    /// Whether the job's data come from a client to be stored.
    #[must_use]
    pub fn is_backup(&self) -> bool {
        self.job_type == u32::from(b'B')
    }

    /// Type in lists and journals: a copy that is being written is told from a backup, which it is not before its Director says so.
    #[must_use]
    pub fn listed_type(&self) -> u32 {
        if self.is_sd_client && self.is_backup() { u32::from(b'C') } else { self.job_type }
    }

    /// Whether the job reads for another that writes: the control job of a copy or migration.
    #[must_use]
    pub fn is_copy_source(&self) -> bool {
        self.job_type == u32::from(b'c') || self.job_type == u32::from(b'g')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_line() {
        let line = b"JobId=3 job=Acc.2026-11-23_15.05.25_07 job_name=My\x01Job client_name=a1-fd type=66 level=70 FileSet=FS2 NoAttr=0 SpoolAttr=1 FileSetMD5=X+/mR0sp93k2+D4e4m+miA SpoolData=0 WritePartAfterJob=1 PreferMountedVols=1 SpoolSize=0 rerunning=0 VolSessionId=0 VolSessionTime=0 sd_client=0 Authorization=dummy\n";
        let spec = JobSpec::parse(line).unwrap();
        assert_eq!(spec.id, JobId(3));
        assert_eq!(spec.job_name, "My Job");
        assert!(spec.spool_attributes && spec.prefer_mounted && spec.is_backup());
        assert_eq!(spec.rerun, None);
        assert_eq!(spec.attempt, Attempt(0));
        assert!(JobSpec::parse(b"JobId=3 job=x\n").is_err());
    }
}
