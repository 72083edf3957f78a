//! The summary of a job before it is run (spec/04 §8.4).

use policy::plan::{JobPlan, RestoreRequest};
use types::JobType;

use super::super::fmt::iso_time;
use super::Draft;

const NONE: &str = "*None*";

/// The summary in the layout of its job type. `api`: as programs want it, without the sources of Pool and Storage.
pub(super) fn text(draft: &Draft, plan: &JobPlan, api: bool) -> String {
    let (title, rows) = match plan.job_type {
        JobType::Backup => ("Run Backup job", backup(plan, api)),
        JobType::Restore => ("Run Restore job", restore(draft, plan)),
        JobType::Verify => ("Run Verify Job", verify(plan, api)),
        JobType::Admin => ("Run Admin Job", admin(plan)),
        JobType::Copy => ("Run Copy job", copy(plan)),
        JobType::Migrate => ("Run Migration job", copy(plan)),
        JobType::JobCopy
        | JobType::MigratedJob
        | JobType::Console
        | JobType::System
        | JobType::Archive
        | JobType::Scan => ("Run job", admin(plan)),
    };
    let longest = rows.iter().map(|(name, _)| name.len() + 1).max().unwrap_or(0);
    // The restore's table has one blank more than its names need.
    let width = if plan.job_type == JobType::Restore { longest + 1 } else { longest };
    let mut text = if api {
        format!("Type: {}\nTitle: {}\n", plan.job_type, title.replace("job", "Job"))
    } else {
        format!("{title}\n")
    };
    for (name, value) in rows {
        let name = format!("{name}:");
        text.push_str(&format!("{name:<width$} {value}\n"));
    }
    text
}

type Rows = Vec<(&'static str, String)>;

fn sourced(name: &str, source: &str, api: bool) -> String {
    if api || source.is_empty() { name.to_owned() } else { format!("{name} (From {source})") }
}

fn storage(plan: &JobPlan, api: bool) -> String {
    match plan.first_storage() {
        Some(storage) => sourced(&storage.name, &storage.source, api),
        None => NONE.to_owned(),
    }
}

fn pool(plan: &JobPlan, api: bool) -> String {
    sourced(&plan.pool.name, &plan.pool.source, api)
}

fn when(plan: &JobPlan) -> String {
    iso_time(plan.sched_time.0)
}

fn backup(plan: &JobPlan, api: bool) -> Rows {
    let mut rows = vec![
        ("JobName", plan.job.clone()),
        ("Level", conf::level_word(plan.level_asked).to_owned()),
        ("Client", plan.client.name.clone()),
        ("FileSet", plan.fileset.name.clone()),
        ("Pool", pool(plan, api)),
    ];
    if plan.level_asked == types::JobLevel::VirtualFull {
        let next = plan.next_pool.as_ref();
        rows.push(("NextPool", next.map_or(NONE.to_owned(), |pool| sourced(&pool.name, &pool.source, api))));
    }
    rows.push(("Storage", storage(plan, api)));
    rows.push(("When", when(plan)));
    rows.push(("Priority", plan.priority.to_string()));
    rows
}

fn restore(draft: &Draft, plan: &JobPlan) -> Rows {
    let default = RestoreRequest::default();
    let request = draft.request.overrides.restore.as_ref().unwrap_or(&default);
    let planned = plan.restore.as_ref();
    let bootstrap = draft.bootstrap_path.clone().unwrap_or_else(|| NONE.to_owned());
    let regex = planned.and_then(|r| r.regex_where.clone()).or_else(|| request.regex_where.clone());
    let place = match regex {
        Some(regex) => ("RegexWhere", regex),
        None => {
            let place = request.where_.clone().or_else(|| planned.map(|r| r.where_.clone()));
            ("Where", place.filter(|w| !w.is_empty()).unwrap_or_else(|| NONE.to_owned()))
        }
    };
    let replace = request.replace.or(planned.map(|r| r.replace)).unwrap_or(types::Replace::Always);
    let backup_client = draft.backup_client.clone().unwrap_or_else(|| plan.client.name.clone());
    let storage = request.storages.first().cloned();
    let options = planned.map(|r| r.plugin_options.clone()).filter(|o| !o.is_empty());
    vec![
        ("JobName", plan.job.clone()),
        ("Bootstrap", bootstrap),
        place,
        ("Replace", replace.as_str().to_owned()),
        ("FileSet", plan.fileset.name.clone()),
        ("Backup Client", backup_client),
        ("Restore Client", plan.client.name.clone()),
        (
            "Storage",
            storage
                .or_else(|| plan.first_storage().map(|s| s.name.clone()))
                .unwrap_or_else(|| NONE.to_owned()),
        ),
        ("When", when(plan)),
        ("Catalog", plan.catalog.clone()),
        ("Priority", plan.priority.to_string()),
        ("Plugin Options", options.unwrap_or_else(|| NONE.to_owned())),
    ]
}

fn verify(plan: &JobPlan, api: bool) -> Rows {
    let list = plan.write_bootstrap.clone().unwrap_or_default();
    vec![
        ("JobName", plan.job.clone()),
        ("Level", conf::level_word(plan.level_asked).to_owned()),
        ("Client", plan.client.name.clone()),
        ("FileSet", plan.fileset.name.clone()),
        ("Pool", pool(plan, api)),
        ("Storage", storage(plan, api)),
        ("Verify Job", plan.verify_job.clone().unwrap_or_else(|| NONE.to_owned())),
        ("Verify List", list),
        ("When", when(plan)),
        ("Priority", plan.priority.to_string()),
    ]
}

fn admin(plan: &JobPlan) -> Rows {
    vec![
        ("JobName", plan.job.clone()),
        ("FileSet", plan.fileset.name.clone()),
        ("Client", plan.client.name.clone()),
        ("Storage", plan.first_storage().map_or(NONE.to_owned(), |s| s.name.clone())),
        ("When", when(plan)),
        ("Priority", plan.priority.to_string()),
    ]
}

fn copy(plan: &JobPlan) -> Rows {
    let next = plan.next_pool.as_ref();
    let of = |storage: Option<&policy::plan::StoragePlan>| {
        storage.map_or(NONE.to_owned(), |s| sourced(&s.name, &s.source, false))
    };
    vec![
        ("JobName", plan.job.clone()),
        ("Bootstrap", NONE.to_owned()),
        ("Client", plan.client.name.clone()),
        ("FileSet", plan.fileset.name.clone()),
        ("Pool", pool(plan, false)),
        ("NextPool", next.map_or(NONE.to_owned(), |p| sourced(&p.name, &p.source, false))),
        ("Read Storage", of(plan.read_storages.first())),
        ("Write Storage", of(plan.write_storages.first())),
        ("JobId", plan.target_job.map_or(NONE.to_owned(), |id| id.to_string())),
        ("When", when(plan)),
        ("Catalog", plan.catalog.clone()),
        ("Priority", plan.priority.to_string()),
    ]
}
