//! The FileSet: what a job takes, as the Director sends it (spec/02 §6).
//!
//! Pure but for [`expand`], which runs programs and reads lists on the client.

mod expand;
mod matching;
mod options;
mod parse;

pub use expand::{ExpandError, expand_entries};
pub use matching::{Group, Include, OptionId, PathKind, Rejected};
pub use options::{Compression, FileOptions, OptionLetters};
pub use parse::{FileSetError, FileSetParser};

/// A whole FileSet: Include blocks in order, Exclude entries, and the options that their groups resolve to.
#[derive(Debug, Default)]
pub struct FileSet {
    /// Include blocks.
    pub includes: Vec<Include>,
    /// Patterns of all Exclude blocks, matched with the full path, always with case.
    pub excludes: Vec<Vec<u8>>,
    /// Resolved options; [`OptionId`] indexes it.
    pub options: Vec<FileOptions>,
}

impl FileSet {
    /// The options that an id stands for.
    #[must_use]
    pub fn options(&self, id: OptionId) -> &FileOptions {
        &self.options[usize::from(id.0)]
    }

    /// Whether any group asks for a digest.
    #[must_use]
    pub fn has_digest(&self) -> bool {
        self.options.iter().any(|options| options.digest.is_some())
    }

    /// Whether a path is itself listed as an entry of an Include: then crossing into its file system needs no message.
    #[must_use]
    pub fn lists(&self, path: &[u8]) -> bool {
        self.includes
            .iter()
            .flat_map(|include| &include.files)
            .any(|file| trim_slashes(file) == trim_slashes(path))
    }
}

/// Cuts trailing slashes, but leaves `/`.
#[must_use]
pub fn trim_slashes(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&b| b != b'/').map_or(1, |at| at + 1);
    &path[..end.min(path.len())]
}
