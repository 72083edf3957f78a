//! Which options a path gets, or that it is rejected (spec/02 §6.4).

use regex::bytes::Regex;
use sys::{GlobFlags, glob_match};

use super::{FileOptions, FileSet};

/// Index of resolved options in the [`FileSet`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OptionId(pub u16);

/// The rule that rejected a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected;

/// What a path is, as far as patterns distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    /// A directory; its path has no trailing slash here.
    Directory,
    /// Anything else.
    File,
}

/// One Options block.
#[derive(Debug, Default)]
pub struct Group {
    /// Where its options are.
    pub id: OptionId,
    /// `Wild`.
    pub wild: Vec<Vec<u8>>,
    /// `WildDir`.
    pub wild_dir: Vec<Vec<u8>>,
    /// `WildFile`.
    pub wild_file: Vec<Vec<u8>>,
    /// `WildFile` without a slash, from a Director with enhanced patterns.
    pub wild_base: Vec<Vec<u8>>,
    /// `Regex`.
    pub regex: Vec<Regex>,
    /// `RegexDir`.
    pub regex_dir: Vec<Regex>,
    /// `RegexFile`.
    pub regex_file: Vec<Regex>,
    /// `FS Type`.
    pub fs_types: Vec<String>,
    /// `Drive Type`.
    pub drive_types: Vec<String>,
}

/// One Include block.
#[derive(Debug, Default)]
pub struct Include {
    /// Options blocks in order.
    pub groups: Vec<Group>,
    /// Entries, with `|` and `<` not yet expanded.
    pub files: Vec<Vec<u8>>,
    /// Plugin commands.
    pub plugins: Vec<Vec<u8>>,
    /// Exclude Dir Containing.
    pub ignore_dirs: Vec<Vec<u8>>,
    /// Options of the entries themselves: all blocks together.
    pub top: OptionId,
    /// Accurate letters with their `C`.
    pub accurate: String,
    /// Verify letters with their `V`.
    pub verify: String,
    /// Base job letters with their `J`.
    pub base_job: String,
    /// Leading components cut from names.
    pub strip_path: u32,
}

impl Group {
    fn has_patterns(&self) -> bool {
        ![&self.wild, &self.wild_dir, &self.wild_file, &self.wild_base].into_iter().all(Vec::is_empty)
            || ![&self.regex, &self.regex_dir, &self.regex_file].into_iter().all(Vec::is_empty)
    }

    /// Whether one of the patterns decides about the path.
    fn decides(&self, path: &[u8], kind: PathKind, options: &FileOptions) -> bool {
        let flags = GlobFlags { fold_case: options.ignore_case, pathname: options.enhanced_wild };
        let any_glob =
            |globs: &[Vec<u8>], text: &[u8]| globs.iter().any(|glob| glob_match(glob, text, flags));
        let any_regex = |regexes: &[Regex]| regexes.iter().any(|regex| regex.is_match(path));
        let specific = match kind {
            PathKind::Directory => any_glob(&self.wild_dir, path),
            PathKind::File => {
                let base = if options.enhanced_wild { base_name(path) } else { path };
                any_glob(&self.wild_file, path) || any_glob(&self.wild_base, base)
            }
        };
        specific
            || any_glob(&self.wild, path)
            || match kind {
                PathKind::Directory => any_regex(&self.regex_dir),
                PathKind::File => any_regex(&self.regex_file),
            }
            || any_regex(&self.regex)
    }
}

fn base_name(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&b| b == b'/').map_or(path, |at| &path[at + 1..])
}

impl FileSet {
    /// The options for a path below a top-level entry of `include`.
    ///
    /// An accepting pattern wins over the Exclude list (spec/02 §6.4).
    ///
    /// # Errors
    /// [`Rejected`]: neither it nor what is below is saved.
    pub fn decide(&self, include: &Include, path: &[u8], kind: PathKind) -> Result<OptionId, Rejected> {
        for group in &include.groups {
            let options = self.options(group.id);
            if group.decides(path, kind, options) {
                return if options.exclude { Err(Rejected) } else { Ok(group.id) };
            }
            if options.exclude && !group.has_patterns() {
                return Err(Rejected);
            }
        }
        if self.excludes.iter().any(|glob| glob_match(glob, path, GlobFlags::default())) {
            return Err(Rejected);
        }
        Ok(include.groups.last().map_or(include.top, |group| group.id))
    }

    /// The group whose file system types are in force for an id.
    #[must_use]
    pub fn group<'a>(&self, include: &'a Include, id: OptionId) -> Option<&'a Group> {
        include.groups.iter().find(|group| group.id == id).or_else(|| include.groups.last())
    }
}
