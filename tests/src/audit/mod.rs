//! The auditor: what DESIGN §4 promises, looked at from outside after faults have healed.
//!
//! | invariant | what is looked at |
//! |---|---|
//! | I1 | epochs that instances logged are given out once and grow; the catalog, its attempts and the SD know none above |
//! | I2 | the scenarios themselves: which jobs must have ended `T` |
//! | I3 | `File` rows: each FileIndex once, 1 to JobFiles; rows in kept journals are in the catalog |
//! | I4, I9 | labels on the media are those of the catalog; no file is shorter than VolBytes; whole blocks up to there |
//! | I5 | every job is in a final state, no daemon lists one that runs; a due run has one job |
//! | I6 | a `T` job: its session ends `T` on the medium, JobMedia cover its blocks, and it restores byte for byte |
//! | I8 | numbers of jobs, Volumes and sessions are used once; every block on a Volume is of one known session or marked unowned |
//! | I10, I11 | exactly one instance is active |
//!
//! I7 needs finished copies, which there are none of yet; I12 is what the scenarios with stock daemons show. Volumes are read
//! by `tests/tools/volume_blocks.py`, which shares no code with Holdfast.

mod peers;
mod restores;
mod rows;
mod volumes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use testkit::site::Site;

/// What the jobs saved; the trees must not have changed since the jobs that ended `T`.
#[derive(Debug, Clone, Default)]
pub struct Trees {
    roots: BTreeMap<String, Vec<PathBuf>>,
    unmarked: Vec<PathBuf>,
    has_gone_back: bool,
}

impl Trees {
    /// Of no job: nothing is restored.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Of the Job `Backup`.
    #[must_use]
    pub fn of(roots: &[&Path]) -> Self {
        Self::default().job("Backup", roots)
    }

    /// Adds what another Job saves.
    #[must_use]
    pub fn job(mut self, name: &str, roots: &[&Path]) -> Self {
        self.roots.insert(name.to_owned(), roots.iter().map(|root| root.to_path_buf()).collect());
        self
    }

    /// The catalog has gone back in time: it may have given an epoch out once more, in which the Storage Daemon let nobody act.
    #[must_use]
    pub const fn gone_back(mut self) -> Self {
        self.has_gone_back = true;
        self
    }

    /// Leaves an entry out of restores: a FIFO would wait for a reader.
    #[must_use]
    pub fn unmark(mut self, path: &Path) -> Self {
        self.unmarked.push(path.to_path_buf());
        self
    }
}

/// What is wrong, each with the invariant that it breaks.
#[derive(Debug, Default)]
struct Findings(Vec<String>);

impl Findings {
    fn add(&mut self, invariant: &str, what: impl Into<String>) {
        self.0.push(format!("{invariant}: {}", what.into()));
    }

    fn unless(&mut self, holds: bool, invariant: &str, what: impl FnOnce() -> String) {
        if !holds {
            self.add(invariant, what());
        }
    }
}

/// Audits a site whose faults have been healed: all its daemons run, and jobs get the usual time to end.
///
/// # Errors
/// Every finding, a line each.
pub fn audit(site: &Site, trees: &Trees) -> Result<()> {
    let mut findings = Findings::default();
    let looks: [(&str, Result<()>); 5] = [
        ("the daemons", peers::quiet(site, &mut findings)),
        ("the instances", peers::instances(site, trees, &mut findings)),
        ("the rows", rows::check(site, &mut findings)),
        ("the Volumes", volumes::check(site, &mut findings)),
        ("the restores", restores::check(site, trees, &mut findings)),
    ];
    for (what, look) in looks {
        if let Err(error) = look {
            findings.add("audit", format!("{what} could not be looked at: {error:#}"));
        }
    }
    if findings.0.is_empty() {
        return Ok(());
    }
    bail!("the audit found {}:\n{}", findings.0.len(), findings.0.join("\n"))
}

/// A number of the catalog.
fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}
