//! What is copied, and where it lies.

use super::super::pieces::piece;
use super::super::session::Fail;
use crate::handle::Director;
use catalog::job::JobRow;
use conf::DirectorConfig;
use policy::plan::{JobPlan, StoragePlan, storage_plan};
use policy::restore::{JobSelection, Piece, Wanted, plan_bootstrap};
use types::{FileIndex, JobId, JobStatus, JobType};

/// An original and where it is read.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    pub(crate) row: JobRow,
    pub(crate) client: String,
    pub(crate) fileset: String,
    pub(crate) fileset_md5: String,
    pub(crate) storage: StoragePlan,
    pieces: Vec<Piece>,
}

impl Original {
    /// The bootstrap of the files behind `after`; `None` when there are none.
    pub(crate) fn bootstrap(&self, after: FileIndex) -> Option<String> {
        let pieces = self.pieces.iter().filter(|piece| piece.last_index > after).cloned().map(|mut piece| {
            piece.first_index = piece.first_index.max(FileIndex(after.0 + 1));
            piece
        });
        let selection = JobSelection {
            job_id: self.row.id,
            session: self.row.session,
            pieces: pieces.collect(),
            wanted: Wanted::All,
        };
        let plan = plan_bootstrap(&[selection]);
        (!plan.sections.is_empty()).then(|| plan.to_text())
    }

    /// The last file that its rows name.
    pub(crate) fn last_file(&self) -> FileIndex {
        self.pieces.iter().map(|piece| piece.last_index).max().unwrap_or_default()
    }
}

/// Looks a job up that is to be copied.
pub(crate) async fn find(director: &Director, plan: &JobPlan, id: JobId) -> Result<Original, Fail> {
    let read = director.catalog().read(move |r| {
        let Some(row) = catalog::job::get(r, id)? else { return Ok(None) };
        let client = catalog::client::get(r, row.client_id)?.map(|client| client.name).unwrap_or_default();
        let fileset = catalog::fileset::get(r, row.fileset_id)?;
        Ok(Some((row, client, fileset, catalog::jobmedia::list(r, id)?, catalog::storage::list(r)?)))
    });
    let found = read.await?;
    let Some((row, client, fileset, rows, storages)) = found else {
        return Err(Fail::fatal(format!("JobId {id} is no longer in the catalog: it was pruned or deleted")));
    };
    let is_good = matches!(row.status, JobStatus::Terminated | JobStatus::Warnings);
    if !is_good || !matches!(row.job_type, JobType::Backup | JobType::JobCopy) {
        return Err(Fail::fatal(format!(
            "JobId {id} cannot be taken any more: it is of type {} and status {}",
            row.job_type, row.status
        )));
    }
    let config = director.config();
    let rows = rows.into_iter().filter(|row| row.piece.last_index > FileIndex(0));
    let pieces: Vec<Piece> = rows.map(|row| piece(&config, &storages, row)).collect();
    if pieces.is_empty() && row.files > 0 {
        return Err(Fail::fatal(format!("No Volume holds files of JobId {id}; there is nothing to read")));
    }
    let storage = storage_of(&config, plan, id, &pieces)?;
    let (fileset, fileset_md5) = fileset.map(|row| (row.name, row.md5)).unwrap_or_default();
    Ok(Original { row, client, fileset, fileset_md5, storage, pieces })
}

/// The Storage whose Volumes the job is on: the control job's own where the catalog does not say.
fn storage_of(
    config: &DirectorConfig,
    plan: &JobPlan,
    id: JobId,
    pieces: &[Piece],
) -> Result<StoragePlan, Fail> {
    let mut names: Vec<&String> = pieces.iter().filter_map(|piece| piece.storage.as_ref()).collect();
    names.sort();
    names.dedup();
    match names.as_slice() {
        [] => plan
            .read_storages
            .first()
            .cloned()
            .ok_or_else(|| Fail::fatal("no Storage to read from: name one in the Pool or in the Job")),
        [name] => {
            if let Some(known) = plan.read_storages.iter().find(|storage| storage.name == **name) {
                return Ok(known.clone());
            }
            let storage = config.storage(name).ok_or_else(|| {
                Fail::fatal(format!("JobId {id} is on Storage \"{name}\", which is not in the configuration"))
            })?;
            Ok(storage_plan(storage, "Media"))
        }
        several => {
            let list: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
            Err(Fail::fatal(format!(
                "JobId {id} lies on several Storages ({}); only jobs on one Storage can be copied",
                list.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{VolAddr, VolSession};

    #[test]
    fn what_is_there_already_is_not_read_again() {
        let piece = |first, last| Piece {
            volume: format!("V{first}"),
            media_type: "File".to_owned(),
            storage: None,
            device: None,
            slot: 0,
            in_changer: false,
            first_index: FileIndex(first),
            last_index: FileIndex(last),
            start: VolAddr(200),
            end: VolAddr(900),
        };
        let original = Original {
            row: catalog_row(),
            client: String::new(),
            fileset: String::new(),
            fileset_md5: String::new(),
            storage: StoragePlan::default(),
            pieces: vec![piece(1, 5), piece(5, 9)],
        };
        assert_eq!(original.last_file(), FileIndex(9));
        let all = original.bootstrap(FileIndex(0)).unwrap();
        assert!(all.contains("Volume=\"V1\"") && all.contains("FileIndex=1-5"), "{all}");
        let rest = original.bootstrap(FileIndex(6)).unwrap();
        assert!(!rest.contains("Volume=\"V1\"") && rest.contains("FileIndex=7-9"), "{rest}");
        assert_eq!(original.bootstrap(FileIndex(9)), None);
    }

    fn catalog_row() -> JobRow {
        JobRow {
            id: JobId(1),
            unique_name: String::new(),
            name: String::new(),
            job_type: JobType::Backup,
            level: types::JobLevel::Full,
            client_id: types::ClientId(0),
            status: JobStatus::Terminated,
            sched_time: None,
            start_time: None,
            end_time: None,
            real_end_time: None,
            tdate: types::Timestamp(0),
            session: VolSession { id: 1, time: 2 },
            files: 9,
            bytes: 0,
            read_bytes: 0,
            errors: 0,
            missing_files: 0,
            pool_id: types::PoolId(0),
            fileset_id: types::FileSetId(0),
            prior_job_id: JobId(0),
            prior_job: String::new(),
            purged_files: false,
            has_base: false,
            comment: String::new(),
        }
    }
}
