//! The choice of Volumes, their limits, what pruning plans, names.

use super::*;
use std::collections::BTreeMap;
use types::{ClientId, FileSetId, JobId, JobLevel, JobStatus, JobType};

const NOW: Timestamp = Timestamp(1_000_000);

fn volume(id: u32, status: VolStatus, last_written: Option<i64>) -> VolumeFacts {
    VolumeFacts {
        id: MediaId(id),
        name: format!("V{id}"),
        pool: PoolId(1),
        media_type: "File1".to_owned(),
        status,
        enabled: 1,
        vol_type: 0,
        in_changer: false,
        storage: StorageId(1),
        first_written: last_written.map(Timestamp),
        last_written: last_written.map(Timestamp),
        jobs: u32::from(last_written.is_some()),
        files: 0,
        bytes: 500,
        recycle: true,
        retention: 3600,
        use_duration: 0,
        max_jobs: 0,
        max_files: 0,
        max_bytes: 0,
        recycle_pool: PoolId(0),
    }
}

fn want() -> Want {
    Want {
        pool: PoolId(1),
        media_type: "File1".to_owned(),
        vol_type: 1,
        changer: None,
        exclude: Vec::new(),
        now: NOW,
    }
}

fn pool() -> PoolFacts {
    PoolFacts { id: PoolId(1), name: "File".to_owned(), ..PoolFacts::default() }
}

#[test]
fn append_comes_before_recycle_before_purged_and_the_newest_written_is_filled_first() {
    let purged = volume(1, VolStatus::Purged, Some(10));
    let recycle = volume(2, VolStatus::Recycle, Some(20));
    let fresh = volume(3, VolStatus::Append, None);
    let old = volume(4, VolStatus::Append, Some(30));
    let newer = volume(5, VolStatus::Append, Some(40));
    let mut all = vec![purged, recycle, fresh, old, newer];
    let mut order = Vec::new();
    while let Some(choice) = choose(&want(), &all, false) {
        order.push(choice);
        all.retain(|v| v.id != choice.id());
    }
    let id = MediaId;
    let expected = [
        Choice::Append(id(5)),
        Choice::Append(id(4)),
        Choice::Append(id(3)),
        Choice::Recycle(id(2)),
        Choice::Purged(id(1)),
    ];
    assert_eq!(order, expected);
}

#[test]
fn what_does_not_fit_is_not_chosen() {
    let good = volume(1, VolStatus::Append, None);
    let wrong = [
        VolumeFacts { enabled: 0, ..good.clone() },
        VolumeFacts { enabled: 2, ..good.clone() },
        VolumeFacts { pool: PoolId(2), ..good.clone() },
        VolumeFacts { media_type: "LTO".to_owned(), ..good.clone() },
        VolumeFacts { vol_type: 2, ..good.clone() },
        VolumeFacts { status: VolStatus::Full, ..good.clone() },
        VolumeFacts { status: VolStatus::ReadOnly, ..good.clone() },
        VolumeFacts { status: VolStatus::Recycle, recycle: false, ..good.clone() },
    ];
    assert_eq!(choose(&want(), &wrong, false), None);
    let excluded = Want { exclude: vec![MediaId(1)], ..want() };
    assert_eq!(choose(&excluded, std::slice::from_ref(&good), false), None);

    let changer = Want { changer: Some(vec![StorageId(7)]), ..want() };
    assert_eq!(choose(&changer, std::slice::from_ref(&good), true), None);
    let inside = VolumeFacts { in_changer: true, storage: StorageId(7), ..good.clone() };
    assert_eq!(choose(&changer, &[good, inside], true), Some(Choice::Append(MediaId(1))));
}

#[test]
fn limits_are_checked_in_their_order_and_only_on_used_append_volumes() {
    let used = VolumeFacts { bytes: 100, files: 5, ..volume(1, VolStatus::Append, Some(NOW.0 - 50)) };
    let of = |v: VolumeFacts, p: PoolFacts| expiry(&v, &p, NOW);
    assert_eq!(of(used.clone(), pool()), None);
    assert_eq!(of(VolumeFacts { max_bytes: 100, max_jobs: 1, ..used.clone() }, pool()), Some(Expiry::Bytes));
    assert_eq!(of(VolumeFacts { max_jobs: 1, ..used.clone() }, pool()), Some(Expiry::Jobs));
    assert_eq!(of(VolumeFacts { max_files: 5, ..used.clone() }, pool()), Some(Expiry::Files));
    assert_eq!(of(VolumeFacts { use_duration: 50, ..used.clone() }, pool()), Some(Expiry::Duration));
    assert_eq!(of(VolumeFacts { use_duration: 51, ..used.clone() }, pool()), None);
    assert_eq!(of(used.clone(), PoolFacts { use_once: true, ..pool() }), Some(Expiry::Once));
    let full_pool = PoolFacts { max_bytes: 10, bytes: 10, ..pool() };
    assert_eq!(of(used.clone(), full_pool.clone()), Some(Expiry::PoolBytes));
    assert_eq!(of(VolumeFacts { jobs: 0, ..used.clone() }, full_pool.clone()), None);
    assert_eq!(of(VolumeFacts { status: VolStatus::Full, ..used }, full_pool), None);
    assert_eq!((Expiry::Bytes.status(), Expiry::Jobs.status()), (VolStatus::Full, VolStatus::Used));
}

#[test]
fn a_named_volume_is_used_recycled_pruned_or_refused() {
    let check = |v: &VolumeFacts, p: &PoolFacts| check_named(&want(), p, v);
    let current = PoolFacts { recycle_current: true, ..pool() };
    assert_eq!(check(&volume(1, VolStatus::Append, None), &pool()), Named::Usable);
    assert_eq!(check(&volume(1, VolStatus::Purged, None), &pool()), Named::Recycle);
    let old = volume(1, VolStatus::Full, Some(NOW.0 - 3600));
    assert_eq!(check(&old, &current), Named::Prune);
    assert!(matches!(check(&old, &pool()), Named::Refused(_)));
    let young = volume(1, VolStatus::Used, Some(NOW.0 - 3000));
    assert!(matches!(check(&young, &current), Named::Refused(why) if why.contains("retention period")));
    let kept = VolumeFacts { retention: 0, ..old };
    assert!(matches!(check(&kept, &current), Named::Refused(_)));
    let elsewhere = VolumeFacts { pool: PoolId(3), ..volume(1, VolStatus::Append, None) };
    assert_eq!(check(&elsewhere, &pool()), Named::Refused("not in Pool"));
}

#[test]
fn volumes_to_prune_are_tried_from_the_oldest_and_must_come_back_to_this_pool() {
    let all = [
        volume(1, VolStatus::Full, Some(30)),
        volume(2, VolStatus::Used, Some(10)),
        volume(3, VolStatus::Append, Some(1)),
        VolumeFacts { recycle_pool: PoolId(9), ..volume(4, VolStatus::Full, Some(2)) },
        VolumeFacts { pool: PoolId(9), recycle_pool: PoolId(1), ..volume(5, VolStatus::Full, Some(20)) },
    ];
    let order: Vec<_> = prune_order(&want(), &all, false).iter().map(|v| v.id.0).collect();
    assert_eq!(order, [2, 5, 1]);
    assert_eq!(choose_oldest(&want(), &all).map(|v| v.id), Some(MediaId(3)));
}

#[test]
fn a_volume_comes_from_scratch_only_while_the_pool_has_room() {
    let scratch = [VolumeFacts { pool: PoolId(8), ..volume(1, VolStatus::Append, None) }];
    let full = PoolFacts { max_volumes: 2, volumes: 2, ..pool() };
    assert_eq!(take_from_scratch(&want(), &pool(), &scratch, false), Some(Choice::Append(MediaId(1))));
    assert_eq!(take_from_scratch(&want(), &full, &scratch, false), None);
    assert_eq!(take_from_scratch(&want(), &pool(), &[], false), None);
}

#[test]
fn a_volumes_prune_plan_keeps_what_is_young_or_runs() {
    let job = |id, at, status| JobOnVolume { job: JobId(id), tdate: Timestamp(at), status };
    let jobs = [
        job(1, 10, JobStatus::Terminated),
        job(2, 20, JobStatus::Running),
        job(3, NOW.0 - 5, JobStatus::Terminated),
    ];
    let plan = plan_volume_prune(MediaId(4), "V4", 3600, &jobs, NOW);
    assert_eq!(plan.to_string(), "Volume \"V4\": delete 1 Job(s) (1); keep 2 Job(s) (2,3)");
    let all = plan_volume_prune(MediaId(4), "V4", 3600, &jobs[..1], NOW);
    assert_eq!(all.to_string(), "Volume \"V4\": delete 1 Job(s) (1); nothing is left, it becomes Purged");
    assert!(plan_volume_prune(MediaId(4), "V4", 0, &jobs, NOW).delete.is_empty());
}

#[test]
fn the_newest_restore_chain_and_its_base_jobs_survive_a_prune() {
    let job = |id: u32, level, status| JobFacts {
        job: JobId(id),
        job_type: JobType::Backup,
        level,
        status,
        client: ClientId(1),
        fileset: FileSetId(1),
        tdate: Timestamp(i64::from(id)),
        files: 1,
        base_jobs: Vec::new(),
        purged_files: false,
    };
    let ok = JobStatus::Terminated;
    let jobs = [
        JobFacts { level: JobLevel::Base, ..job(1, JobLevel::Base, ok) },
        job(2, JobLevel::Full, ok),
        job(3, JobLevel::Incremental, ok),
        JobFacts { base_jobs: vec![JobId(1)], ..job(4, JobLevel::Full, ok) },
        job(5, JobLevel::Differential, ok),
        job(6, JobLevel::Differential, ok),
        job(7, JobLevel::Incremental, ok),
        job(8, JobLevel::Full, JobStatus::FatalError),
        JobFacts { files: 0, ..job(9, JobLevel::Incremental, ok) },
        job(10, JobLevel::Incremental, JobStatus::Running),
    ];
    let plan = plan_job_prune(&jobs, 3600, NOW);
    assert_eq!(plan.to_string(), "delete 5 Job(s) (2,3,5,8,9); keep 4 that a restore needs (1,4,6,7)");
    assert_eq!(plan_file_prune(&jobs, 3600, NOW).delete.len(), 9);
    assert!(plan_job_prune(&jobs, 2_000_000, NOW).delete.is_empty());
}

fn label(format: &str) -> Result<String, String> {
    let facts = LabelFacts {
        now: "2026-03-05T07:08:09".parse().unwrap(),
        values: BTreeMap::from([
            ("Client".to_owned(), "lab-fd".to_owned()),
            ("NumVols".to_owned(), "3".to_owned()),
        ]),
        counters: BTreeMap::from([("Tapes".to_owned(), 41)]),
    };
    match expand_label(format, &facts) {
        Ok((name, used)) if used.is_empty() => Ok(name.to_string()),
        Ok((name, used)) => Ok(format!("{name} {used:?}")),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn names_are_made_from_label_formats() {
    assert!(is_simple_format("Vol-") && !is_simple_format("Vol-$Year"));
    assert_eq!(simple_names("Vol-", 6).take(2).collect::<Vec<_>>(), ["Vol-0007", "Vol-0008"]);
    let cases = [
        ("${Client}-${Year}-${Month:p/2/0/r}-${Day:p/2/0/r}", "lab-fd-2026-03-05"),
        ("V-${Tapes+:p/4/0/r}", "V-0041 {\"Tapes\": 42}"),
        ("${Client:u:s/LAB/x/}.$NumVols", "x-FD.3"),
        ("A${None:-empty}B${Client:o0,3}${Client:#}", "AemptyBlab6"),
        ("${Client:y/ab/xy/}", "lxy-fd"),
    ];
    for (format, name) in cases {
        assert_eq!(label(format).as_deref(), Ok(name), "{format}");
    }
    for (format, problem) in
        [("a/${Client}", "no legal Volume name"), ("${Client", "not closed"), ("${Other+}", "no Counter")]
    {
        assert!(label(format).unwrap_err().contains(problem), "{format}");
    }
}
