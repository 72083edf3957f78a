//! Where Pacemaker had better promote: a standby that would refuse is not to be chosen.

use std::process::{Command, Stdio};

use super::environment::Environment;

/// How much an instance is worth being the active one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Score {
    /// It is active.
    Active,
    /// It stands by.
    Standby,
    /// It would refuse.
    Never,
}

impl Score {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Active => "100",
            Self::Standby => "10",
            Self::Never => "-INFINITY",
        }
    }

    /// Tells Pacemaker, which keeps it until the node leaves the cluster.
    pub(super) fn tell(self, environment: &Environment) -> bool {
        if !environment.is_cluster() {
            return true;
        }
        let told = Command::new("crm_attribute")
            .args(["--promotion", "--lifetime", "reboot", "--update", self.text()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        match told {
            Ok(status) if status.success() => true,
            Ok(status) => {
                environment
                    .log("WARNING", format!("crm_attribute did not take the promotion score: {status}"));
                false
            }
            Err(error) => {
                environment
                    .log("WARNING", format!("run crm_attribute (package pacemaker-cli-utils): {error}"));
                false
            }
        }
    }
}
