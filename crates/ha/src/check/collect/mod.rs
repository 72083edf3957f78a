//! Reads what the sources are made of, and hands it to the parsers and judges. Nothing is changed on the machine.
//!
//! Each group of checks runs on a thread of its own: a program that hangs holds up its own group only, and that no longer than
//! its limit.

mod cluster;
mod director;
mod hardware;
mod replication;

use std::collections::BTreeMap;
use std::sync::Arc;

use conf::DirectorConfig;
use jiff::Timestamp;

use super::expect::Expectations;
use super::finding::{Finding, Verdict};
use super::machine::{Machine, Ran};

/// How the Director's configuration came.
#[derive(Debug, Clone)]
pub(super) enum Configuration {
    /// There is no such file.
    Absent(String),
    /// It is refused, or cannot be read.
    Refused(String),
    Read(Arc<DirectorConfig>),
}

/// What all checks are made from.
pub(super) struct Scene<'a> {
    pub(super) machine: Machine<'a>,
    pub(super) expected: Expectations,
    pub(super) configuration: Configuration,
    pub(super) now: Timestamp,
    /// How old the last test of fencing may be, in days.
    pub(super) fence_test_days: u32,
}

/// A group of checks.
type Group = fn(&Scene<'_>) -> Vec<Finding>;

/// The groups in the order in which they are shown.
const GROUPS: &[(&str, Group)] = &[
    ("raid", hardware::raid),
    ("bond", hardware::bonds),
    ("power", hardware::power),
    ("link", replication::link),
    ("drbd", replication::drbd),
    ("quorum", cluster::quorum),
    ("cluster", cluster::pacemaker),
    ("clock", hardware::clock),
    ("postgresql", director::postgresql),
    ("director", director::instances),
];

/// All findings.
pub(super) fn all(scene: &Scene<'_>) -> Vec<Finding> {
    std::thread::scope(|scope| {
        let started: Vec<_> =
            GROUPS.iter().map(|(name, group)| (*name, scope.spawn(|| group(scene)))).collect();
        let ended = started.into_iter().map(|(name, thread)| {
            // A panic is a bug, and its message is on the standard error.
            let bug = |_| {
                vec![Finding::unknown("check", format!("the checks of {name} ended by a bug"), "report it")]
            };
            thread.join().unwrap_or_else(bug)
        });
        ended.flatten().collect()
    })
}

/// The first of several programs that is there, with what it said.
fn first_of<'p>(machine: &Machine<'_>, programs: &[&'p str], arguments: &[&str]) -> Option<(&'p str, Ran)> {
    programs.iter().find_map(|program| match machine.run(program, arguments) {
        Ran::Missing => None,
        ran => Some((*program, ran)),
    })
}

/// A check whose program is missing, or gave nothing to go by.
fn without(check: &'static str, program: &str, package: &str, ran: &Ran) -> Finding {
    match ran {
        Ran::Missing => {
            Finding::absent(check, ran.trouble(program), format!("install the package {package}"))
        }
        Ran::Ended { .. } | Ran::Failed(_) => {
            Finding::unknown(check, ran.trouble(program), format!("run {program} by hand, as root"))
        }
    }
}

/// The output of a program that succeeded.
fn output(ran: &Ran) -> Option<&str> {
    match ran {
        Ran::Ended { code: 0, output, .. } => Some(output),
        Ran::Ended { .. } | Ran::Missing | Ran::Failed(_) => None,
    }
}

/// Settings by name, as rows come.
type Settings = BTreeMap<String, String>;

/// A finding of something named.
fn unknown_of(check: &'static str, subject: &str, evidence: String, remedy: &str) -> Finding {
    Finding::new(Verdict::Unknown, check, subject, evidence, remedy)
}
