//! Where the durable files are.

use std::io;
use std::path::{Path, PathBuf};

/// The directory `.holdfast` beside the Volumes.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home in a directory of Volumes; creates what is missing.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let root = directory.join(".holdfast");
        for sub in ["volumes", "directors"] {
            std::fs::create_dir_all(root.join(sub))?;
        }
        Ok(Self { root })
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Epochs of Directors.
    #[must_use]
    pub fn directors(&self) -> PathBuf {
        self.root.join("directors")
    }

    /// The highest VolSessionTime.
    #[must_use]
    pub fn session_time(&self) -> PathBuf {
        self.root.join("session-time")
    }

    /// State of a Volume.
    #[must_use]
    pub fn volume_state(&self, volume: &types::VolumeName) -> PathBuf {
        self.root.join("volumes").join(volume.as_str())
    }

    /// Journals of a Director; creates the directory.
    ///
    /// # Errors
    /// What the system says.
    pub fn journals(&self, key: &super::DirectorKey) -> io::Result<PathBuf> {
        let path = self.root.join(key.file_name());
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }
}
