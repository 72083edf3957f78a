//! What a check found: a verdict, what it rests on, and what to do.

use std::fmt;

use serde::Serialize;

use crate::exit::Exit;

/// The checks by their names, each group before its members.
const CHECKS: &[&str] = &[
    "raid",
    "raid.volume",
    "raid.disk",
    "raid.cache",
    "raid.battery",
    "raid.controller",
    "bond",
    "bond.switches",
    "power",
    "link",
    "link.dedicated",
    "link.round-trip",
    "drbd",
    "drbd.connection",
    "drbd.disk",
    "drbd.role",
    "drbd.protocol",
    "quorum",
    "quorum.links",
    "cluster",
    "cluster.node",
    "cluster.resource",
    "stonith",
    "stonith.tested",
    "clock",
    "postgresql",
    "director",
    "configuration",
];

/// The check, or group of checks, of a name.
///
/// # Errors
/// What names there are.
pub(super) fn check_name(text: &str) -> Result<&'static str, String> {
    let known = CHECKS.iter().find(|name| **name == text).copied();
    known.ok_or_else(|| format!("there are: {}", CHECKS.join(", ")))
}

/// How a thing is. Never better than what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It was looked at, and is as it should be.
    Ok,
    /// The machine has no such thing, or nothing to see it by.
    NotPresent,
    /// It works; a further failure would stop it, or it is not as is recommended.
    Warning,
    /// What is the case cannot be told.
    Unknown,
    /// It does not work, or data is at risk.
    Critical,
}

impl Verdict {
    /// The word for people.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NotPresent => "not present",
            Self::Warning => "WARNING",
            Self::Unknown => "UNKNOWN",
            Self::Critical => "CRITICAL",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What one check found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Name of the check, as `raid.battery`.
    pub(super) check: &'static str,
    /// Of what: `bond0`, `controller 0 battery`; empty where there is but one.
    pub(super) subject: String,
    pub(super) verdict: Verdict,
    /// What was seen.
    pub(super) evidence: String,
    /// What to do; empty where nothing is to be done.
    pub(super) remedy: String,
}

impl Finding {
    pub(super) fn new(
        verdict: Verdict,
        check: &'static str,
        subject: impl Into<String>,
        evidence: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        // What switches and programs say of themselves goes to a terminal.
        let plain = |text: String| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let (subject, evidence) = (plain(subject.into()), plain(evidence.into()));
        Self { check, subject, verdict, evidence, remedy: remedy.into() }
    }

    pub(super) fn ok(check: &'static str, subject: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, check, subject, evidence, "")
    }

    pub(super) fn absent(
        check: &'static str,
        evidence: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::NotPresent, check, "", evidence, remedy)
    }

    pub(super) fn unknown(
        check: &'static str,
        evidence: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::Unknown, check, "", evidence, remedy)
    }
}

/// What is required must be there: where it is not present, that is critical.
pub(super) fn require(findings: &mut Vec<Finding>, required: &[&'static str]) {
    for finding in findings.iter_mut().filter(|finding| finding.verdict == Verdict::NotPresent) {
        if required.iter().any(|name| covers(name, finding.check)) {
            finding.verdict = Verdict::Critical;
            finding.evidence = format!("required, but not present: {}", finding.evidence);
        }
    }
    for name in required {
        if !findings.iter().any(|finding| covers(name, finding.check)) {
            let evidence = "required, but not present: there is nothing that it could be seen by";
            findings.push(Finding::new(
                Verdict::Critical,
                name,
                "",
                evidence,
                "see docs/ha-check.md for what it reads",
            ));
        }
    }
}

/// Whether a name, `raid` or `raid.battery`, means this check.
pub(super) fn covers(name: &str, check: &str) -> bool {
    check.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// All findings in one: the worst verdict and how many there are of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    pub(super) verdict: Verdict,
    pub(super) critical: usize,
    pub(super) unknown: usize,
    pub(super) warning: usize,
    pub(super) ok: usize,
    pub(super) not_present: usize,
}

impl Summary {
    /// Where nothing was found present at all, nothing is known.
    pub(super) fn of(findings: &[Finding]) -> Self {
        let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
        let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::NotPresent);
        let ok = count(Verdict::Ok);
        let verdict = match worst {
            Verdict::Ok | Verdict::NotPresent if ok > 0 => Verdict::Ok,
            Verdict::Ok | Verdict::NotPresent => Verdict::Unknown,
            Verdict::Warning | Verdict::Unknown | Verdict::Critical => worst,
        };
        Self {
            verdict,
            critical: count(Verdict::Critical),
            unknown: count(Verdict::Unknown),
            warning: count(Verdict::Warning),
            ok,
            not_present: count(Verdict::NotPresent),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, critical, unknown, warning, ok, not_present } = self;
        write!(
            f,
            "{verdict}: {critical} critical, {unknown} unknown, {warning} warnings, {ok} ok, {not_present} not present"
        )
    }
}

impl From<Summary> for Exit {
    fn from(summary: Summary) -> Self {
        match summary.verdict {
            Verdict::Ok => Self::Good,
            Verdict::Warning => Self::Bad,
            Verdict::Critical => Self::Critical,
            Verdict::Unknown | Verdict::NotPresent => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(verdicts: &[Verdict]) -> Vec<Finding> {
        verdicts.iter().map(|verdict| Finding::new(*verdict, "raid.volume", "", "seen", "")).collect()
    }

    #[track_caller]
    fn check(verdicts: &[Verdict], code: u8) {
        assert_eq!(Exit::from(Summary::of(&found(verdicts))).code(), code);
    }

    #[test]
    fn the_worst_counts_and_nothing_seen_is_not_well() {
        use Verdict::{Critical, NotPresent, Ok, Unknown, Warning};
        check(&[Ok, NotPresent], 0);
        check(&[Ok, Warning, NotPresent], 1);
        check(&[Ok, Warning, Unknown], 3);
        check(&[Unknown, Critical, Warning], 2);
        check(&[NotPresent, NotPresent], 3);
        check(&[], 3);
    }

    #[test]
    fn what_is_required_and_not_there_is_critical() {
        let mut findings = found(&[Verdict::NotPresent, Verdict::Ok]);
        require(&mut findings, &["bond"]);
        assert_eq!(findings[0].verdict, Verdict::NotPresent);
        assert_eq!((findings[2].check, findings[2].verdict), ("bond", Verdict::Critical));
        require(&mut findings, &["raid", "bond"]);
        assert_eq!(findings[0].verdict, Verdict::Critical);
        assert_eq!(findings[0].evidence, "required, but not present: seen");
        assert_eq!((findings[1].verdict, findings.len()), (Verdict::Ok, 3));
    }

    #[test]
    fn checks_have_names_and_evidence_no_control_characters() {
        assert_eq!(check_name("raid.battery"), Ok("raid.battery"));
        assert!(check_name("rai").unwrap_err().starts_with("there are: raid, raid.volume, "));
        assert!(covers("raid", "raid.disk") && covers("raid.disk", "raid.disk"));
        assert!(!covers("rai", "raid.disk") && !covers("raid.disk", "raid"));
        assert_eq!(Finding::ok("bond", "", "sw\u{1b}[2J").evidence, "sw [2J");
    }
}
