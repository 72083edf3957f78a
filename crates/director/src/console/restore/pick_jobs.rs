//! Which jobs a restore uses: by keyword, or by the menu's chains.

use catalog::{listing, selection};
use policy::restore::{ChainJob, chain_of, plan_chain};
use types::{JobId, Timestamp};

use super::super::acl::AclKind;
use super::super::fmt::iso_time;
use super::super::session::{Session, now};
use super::super::ua::{Done, Halt};
use super::Selection;
use super::keywords::Keywords;

impl Session {
    /// `None` when the user left.
    pub(super) async fn select_jobs(&mut self, keywords: &Keywords) -> Done<Option<Selection>> {
        if !keywords.selects() {
            return self.restore_menu(keywords).await;
        }
        let mut selection = Selection {
            client: keywords.client.clone(),
            fileset: keywords.fileset.clone(),
            jobs: keywords.jobs.clone(),
            named: None,
        };
        if keywords.select {
            let Some(chain) = self.select_chain(keywords, keywords.before).await? else { return Ok(None) };
            selection = Selection { client: selection.client.or(chain.client), ..chain };
        } else if !self.known_jobs(&selection.jobs).await? {
            return Err(Halt::Failed);
        }
        if !keywords.files.is_empty() || !keywords.directories.is_empty() {
            self.name_files(keywords, &mut selection).await?;
        } else {
            self.say_jobs(keywords, &selection).await?;
        }
        if selection.fileset.is_none() {
            selection.fileset = self.fileset_of(&selection.jobs).await?;
        }
        Ok(Some(selection))
    }

    async fn fileset_of(&mut self, jobs: &[JobId]) -> Done<Option<String>> {
        let Some(&job) = jobs.first() else { return Ok(None) };
        let found = self.read(move |r| selection::client_and_fileset(r, job)).await?;
        Ok(found.map(|(_, fileset)| fileset).filter(|name| !name.is_empty()))
    }

    /// Whether all JobIds are in the catalog and may be used; says which is not.
    pub(super) async fn known_jobs(&mut self, jobs: &[JobId]) -> Done<bool> {
        for &job in jobs {
            let row = self.read(move |r| catalog::job::get(r, job)).await?;
            match row {
                Some(row) if self.acl.allows(AclKind::Job, &row.name) => {}
                Some(_) => {
                    self.ua.error(format!("Access to JobId={job} not authorized. Not selected.\n")).await?;
                    return Ok(false);
                }
                None => {
                    self.ua.error(format!("JobId={job} is not in the catalog.\n")).await?;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Says which jobs were selected, with their copies if asked for.
    pub(super) async fn say_jobs(&mut self, keywords: &Keywords, selection: &Selection) -> Done {
        if selection.jobs.is_empty() {
            return Ok(());
        }
        if keywords.copies {
            let jobs = selection.jobs.clone();
            let copies = self.read(move |r| listing::copies(r, &jobs, None)).await?;
            if !copies.rows.is_empty() {
                self.ua.send("The catalog contains copies as follows:\n").await?;
                self.show_listing(copies, false).await?;
            }
        }
        let plural = if selection.jobs.len() == 1 { "" } else { "s" };
        self.ua
            .send(format!("You have selected the following JobId{plural}: {}\n", join(&selection.jobs)))
            .await
    }

    /// The most recent chain of a client and FileSet, shown; `None` when there is none or the user left.
    pub(super) async fn select_chain(
        &mut self,
        keywords: &Keywords,
        before: Option<i64>,
    ) -> Done<Option<Selection>> {
        let Some(client) = self.visible_client(keywords.client.as_deref()).await? else { return Ok(None) };
        let Some(fileset) = self.fileset_of_client(&client, keywords.fileset.as_deref()).await? else {
            return Ok(None);
        };
        let before = Timestamp(before.unwrap_or_else(|| now() + 1));
        let backups = self.chain_jobs(&client, &fileset, keywords.pool.as_deref()).await?;
        let jobs = plan_chain(&backups, before);
        if jobs.is_empty() {
            let text = format!("No Full backup before {} found.\n", iso_time(before.0));
            self.ua.error(text).await?;
            return Err(Halt::Failed);
        }
        let shown = jobs.clone();
        let listing = self.read(move |r| listing::chain(r, &shown)).await?;
        self.show_listing(listing, false).await?;
        Ok(Some(Selection { client: Some(client), fileset: Some(fileset), jobs, named: None }))
    }

    async fn chain_jobs(&mut self, client: &str, fileset: &str, pool: Option<&str>) -> Done<Vec<ChainJob>> {
        let (client, fileset, pool) = (client.to_owned(), fileset.to_owned(), pool.map(str::to_owned));
        let backups = self.read(move |r| selection::backups(r, &client, &fileset, pool.as_deref())).await?;
        let jobs = backups.into_iter().map(|b| ChainJob {
            job_id: b.job_id,
            level: b.level,
            start_time: b.start_time,
            job_tdate: b.job_tdate,
            media_enabled: b.media_enabled,
        });
        Ok(jobs.collect())
    }

    /// The JobIds of the chain that ends with a job; only itself when it is no part of one.
    pub(in super::super) async fn chain_ending_with(&mut self, job: JobId) -> Done<Vec<JobId>> {
        let found = self.read(move |r| selection::client_and_fileset(r, job)).await?;
        let Some((client, fileset)) = found else { return Ok(Vec::new()) };
        let jobs = chain_of(&self.chain_jobs(&client, &fileset, None).await?, job);
        Ok(if jobs.is_empty() { vec![job] } else { jobs })
    }

    /// The chain that ends with a job.
    pub(super) async fn chain_to(&mut self, job: JobId) -> Done<Option<Selection>> {
        let found = self.read(move |r| selection::client_and_fileset(r, job)).await?;
        let Some((client, fileset)) = found else {
            self.ua.error(format!("JobId={job} is not in the catalog.\n")).await?;
            return Err(Halt::Failed);
        };
        let backups = self.chain_jobs(&client, &fileset, None).await?;
        let jobs = chain_of(&backups, job);
        if jobs.is_empty() {
            self.ua.error(format!("No Full backup before JobId {job} found.\n")).await?;
            return Err(Halt::Failed);
        }
        let shown = jobs.clone();
        let listing = self.read(move |r| listing::chain(r, &shown)).await?;
        self.show_listing(listing, false).await?;
        Ok(Some(Selection { client: Some(client), fileset: Some(fileset), jobs, named: None }))
    }

    /// A client that has rows in the catalog: the one named, or one chosen.
    pub(in super::super) async fn visible_client(&mut self, named: Option<&str>) -> Done<Option<String>> {
        let rows = self.read(catalog::client::list).await?;
        let mut names: Vec<String> =
            rows.into_iter().map(|c| c.name).filter(|n| self.acl.allows(AclKind::BackupClient, n)).collect();
        names.sort();
        if let Some(name) = named {
            if names.iter().any(|known| known == name) {
                return Ok(Some(name.to_owned()));
            }
            self.ua.error(format!("Client \"{name}\" is not in the catalog.\n")).await?;
        }
        let at = self.ua.select("Defined Clients:", "Client", "Select the Client", &names).await?;
        Ok(Some(names.swap_remove(at)))
    }

    async fn fileset_of_client(&mut self, client: &str, named: Option<&str>) -> Done<Option<String>> {
        let key = client.to_owned();
        let mut names = self.read(move |r| selection::filesets_of_client(r, &key)).await?;
        names.retain(|name| self.acl.allows(AclKind::FileSet, name));
        if let Some(name) = named {
            if names.iter().any(|known| known == name) {
                return Ok(Some(name.to_owned()));
            }
            self.ua.error(format!("No FileSet \"{name}\" found for client \"{client}\".\n")).await?;
        }
        if names.is_empty() {
            self.ua.error(format!("No FileSet found for client \"{client}\".\n")).await?;
            return Err(Halt::Failed);
        }
        let title = "The defined FileSet resources are:";
        match self.ua.select(title, "FileSet", "Select FileSet resource", &names).await {
            Ok(at) => Ok(Some(names.swap_remove(at))),
            Err(Halt::Left) => {
                self.ua.error(format!("No FileSet found for client \"{client}\".\n")).await?;
                Ok(None)
            }
            Err(halt) => Err(halt),
        }
    }
}

/// JobIds with commas.
pub(in super::super) fn join(jobs: &[JobId]) -> String {
    jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
