//! Storage groups: which of several Storages a job writes to, and how it goes on when it has lost one (docs/storage-groups.md).

use crate::plan::JobPlan;
use serde::{Deserialize, Serialize};
use types::{JobLevel, Timestamp};

/// How one of several Storages is chosen (`Storage Group Policy`, spec/04 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum GroupPolicy {
    /// The first that can be had.
    #[default]
    ListedOrder,
    /// The one with the fewest jobs.
    LeastUsed,
    /// The one that this Job has written to longest ago, or never.
    LastBackedUpTo,
}

/// A Storage of a group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Candidate {
    /// Name of the Storage resource.
    pub name: String,
    /// Jobs that use it.
    pub running: u32,
    /// When the Job was last written to it.
    pub last_backup: Option<Timestamp>,
}

/// Names of the candidates in the order in which they are tried: those that the job has lost come last, the one lost last at the end.
#[must_use]
pub fn order(policy: GroupPolicy, candidates: &[Candidate], lost: &[String]) -> Vec<String> {
    let mut sorted: Vec<&Candidate> = candidates.iter().collect();
    // Sorting is stable: among equals the order is that of the configuration.
    match policy {
        GroupPolicy::ListedOrder => {}
        GroupPolicy::LeastUsed => sorted.sort_by_key(|one| one.running),
        GroupPolicy::LastBackedUpTo => sorted.sort_by_key(|one| one.last_backup),
    }
    sorted.sort_by_key(|one| lost.iter().rposition(|name| *name == one.name).map_or(0, |at| at + 1));
    sorted.into_iter().map(|one| one.name.clone()).collect()
}

/// Attempts of one job after which a lost Storage ends it Incomplete.
pub const ATTEMPTS_MAX: u32 = 16;

/// What is known of a job that has lost its Storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// The attempt that was lost.
    pub attempt: u32,
    /// Another Storage of the group answers, or the lost one does again.
    pub is_another_there: bool,
    /// The client is known to send nothing any more.
    pub is_client_over: bool,
    /// The lost daemon had confirmed what the catalog has of it to be on stable storage.
    pub is_checkpointed: bool,
    /// Another job has the same session numbers, so that this one cannot keep them on another Storage.
    pub is_session_taken: bool,
}

/// From where a job goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoOn {
    /// Behind the last file that was checkpointed.
    BehindCheckpoint,
    /// From the first file; what was stored is given up.
    FromStart,
}

/// How a job goes on that has lost its Storage; `None`: it does not.
#[must_use]
pub fn after_loss(plan: &JobPlan, loss: &Loss) -> Option<GoOn> {
    if loss.attempt >= ATTEMPTS_MAX || !loss.is_another_there || !loss.is_client_over {
        return None;
    }
    let keeps = loss.is_checkpointed && !loss.is_session_taken && can_be_resumed(plan);
    Some(if keeps { GoOn::BehindCheckpoint } else { GoOn::FromStart })
}

/// Whether a list of files tells a client what of the job is stored already: not what lies in Base Jobs, what plugins gave, nor what was
/// read from a snapshot that the next attempt does not see.
#[must_use]
pub fn can_be_resumed(plan: &JobPlan) -> bool {
    let has_base = plan.level == JobLevel::Base || !plan.base_jobs.is_empty();
    let has_plugins = plan.fileset.includes.iter().any(|block| !block.plugins.is_empty());
    !(has_base || has_plugins || plan.fileset.snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{JobRequest, RawText, plan_job};

    fn check(policy: GroupPolicy, lost: &[&str], expected: &str) {
        let one = |name: &str, running, last: Option<i64>| Candidate {
            name: name.to_owned(),
            running,
            last_backup: last.map(Timestamp),
        };
        let candidates = [one("a", 2, Some(9)), one("b", 1, Some(5)), one("c", 1, None)];
        let lost: Vec<String> = lost.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(order(policy, &candidates, &lost).concat(), expected);
    }

    #[test]
    fn the_policy_orders_and_what_was_lost_comes_last() {
        check(GroupPolicy::ListedOrder, &[], "abc");
        check(GroupPolicy::LeastUsed, &[], "bca");
        check(GroupPolicy::LastBackedUpTo, &[], "cba");
        check(GroupPolicy::ListedOrder, &["a"], "bca");
        check(GroupPolicy::ListedOrder, &["a", "b"], "cab");
        check(GroupPolicy::ListedOrder, &["a", "b", "a"], "cba");
        check(GroupPolicy::LeastUsed, &["c"], "bac");
    }

    fn plan() -> JobPlan {
        let text = br#"
            Director { Name = d; Query File = q; Working Directory = w; Pid Directory = p; Password = x; Messages = m }
            Job { Name = j; Type = Backup; Client = c; FileSet = f; Storage = a, b; Pool = p; Messages = m }
            Client { Name = c; Address = h; Catalog = k; Password = x }
            FileSet { Name = f; Include { Options { signature = MD5 }; File = /x } }
            Storage { Name = a; Address = h; Password = x; Device = d; Media Type = a }
            Storage { Name = b; Address = h; Password = x; Device = d; Media Type = b }
            Pool { Name = p; Pool Type = Backup }
            Catalog { Name = k; dbname = k }
            Messages { Name = m }
        "#;
        let mut nothing = conf::TextLoader::default();
        let loaded = conf::load_text::<conf::DirectorConfig>("d.conf", text.to_vec(), &mut nothing);
        plan_job(&loaded.unwrap().config, &JobRequest::new("j"), Timestamp(1)).unwrap()
    }

    #[test]
    fn what_was_checkpointed_is_kept_where_the_client_can_go_on() {
        let good = Loss {
            attempt: 1,
            is_another_there: true,
            is_client_over: true,
            is_checkpointed: true,
            is_session_taken: false,
        };
        let plan = plan();
        assert_eq!(plan.write_storages.len(), 2);
        assert_eq!(after_loss(&plan, &good), Some(GoOn::BehindCheckpoint));
        assert_eq!(after_loss(&plan, &Loss { is_checkpointed: false, ..good }), Some(GoOn::FromStart));
        assert_eq!(after_loss(&plan, &Loss { is_session_taken: true, ..good }), Some(GoOn::FromStart));
        for loss in [
            Loss { is_another_there: false, ..good },
            Loss { is_client_over: false, ..good },
            Loss { attempt: ATTEMPTS_MAX, ..good },
        ] {
            assert_eq!(after_loss(&plan, &loss), None);
        }
    }

    #[test]
    fn base_jobs_plugins_and_snapshots_start_from_the_first_file() {
        let change = |change: fn(&mut JobPlan)| {
            let mut plan = plan();
            change(&mut plan);
            can_be_resumed(&plan)
        };
        assert!(change(|_| {}));
        assert!(!change(|plan| plan.level = JobLevel::Base));
        assert!(!change(|plan| plan.base_jobs.push("b".to_owned())));
        assert!(!change(|plan| plan.fileset.snapshot = true));
        assert!(!change(|plan| plan.fileset.includes[0].plugins.push(RawText::from("p"))));
    }
}
