//! Commands for programs: completion, GUIs, monitoring (spec/01 §6.3).

use types::{JobLevel, JobType};

use super::args::{Args, yes_no};
use super::commands;
use super::select::Pick;
use super::session::Session;
use super::ua::Done;

const BACKUP_LEVELS: &[&str] = &["Full", "Base", "Incremental", "Differential", "Since", "VirtualFull"];
const VERIFY_LEVELS: &[&str] = &["Catalog", "InitCatalog", "VolumeToCatalog", "DiskToCatalog", "Data"];
const COPY_LEVELS: &[&str] = &["Full", "Incremental", "Differential"];

impl Session {
    pub(super) async fn dot_command(&mut self, command: &str, args: &Args) -> Done {
        match command {
            ".api" => self.dot_api(args),
            ".help" => {
                let text = commands::dot_help_text(args.has("all"), args.get("item"));
                self.ua.send(text).await
            }
            ".messages" => self.messages(false).await,
            ".session" => Box::pin(self.dot_session(args)).await,
            ".quit" | ".exit" => {
                self.leave();
                Ok(())
            }
            ".jobs" => self.dot_jobs(args).await,
            ".clients" => self.names(Pick::Client).await,
            ".filesets" => self.names(Pick::FileSet).await,
            ".pools" => self.names(Pick::Pool).await,
            ".storage" => self.names(Pick::Storage).await,
            ".schedule" => self.names(Pick::Schedule).await,
            ".catalogs" => {
                let config = self.core.config();
                self.lines(config.catalogs.iter().map(|c| c.name.clone()).collect()).await
            }
            ".msgs" => {
                let config = self.core.config();
                self.lines(config.messages.iter().map(|m| m.name.clone()).collect()).await
            }
            ".types" => self.fixed(&["Backup", "Restore", "Admin", "Verify", "Migrate", "Copy"]).await,
            ".levels" => self.dot_levels(args).await,
            ".volstatus" => {
                self.fixed(&["Append", "Full", "Used", "Recycle", "Purged", "Cleaning", "Error"]).await
            }
            ".actiononpurge" => self.fixed(&["None", "Truncate"]).await,
            ".tags" => self.fixed(&["catalog", "director", "net", "storage", "client", "all"]).await,
            ".media" => self.column("SELECT VolumeName FROM Media ORDER BY VolumeName").await,
            ".mediatypes" => self.column("SELECT DISTINCT MediaType FROM MediaType ORDER BY MediaType").await,
            ".locations" => self.column("SELECT Location FROM Location ORDER BY Location").await,
            ".defaults" => self.dot_defaults(args).await,
            ".status" => Box::pin(self.dot_status(args)).await,
            ".sql" => self.dot_sql(args).await,
            ".backups" => self.dot_backups(args).await,
            ".jlist" => Box::pin(self.dot_jlist(args)).await,
            ".ls" => Box::pin(self.dot_ls(args)).await,
            ".estimate" => self.dot_estimate(args).await,
            command if command.starts_with(".bvfs") => Box::pin(self.bvfs(command, args)).await,
            other => self.ua.fail(format!("{other}: is an invalid command.\n")).await,
        }
    }

    fn dot_api(&mut self, args: &Args) -> Done {
        let word = args.words().first().map_or("1", |w| w.key.as_str());
        self.ua.api = match word.parse::<u8>() {
            Ok(mode @ 0..=2) => mode,
            Ok(_) => 2,
            Err(_) => u8::from(yes_no(word).unwrap_or(true)),
        };
        Ok(())
    }

    async fn lines(&mut self, names: Vec<String>) -> Done {
        for name in names {
            self.ua.send(format!("{name}\n")).await?;
        }
        Ok(())
    }

    async fn fixed(&mut self, words: &[&str]) -> Done {
        self.lines(words.iter().map(|w| (*w).to_owned()).collect()).await
    }

    async fn names(&mut self, pick: Pick) -> Done {
        let names = self.visible(pick);
        self.lines(names).await
    }

    async fn column(&mut self, sql: &'static str) -> Done {
        let listing = self.read(move |r| catalog::listing::free(r, sql)).await?;
        let names = listing.rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
        self.lines(names.collect()).await
    }

    async fn dot_jobs(&mut self, args: &Args) -> Done {
        let config = self.core.config();
        let wanted = args.get("type").map(|t| match t.strip_prefix('!') {
            Some(letter) => (letter.to_owned(), false),
            None => (t.to_owned(), true),
        });
        let of_type = |job_type: JobType| match &wanted {
            Some((letter, equal)) => letter.starts_with(job_type.letter()) == *equal,
            None => true,
        };
        let mut names = self.visible(Pick::Job);
        names.retain(|name| config.job(name).is_some_and(|job| of_type(job.job_type)));
        self.lines(names).await
    }

    async fn dot_levels(&mut self, args: &Args) -> Done {
        let word = args.words().first().map(|w| w.key.to_ascii_lowercase());
        match word.as_deref() {
            Some("backup") => self.fixed(BACKUP_LEVELS).await,
            Some("verify") => self.fixed(VERIFY_LEVELS).await,
            Some("restore" | "admin") => Ok(()),
            Some(_) => self.fixed(COPY_LEVELS).await,
            None => {
                for levels in [BACKUP_LEVELS, VERIFY_LEVELS, COPY_LEVELS, COPY_LEVELS] {
                    self.fixed(levels).await?;
                }
                Ok(())
            }
        }
    }

    /// Each `key=value` is a packet without a line feed.
    async fn pairs(&mut self, pairs: &[(&str, String)]) -> Done {
        for (key, value) in pairs {
            self.ua.send(format!("{key}={value}")).await?;
        }
        Ok(())
    }

    async fn dot_defaults(&mut self, args: &Args) -> Done {
        let config = self.core.config();
        let flag = |on: bool| u8::from(on).to_string();
        let visible = |pick, name: &str| self.visible(pick).iter().any(|known| known == name);
        if let Some(job) = args.get("job").and_then(|n| config.job(n)).filter(|j| visible(Pick::Job, &j.name))
        {
            let catalog = config.client(&job.client).map_or("", |c| c.catalog.as_str());
            let storage =
                job.storage.first().or_else(|| config.pool(&job.pool).and_then(|p| p.storage.first()));
            let level = match job.job_type {
                JobType::Admin | JobType::Restore => "",
                _ => job.level.map_or("", conf::level_word),
            };
            return self
                .pairs(&[
                    ("job", job.name.clone()),
                    ("pool", job.pool.clone()),
                    ("messages", job.messages.clone()),
                    ("client", job.client.clone()),
                    ("storage", storage.cloned().unwrap_or_default()),
                    ("where", job.restore_where.clone().unwrap_or_default()),
                    ("level", level.to_owned()),
                    ("type", job.job_type.to_string()),
                    ("fileset", job.fileset.clone()),
                    ("enabled", flag(job.enabled)),
                    ("catalog", catalog.to_owned()),
                    ("priority", job.priority.to_string()),
                ])
                .await;
        }
        if let Some(c) =
            args.get("client").and_then(|n| config.client(n)).filter(|c| visible(Pick::Client, &c.name))
        {
            return self
                .pairs(&[
                    ("client", c.name.clone()),
                    ("address", c.address.clone().unwrap_or_default()),
                    ("fdport", c.fd_port.to_string()),
                    ("file_retention", c.file_retention.as_secs().to_string()),
                    ("job_retention", c.job_retention.as_secs().to_string()),
                    ("autoprune", flag(c.auto_prune)),
                    ("catalog", c.catalog.clone()),
                ])
                .await;
        }
        if let Some(s) =
            args.get("storage").and_then(|n| config.storage(n)).filter(|s| visible(Pick::Storage, &s.name))
        {
            self.pairs(&[
                ("storage", s.name.clone()),
                ("address", s.address.clone()),
                ("enabled", flag(s.enabled)),
                ("media_type", s.media_type.clone()),
                ("sdport", s.sd_port.to_string()),
                ("device", s.device.first().cloned().unwrap_or_default()),
            ])
            .await?;
            for device in s.device.iter().skip(1) {
                self.ua.send(format!(",{device}")).await?;
            }
            return Ok(());
        }
        if let Some(p) =
            args.get("pool").and_then(|n| config.pool(n)).filter(|p| visible(Pick::Pool, &p.name))
        {
            return self.pairs(&pool_defaults(p)).await;
        }
        Ok(())
    }

    async fn dot_status(&mut self, args: &Args) -> Done {
        let words = args.words();
        let what = words.get(1).map(|w| w.key.to_ascii_lowercase()).unwrap_or_default();
        let Some(target) = words.first() else {
            return self.ua.fail("1900 Bad .status command, missing arguments.\n").await;
        };
        if what.is_empty() {
            return self.ua.fail("1900 Bad .status command, missing arguments.\n").await;
        }
        let line = format!(".status {what} api={} api_opts=", self.ua.api);
        match target.key.to_ascii_lowercase().as_str() {
            "dir" | "director" => self.dot_status_director(&what).await,
            "client" => {
                let name = self.pick(Pick::Client, args, &["client"]).await?;
                let Some(mut conn) = self.open_client(&name).await? else { return Ok(()) };
                let answer = conn.command(line).await;
                self.relay(answer).await?;
                conn.terminate().await;
                Ok(())
            }
            "storage" => {
                let name = self.pick(Pick::Storage, args, &["storage"]).await?;
                let device = args
                    .get("device")
                    .map_or_else(String::new, |d| format!(" device={}", types::bash_spaces(d)));
                let Some(mut conn) = self.open_storage(&name, false).await? else { return Ok(()) };
                let answer = conn.command(format!("{line}{device}")).await;
                self.relay(answer).await?;
                conn.terminate().await;
                Ok(())
            }
            _ => self.ua.fail("1900 Bad .status command, wrong argument.\n").await,
        }
    }

    async fn dot_status_director(&mut self, what: &str) -> Done {
        match what {
            "current" => {
                self.ua.send("1000 OK .status\n").await?;
                for job in self.core.jobs() {
                    let (id, status, errors) = (job.job_id, job.status.letter(), job.errors);
                    self.ua.send(format!("JobId={id} JobStatus={status} JobErrors={errors}\n")).await?;
                }
                Ok(())
            }
            "last" => {
                self.ua.send("1000 OK .status\n").await?;
                match self.core.terminated().last() {
                    Some(job) => {
                        let (id, status, errors) = (job.job_id, job.status.letter(), job.errors);
                        self.ua.send(format!("JobId={id} JobStatus={status} JobErrors={errors}\n")).await
                    }
                    None => Ok(()),
                }
            }
            "header" if self.ua.api < 2 => self.status_header().await,
            "header" => self.dot_header().await,
            "running" => self.status_running().await,
            "scheduled" if self.ua.api < 2 => self.status_scheduled(1).await,
            "scheduled" => self.dot_scheduled().await,
            "terminated" => self.status_terminated().await,
            _ => self.ua.fail("1900 Bad .status command, wrong argument.\n").await,
        }
    }

    async fn dot_header(&mut self) -> Done {
        let config = self.core.config();
        let (started, reloaded) = self.core.times();
        let iso = |t: types::Timestamp| super::fmt::iso_time(t.0);
        let text = format!(
            "header:\nname={}\nversion={}\nuname={}\nstarted_epoch={started}\nstarted={}\nreloaded_epoch={reloaded}\n\
             reloaded={}\npid={}\njobs_run={}\njobs_running={}\nnclients={}\nnstores={}\nnpools={}\nncats={}\nnfset={}\n\
             nscheds={}\nplugins=\n\n",
            config.director.name,
            super::simple::version(),
            super::simple::platform(),
            iso(started),
            iso(reloaded),
            std::process::id(),
            self.core.jobs_run(),
            self.core.jobs().len(),
            config.clients.len(),
            config.storages.len(),
            config.pools.len(),
            config.catalogs.len(),
            config.filesets.len(),
            config.schedules.len(),
        );
        self.ua.send(text).await
    }

    async fn dot_scheduled(&mut self) -> Done {
        for (run, volume) in self.planned(1).await? {
            let text = format!(
                "\nname={}\nlevel={}\ntype={}\npriority={}\nschedtime_epoch={}\nschedtime={}\nvolume={volume}\npool={}\n\
                 storage={}\n\n",
                run.job,
                run.level_letter,
                run.job_type.letter(),
                run.priority,
                run.at,
                super::fmt::iso_time(run.at.0),
                run.pool,
                run.storage
            );
            self.ua.send(text).await?;
        }
        Ok(())
    }

    /// Each row is a packet, each column followed by a tab.
    async fn dot_sql(&mut self, args: &Args) -> Done {
        let Some(sql) = args.get("query").map(str::to_owned) else {
            return self.ua.fail("query keyword not found.\n").await;
        };
        let result = self.catalog().read(move |r| catalog::listing::free(r, &sql)).await;
        match result {
            Ok(listing) => {
                for row in listing.rows {
                    let text: String =
                        row.into_iter().map(|cell| format!("{}\t", cell.unwrap_or_default())).collect();
                    self.ua.send(text).await?;
                }
                Ok(())
            }
            Err(error) => self.ua.fail(format!("Query failed: {}\n", super::db::chain(&error))).await,
        }
    }

    async fn dot_backups(&mut self, args: &Args) -> Done {
        let (Some(client), Some(fileset)) = (args.get("client"), args.get("fileset")) else {
            return Ok(());
        };
        let (client, fileset) = (client.to_owned(), fileset.to_owned());
        let listing = self
            .read(move |r| {
                catalog::listing::query(
                    r,
                    "SELECT DISTINCT Job.JobId, Client.Name AS Client, Job.Level, Job.StartTime, Job.JobFiles, Job.JobBytes, \
                     Media.VolumeName, Media.MediaType FROM Client, Job, JobMedia, Media, FileSet \
                     WHERE Client.Name = ?1 AND FileSet.FileSet = ?2 AND Client.ClientId = Job.ClientId \
                     AND FileSet.FileSetId = Job.FileSetId AND JobStatus IN ('T', 'W') AND Type = 'B' \
                     AND JobMedia.JobId = Job.JobId AND JobMedia.MediaId = Media.MediaId ORDER BY Job.StartTime",
                    &[catalog::Value::from(&client), catalog::Value::from(&fileset)],
                )
            })
            .await?;
        let heading: Vec<String> =
            ["JobId", "Client", "Level", "StartTime", "JobFiles", "JobBytes", "VolumeName", "MediaType"]
                .map(str::to_owned)
                .to_vec();
        self.ua.send(format!("| {} |\n", heading.join(" | "))).await?;
        for row in listing.rows {
            let cells: Vec<String> = row.into_iter().map(Option::unwrap_or_default).collect();
            self.ua.send(format!("| {} |\n", cells.join(" | "))).await?;
        }
        Ok(())
    }

    /// `list jobs` as JSON: all values are texts.
    async fn dot_jlist(&mut self, args: &Args) -> Done {
        let filter = catalog::listing::JobFilter {
            name: args.get_any(&["jobname", "job"]).map(str::to_owned),
            client: args.get("client").map(str::to_owned),
            status: args.get("jobstatus").and_then(|s| s.chars().next()),
            limit: args.get("limit").and_then(|l| l.parse().ok()),
            descending: args.get("order").is_some_and(|o| o.starts_with("desc")),
            ..Default::default()
        };
        if !args.has("jobs") {
            return self
                .ua
                .fail("{\"type\":\"\", \"data\":[],\"error\":1,\"errmsg\":\"only jobs can be listed\"}")
                .await;
        }
        let listing = self.read(move |r| catalog::listing::jobs(r, &filter, true)).await?;
        let rows: Vec<serde_json::Value> = listing
            .rows
            .into_iter()
            .map(|row| {
                let fields = listing.columns.iter().zip(row);
                let pairs = fields.map(|((name, _), cell)| {
                    (name.clone(), serde_json::Value::from(cell.unwrap_or_default()))
                });
                serde_json::Value::Object(pairs.collect())
            })
            .collect();
        let text = serde_json::json!({ "type": "job", "data": rows, "error": 0, "errmsg": "" });
        self.ua.send(text.to_string()).await
    }

    /// Totals of the last good jobs in place of a forecast: what the next run of a level is likely to take.
    async fn dot_estimate(&mut self, args: &Args) -> Done {
        let config = self.core.config();
        let Some(job) = args.get("job").and_then(|name| config.job(name)) else {
            return self.ua.fail("Invalid argument for job\n").await;
        };
        let level = args.get("level").and_then(conf::level_from_word).or(job.level).unwrap_or(JobLevel::Full);
        let (name, letter) = (job.name.clone(), level.letter().to_string());
        let listing = self
            .read(move |r| {
                catalog::listing::query(
                    r,
                    "SELECT count(*), COALESCE(CAST(avg(JobBytes) AS INTEGER), 0), COALESCE(CAST(avg(JobFiles) AS INTEGER), 0) \
                     FROM (SELECT JobBytes, JobFiles FROM Job WHERE Name = ?1 AND Level = ?2 AND Type = 'B' \
                     AND JobStatus IN ('T', 'W') ORDER BY JobTDate DESC LIMIT 4) Last",
                    &[catalog::Value::from(&name), catalog::Value::from(&letter)],
                )
            })
            .await?;
        let row = listing.rows.into_iter().next().unwrap_or_default();
        let cell = |i: usize| row.get(i).cloned().flatten().unwrap_or_else(|| "0".to_owned());
        let text = format!(
            "level={}\nnbjob={}\ncorrbytes=0\njobbytes={}\ncorrfiles=0\njobfiles={}\nduration=0\njob={}\n",
            level.letter(),
            cell(0),
            cell(1),
            cell(2),
            job.name
        );
        self.ua.send(text).await
    }
}

fn pool_defaults(p: &conf::director::Pool) -> Vec<(&'static str, String)> {
    let flag = |on: bool| u8::from(on).to_string();
    let seconds = |span: std::time::Duration| span.as_secs().to_string();
    vec![
        ("pool", p.name.clone()),
        ("pool_type", p.pool_type.clone()),
        ("label_format", p.label_format.clone().unwrap_or_default()),
        ("use_volume_once", flag(p.use_volume_once)),
        ("purge_oldest_volume", flag(p.purge_oldest_volume)),
        ("recycle_oldest_volume", flag(p.recycle_oldest_volume)),
        ("recycle_current_volume", flag(p.recycle_current_volume)),
        ("max_volumes", p.maximum_volumes.to_string()),
        ("vol_retention", seconds(p.volume_retention)),
        ("vol_use_duration", seconds(p.volume_use_duration)),
        ("max_vol_jobs", p.maximum_volume_jobs.to_string()),
        ("max_vol_files", p.maximum_volume_files.to_string()),
        ("max_vol_bytes", p.maximum_volume_bytes.to_string()),
        ("auto_prune", flag(p.auto_prune)),
        ("recycle", flag(p.recycle)),
        ("file_retention", seconds(p.file_retention)),
        ("job_retention", seconds(p.job_retention)),
    ]
}
