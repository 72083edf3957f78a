//! From the chosen files to the job: bootstrap, Volumes needed, target client, run dialogue.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use policy::plan::JobRequest;
use policy::restore::{BootstrapPlan, JobSelection, Wanted, plan_bootstrap};
use types::JobId;

use super::super::fmt::commas;
use super::super::run::{Draft, restore_of};
use super::super::select::Pick;
use super::super::session::Session;
use super::super::ua::{Done, Halt};
use super::keywords::Keywords;
use super::pick_jobs::join;
use super::{Chosen, Selection};
use crate::jobs::pieces::piece_somewhere;

/// Number of the last bootstrap file of this process.
static BOOTSTRAPS: AtomicU32 = AtomicU32::new(0);

impl Session {
    pub(super) async fn finish_restore(
        &mut self,
        keywords: Keywords,
        selection: Selection,
        chosen: Chosen,
    ) -> Done {
        let wanted = wanted_by_job(&selection, chosen);
        let job_ids: Vec<u32> = wanted.keys().map(|job| job.get()).collect();
        let plan = self.plan_restore(wanted).await?;
        if !plan.missing.is_empty() {
            let missing = join(&plan.missing);
            self.ua
                .warn(format!("No Volume holds files of JobId(s) {missing}; they are left out.\n"))
                .await?;
        }
        if plan.sections.is_empty() {
            self.ua.send("No files selected to be restored.\n").await?;
            return Err(Halt::Failed);
        }
        let path = self.write_bootstrap(&keywords, &plan).await?;
        self.show_needs(&path, &plan).await?;
        let draft = self.restore_draft(&keywords, selection, &plan, job_ids, path).await?;
        self.run_draft(draft).await
    }

    /// Looks up where the wanted jobs lie and makes the bootstrap.
    pub(super) async fn plan_restore(&mut self, wanted: BTreeMap<JobId, Wanted>) -> Done<BootstrapPlan> {
        let jobs: Vec<JobId> = wanted.keys().copied().collect();
        let rows = self
            .read(move |r| {
                let mut rows = Vec::with_capacity(jobs.len());
                for &job in &jobs {
                    let session = catalog::job::get(r, job)?.map(|row| row.session).unwrap_or_default();
                    rows.push((job, session, catalog::jobmedia::list(r, job)?));
                }
                let storages = catalog::storage::list(r)?;
                Ok((rows, storages))
            })
            .await?;
        let (rows, storages) = rows;
        let config = self.core.config();
        let mut selections = Vec::with_capacity(rows.len());
        let mut wanted = wanted;
        for (job_id, session, pieces) in rows {
            let pieces = pieces.into_iter().map(|row| piece_somewhere(&config, &storages, row));
            let pieces = pieces.collect();
            let wanted = wanted.remove(&job_id).unwrap_or(Wanted::All);
            selections.push(JobSelection { job_id, session, pieces, wanted });
        }
        Ok(plan_bootstrap(&selections))
    }

    async fn write_bootstrap(&mut self, keywords: &Keywords, plan: &BootstrapPlan) -> Done<PathBuf> {
        let config = self.core.config();
        let path = match &keywords.bootstrap {
            Some(path) => PathBuf::from(path),
            None => {
                let number = BOOTSTRAPS.fetch_add(1, Ordering::Relaxed) + 1;
                let name = format!("{}.restore.{number}.bsr", config.director.name);
                PathBuf::from(&config.director.working_directory).join(name)
            }
        };
        match std::fs::write(&path, plan.to_text()) {
            Ok(()) => Ok(path),
            Err(error) => self.ua.fail(format!("write bootstrap {}: {error}\n", path.display())).await,
        }
    }

    async fn show_needs(&mut self, path: &std::path::Path, plan: &BootstrapPlan) -> Done {
        let mut text = format!("Bootstrap records written to {}\n", path.display());
        text.push_str(&needs(plan));
        let plural = if plan.files == 1 { "" } else { "s" };
        text.push_str(&format!("\n\n{} file{plural} selected to be restored.\n\n", commas(plan.files)));
        self.ua.send(text).await
    }

    async fn restore_draft(
        &mut self,
        keywords: &Keywords,
        selection: Selection,
        plan: &BootstrapPlan,
        job_ids: Vec<u32>,
        path: PathBuf,
    ) -> Done<Draft> {
        let client = match selection.client {
            Some(client) => client,
            None if keywords.yes => self.client_of(&job_ids).await?,
            None => self.visible_client(None).await?.ok_or(Halt::Left)?,
        };
        let job = match &keywords.restore_job {
            Some(name) if self.visible(Pick::RestoreJob).contains(name) => name.clone(),
            Some(name) => return self.ua.fail(format!("Restore Job \"{name}\" not found.\n")).await,
            None => self.pick_restore_job().await?,
        };
        let mut draft = Draft {
            request: JobRequest::new(job),
            yes: keywords.yes,
            own_bootstrap: keywords.bootstrap.is_none(),
            bootstrap_path: Some(path.display().to_string()),
            backup_client: Some(client.clone()),
            ..Draft::default()
        };
        draft.request.overrides.restore_client = Some(client);
        let config = self.core.config();
        draft.request.overrides.fileset = selection.fileset.filter(|name| config.fileset(name).is_some());
        let restore = restore_of(&mut draft);
        restore.bootstrap = Some(plan.to_text());
        restore.files_expected = u32::try_from(plan.files).unwrap_or(u32::MAX);
        restore.job_ids = job_ids;
        for piece in plan.sections.iter().map(|s| &s.piece) {
            if let Some(storage) = piece.storage.as_ref().filter(|s| !restore.storages.contains(s)) {
                restore.storages.push(storage.clone());
            }
        }
        for (key, value) in &keywords.run {
            self.take_keyword(&mut draft, key, value).await?;
        }
        Ok(draft)
    }

    /// The Restore job: the only one, or one chosen.
    async fn pick_restore_job(&mut self) -> Done<String> {
        let mut jobs = self.visible(Pick::RestoreJob);
        if jobs.len() == 1 { Ok(jobs.swap_remove(0)) } else { self.pick_from_list(Pick::RestoreJob).await }
    }

    async fn client_of(&mut self, jobs: &[u32]) -> Done<String> {
        let job = JobId(jobs.first().copied().unwrap_or(0));
        let found = self.read(move |r| catalog::selection::client_and_fileset(r, job)).await?;
        match found {
            Some((client, _)) => Ok(client),
            None => self.ua.fail(format!("JobId={job} is not in the catalog.\n")).await,
        }
    }

    /// A restore of all files of one or several jobs (`run job=<restore job> jobid=`).
    pub(in super::super) async fn restore_of_jobid(&mut self, draft: &mut Draft, list: &str) -> Done {
        let ids = super::super::args::number_list(list, super::super::jobs::JOB_IDS_MAX);
        let Some(ids) = ids else { return self.ua.fail(format!("Invalid JobId: {list}\n")).await };
        let jobs: Vec<JobId> = ids.iter().copied().map(JobId).collect();
        if !self.known_jobs(&jobs).await? {
            return Err(Halt::Failed);
        }
        let wanted = jobs.iter().map(|&job| (job, Wanted::All)).collect();
        let plan = self.plan_restore(wanted).await?;
        if plan.sections.is_empty() {
            return self.ua.fail(format!("No Volume holds files of JobId(s) {list}.\n")).await;
        }
        let path = self.write_bootstrap(&Keywords::default(), &plan).await?;
        draft.bootstrap_path = Some(path.display().to_string());
        draft.own_bootstrap = true;
        let restore = restore_of(draft);
        restore.bootstrap = Some(plan.to_text());
        restore.files_expected = u32::try_from(plan.files).unwrap_or(u32::MAX);
        restore.job_ids = ids;
        Ok(())
    }
}

/// In JobId order of the selection; a map keeps each job once, and JobIds grow with time within a chain.
fn wanted_by_job(selection: &Selection, chosen: Chosen) -> BTreeMap<JobId, Wanted> {
    match chosen {
        Chosen::Files(files) => files
            .into_iter()
            .filter(|(_, indexes)| !indexes.is_empty())
            .map(|(job, indexes)| (job, Wanted::Files(indexes)))
            .collect(),
        Chosen::Everything => selection.jobs.iter().map(|&job| (job, Wanted::All)).collect(),
        Chosen::Matching(regex) => {
            selection.jobs.iter().map(|&job| (job, Wanted::Regex(regex.clone()))).collect()
        }
    }
}

/// The table of Volumes that a restore needs.
fn needs(plan: &BootstrapPlan) -> String {
    let mut text = String::from(
        "\nThe Job will require the following (*=>InChanger):\n   \
         Volume(s)                 Storage(s)                SD Device(s)\n",
    );
    text.push_str(&format!("{}\n   \n", "=".repeat(75)));
    for piece in plan.volumes() {
        let sign = if piece.in_changer { '*' } else { ' ' };
        let (storage, device) =
            (piece.storage.as_deref().unwrap_or(""), piece.device.as_deref().unwrap_or(""));
        text.push_str(&format!("   {sign}{:<25} {storage:<25} {device:<25}\n", piece.volume));
    }
    text.push_str("\nVolumes marked with \"*\" are in the Autochanger.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::restore::{Piece, Section};
    use types::{FileIndex, VolAddr, VolSession};

    #[test]
    fn the_table_of_volumes_is_as_recorded() {
        let piece = Piece {
            volume: "Vol-0001".to_owned(),
            media_type: "File1".to_owned(),
            storage: Some("File1".to_owned()),
            device: Some("FileDev1".to_owned()),
            slot: 0,
            in_changer: false,
            first_index: FileIndex(1),
            last_index: FileIndex(12),
            start: VolAddr(209),
            end: VolAddr(277_568),
        };
        let ranges = vec![(FileIndex(3), FileIndex(3))];
        let section = Section { piece, session: VolSession::default(), ranges, regex: None };
        let plan = BootstrapPlan { sections: vec![section], files: 1, missing: Vec::new() };
        let recorded = include_str!("../../../fixtures/console/restore-direct.txt");
        let text = format!("{}\n\n1 file selected to be restored.\n\n", needs(&plan));
        assert!(recorded.contains(&text), "{text}");
    }
}
