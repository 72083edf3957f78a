//! The report of a drill in Markdown, and as JSON: pure.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::record::{Drill, seconds};

/// All scenarios of one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Version of the program that made it.
    pub(crate) version: String,
    /// Name of the Director.
    pub(crate) director: String,
    pub(crate) drills: Vec<Drill>,
}

/// For people.
pub(super) fn markdown(report: &Report) -> String {
    let mut out = format!("# Drill of {}\n\nholdfast {}.\n\n", report.director, report.version);
    out.push_str("| scenario | begun | verdict | RTO | RPO | jobs lost | redundancy whole after |\n|---|---|---|---|---|---|---|\n");
    for drill in &report.drills {
        let _ = writeln!(
            out,
            "| {} | {:.0} | {} | {} | {} | {} | {} |",
            drill.scenario,
            drill.at,
            drill.verdict(),
            seconds(drill.rto_ms),
            drill.rpo(),
            drill.jobs_lost.len(),
            seconds(drill.redundancy_ms)
        );
    }
    out.push_str(
        "\nRTO: from the order of the fault to the first command that the next active Director served; of cut-link the longest time \
         without a served command, of storage-loss until another Storage wrote the canary. RPO: what the catalog had acknowledged \
         before the fault and no longer had after it.\n",
    );
    for drill in &report.drills {
        section(&mut out, drill);
    }
    out
}

fn section(out: &mut String, drill: &Drill) {
    let _ = writeln!(out, "\n## {}: {}\n", drill.scenario, drill.verdict());
    let after = drill.after.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let _ = writeln!(out, "- Struck: node {}. Active before: {}; after: {after}.", drill.node, drill.before);
    let _ = writeln!(out, "- Fault: `{}`", drill.fault);
    for undo in &drill.undo {
        let _ = writeln!(out, "- Undo: `{undo}`");
    }
    let canary = &drill.canary;
    let id = canary.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let status = canary.status.as_deref().unwrap_or("unknown");
    let _ = writeln!(out, "- Canary: Job {}, JobId {id}, ended {status}.", canary.job);
    let lost = drill.records_lost.len();
    let _ =
        writeln!(out, "- Catalog: {} job records acknowledged before the fault, {lost} lost.", drill.records);
    if drill.forced {
        out.push_str("- Forced: a precondition was not met.\n");
    }
    for reason in &drill.reasons {
        let _ = writeln!(out, "- **{reason}**");
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::record::tests::good;
    use super::*;

    #[test]
    fn a_report_is_for_people_and_for_programs() {
        let mut bad = good();
        bad.rto_ms = None;
        bad.after = None;
        bad.canary.status = Some("E".into());
        bad.jobs_lost = vec![super::super::record::JobState { id: 12, status: "E".into() }];
        bad.judge();
        let drills = vec![good(), bad];
        let report = Report { version: "1.2.3".into(), director: "backup-dir".into(), drills };
        expect![[r#"
            # Drill of backup-dir

            holdfast 1.2.3.

            | scenario | begun | verdict | RTO | RPO | jobs lost | redundancy whole after |
            |---|---|---|---|---|---|---|
            | kill-director | 2026-11-28T08:45:00Z | passed | 1.23 s | 0 | 0 | 4.56 s |
            | kill-director | 2026-11-28T08:45:00Z | FAILED | - | 0 | 1 | 4.56 s |

            RTO: from the order of the fault to the first command that the next active Director served; of cut-link the longest time without a served command, of storage-loss until another Storage wrote the canary. RPO: what the catalog had acknowledged before the fault and no longer had after it.

            ## kill-director: passed

            - Struck: node north. Active before: north (epoch 1/7); after: south (epoch 1/8).
            - Fault: `on north: kill -KILL 17`
            - Undo: `on south, else north: crm_resource --cleanup`
            - Canary: Job canary, JobId 12, ended T.
            - Catalog: 12 job records acknowledged before the fault, 0 lost.

            ## kill-director: FAILED

            - Struck: node north. Active before: north (epoch 1/7); after: nobody.
            - Fault: `on north: kill -KILL 17`
            - Undo: `on south, else north: crm_resource --cleanup`
            - Canary: Job canary, JobId 12, ended E.
            - Catalog: 12 job records acknowledged before the fault, 0 lost.
            - **no active Director served a command within the limit**
            - **the canary, JobId 12, did not end T: E**
        "#]]
        .assert_eq(&markdown(&report));
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}
