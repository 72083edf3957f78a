//! Storage groups: which of several Storages a job writes to, and how it goes on when it has lost one (docs/storage-groups.md).

use crate::plan::JobPlan;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;
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
    /// The one with the most free space.
    FreeSpace,
    /// The one with the fewest jobs among those that have at most `threshold_bytes` less free space than the one with the most.
    FreeSpaceLeastUsed {
        /// Bytes.
        threshold_bytes: u64,
    },
}

impl GroupPolicy {
    /// Whether it looks at the free space, so that the Storages must be asked for it.
    #[must_use]
    pub const fn asks_space(self) -> bool {
        matches!(self, Self::FreeSpace | Self::FreeSpaceLeastUsed { .. })
    }
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
    /// Bytes that its Devices have free, where it tells.
    pub free_bytes: Option<u64>,
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
        // One that does not tell its space comes last: `None` is less than any number.
        GroupPolicy::FreeSpace => sorted.sort_by_key(|one| Reverse(one.free_bytes)),
        GroupPolicy::FreeSpaceLeastUsed { threshold_bytes } => {
            let most = candidates.iter().filter_map(|one| one.free_bytes).max();
            let is_near = |free: u64| most.is_some_and(|most| most - free <= threshold_bytes);
            sorted.sort_by_key(|one| match one.free_bytes {
                Some(free) if is_near(free) => (0, one.running, Reverse(free)),
                Some(free) => (1, 0, Reverse(free)),
                None => (2, one.running, Reverse(0)),
            });
        }
    }
    sorted.sort_by_key(|one| lost.iter().rposition(|name| *name == one.name).map_or(0, |at| at + 1));
    sorted.into_iter().map(|one| one.name.clone()).collect()
}

/// A Device that tells its space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Name of the Device.
    pub device: String,
    /// The autochanger whose drive it is, else empty.
    pub changer: String,
    /// Number of its file system on its Storage Daemon.
    pub filesystem: u64,
    /// Bytes that are free there.
    pub free_bytes: u64,
}

/// What the Devices of a Storage resource have free in all, bytes: those that share a file system have it once. `None` where none of
/// them tells.
#[must_use]
pub fn free_of(devices: &[String], rooms: &[Room]) -> Option<u64> {
    let is_named = |room: &&Room| {
        devices.iter().any(|name| !name.is_empty() && (*name == room.device || *name == room.changer))
    };
    let systems: BTreeMap<u64, u64> =
        rooms.iter().filter(is_named).map(|room| (room.filesystem, room.free_bytes)).collect();
    (!systems.is_empty()).then(|| systems.values().fold(0, |sum: u64, free| sum.saturating_add(*free)))
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
        let one = |name: &str, running, last: Option<i64>, free_bytes| Candidate {
            name: name.to_owned(),
            running,
            last_backup: last.map(Timestamp),
            free_bytes,
        };
        let candidates =
            [one("a", 2, Some(9), Some(50)), one("b", 1, Some(5), Some(40)), one("c", 1, None, Some(90))];
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

    #[test]
    fn the_most_room_goes_first_and_who_does_not_tell_last() {
        let one = |name: &str, running, free_bytes| Candidate {
            name: name.to_owned(),
            running,
            last_backup: None,
            free_bytes,
        };
        let check = |policy, expected: &str| {
            let candidates = [
                one("silent", 0, None),
                one("small", 0, Some(10)),
                one("big", 3, Some(100)),
                one("near", 1, Some(90)),
                one("equal", 3, Some(100)),
                one("full", 0, Some(0)),
            ];
            assert_eq!(order(policy, &candidates, &[]).join(" "), expected);
        };
        let least_used = |threshold_bytes| GroupPolicy::FreeSpaceLeastUsed { threshold_bytes };
        check(GroupPolicy::FreeSpace, "big equal near small full silent");
        check(least_used(0), "big equal near small full silent");
        check(least_used(9), "big equal near small full silent");
        check(least_used(10), "near big equal small full silent");
        check(least_used(90), "small near big equal full silent");
        check(least_used(u64::MAX), "small full near big equal silent");
        let silent = [one("a", 1, None), one("b", 0, None)];
        assert_eq!(order(GroupPolicy::FreeSpace, &silent, &[]).concat(), "ab");
        assert_eq!(order(least_used(5), &silent, &[]).concat(), "ba");
    }

    #[test]
    fn devices_of_one_file_system_share_its_space() {
        let room = |device: &str, changer: &str, filesystem, free_bytes| Room {
            device: device.to_owned(),
            changer: changer.to_owned(),
            filesystem,
            free_bytes,
        };
        let rooms = [
            room("D1", "Changer", 1, 100),
            room("D2", "Changer", 1, 100),
            room("D3", "", 2, 30),
            room("D4", "", 3, 7),
        ];
        let check = |devices: &[&str], expected| {
            let devices: Vec<String> = devices.iter().map(|&name| name.to_owned()).collect();
            assert_eq!(free_of(&devices, &rooms), expected, "{devices:?}");
        };
        check(&["Changer"], Some(100));
        check(&["D1", "D3"], Some(130));
        check(&["Changer", "D3", "D4"], Some(137));
        check(&["Tape"], None);
        check(&[""], None);
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
