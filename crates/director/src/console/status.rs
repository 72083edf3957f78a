//! `status` of the Director, clients and storages (spec/04 §8.5).

use types::{JobLevel, JobStatus, JobType, Timestamp};

use crate::handle::TerminatedJob;
use crate::jobs::JobView;

use super::acl::AclKind;
use super::args::Args;
use super::fmt::{iso_time, long_time, short_time, week_time, with_suffix};
use super::schedule::{self, Planned};
use super::select::Pick;
use super::session::{Session, now};
use super::simple::{platform, version};
use super::ua::Done;

/// Rows that `status schedule` shows when it is not told otherwise.
const SCHEDULE_ROWS: usize = 30;

impl Session {
    pub(super) async fn status(&mut self, args: &Args) -> Done {
        let word = args.words().first().map(|w| w.key.to_ascii_lowercase()).unwrap_or_default();
        match word.as_str() {
            "all" => self.status_all().await,
            "dir" | "director" => self.status_director(args).await,
            "client" | "fd" => {
                let client = self.pick(Pick::Client, args, &["client", "fd"]).await?;
                self.status_client(&client).await
            }
            "storage" | "store" | "sd" => {
                let storage = self.pick(Pick::Storage, args, &["storage", "store", "sd"]).await?;
                self.status_storage(&storage).await
            }
            "replication" => self.status_replication().await,
            "schedule" | "scheduled" | "sched" => self.status_schedule(args).await,
            "" => self.status_menu(args).await,
            other => {
                self.ua.error(format!("Unknown status keyword: {other}\n")).await?;
                self.status_menu(args).await
            }
        }
    }

    async fn status_menu(&mut self, args: &Args) -> Done {
        let items = ["Director", "Storage", "Client", "Scheduled", "All"].map(str::to_owned);
        match self.ua.choose("Status available for:", "Select daemon type for status", &items).await? {
            0 => self.status_director(args).await,
            1 => {
                let storage = self.pick_from_list(Pick::Storage).await?;
                self.status_storage(&storage).await
            }
            2 => {
                let client = self.pick_from_list(Pick::Client).await?;
                self.status_client(&client).await
            }
            3 => self.status_schedule(args).await,
            _ => self.status_all().await,
        }
    }

    async fn status_all(&mut self) -> Done {
        self.status_director(&Args::default()).await?;
        let mut seen = Vec::new();
        for storage in self.visible(Pick::Storage) {
            // Several Storage resources may be one daemon.
            let Some(resource) = self.storage_resource(&storage) else { continue };
            if !seen.contains(&(resource.address.clone(), resource.sd_port)) {
                seen.push((resource.address.clone(), resource.sd_port));
                self.status_storage(&storage).await?;
            }
        }
        for client in self.visible(Pick::Client) {
            self.status_client(&client).await?;
        }
        Ok(())
    }

    pub(super) async fn status_client(&mut self, name: &str) -> Done {
        let Some(mut conn) = self.open_client(name).await? else { return Ok(()) };
        let answer = conn.command("status").await;
        self.relay(answer).await?;
        conn.terminate().await;
        Ok(())
    }

    pub(super) async fn status_storage(&mut self, name: &str) -> Done {
        self.say_places(Some(name)).await?;
        let Some(mut conn) = self.open_storage(name, false).await? else { return Ok(()) };
        let answer = conn.command("status").await;
        self.relay(answer).await?;
        conn.terminate().await;
        Ok(())
    }

    async fn status_director(&mut self, args: &Args) -> Done {
        self.status_header().await?;
        let days = args.get("days").and_then(|d| d.parse().ok()).unwrap_or(1);
        self.status_scheduled(days).await?;
        self.status_running().await?;
        self.status_terminated().await
    }

    pub(super) async fn status_header(&mut self) -> Done {
        let config = self.core.config();
        let (started, reloaded) = self.core.times();
        let (run, running) = (self.core.jobs_run(), self.core.jobs().len());
        let text = format!(
            "{} Version: {} {}\nDaemon started {}, conf reloaded {}\n Jobs: run={run}, running={running} mode=0,0\n{} \
             Res: njobs={} nclients={} nstores={} npools={} ncats={} nfsets={} nscheds={}\n",
            config.director.name,
            version(),
            platform(),
            short_time(started.0),
            long_time(reloaded.0),
            Self::heap_line(),
            config.jobs.len(),
            config.clients.len(),
            config.storages.len(),
            config.pools.len(),
            config.catalogs.len(),
            config.filesets.len(),
            config.schedules.len(),
        );
        self.ua.send(text).await?;
        self.say_places(None).await?;
        match self.core.held() {
            Some(why) => {
                self.ua
                    .send(format!(" Attention: {why}; nothing is pruned, recycled or overwritten.\n"))
                    .await
            }
            None => Ok(()),
        }
    }

    /// The runs that are due within `days`.
    pub(super) async fn planned(&mut self, days: u32) -> Done<Vec<(Planned, String)>> {
        let config = self.core.config();
        let off_jobs = self.disabled(super::core::Switch::Job).await?;
        let off_clients = self.disabled(super::core::Switch::Client).await?;
        let off_schedules = self.disabled(super::core::Switch::Schedule).await?;
        let mut planned = schedule::next_runs(&config, Timestamp(now()), days.clamp(1, 500));
        planned.retain(|run| {
            self.acl.allows(AclKind::Job, &run.job)
                && !off_jobs.contains(&run.job)
                && !off_clients.contains(&run.client)
                && !off_schedules.contains(&run.schedule)
        });
        let mut rows = Vec::with_capacity(planned.len());
        for run in planned {
            let volume = if run.job_type == JobType::Backup {
                let volume = self.next_volume(&run.pool, &run.storage).await?;
                volume.unwrap_or_else(|| "*unknown*".to_owned())
            } else {
                String::new()
            };
            rows.push((run, volume));
        }
        Ok(rows)
    }

    pub(super) async fn status_scheduled(&mut self, days: u32) -> Done {
        let rows = self.planned(days).await?;
        let mut text = String::new();
        if rows.is_empty() {
            if self.ua.api == 0 {
                self.ua.send("No Scheduled Jobs.\n====\n").await?;
            }
            return Ok(());
        }
        if self.ua.api == 0 {
            text.push_str("\nScheduled Jobs:\n");
            text.push_str("Level          Type     Pri  Scheduled          Job Name           Volume\n");
            text.push_str(&format!("{}\n", "=".repeat(83)));
        }
        for (run, volume) in &rows {
            if self.ua.api == 0 {
                text.push_str(&planned_line(run, &short_time(run.at.0), volume));
            } else {
                text.push_str(&format!(
                    "{:<14}\t{:<8}\t{:3}\t{:<18}\t{:<18}\t{volume}\n",
                    run.level,
                    run.type_word,
                    run.priority,
                    short_time(run.at.0),
                    run.job
                ));
            }
        }
        if self.ua.api == 0 {
            text.push_str("====\n");
        }
        self.ua.send(text).await
    }

    async fn status_schedule(&mut self, args: &Args) -> Done {
        let config = self.core.config();
        let limit = args.get("limit").and_then(|l| l.parse().ok()).unwrap_or(SCHEDULE_ROWS);
        let days: u32 = args.get("days").and_then(|d| d.parse().ok()).unwrap_or(10);
        let from = match args.get("time") {
            Some(time) => match super::fmt::parse_time(time) {
                Some(at) => at,
                None => {
                    return self
                        .ua
                        .fail(format!("Invalid time \"{time}\"; use YYYY-MM-DD HH:MM:SS.\n"))
                        .await;
                }
            },
            // The day that is running is shown from its start (spec/04 §8.5).
            None => super::fmt::midnight(now()),
        };
        let matches = |key: &str, value: &str| args.get(key).is_none_or(|wanted| wanted == value);
        let mut runs = schedule::all_runs(&config, Timestamp(from), days.clamp(1, 500));
        runs.retain(|run| {
            matches("job", &run.job) && matches("client", &run.client) && matches("schedule", &run.schedule)
        });
        runs.retain(|run| self.acl.allows(AclKind::Job, &run.job));
        let mut text = String::from("\nScheduled Jobs:\n");
        text.push_str("Level          Type     Pri  Scheduled          Job Name           Schedule\n");
        text.push_str(&format!("{}\n", "=".repeat(85)));
        for run in runs.iter().take(limit) {
            text.push_str(&planned_line(run, &week_time(run.at.0), &run.schedule));
        }
        text.push_str("====\n");
        self.ua.send(text).await
    }

    pub(super) async fn status_running(&mut self) -> Done {
        let mut jobs = self.core.jobs();
        jobs.retain(|job| self.acl.allows(AclKind::Job, &job.name));
        let mut text = String::new();
        if self.ua.api == 0 {
            text.push_str(&format!("\nRunning Jobs:\nConsole connected at {}\n", short_time(self.connected)));
        }
        if jobs.is_empty() {
            text.push_str("No Jobs running.\n====\n");
            return self.ua.send(text).await;
        }
        if self.ua.api == 0 {
            text.push_str(" JobId  Type Level     Files     Bytes  Name              Status\n");
            text.push_str(&format!("{}\n", "=".repeat(70)));
        }
        for job in &jobs {
            text.push_str(&match self.ua.api {
                0 => running_line(job),
                1 => running_api_line(job),
                _ => running_block(job),
            });
        }
        text.push_str("====\n");
        self.ua.send(text).await
    }

    pub(super) async fn status_terminated(&mut self) -> Done {
        let mut jobs = self.core.terminated();
        jobs.retain(|job| self.acl.allows(AclKind::Job, &job.name));
        if jobs.is_empty() {
            return if self.ua.api == 0 { self.ua.send("No Terminated Jobs.\n====\n").await } else { Ok(()) };
        }
        let mut text = String::new();
        match self.ua.api {
            0 => {
                text.push_str("\nTerminated Jobs:\n JobId  Level      Files    Bytes   Status   Finished        Name \n");
                text.push_str(&format!("{}\n", "=".repeat(68)));
                text.extend(jobs.iter().map(terminated_line));
                text.push_str("\n====\n");
            }
            1 => {
                text.extend(jobs.iter().map(terminated_api_line));
                text.push_str("====\n");
            }
            _ => {
                text.push_str("terminated:\n");
                text.extend(jobs.iter().map(terminated_block));
            }
        }
        self.ua.send(text).await
    }
}

fn planned_line(run: &Planned, at: &str, last: &str) -> String {
    format!("{:<14} {:<8} {:3}  {at:<18} {:<18} {last}\n", run.level, run.type_word, run.priority, run.job)
}

/// Four letters of a job's type.
fn short_type(job_type: JobType) -> &'static str {
    match job_type {
        JobType::Backup => "Back",
        JobType::Verify => "Veri",
        JobType::Restore => "Rest",
        JobType::Admin => "Admi",
        JobType::Copy => "Copy",
        JobType::Migrate => "Migr",
        JobType::JobCopy => "CpyJ",
        JobType::MigratedJob => "MigJ",
        JobType::Console => "Cons",
        JobType::System => "Syst",
        JobType::Archive => "Arch",
        JobType::Scan => "Scan",
    }
}

/// The level column of the job tables: four letters, or the type of jobs that have no level.
fn short_level(job_type: JobType, level: JobLevel) -> String {
    match job_type {
        JobType::Admin => "Admin".to_owned(),
        JobType::Restore => "Restore".to_owned(),
        _ => conf::level_word(level).chars().take(4).collect(),
    }
}

fn running_line(job: &JobView) -> String {
    format!(
        "{:6}  {:<4} {:<6} {:>8} {:>10} {:<17} {}\n",
        job.job_id.get(),
        short_type(job.job_type),
        short_level(job.job_type, job.level).chars().take(5).collect::<String>(),
        super::fmt::commas(job.files),
        with_suffix(job.bytes),
        job.name,
        job.phrase()
    )
}

fn running_api_line(job: &JobView) -> String {
    format!(
        "{:6}\t{:<6}\t{:<20}\t{}\n",
        job.job_id.get(),
        short_level(job.job_type, job.level),
        job.job,
        job.phrase()
    )
}

fn running_block(job: &JobView) -> String {
    let start = job.start_time.unwrap_or(job.sched_time);
    format!(
        "\njobid={}\nlevel={}\ntype={}\nstatus={}\nstatus_desc={}\njobbytes={}\njobfiles={}\njob={}\nname={}\nclient={}\n\
         starttime_epoch={}\nstarttime={}\nerrors={}\n\n",
        job.job_id,
        job.level.letter(),
        job.job_type.letter(),
        job.status.letter(),
        job.phrase(),
        job.bytes,
        job.files,
        job.job,
        job.name,
        job.client,
        start.0,
        iso_time(start.0),
        job.errors
    )
}

/// The status word of the table of ended jobs.
fn ended_word(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Created => "Created",
        JobStatus::FatalError | JobStatus::ErrorTerminated | JobStatus::Error => "Error",
        JobStatus::Differences => "Diffs",
        JobStatus::Canceled => "Cancel",
        JobStatus::Incomplete => "Incomplete",
        JobStatus::Terminated => "OK",
        JobStatus::Warnings => "OK -- with warnings",
        _ => "Other",
    }
}

fn terminated_line(job: &TerminatedJob) -> String {
    format!(
        "{:6}  {:<7} {:>8} {:>10}  {:<7}  {:<8} {}\n",
        job.job_id.get(),
        short_level(job.job_type, job.level),
        super::fmt::commas(job.files),
        with_suffix(job.bytes),
        ended_word(job.status),
        short_time(job.finished.0),
        job.name
    )
}

fn terminated_api_line(job: &TerminatedJob) -> String {
    format!(
        "{:7}\t{:<6}\t{:>8}\t{:>10}\t{:<7}\t{:<8}\t{}\n",
        job.job_id.get(),
        short_level(job.job_type, job.level),
        super::fmt::commas(job.files),
        with_suffix(job.bytes),
        ended_word(job.status),
        short_time(job.finished.0),
        job.name
    )
}

fn terminated_block(job: &TerminatedJob) -> String {
    format!(
        "\njobid={}\nlevel={}\ntype={}\nstatus={}\nstatus_desc={}\njobbytes={}\njobfiles={}\njob={}\nname={}\nendtime_epoch={}\n\
         endtime={}\nerrors={}\n\n",
        job.job_id,
        job.level.letter(),
        job.job_type.letter(),
        job.status.letter(),
        ended_word(job.status),
        job.bytes,
        job.files,
        job.job,
        job.name,
        job.finished.0,
        iso_time(job.finished.0),
        job.errors
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture_line(start: &str) -> &'static str {
        let fixture = include_str!("../../fixtures/console/running-cancel.txt");
        fixture.lines().find(|line| line.starts_with(start)).unwrap()
    }

    #[test]
    fn lines_of_jobs_are_as_recorded() {
        let finished = Timestamp(super::super::fmt::parse_time("2026-11-23 15:07:54").unwrap());
        let job = TerminatedJob {
            job_id: types::JobId(5),
            job: String::new(),
            name: "BackupCatalog".to_owned(),
            job_type: JobType::Backup,
            level: JobLevel::Full,
            status: JobStatus::Terminated,
            files: 12,
            bytes: 89_557,
            errors: 0,
            finished,
        };
        let recorded = fixture_line("     5  Full          12    89.55 K").replace("15:08", "15:07");
        assert_eq!(terminated_line(&job), format!("{recorded}\n"));
        assert_eq!(
            terminated_api_line(&TerminatedJob { bytes: 0, ..job }),
            "      5\tFull  \t      12\t        0 \tOK     \t23-Nov-26 15:07\tBackupCatalog\n"
        );
    }

    #[test]
    fn a_running_job_is_as_recorded() {
        let job = JobView {
            job_id: types::JobId(6),
            job: "SlowSave.2026-11-23_15.08.05_15".to_owned(),
            name: "SlowSave".to_owned(),
            job_type: JobType::Backup,
            level: JobLevel::Full,
            status: JobStatus::Running,
            waiting: None,
            files: 0,
            bytes: 0,
            errors: 0,
            priority: 10,
            sched_time: Timestamp(0),
            start_time: None,
            client: "lab-fd".to_owned(),
            storages: vec!["File1".to_owned()],
            pool: "File".to_owned(),
            fileset: "Slow Set".to_owned(),
            attempt: 1,
            adopted: false,
        };
        assert_eq!(running_line(&job), format!("{}\n", fixture_line("     6  Back Full")));
    }

    #[test]
    fn a_planned_run_is_as_recorded() {
        let run = Planned {
            at: Timestamp(0),
            job: "NightlySave".to_owned(),
            job_type: JobType::Backup,
            type_word: "Backup",
            level: "Incremental".to_owned(),
            level_letter: 'I',
            priority: 10,
            pool: String::new(),
            storage: String::new(),
            schedule: "WeeklyCycle".to_owned(),
            client: String::new(),
        };
        assert_eq!(
            planned_line(&run, "23-Nov-26 23:05", "*unknown*"),
            "Incremental    Backup    10  23-Nov-26 23:05    NightlySave        *unknown*\n"
        );
    }
}
