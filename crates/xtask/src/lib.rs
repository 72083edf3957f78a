//! The repository's own rules, which no lint knows: layers, pure crates, length of files, words that must not be there.
//!
//! `cargo run -p xtask -- tidy` prints each breach with file, line and what to do; a test does the same. [`layers`] looks at
//! manifests (who may depend on whom, a reason for each outside crate), [`text`] at source files (pure crates, unfinished
//! work, unsafe code, sleeping threads, paths of one machine, the page that introduces a crate).

mod directives;
mod layers;
mod text;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use walkdir::WalkDir;

/// A rule that is broken somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    /// Path below the repository's root.
    pub file: PathBuf,
    /// Line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line, self.text)
    }
}

/// Checks all rules over the repository at `root`.
///
/// # Errors
/// When a file cannot be read; breaches are the result.
pub fn tidy(root: &Path) -> Result<Vec<Breach>> {
    let mut found = layers::check(root)?;
    for file in ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "ARCHITECTURE.md"] {
        if !root.join(file).is_file() {
            found.push(Breach { file: file.into(), line: 0, text: "is missing".to_owned() });
        }
    }
    found.extend(directives::check(root)?);
    for dir in ["crates", "tests", "fuzz"] {
        let walk = WalkDir::new(root.join(dir)).sort_by_file_name().into_iter();
        for entry in walk.filter_entry(|entry| entry.file_name() != "target" && entry.file_name() != "corpus")
        {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if error.depth() == 0 => continue, // no such folder yet
                Err(error) => return Err(error.into()),
            };
            if entry.path().extension().is_some_and(|extension| extension == "rs") {
                let content = std::fs::read_to_string(entry.path())
                    .with_context(|| format!("read {}", entry.path().display()))?;
                let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
                text::check(relative, &content, &mut found);
            }
        }
    }
    Ok(found)
}
