//! A Volume's file.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::disk::{Disk, DiskFile, SystemDisk};

/// A file as a Volume wants it; clones share the descriptor.
#[derive(Debug, Clone)]
pub struct VolumeFile(Arc<dyn DiskFile>);

impl VolumeFile {
    /// Opens for reading.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        // A pipe under a Volume's name would block.
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(Self(Arc::new(file)))
    }

    /// Opens for appending.
    ///
    /// # Errors
    /// What the system says.
    pub fn open_append(path: &Path) -> io::Result<Self> {
        SystemDisk.open(path).map(Self)
    }

    /// Creates it, mode 0640; it must not exist. The directory entry is durable when this returns.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        SystemDisk.create(path).map(Self)
    }

    /// Over a file of any disk.
    #[must_use]
    pub fn over(file: Arc<dyn DiskFile>) -> Self {
        Self(file)
    }

    /// Length in bytes.
    ///
    /// # Errors
    /// What the system says.
    pub fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    /// Whether it is empty.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Waits until data and length are on stable storage.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

impl volume::RawFile for VolumeFile {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn size(&mut self) -> io::Result<u64> {
        self.len()
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
