//! The newest absolute state of a Volume, kept beside it (docs/extensions.md §6).

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use types::{CatalogId, VolTime};

use crate::disk::{Disk, SystemDisk};

/// Unowned ranges remembered for a Volume; more are merged into the last one.
const UNOWNED_MAX: usize = 1024;

/// Whose Volume it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    /// Director's name.
    pub director: String,
    /// Its catalog; `None` for a stock Director.
    pub catalog: Option<CatalogId>,
}

/// The state of a Volume.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeState {
    /// Grows with each state that is written.
    pub seq: u64,
    /// When it was labelled; with the name the identity of the Volume.
    pub label_time: VolTime,
    /// Owner.
    pub owner: Owner,
    /// Bytes, label included.
    pub bytes: u64,
    /// Blocks written, labels included.
    pub writes: u64,
    /// Data blocks.
    pub blocks: u64,
    /// `bytes >> 32`.
    pub files: u32,
    /// Jobs.
    pub jobs: u32,
    /// VolStatus.
    pub status: String,
    /// Pool of its label; empty while not noted.
    pub pool: String,
    /// Media Type of its label; empty while not noted.
    pub media_type: String,
    /// End of the data known to be on stable storage.
    pub synced_end: u64,
    /// Ranges (first byte, behind the last) that belong to no session in a catalog.
    pub unowned: Vec<(u64, u64)>,
}

/// Why a state file is no use.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// It cannot be read or written.
    #[error("Volume state {path}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is damaged.
    #[error(
        "Volume state {path} is damaged; move it away and the Volume is taken over from its label and the catalog"
    )]
    Damaged {
        /// The file.
        path: String,
    },
}

impl VolumeState {
    /// Reads the state file of a Volume; `None` where there is none.
    ///
    /// # Errors
    /// [`StateFileError`].
    pub fn load(path: &Path) -> Result<Option<Self>, StateFileError> {
        Self::load_on(&SystemDisk, path)
    }

    /// [`Self::load`] from another disk.
    ///
    /// # Errors
    /// As there.
    pub fn load_on(disk: &dyn Disk, path: &Path) -> Result<Option<Self>, StateFileError> {
        let bytes = match disk.read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StateFileError::Io { path: path.display().to_string(), source }),
        };
        std::str::from_utf8(&bytes)
            .ok()
            .and_then(Self::parse)
            .map(Some)
            .ok_or_else(|| StateFileError::Damaged { path: path.display().to_string() })
    }

    /// Writes it durably.
    ///
    /// # Errors
    /// [`StateFileError::Io`].
    pub fn save(&self, path: &Path) -> Result<(), StateFileError> {
        self.save_on(&SystemDisk, path)
    }

    /// [`Self::save`] on another disk.
    ///
    /// # Errors
    /// As there.
    pub fn save_on(&self, disk: &dyn Disk, path: &Path) -> Result<(), StateFileError> {
        disk.write_durably(path, self.format().as_bytes())
            .map_err(|source| StateFileError::Io { path: path.display().to_string(), source })
    }

    /// Marks a range as unowned.
    pub fn add_unowned(&mut self, from: u64, to: u64) {
        let is_full = self.unowned.len() >= UNOWNED_MAX;
        match self.unowned.last_mut() {
            Some(last) if is_full || last.1 >= from => last.1 = last.1.max(to),
            Some(_) | None => self.unowned.push((from, to)),
        }
    }

    fn format(&self) -> String {
        let mut out = String::new();
        let catalog = self.owner.catalog.map(|c| c.to_string()).unwrap_or_default();
        let _ = write!(
            out,
            "seq={}\nlabel={}\ndirector={}\ncatalog={catalog}\nbytes={}\nwrites={}\nblocks={}\nfiles={}\njobs={}\nstatus={}\nsynced={}\n",
            self.seq,
            self.label_time,
            self.owner.director,
            self.bytes,
            self.writes,
            self.blocks,
            self.files,
            self.jobs,
            self.status,
            self.synced_end,
        );
        if !self.media_type.is_empty() {
            let _ = write!(out, "pool={}\nmedia_type={}\n", self.pool, self.media_type);
        }
        for (from, to) in &self.unowned {
            let _ = writeln!(out, "unowned={from}-{to}");
        }
        let _ = writeln!(out, "crc={:08x}", crc32fast::hash(out.as_bytes()));
        out
    }

    fn parse(text: &str) -> Option<Self> {
        let (body, crc) = text.rsplit_once("crc=")?;
        if u32::from_str_radix(crc.trim(), 16).ok()? != crc32fast::hash(body.as_bytes()) {
            return None;
        }
        let mut state = Self::default();
        for line in body.lines() {
            let (key, value) = line.split_once('=')?;
            match key {
                "seq" => state.seq = value.parse().ok()?,
                "label" => state.label_time = VolTime(value.parse().ok()?),
                "director" => value.clone_into(&mut state.owner.director),
                "catalog" if value.is_empty() => {}
                "catalog" => state.owner.catalog = Some(value.parse().ok()?),
                "bytes" => state.bytes = value.parse().ok()?,
                "writes" => state.writes = value.parse().ok()?,
                "blocks" => state.blocks = value.parse().ok()?,
                "files" => state.files = value.parse().ok()?,
                "jobs" => state.jobs = value.parse().ok()?,
                "status" => value.clone_into(&mut state.status),
                "pool" => value.clone_into(&mut state.pool),
                "media_type" => value.clone_into(&mut state.media_type),
                "synced" => state.synced_end = value.parse().ok()?,
                "unowned" => {
                    let (from, to) = value.split_once('-')?;
                    state.unowned.push((from.parse().ok()?, to.parse().ok()?));
                }
                // A newer version may keep more.
                _ => {}
            }
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_read_back_and_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("V1");
        assert_eq!(VolumeState::load(&path).unwrap(), None);
        let mut state = VolumeState {
            seq: 3,
            label_time: VolTime(1_795_447_134_100_964),
            owner: Owner { director: "d x".into(), catalog: Some(CatalogId(9)) },
            bytes: 71_428,
            status: "Append".into(),
            pool: "Full Pool".into(),
            media_type: "File1".into(),
            synced_end: 71_428,
            ..VolumeState::default()
        };
        state.add_unowned(10, 20);
        state.add_unowned(20, 30);
        state.add_unowned(40, 50);
        assert_eq!(state.unowned, [(10, 30), (40, 50)]);
        state.save(&path).unwrap();
        assert_eq!(VolumeState::load(&path).unwrap(), Some(state));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("bytes=71428", "bytes=71429")).unwrap();
        assert!(matches!(VolumeState::load(&path), Err(StateFileError::Damaged { .. })));
    }
}
