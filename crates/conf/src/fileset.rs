//! The `FileSet` resource (spec/04 §2.9, spec/02 §6). File names and patterns are bytes: they need not be UTF-8.

use crate::table::{Kind, resource};

/// One Options block of an Include.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The settings in the order written.
    pub settings: Vec<OptionSetting>,
    /// `Regex =`
    pub regex: Vec<Vec<u8>>,
    /// `RegexDir =`
    pub regex_dir: Vec<Vec<u8>>,
    /// `RegexFile =`
    pub regex_file: Vec<Vec<u8>>,
    /// `Wild =`
    pub wild: Vec<Vec<u8>>,
    /// `WildDir =`
    pub wild_dir: Vec<Vec<u8>>,
    /// `WildFile =` with a slash in the pattern.
    pub wild_file: Vec<Vec<u8>>,
    /// `WildFile =` without a slash; stock Directors send it as `WF` all the same (spec/02 §6.2).
    pub wild_base: Vec<Vec<u8>>,
    /// `Base =`
    pub base: Vec<Vec<u8>>,
    /// `FsType =`
    pub fs_type: Vec<Vec<u8>>,
    /// `DriveType =`
    pub drive_type: Vec<Vec<u8>>,
    /// `Plugin =`
    pub plugin: Option<Vec<u8>>,
}

/// One setting with its letters (spec/02 §6.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionSetting {
    /// Which directive, as the table spells it.
    pub name: &'static str,
    /// What is sent to the client: `M`, `Z6`, `Vpins5:` …
    pub letters: String,
}

impl Options {
    /// The letters of all settings as they follow `O ` on the wire; `compression: false` leaves the compression out, as
    /// `Allow Compression = no` in the Storage demands.
    #[must_use]
    pub fn letters(&self, compression: bool) -> String {
        self.settings
            .iter()
            .filter(|s| compression || s.name != "Compression")
            .map(|s| s.letters.as_str())
            .collect()
    }
}

/// An Include block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Include {
    /// Options blocks in the order written.
    pub options: Vec<Options>,
    /// `File =` values in the order written, with their `|`, `<` and `\` prefixes.
    pub files: Vec<Vec<u8>>,
    /// `Plugin =` values in the order written.
    pub plugins: Vec<Vec<u8>>,
    /// Files and plugins in the order written: what the digest is made of.
    pub in_order: Vec<Vec<u8>>,
    /// `Exclude Dir Containing =`
    pub exclude_dir_containing: Option<Vec<u8>>,
}

/// A block of a FileSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSetBlock {
    /// What is saved.
    Include(Include),
    /// What is not: globs on the full path.
    Exclude(Vec<Vec<u8>>),
}

resource! {
    /// What a backup saves and how.
    FileSet = FileSet "FileSet" {
        /// Yes: changing the file list does not force a Full.
        "Ignore FileSet Changes" => ignore_fileset_changes: bool = Kind::Bool, default("no");
        /// Use VSS on Windows clients.
        "Enable VSS" => enable_vss: bool = Kind::Bool, default("yes");
        /// Use snapshots on Unix clients that can.
        "Enable Snapshot" => enable_snapshot: bool = Kind::Bool, default("no");
        /// Files to save and how; repeatable.
        "Include" => blocks: Vec<FileSetBlock> = Kind::Include,
            example("{ Options { Signature = SHA256; Compression = GZIP } File = /home }");
    }
    also {
        /// Files not to save: only File lines, globs on the full path.
        "Exclude" = Kind::Exclude, example("{ File = /home/scratch }");
    }
}

impl FileSet {
    /// Include blocks in the order written.
    pub fn includes(&self) -> impl Iterator<Item = &Include> {
        self.blocks.iter().filter_map(|b| match b {
            FileSetBlock::Include(include) => Some(include),
            FileSetBlock::Exclude(_) => None,
        })
    }

    /// Entries of the Exclude blocks, block by block.
    pub fn excludes(&self) -> impl Iterator<Item = &[Vec<u8>]> {
        self.blocks.iter().filter_map(|b| match b {
            FileSetBlock::Include(_) => None,
            FileSetBlock::Exclude(files) => Some(files.as_slice()),
        })
    }

    /// What the catalog's FileSet.MD5 column holds: 22 characters in the legacy base64 (spec/05 §4.3).
    ///
    /// Options do not take part; a changed file list does, and makes the next job a Full.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut text = Vec::new();
        for block in &self.blocks {
            match block {
                FileSetBlock::Include(include) => {
                    include.in_order.iter().for_each(|f| text.extend_from_slice(f));
                }
                FileSetBlock::Exclude(files) => files.iter().for_each(|f| text.extend_from_slice(f)),
            }
        }
        crate::digest::legacy_base64(&crate::digest::md5(&text))
    }
}
