//! `list` and `llist` (spec/04 §8.3).

use catalog::listing::{self, JobFilter, Listing};
use catalog::media::MediaRow;
use types::{FileId, JobId, Timestamp};

mod columns;

use super::acl::AclKind;
use super::args::{Args, number_list};
use super::fmt::iso_time;
use super::jobs::JOB_IDS_MAX;
use super::session::{Session, now};
use super::table::{Kind, Table};
use super::ua::Done;
use columns::{
    MEDIA_COLUMNS, MEDIA_LONG, MEDIA_ONE, MEDIA_SHORT, POOL_COLUMNS, POOL_LONG, POOL_RECORD, POOL_SHORT,
    media_cells, narrow, pick, pool_cells,
};

/// File rows fetched at once; a listing of any length goes through in such pages.
const PAGE_FILES: u32 = 2000;

/// Keywords that only narrow what others list.
const FILTERS: [&str; 20] = [
    "limit",
    "order",
    "days",
    "hours",
    "client",
    "jobstatus",
    "level",
    "jobtype",
    "joberrors",
    "ujobid",
    "jobname",
    "job",
    "type",
    "yes",
    "current",
    "count",
    "enabled",
    "start",
    "recycle",
    "mediatype",
];

impl Session {
    pub(super) async fn list(&mut self, args: &Args, long: bool) -> Done {
        self.use_catalog(true).await?;
        let Some(filter) = self.job_filter(args).await? else { return Ok(()) };
        let mut jobs_listed = false;
        for word in args.words() {
            let key = word.key.to_ascii_lowercase();
            let value = word.value.clone().filter(|v| !v.is_empty());
            match key.as_str() {
                "jobs" => {
                    self.list_jobs(filter.clone(), long).await?;
                    jobs_listed = true;
                }
                "jobtotals" => self.list_totals().await?,
                "pools" => self.list_pools(None, long).await?,
                "pool" if self.is_filter_of_media(args) => {}
                "pool" => self.list_pools(value, long).await?,
                "clients" => self.list_clients(long).await?,
                "storages" => self.list_storages().await?,
                "filesets" => self.list_filesets().await?,
                "volumes" | "media" => self.list_volumes(args, &filter, long).await?,
                "volume" if value.is_some() => self.list_volume(value, long).await?,
                "volume" => self.list_volumes(args, &filter, long).await?,
                "jobmedia" => {
                    let job = filter.job_ids.first().copied();
                    let listing = self.read(move |r| listing::jobmedia(r, job, long)).await?;
                    self.show_listing(listing, long).await?;
                }
                "joblog" => self.list_logs(&filter, long).await?,
                "files" => self.list_files(args, &filter).await?,
                "copies" => self.list_copies(&filter, long).await?,
                "nextvol" | "nextvolume" => self.list_next_volume(args).await?,
                "snapshot" | "snapshots" => self.ua.send("No results to list.\n").await?,
                "jobid" | "ujobid" | "jobname" | "job" if jobs_listed => {}
                "jobid" | "ujobid" | "jobname" | "job" => {
                    self.list_jobs(filter.clone(), long).await?;
                    jobs_listed = true;
                }
                other if FILTERS.contains(&other) => {}
                _ => self.ua.send(format!("Unknown list keyword: {}\n", word.key)).await?,
            }
        }
        Ok(())
    }

    fn is_filter_of_media(&self, args: &Args) -> bool {
        ["media", "volumes", "jobs"].iter().any(|key| args.has(key))
    }

    /// What narrows job lists; `None` when a value is not understood (the user was told).
    async fn job_filter(&mut self, args: &Args) -> Done<Option<JobFilter>> {
        let mut filter = JobFilter {
            unique_name: args.get("ujobid").map(str::to_owned),
            name: args.get_any(&["jobname", "job"]).map(str::to_owned),
            client: args.get("client").map(str::to_owned),
            status: args.get("jobstatus").and_then(|s| s.chars().next()),
            job_type: args.get("jobtype").and_then(|s| s.chars().next()),
            level: args.get("level").and_then(|s| s.chars().next()),
            errors_only: args.has("joberrors"),
            descending: args.get("order").is_some_and(|o| o.to_ascii_lowercase().starts_with("desc")),
            limit: args.get("limit").and_then(|l| l.parse().ok()),
            ..JobFilter::default()
        };
        if args.has("jobs") {
            filter.pool = args.get("pool").map(str::to_owned);
            filter.volume = args.get("volume").map(str::to_owned);
        }
        let days = args.get("days").and_then(|n| n.parse::<i64>().ok()).map(|n| n.saturating_mul(86_400));
        let hours = args.get("hours").and_then(|n| n.parse::<i64>().ok()).map(|n| n.saturating_mul(3_600));
        filter.started_since = days.or(hours).map(|span| iso_time(now().saturating_sub(span)));
        if let Some(list) = args.get("jobid") {
            match number_list(list, JOB_IDS_MAX) {
                Some(ids) => filter.job_ids = ids.into_iter().map(JobId).collect(),
                None => {
                    self.ua.error(format!("Invalid JobId list: {list}\n")).await?;
                    return Ok(None);
                }
            }
        }
        Ok(Some(filter))
    }

    async fn list_jobs(&mut self, filter: JobFilter, long: bool) -> Done {
        let mut listing = self.read(move |r| listing::jobs(r, &filter, long)).await?;
        self.hide_jobs(&mut listing);
        self.show_listing(listing, long).await
    }

    /// Rows of jobs that a restricted console must not see.
    fn hide_jobs(&self, listing: &mut Listing) {
        if self.acl.is_unrestricted() {
            return;
        }
        let Some(name) = listing.columns.iter().position(|(column, _)| column == "name") else { return };
        listing.rows.retain(|row| {
            row.get(name).and_then(Option::as_deref).is_some_and(|name| self.acl.allows(AclKind::Job, name))
        });
    }

    async fn list_totals(&mut self) -> Done {
        let (by_name, total) = self.read(listing::job_totals).await?;
        self.show_listing(by_name, false).await?;
        self.show_listing(total, false).await
    }

    pub(super) async fn list_pools(&mut self, name: Option<String>, long: bool) -> Done {
        let mut pools = self.read(catalog::pool::list).await?;
        pools.retain(|p| {
            name.as_ref().is_none_or(|n| *n == p.name) && self.acl.allows(AclKind::Pool, &p.name)
        });
        pools.sort_by_key(|p| p.id);
        let rows = pools.iter().map(pool_cells).collect();
        let shown = if long { POOL_LONG } else { POOL_SHORT };
        self.ua.send(pick(&POOL_COLUMNS, rows, shown).render(long, self.ua.plain())).await
    }

    /// The one-row table that `update pool` shows.
    pub(super) async fn show_pool_record(&mut self, name: &str) -> Done {
        let key = name.to_owned();
        let pool = self.read(move |r| catalog::pool::get_by_name(r, &key)).await?;
        let rows = pool.iter().map(pool_cells).collect();
        self.ua.send(pick(&POOL_COLUMNS, rows, POOL_RECORD).render(false, self.ua.plain())).await
    }

    async fn list_clients(&mut self, long: bool) -> Done {
        let clients = self.read(catalog::client::list).await?;
        let mut table = Table::new(&[
            ("clientid", Kind::Number),
            ("name", Kind::Text),
            ("uname", Kind::Text),
            ("autoprune", Kind::Number),
            ("fileretention", Kind::Number),
            ("jobretention", Kind::Number),
        ]);
        let mut clients: Vec<_> =
            clients.into_iter().filter(|c| self.acl.allows(AclKind::Client, &c.name)).collect();
        clients.sort_by_key(|c| c.id);
        for c in clients {
            let prune = u8::from(c.auto_prune).to_string();
            let row = [
                c.id.to_string(),
                c.name,
                c.uname,
                prune,
                c.file_retention.to_string(),
                c.job_retention.to_string(),
            ];
            table.rows.push(row.into_iter().map(Some).collect());
        }
        let shown: &[&str] = if long {
            &["clientid", "name", "uname", "autoprune", "fileretention", "jobretention"]
        } else {
            &["clientid", "name", "fileretention", "jobretention"]
        };
        self.ua.send(narrow(&table, shown).render(long, self.ua.plain())).await
    }

    async fn list_storages(&mut self) -> Done {
        let mut table =
            Table::new(&[("storageid", Kind::Number), ("name", Kind::Text), ("autochanger", Kind::Number)]);
        for s in self.read(catalog::storage::list).await? {
            if self.acl.allows(AclKind::Storage, &s.name) {
                let row = [s.id.to_string(), s.name, u8::from(s.autochanger).to_string()];
                table.rows.push(row.into_iter().map(Some).collect());
            }
        }
        self.ua.send(table.render(false, self.ua.plain())).await
    }

    async fn list_filesets(&mut self) -> Done {
        let mut table = Table::new(&[
            ("filesetid", Kind::Number),
            ("fileset", Kind::Text),
            ("md5", Kind::Text),
            ("createtime", Kind::Text),
        ]);
        for f in self.read(catalog::fileset::list).await? {
            if self.acl.allows(AclKind::FileSet, &f.name) {
                table.rows.push(vec![
                    Some(f.id.to_string()),
                    Some(f.name),
                    Some(f.md5),
                    f.created.map(|t| iso_time(t.0)),
                ]);
            }
        }
        self.ua.send(table.render(false, self.ua.plain())).await
    }

    async fn list_volumes(&mut self, args: &Args, filter: &JobFilter, long: bool) -> Done {
        if let Some(&job) = filter.job_ids.first() {
            let volumes = self.read(move |r| catalog::media::list_of_job(r, job)).await?;
            let names: Vec<_> = volumes.iter().map(|v| v.volume_name.as_str()).collect();
            let text = if names.is_empty() {
                format!("No Volumes found for JobId {job}.\n")
            } else {
                format!("Jobid {job} used {} Volume(s): {}\n", names.len(), names.join("|"))
            };
            return self.ua.send(text).await;
        }
        let only = args.get("pool").map(str::to_owned);
        let mut pools = self.read(catalog::pool::list).await?;
        pools.retain(|p| {
            only.as_ref().is_none_or(|n| *n == p.name) && self.acl.allows(AclKind::Pool, &p.name)
        });
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        let limit = filter.limit.map_or(usize::MAX, |l| l as usize);
        for pool in pools {
            if only.is_none() {
                self.ua.send(format!("Pool: {}\n", pool.name)).await?;
            }
            let mut volumes = self.read(move |r| catalog::media::list(r, Some(pool.id))).await?;
            volumes.truncate(limit);
            self.show_volumes(&volumes, if long { MEDIA_LONG } else { MEDIA_SHORT }, long).await?;
        }
        Ok(())
    }

    async fn list_volume(&mut self, name: Option<String>, long: bool) -> Done {
        let name = name.unwrap_or_default();
        let volume = self.read(move |r| catalog::media::get_by_name(r, &name)).await?;
        let volumes: Vec<_> = volume.into_iter().collect();
        self.show_volumes(&volumes, if long { MEDIA_LONG } else { MEDIA_ONE }, long).await
    }

    async fn show_volumes(&mut self, volumes: &[MediaRow], shown: &[&str], long: bool) -> Done {
        let now = Timestamp(now());
        let rows = volumes.iter().map(|v| media_cells(v, now)).collect();
        self.ua.send(pick(&MEDIA_COLUMNS, rows, shown).render(long, self.ua.plain())).await
    }

    async fn list_logs(&mut self, filter: &JobFilter, long: bool) -> Done {
        let jobs = match (&filter.job_ids[..], &filter.unique_name) {
            ([], Some(name)) => {
                let name = name.clone();
                let row = self.read(move |r| catalog::job::get_by_unique_name(r, &name)).await?;
                row.map(|row| row.id).into_iter().collect()
            }
            (ids, _) => ids.to_vec(),
        };
        if jobs.is_empty() {
            return self.ua.send("No results to list.\n").await;
        }
        for job in jobs {
            let mut listing = self.read(move |r| listing::job_log(r, job, long)).await?;
            for text in listing.rows.iter_mut().flat_map(|row| row.last_mut()).flatten() {
                text.truncate(text.trim_end().len());
            }
            self.show_listing(listing, long).await?;
        }
        Ok(())
    }

    /// Where there are none, nothing is said, as by Bacula 9.6.7.
    async fn list_copies(&mut self, filter: &JobFilter, long: bool) -> Done {
        let (ids, limit) = (filter.job_ids.clone(), filter.limit);
        let of_all = ids.is_empty();
        let listing = self.read(move |r| listing::copies(r, &ids, limit)).await?;
        if listing.rows.is_empty() {
            return Ok(());
        }
        let title = if of_all {
            "The catalog contains copies as follows:\n"
        } else {
            "These JobIds have copies as follows:\n"
        };
        self.ua.send(title).await?;
        self.show_listing(listing, long).await
    }

    /// Goes through the rows twice, by pages: once for the width of the column, once to show them. So a job of any size
    /// is listed in bounded memory.
    async fn list_files(&mut self, args: &Args, filter: &JobFilter) -> Done {
        let deleted = match args.get("type").map(str::to_ascii_lowercase).as_deref() {
            Some("deleted") => Some(true),
            Some("all") => None,
            Some(_) | None => Some(false),
        };
        for job in filter.job_ids.clone() {
            let mut width = "filename".len();
            let mut count = 0u64;
            let mut after = FileId(0);
            loop {
                let page =
                    self.read(move |r| listing::files_page(r, job, deleted, after, PAGE_FILES)).await?;
                let Some(last) = page.last() else { break };
                after = last.0;
                count += page.len() as u64;
                let longest =
                    page.iter().map(|(_, name)| String::from_utf8_lossy(name).chars().count()).max();
                width = width.max(longest.unwrap_or(0));
            }
            if count == 0 {
                self.ua.send("No results to list.\n").await?;
                continue;
            }
            self.show_files(job, deleted, width.min(100)).await?;
        }
        Ok(())
    }

    async fn show_files(&mut self, job: JobId, deleted: Option<bool>, width: usize) -> Done {
        let rule = format!("+{}+\n", "-".repeat(width + 2));
        self.ua.send(format!("{rule}| {:<width$} |\n{rule}", "filename")).await?;
        let mut after = FileId(0);
        loop {
            let page = self.read(move |r| listing::files_page(r, job, deleted, after, PAGE_FILES)).await?;
            let Some(last) = page.last() else { break };
            after = last.0;
            let mut text = Vec::new();
            for (_, name) in &page {
                let shown = String::from_utf8_lossy(name).chars().count();
                text.extend_from_slice(b"| ");
                text.extend_from_slice(name);
                text.extend(std::iter::repeat_n(b' ', width.saturating_sub(shown)));
                text.extend_from_slice(b" |\n");
            }
            self.ua.send_bytes(&text).await?;
        }
        self.ua.send(rule).await
    }

    async fn list_next_volume(&mut self, args: &Args) -> Done {
        let name = self.pick(super::select::Pick::Job, args, &["job", "jobname"]).await?;
        let days = args.get("days").and_then(|d| d.parse().ok()).unwrap_or(1).min(500);
        let config = self.core.config();
        let run = super::schedule::next_run_of(&config, &name, Timestamp(now()), days);
        let Some(job) = config.job(&name) else { return Ok(()) };
        let pool = run.as_ref().map_or_else(|| job.pool.clone(), |run| run.pool.clone());
        let level = run
            .as_ref()
            .map_or_else(|| job.level.map_or("", conf::level_word).to_owned(), |r| r.level.clone());
        let storage = run.map_or_else(|| job.storage.first().cloned().unwrap_or_default(), |run| run.storage);
        let text = match self.next_volume(&pool, &storage).await? {
            Some(volume) => {
                format!(
                    "The next Volume to be used by Job \"{name}\" (Pool={pool}, Level={level}) will be {volume}\n"
                )
            }
            None => format!("Could not find next Volume for Job {name} (Pool={pool}, Level={level}).\n"),
        };
        self.ua.send(text).await
    }
}
