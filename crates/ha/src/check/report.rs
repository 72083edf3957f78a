//! The findings for people and for programs.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::finding::{Finding, Summary, Verdict};

/// A table: verdict, check with its subject, evidence; the remedy below. With `colour` verdicts are coloured.
pub(super) fn table(findings: &[Finding], summary: Summary, colour: bool) -> String {
    let name = |finding: &Finding| match finding.subject.as_str() {
        "" => finding.check.to_owned(),
        subject => format!("{} {subject}", finding.check),
    };
    let width = findings.iter().map(|finding| name(finding).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in findings {
        let verdict = paint(&format!("{:<11}", finding.verdict.word()), finding.verdict, colour);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{verdict}  {:<width$}  {}", name(finding), finding.evidence);
        if !finding.remedy.is_empty() {
            let _ = writeln!(text, "{:11}  {:width$}  -> {}", "", "", finding.remedy);
        }
    }
    let line = summary.to_string();
    let _ = write!(text, "\n{}", paint(&line, summary.verdict, colour));
    text
}

fn paint(text: &str, verdict: Verdict, colour: bool) -> String {
    let code = match verdict {
        Verdict::Ok => "32",
        Verdict::NotPresent => "2",
        Verdict::Warning => "33",
        Verdict::Unknown => "35",
        Verdict::Critical => "31",
    };
    if colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// The findings as one JSON object.
pub(super) fn json(findings: &[Finding], summary: Summary) -> Result<String> {
    #[derive(Serialize)]
    struct Report<'a> {
        summary: Summary,
        findings: &'a [Finding],
    }
    Ok(serde_json::to_string_pretty(&Report { summary, findings })?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok("raid.battery", "controller 0", "CVPM02 Optimal"),
            Finding::new(Verdict::Warning, "bond", "bond0", "d1 down, d2 up", "mend the leg"),
            Finding::absent("power", "no management board", "two supplies"),
        ]
    }

    #[test]
    fn a_table_for_people() {
        let findings = findings();
        let said = table(&findings, Summary::of(&findings), false);
        expect![[r#"
            OK           raid.battery controller 0  CVPM02 Optimal
            WARNING      bond bond0                 d1 down, d2 up
                                                    -> mend the leg
            not present  power                      no management board
                                                    -> two supplies

            WARNING: 0 critical, 0 unknown, 1 warnings, 1 ok, 1 not present"#]]
        .assert_eq(&said);
        let coloured = table(&findings, Summary::of(&findings), true);
        assert!(coloured.starts_with("\u{1b}[32mOK         \u{1b}[0m  raid"), "{coloured:?}");
    }

    #[test]
    fn json_for_programs() {
        let findings = &findings()[1..2];
        expect![[r#"
            {
              "summary": {
                "verdict": "warning",
                "critical": 0,
                "unknown": 0,
                "warning": 1,
                "ok": 0,
                "not_present": 0
              },
              "findings": [
                {
                  "check": "bond",
                  "subject": "bond0",
                  "verdict": "warning",
                  "evidence": "d1 down, d2 up",
                  "remedy": "mend the leg"
                }
              ]
            }"#]]
        .assert_eq(&json(findings, Summary::of(findings)).unwrap());
    }
}
