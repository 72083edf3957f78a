//! Real Bacula's Volume tools on the site's Volumes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Maker, Site, program};

impl Site {
    /// Names of the first device's Volumes, sorted.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn volume_names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = fs::read_dir(self.volumes())?
            .filter_map(|entry| {
                let entry = entry.ok()?;
                entry.file_type().ok()?.is_file().then(|| entry.file_name().into_string().ok())?
            })
            .filter(|name| name.starts_with("Vol-") && !name.contains('.'))
            .collect();
        names.sort();
        Ok(names)
    }

    /// A Volume's file.
    #[must_use]
    pub fn volume_file(&self, name: &str) -> PathBuf {
        self.volumes().join(name)
    }

    /// Bytes of all Volumes of the first device.
    ///
    /// # Errors
    /// When their folder cannot be read.
    pub fn volume_bytes(&self) -> Result<u64> {
        let files = self.volume_names()?.into_iter().map(|name| self.volume_file(&name));
        // One that is renamed meanwhile counts for nothing.
        Ok(files.filter_map(|file| fs::metadata(file).ok()).map(|meta| meta.len()).sum())
    }

    /// The file of a Volume on either device; `None` where there is none.
    #[must_use]
    pub fn find_volume(&self, name: &str) -> Option<PathBuf> {
        let folders = ["volumes/file1", "volumes/file2"].map(|folder| self.dir().join(folder));
        folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    /// What Holdfast's Storage Daemon remembers in a folder of its records (`volumes`, `directors`): names and texts.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn storage_records(&self, folder: &str) -> Result<Vec<(String, String)>> {
        let Ok(entries) = fs::read_dir(self.volumes().join(".holdfast").join(folder)) else {
            return Ok(Vec::new()); // a stock daemon, or nothing was remembered yet
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            found.push((entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?));
        }
        Ok(found)
    }

    /// The journals of this site's Director that Holdfast's Storage Daemon keeps.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn journals(&self) -> Result<Vec<PathBuf>> {
        let Ok(folders) = fs::read_dir(self.volumes().join(".holdfast")) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for folder in folders {
            let folder = folder?;
            if folder.file_name().to_string_lossy().starts_with("kit-dir.") {
                for entry in fs::read_dir(folder.path())? {
                    let path = entry?.path();
                    found.extend(path.extension().is_some_and(|end| end == "journal").then_some(path));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Runs real Bacula 9.6.7's `bls` over Volumes (names joined with `|`) and gives what it printed, errors included.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn bls(&self, volumes: &str, arguments: &[&str]) -> Result<String> {
        self.volume_tool("bls", (volumes, "FileDev1"), arguments, None)
    }

    /// The same over the virtual tape in a slot of the library.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn bls_of_slot(&self, volume: &str, slot: u32, arguments: &[&str]) -> Result<String> {
        self.volume_tool("bls", (volume, &format!("Slot{slot}")), arguments, None)
    }

    /// The same with `bextract`.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn bextract_of_slot(&self, volume: &str, slot: u32, to: &Path) -> Result<String> {
        fs::create_dir_all(to)?;
        self.volume_tool("bextract", (volume, &format!("Slot{slot}")), &[], Some(to))
    }

    /// Runs real Bacula 9.6.7's `bextract`, which restores all files of the Volumes below `to`.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn bextract(&self, volumes: &str, to: &Path) -> Result<String> {
        fs::create_dir_all(to)?;
        self.volume_tool("bextract", (volumes, "FileDev1"), &[], Some(to))
    }

    fn volume_tool(
        &self,
        name: &str,
        (volumes, device): (&str, &str),
        arguments: &[&str],
        to: Option<&Path>,
    ) -> Result<String> {
        let program = program(Maker::Bacula9, name)?;
        let mut command = Command::new(&program.path);
        command
            .arg("-c")
            .arg(self.config_file("tools.conf"))
            .arg("-V")
            .arg(volumes)
            .args(arguments)
            .arg(device);
        if let Some(to) = to {
            command.arg(to);
        }
        let output = command.output().with_context(|| format!("run {name}"))?;
        let text = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
