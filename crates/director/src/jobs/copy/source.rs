//! What is copied, and where it lies.

use super::super::pieces::piece;
use super::super::session::Fail;
use crate::handle::Director;
use catalog::job::JobRow;
use conf::DirectorConfig;
use policy::plan::{JobPlan, StoragePlan, storage_plan};
use policy::restore::{JobSelection, Piece, Wanted, plan_bootstrap};
use types::{FileIndex, JobId, JobStatus, JobType};

/// An original and where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    pub(crate) row: JobRow,
    pub(crate) client: String,
    pub(crate) fileset: String,
    pub(crate) fileset_md5: String,
    pieces: Vec<Piece>,
    wanted: Wanted,
}

/// What is read in one go: files of one Storage that follow on each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The Storage, where the catalog says which.
    pub(crate) storage: Option<String>,
    pub(crate) bootstrap: String,
    /// The last file of it, when more follow on another Storage.
    pub(crate) end: Option<FileIndex>,
}

impl Original {
    /// What is to be read next when the files up to `after` are there; `None` when there is nothing.
    pub(crate) fn part(&self, after: FileIndex) -> Option<Part> {
        let left: Vec<&Piece> =
            self.pieces.iter().filter(|piece| holds_some(piece, &self.wanted, after)).collect();
        let storage = left.iter().find_map(|piece| piece.storage.clone());
        let is_here = |piece: &&&Piece| piece.storage.is_none() || piece.storage == storage;
        let here: Vec<&Piece> = left.iter().take_while(is_here).copied().collect();
        let last = here.iter().map(|piece| piece.last_index).max()?;
        let pieces = here.iter().map(|piece| Piece {
            first_index: piece.first_index.max(FileIndex(after.0 + 1)),
            ..Piece::clone(piece)
        });
        let selection = JobSelection {
            job_id: self.row.id,
            session: self.row.session,
            pieces: pieces.collect(),
            wanted: self.wanted.clone(),
        };
        let plan = plan_bootstrap(&[selection]);
        if plan.sections.is_empty() {
            return None;
        }
        let has_more = here.len() < left.len();
        let end = plan.sections.iter().flat_map(|section| &section.ranges).map(|range| range.1).max();
        Some(Part { storage, bootstrap: plan.to_text(), end: end.or(Some(last)).filter(|_| has_more) })
    }

    /// The last file that is to be read.
    pub(crate) fn last_file(&self) -> FileIndex {
        match &self.wanted {
            Wanted::Ranges(ranges) => ranges.last().map(|range| range.1).unwrap_or_default(),
            Wanted::All | Wanted::Files(_) | Wanted::Regex(_) => {
                self.pieces.iter().map(|piece| piece.last_index).max().unwrap_or_default()
            }
        }
    }

    /// Whether its Volumes are at more than one Storage.
    pub(crate) fn is_scattered(&self) -> bool {
        let mut names = self.pieces.iter().filter_map(|piece| piece.storage.as_ref());
        names.next().is_some_and(|first| names.any(|name| name != first))
    }
}

/// Whether a piece holds some of what is wanted behind `after`.
fn holds_some(piece: &Piece, wanted: &Wanted, after: FileIndex) -> bool {
    let (first, last) = (piece.first_index.max(FileIndex(after.0 + 1)), piece.last_index);
    match wanted {
        Wanted::Ranges(ranges) => ranges.iter().any(|range| range.0.max(first) <= range.1.min(last)),
        Wanted::All | Wanted::Files(_) | Wanted::Regex(_) => first <= last,
    }
}

/// The pieces that hold some of what is wanted, in the order of their files.
fn in_order(mut pieces: Vec<Piece>, wanted: &Wanted) -> Vec<Piece> {
    pieces.retain(|piece| holds_some(piece, wanted, FileIndex(0)));
    pieces.sort_by_key(|piece| piece.first_index);
    pieces
}

/// Looks a job up that is to be copied.
pub(crate) async fn find(director: &Director, id: JobId) -> Result<Original, Fail> {
    let read = director.catalog().read(move |r| {
        let Some(row) = catalog::job::get(r, id)? else { return Ok(None) };
        // An attempt that was lost leaves files on its Volumes that are not the job's any more.
        let is_patched = !row.purged_files && catalog::attempt::list(r, id)?.len() > 1;
        let ranges = if is_patched { catalog::file::ranges(r, id)? } else { Vec::new() };
        let client = catalog::client::get(r, row.client_id)?.map(|client| client.name).unwrap_or_default();
        let fileset = catalog::fileset::get(r, row.fileset_id)?;
        let rows = catalog::jobmedia::list(r, id)?;
        Ok(Some((row, client, fileset, rows, catalog::storage::list(r)?, ranges)))
    });
    let found = read.await?;
    let Some((row, client, fileset, rows, storages, ranges)) = found else {
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
    let wanted = if ranges.is_empty() { Wanted::All } else { Wanted::Ranges(ranges) };
    let pieces = in_order(pieces, &wanted);
    let (fileset, fileset_md5) = fileset.map(|row| (row.name, row.md5)).unwrap_or_default();
    Ok(Original { row, client, fileset, fileset_md5, pieces, wanted })
}

/// The Storage that a part is read from: the control job's own where the catalog does not say.
pub(crate) fn storage_of(
    config: &DirectorConfig,
    plan: &JobPlan,
    id: JobId,
    part: &Part,
) -> Result<StoragePlan, Fail> {
    let Some(name) = &part.storage else {
        let own = plan.read_storages.first().cloned();
        return own.ok_or_else(|| Fail::fatal("no Storage to read from: name one in the Pool or in the Job"));
    };
    if let Some(known) = plan.read_storages.iter().find(|storage| storage.name == *name) {
        return Ok(known.clone());
    }
    let storage = config.storage(name).ok_or_else(|| {
        Fail::fatal(format!("JobId {id} is on Storage \"{name}\", which is not in the configuration"))
    })?;
    Ok(storage_plan(storage, "Media"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{VolAddr, VolSession};

    fn piece(storage: Option<&str>, first: i32, last: i32) -> Piece {
        Piece {
            volume: format!("V{first}"),
            media_type: "File".to_owned(),
            storage: storage.map(str::to_owned),
            device: None,
            slot: 0,
            in_changer: false,
            first_index: FileIndex(first),
            last_index: FileIndex(last),
            start: VolAddr(200),
            end: VolAddr(900),
        }
    }

    fn original(pieces: Vec<Piece>, wanted: Wanted) -> Original {
        let pieces = in_order(pieces, &wanted);
        Original {
            row: catalog_row(),
            client: String::new(),
            fileset: String::new(),
            fileset_md5: String::new(),
            pieces,
            wanted,
        }
    }

    #[test]
    fn what_is_there_already_is_not_read_again() {
        let original = original(vec![piece(None, 1, 5), piece(None, 5, 9)], Wanted::All);
        assert_eq!(original.last_file(), FileIndex(9));
        assert!(!original.is_scattered());
        let all = original.part(FileIndex(0)).unwrap();
        assert_eq!((&all.storage, all.end), (&None, None));
        let text = &all.bootstrap;
        assert!(text.contains("Volume=\"V1\"") && text.contains("FileIndex=1-5"), "{text}");
        let rest = original.part(FileIndex(6)).unwrap().bootstrap;
        assert!(!rest.contains("Volume=\"V1\"") && rest.contains("FileIndex=7-9"), "{rest}");
        assert_eq!(original.part(FileIndex(9)), None);
    }

    /// Parts from the first file to the last: Storage, last file where more follow, Volumes.
    fn parts(original: &Original) -> Vec<(String, Option<i32>, usize)> {
        let (mut parts, mut after) = (Vec::new(), FileIndex(0));
        while let Some(part) = original.part(after) {
            let volumes = part.bootstrap.matches("Volume=").count();
            parts.push((part.storage.unwrap_or_default(), part.end.map(FileIndex::get), volumes));
            let Some(end) = part.end else { break };
            after = end;
        }
        parts
    }

    #[test]
    fn a_job_on_several_storages_is_read_in_the_order_of_its_files() {
        let (one, two) = (Some("one"), Some("two"));
        // The third attempt was on the first Storage again; rows come in the order of the Volumes.
        let pieces = vec![piece(one, 1, 4), piece(one, 10, 12), piece(two, 5, 7), piece(two, 7, 9)];
        let ranges = Wanted::Ranges(vec![(FileIndex(1), FileIndex(12))]);
        let whole = original(pieces, ranges);
        assert!(whole.is_scattered());
        let expected = [("one", Some(4), 1), ("two", Some(9), 2), ("one", None, 1)];
        let expected = expected.map(|(storage, end, volumes)| (storage.to_owned(), end, volumes));
        assert_eq!(parts(&whole), expected);
    }

    #[test]
    fn what_was_withdrawn_from_a_job_is_not_read() {
        let ranges = vec![(FileIndex(5), FileIndex(6)), (FileIndex(8), FileIndex(9))];
        // The last file of "one", a directory, was stored again as the ninth; the third piece holds nothing of the job.
        let pieces = vec![piece(Some("one"), 5, 7), piece(Some("two"), 7, 7), piece(Some("two"), 8, 9)];
        let original = original(pieces, Wanted::Ranges(ranges));
        assert_eq!(original.last_file(), FileIndex(9));
        assert_eq!(parts(&original), [("one".to_owned(), Some(6), 1), ("two".to_owned(), None, 1)]);
        let first = original.part(FileIndex(0)).unwrap().bootstrap;
        assert!(first.contains("FileIndex=5-6"), "{first}");
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
