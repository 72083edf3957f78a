//! Which waiting jobs may start (spec/04 §4.5): priorities and concurrency limits.

use std::collections::BTreeMap;
use types::JobId;

/// Room on one Storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSlot {
    /// Name of the Storage resource.
    pub name: String,
    /// Jobs at once; 0 counts as 1.
    pub max: u32,
    /// Of them readers; 0 = no limit.
    pub max_read: u32,
}

/// One job as the queue sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// JobId.
    pub id: JobId,
    /// Priority, smaller first.
    pub priority: u32,
    /// `Allow Mixed Priority`.
    pub mixed: bool,
    /// Name of the Job resource and instances of it at once.
    pub job: (String, u32),
    /// The client and jobs at once on it; `None` when the job takes no client slot.
    pub client: Option<(String, u32)>,
    /// Storages that may be written to; one with room suffices. For a running job: those it holds.
    pub write: Vec<StorageSlot>,
    /// Storages that may be read; one with room suffices. For a running job: those it holds.
    pub read: Vec<StorageSlot>,
    /// A Restore is not held to `Maximum Concurrent Read Jobs`.
    pub restore: bool,
}

/// Why a job must wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// For jobs of another priority.
    Priority,
    /// For the Director's total.
    MaxJobs,
    /// For a Storage of this name.
    Storage(String),
    /// For the client of this name.
    Client(String),
    /// For another instance of this Job.
    Job(String),
}

/// What the queue says to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Start, with the Storages that have room.
    Start {
        /// Names of Storages to write to.
        write: Vec<String>,
        /// Names of Storages to read from.
        read: Vec<String>,
    },
    /// Wait.
    Wait(Hold),
}

#[derive(Default)]
struct Usage {
    total: u32,
    jobs: BTreeMap<String, u32>,
    clients: BTreeMap<String, u32>,
    storages: BTreeMap<String, (u32, u32)>,
    priorities: Vec<(u32, bool)>,
}

impl Usage {
    fn take(&mut self, entry: &Entry) {
        self.total += 1;
        *self.jobs.entry(entry.job.0.clone()).or_default() += 1;
        if let Some((client, _)) = &entry.client {
            *self.clients.entry(client.clone()).or_default() += 1;
        }
        for slot in &entry.write {
            self.storages.entry(slot.name.clone()).or_default().0 += 1;
        }
        for slot in &entry.read {
            let used = self.storages.entry(slot.name.clone()).or_default();
            used.0 += 1;
            used.1 += 1;
        }
        self.priorities.push((entry.priority, entry.mixed));
    }

    fn storage(&self, name: &str) -> (u32, u32) {
        self.storages.get(name).copied().unwrap_or_default()
    }

    fn priority_fits(&self, entry: &Entry, lowest_waiting: u32) -> bool {
        let Some(&(first, _)) = self.priorities.first() else {
            return entry.priority == lowest_waiting;
        };
        let above = entry.priority < first && entry.mixed && self.priorities.iter().all(|&(_, mixed)| mixed);
        entry.priority == first || above
    }
}

/// Decides for all waiting jobs at once. `waiting` is in the order of arrival; the answers are in the order decided.
#[must_use]
pub fn admit(waiting: &[Entry], running: &[Entry], director_max: u32) -> Vec<(JobId, Verdict)> {
    let mut usage = Usage::default();
    for entry in running {
        usage.take(entry);
    }
    let mut order: Vec<&Entry> = waiting.iter().collect();
    order.sort_by_key(|entry| entry.priority);
    let lowest = order.first().map_or(0, |entry| entry.priority);
    let mut verdicts = Vec::with_capacity(order.len());
    let mut stopped = false;
    for entry in order {
        let verdict = if stopped || !usage.priority_fits(entry, lowest) {
            stopped = true;
            Verdict::Wait(Hold::Priority)
        } else if usage.total >= director_max.max(1) {
            Verdict::Wait(Hold::MaxJobs)
        } else {
            resources(entry, &usage)
        };
        if let Verdict::Start { write, read } = &verdict {
            let mut held = entry.clone();
            held.write.retain(|slot| write.contains(&slot.name));
            held.read.retain(|slot| read.contains(&slot.name));
            usage.take(&held);
        }
        verdicts.push((entry.id, verdict));
    }
    verdicts
}

fn resources(entry: &Entry, usage: &Usage) -> Verdict {
    let read: Vec<String> =
        entry.read.iter().filter(|s| read_room(s, entry.restore, usage)).map(name).collect();
    if let (true, Some(first)) = (read.is_empty(), entry.read.first()) {
        return Verdict::Wait(Hold::Storage(first.name.clone()));
    }
    let write: Vec<String> =
        entry.write.iter().filter(|s| usage.storage(&s.name).0 < s.max.max(1)).map(name).collect();
    if let (true, Some(first)) = (write.is_empty(), entry.write.first()) {
        return Verdict::Wait(Hold::Storage(first.name.clone()));
    }
    if let Some((client, max)) = &entry.client
        && usage.clients.get(client).copied().unwrap_or(0) >= (*max).max(1)
    {
        return Verdict::Wait(Hold::Client(client.clone()));
    }
    if usage.jobs.get(&entry.job.0).copied().unwrap_or(0) >= entry.job.1.max(1) {
        return Verdict::Wait(Hold::Job(entry.job.0.clone()));
    }
    Verdict::Start { write, read }
}

fn name(slot: &StorageSlot) -> String {
    slot.name.clone()
}

fn read_room(slot: &StorageSlot, restore: bool, usage: &Usage) -> bool {
    let (total, readers) = usage.storage(&slot.name);
    total < slot.max.max(1) && (restore || readers == 0 || slot.max_read == 0 || readers < slot.max_read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32, priority: u32) -> Entry {
        Entry {
            id: JobId(id),
            priority,
            mixed: false,
            job: (format!("job{id}"), 1),
            client: Some(("fd".to_owned(), 10)),
            write: vec![StorageSlot { name: "File1".to_owned(), max: 10, max_read: 0 }],
            read: vec![],
            restore: false,
        }
    }

    fn starts(verdicts: &[(JobId, Verdict)]) -> Vec<u32> {
        verdicts.iter().filter(|(_, v)| matches!(v, Verdict::Start { .. })).map(|(id, _)| id.0).collect()
    }

    #[test]
    fn only_the_smallest_priority_starts_and_blocks_the_rest() {
        let verdicts = admit(&[entry(1, 11), entry(2, 10), entry(3, 10)], &[], 20);
        assert_eq!(starts(&verdicts), [2, 3]);
        assert_eq!(verdicts[2], (JobId(1), Verdict::Wait(Hold::Priority)));
        assert_eq!(starts(&admit(&[entry(2, 10)], &[entry(1, 11)], 20)), [0_u32; 0]);
    }

    #[test]
    fn mixed_priorities_let_a_higher_one_in() {
        let mut running = entry(1, 11);
        let mut high = entry(2, 5);
        running.mixed = true;
        high.mixed = true;
        assert_eq!(starts(&admit(&[high.clone()], &[running.clone()], 20)), [2]);
        running.mixed = false;
        assert_eq!(starts(&admit(&[high], &[running], 20)), [0_u32; 0]);
    }

    #[test]
    fn each_limit_names_what_is_waited_for() {
        let mut second = entry(2, 10);
        second.job.0 = "job1".to_owned();
        assert_eq!(admit(&[second], &[entry(1, 10)], 20)[0].1, Verdict::Wait(Hold::Job("job1".to_owned())));
        let mut one_client = entry(2, 10);
        one_client.client = Some(("fd".to_owned(), 1));
        assert_eq!(
            admit(&[one_client], &[entry(1, 10)], 20)[0].1,
            Verdict::Wait(Hold::Client("fd".to_owned()))
        );
        let mut one_storage = entry(2, 10);
        one_storage.write[0].max = 1;
        assert_eq!(
            admit(&[one_storage], &[entry(1, 10)], 20)[0].1,
            Verdict::Wait(Hold::Storage("File1".to_owned()))
        );
        assert_eq!(admit(&[entry(2, 10)], &[entry(1, 10)], 1)[0].1, Verdict::Wait(Hold::MaxJobs));
    }

    #[test]
    fn of_several_storages_those_with_room_are_kept() {
        let mut waiting = entry(2, 10);
        waiting.write[0].max = 1;
        waiting.write.push(StorageSlot { name: "File2".to_owned(), max: 1, max_read: 0 });
        assert_eq!(
            admit(&[waiting], &[entry(1, 10)], 20)[0].1,
            Verdict::Start { write: vec!["File2".to_owned()], read: vec![] }
        );
    }

    #[test]
    fn readers_are_limited_but_not_restores() {
        let read = |restore| {
            let mut job = entry(if restore { 3 } else { 2 }, 10);
            job.write.clear();
            job.read = vec![StorageSlot { name: "File1".to_owned(), max: 10, max_read: 1 }];
            job.restore = restore;
            job
        };
        let verdicts = admit(
            &[read(false), read(true)],
            &[{
                let mut r = read(false);
                r.id = JobId(9);
                r.job.0 = "x".into();
                r
            }],
            20,
        );
        assert_eq!(starts(&verdicts), [3]);
    }
}
