//! Places in Holdfast's daemons where a test ends or stops them (`sys::failpoint`; in builds with debug assertions).

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::Site;
use crate::wait;

/// Known bugs that a test puts back in daemons with debug assertions, to see that they are found: name and what it is.
pub const KNOWN_BUGS: [(&str, &str); 5] = [
    ("bug-epoch-not-raised", "an instance takes over without raising the epoch"),
    ("bug-epoch-not-checked", "the Storage Daemon obeys a Director of an epoch that is over"),
    (
        "bug-permit-not-checked",
        "the Storage Daemon checks neither nonce nor Volume state of a destructive command",
    ),
    ("bug-attempt-not-closed", "a job that runs starts anew beside its old attempt"),
    ("bug-answered-before-commit", "the end of a job is acknowledged before it is in the catalog"),
];
/// The environment variable that names a known bug to put back in every site.
const BUG_VARIABLE: &str = "HOLDFAST_TEST_BUG";

/// What happens at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The process is gone (`SIGKILL`).
    Kill,
    /// The process stands still until it is thawed (`SIGSTOP`).
    Stop,
    /// Nothing, but that the test learns of it.
    Pass,
}

impl Site {
    /// Where failpoints are armed; the daemons are told by their environment.
    pub(super) fn failpoints(&self) -> PathBuf {
        self.dir().join("failpoints")
    }

    /// Arms a place: the first process that reaches it does `act`, once.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn arm(&self, place: &str, act: Act) -> Result<()> {
        let word = match act {
            Act::Kill => "kill",
            Act::Stop => "stop",
            Act::Pass => "pass",
        };
        // Made aside: a daemon never sees it half written.
        let aside = self.failpoints().join(format!(".{place}"));
        fs::write(&aside, word).with_context(|| format!("arm {place}"))?;
        let _ = fs::remove_file(self.failpoints().join(format!("{place}.reached")));
        fs::rename(&aside, self.failpoints().join(place)).with_context(|| format!("arm {place}"))
    }

    /// Takes an armed place back; `false` when it was reached.
    #[must_use]
    pub fn disarm(&self, place: &str) -> bool {
        fs::remove_file(self.failpoints().join(place)).is_ok()
    }

    /// Whether an armed place has been reached.
    #[must_use]
    pub fn has_reached(&self, place: &str) -> bool {
        self.failpoints().join(format!("{place}.reached")).exists()
    }

    /// Waits until an armed place has been reached.
    ///
    /// # Errors
    /// When nobody has after `bound`.
    pub fn wait_reached(&self, place: &str, bound: Duration) -> Result<()> {
        wait::until(&format!("a daemon to reach {place}"), bound, || {
            Ok(self.has_reached(place).then_some(()))
        })
    }

    /// Sets a switch that the daemons look at (`sys::failpoint::is_on`).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn switch_on(&self, switch: &str) -> Result<()> {
        fs::write(self.failpoints().join(switch), "on").with_context(|| format!("switch {switch} on"))
    }

    /// Takes a switch back.
    ///
    /// # Errors
    /// When it was not set.
    pub fn switch_off(&self, switch: &str) -> Result<()> {
        fs::remove_file(self.failpoints().join(switch)).with_context(|| format!("switch {switch} off"))
    }

    /// Puts back the bugs that the description and the environment name.
    pub(super) fn put_bugs_back(&self) -> Result<()> {
        let named = std::env::var(BUG_VARIABLE).ok();
        for bug in self.description.known_bugs.iter().chain(&named) {
            let is_known = KNOWN_BUGS.iter().any(|(name, _)| name == bug);
            ensure!(is_known, "{BUG_VARIABLE}: no bug “{bug}” is known; there are {KNOWN_BUGS:?}");
            self.switch_on(bug)?;
        }
        Ok(())
    }
}
