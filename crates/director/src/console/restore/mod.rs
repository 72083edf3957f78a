//! `restore`: which jobs, which files, where to (spec/04 §7).

mod finish;
mod keywords;
mod menu;
mod pick_files;
mod pick_jobs;

use std::collections::BTreeMap;

use types::{FileIndex, JobId};

use super::args::Args;
use super::session::Session;
use super::ua::{Done, Halt};
use keywords::Keywords;
pub(super) use pick_jobs::join;

/// What was selected so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Selection {
    /// Client whose backups are used.
    pub(super) client: Option<String>,
    /// Name of the FileSet, for display and the job.
    pub(super) fileset: Option<String>,
    /// Jobs, in the order in which they are applied.
    pub(super) jobs: Vec<JobId>,
    /// Files that were named one by one; the tree is skipped then.
    pub(super) named: Option<BTreeMap<JobId, Vec<FileIndex>>>,
}

/// What is to be restored of the selected jobs.
#[derive(Debug, Clone)]
pub(super) enum Chosen {
    /// These files.
    Files(BTreeMap<JobId, Vec<FileIndex>>),
    /// All files of the jobs: their file rows are gone.
    Everything,
    /// Files whose name matches: their file rows are gone.
    Matching(String),
}

impl Session {
    pub(super) async fn restore(&mut self, args: &Args) -> Done {
        let keywords = match Keywords::read(args) {
            Ok(keywords) => keywords,
            Err(problem) => return self.ua.fail(format!("{problem}\n")).await,
        };
        self.use_catalog(keywords.client.is_none() && keywords.jobs.is_empty()).await?;
        if self.visible(super::select::Pick::RestoreJob).is_empty() {
            let text = "No Restore Job Resource found in the configuration file.\nYou must create at least one before running \
                        this command.\n";
            return self.ua.fail(text).await;
        }
        let Some(selection) = self.select_jobs(&keywords).await? else { return Err(Halt::Left) };
        if selection.jobs.is_empty() && selection.named.is_none() {
            self.ua.warn("No Jobs selected.\n").await?;
            return Err(Halt::Failed);
        }
        let Some(chosen) = self.choose_files(&keywords, &selection).await? else { return Err(Halt::Left) };
        self.finish_restore(keywords, selection, chosen).await
    }
}
