//! Living and unfinished jobs: `cancel`, `stop`, `wait`, `resume`, `restart`.

use std::time::Duration;

use catalog::listing::{self, JobFilter};
use types::{JobId, JobStatus};

use crate::jobs::JobView;

use super::acl::AclKind;
use super::args::{Args, number_list};
use super::session::Session;
use super::ua::{Done, Halt};

/// JobIds that one command can name.
pub(super) const JOB_IDS_MAX: usize = 10_000;

impl Session {
    fn visible_jobs(&self) -> Vec<JobView> {
        let mut jobs = self.core.jobs();
        jobs.retain(|job| self.acl.allows(AclKind::Job, &job.name));
        jobs
    }

    /// Living jobs that the arguments name; all that may be chosen from when they name none.
    async fn living(&mut self, args: &Args, verb: &str) -> Done<Vec<JobView>> {
        let jobs = self.visible_jobs();
        if args.has("all") {
            if jobs.is_empty() {
                self.ua.send("No Jobs running.\n").await?;
            }
            return Ok(jobs);
        }
        if let Some(list) = args.get("jobid") {
            let Some(ids) = number_list(list, JOB_IDS_MAX) else {
                return self.ua.fail(format!("Invalid JobId list: {list}\n")).await;
            };
            let found: Vec<_> = jobs.into_iter().filter(|job| ids.contains(&job.job_id.get())).collect();
            for id in ids.iter().filter(|id| !found.iter().any(|job| job.job_id.get() == **id)) {
                self.ua
                    .warn(format!("JobId {id} is not running. Use Job name to {verb} inactive jobs.\n"))
                    .await?;
            }
            return Ok(found);
        }
        let by_name = args.get_any(&["job", "jobname"]).map(|name| (name.to_owned(), false));
        let by_unique = args.get("ujobid").map(|name| (name.to_owned(), true));
        if let Some((name, unique)) = by_name.or(by_unique) {
            let found: Vec<_> = jobs
                .into_iter()
                .filter(|job| if unique { job.job == name } else { job.name == name })
                .collect();
            if found.is_empty() {
                self.ua
                    .warn(format!("Job \"{name}\" is not running. Use ujobid=<complete name> or jobid.\n"))
                    .await?;
            }
            return Ok(found);
        }
        self.choose_living(jobs, verb).await
    }

    async fn choose_living(&mut self, mut jobs: Vec<JobView>, verb: &str) -> Done<Vec<JobView>> {
        if jobs.is_empty() {
            self.ua.send("No Jobs running.\n").await?;
            return Ok(jobs);
        }
        let items: Vec<String> =
            jobs.iter().map(|job| format!("JobId={} Job={}", job.job_id, job.job)).collect();
        let at = self.ua.select("Select Job(s):", "Job", &format!("Choose Job to {verb}"), &items).await?;
        Ok(vec![jobs.swap_remove(at)])
    }

    pub(super) async fn cancel(&mut self, args: &Args, stop: bool) -> Done {
        let verb = if stop { "stop" } else { "cancel" };
        if args.has("inactive") {
            return self
                .ua
                .fail("inactive jobs are not kept here: a job without a Director is adopted at its start.\n")
                .await;
        }
        let jobs = self.living(args, verb).await?;
        if jobs.is_empty() || !self.confirm_jobs(args, &jobs, verb).await? {
            return Ok(());
        }
        let core = self.core.clone();
        for job in jobs {
            let answer = if stop { core.stop(job.job_id).await } else { core.cancel(job.job_id).await };
            match answer {
                Ok(lines) => {
                    for line in lines {
                        self.ua.send(format!("{}\n", line.trim_end())).await?;
                    }
                }
                Err(error) => self.ua.error(format!("{error}\n")).await?,
            }
        }
        Ok(())
    }

    async fn confirm_jobs(&mut self, args: &Args, jobs: &[JobView], verb: &str) -> Done<bool> {
        if args.has("yes") {
            return Ok(true);
        }
        for job in jobs {
            self.ua.send(format!("JobId={} Job={}\n", job.job_id, job.job)).await?;
        }
        let plural = if jobs.len() == 1 { "" } else { "s" };
        let question = format!("Confirm {verb} of {} Job{plural} (yes/no): ", jobs.len());
        Ok(self.ua.ask_yes_no(&question).await? == Some(true))
    }

    pub(super) async fn wait(&mut self, args: &Args) -> Done {
        let core = self.core.clone();
        let limit = args.get("timeout").and_then(|t| t.parse().ok()).map(Duration::from_secs);
        if let Some(id) = args.get("jobid") {
            let Ok(id) = id.parse::<JobId>() else {
                return self.ua.fail(format!("Expected a positive integer, got: {id}\n")).await;
            };
            sys::failpoint::reach("director-console-waits");
            let _ = self.ua.unless_gone(limit, core.wait(id)).await?;
            return self.report_waited(id).await;
        }
        let by_unique = args.get("ujobid").map(str::to_owned);
        let by_name = args.get_any(&["jobname", "job"]).map(str::to_owned);
        if by_unique.is_some() || by_name.is_some() {
            let named = self.visible_jobs().into_iter().find(|job| {
                by_unique.as_deref().is_some_and(|n| n == job.job)
                    || by_name.as_deref().is_some_and(|n| n == job.name)
            });
            return match named {
                Some(job) => {
                    let _ = self.ua.unless_gone(limit, core.wait(job.job_id)).await?;
                    self.report_waited(job.job_id).await
                }
                None => Ok(()),
            };
        }
        self.ua.unless_gone(limit, core.wait_all()).await.map(drop)
    }

    async fn report_waited(&mut self, id: JobId) -> Done {
        let row = self.read(move |r| catalog::job::get(r, id)).await?;
        let (word, letter) = match row.map(|row| row.status) {
            Some(status) => (status_sentence(status), status.letter()),
            None => ("Unknown term code", '?'),
        };
        self.ua.send(format!("JobId={id}\nJobStatus={word} ({letter})\n")).await?;
        if letter == '?' { Err(Halt::Failed) } else { Ok(()) }
    }

    pub(super) async fn resume(&mut self, args: &Args) -> Done {
        self.use_catalog(true).await?;
        let filter = JobFilter {
            status: Some(if args.has("canceled") {
                'A'
            } else if args.has("failed") {
                'f'
            } else {
                'I'
            }),
            name: args.get_any(&["job", "jobname"]).map(str::to_owned),
            client: args.get("client").map(str::to_owned),
            limit: args.get("limit").and_then(|l| l.parse().ok()),
            ..JobFilter::default()
        };
        let ids = match args.get("jobid") {
            Some(list) => number_list(list, JOB_IDS_MAX),
            None => self.ask_unfinished(filter).await?,
        };
        let Some(ids) = ids else { return Ok(()) };
        let core = self.core.clone();
        for id in ids {
            match core.resume(JobId(id)).await {
                Ok(id) => self.ua.send(format!("Job queued. JobId={id}\n")).await?,
                Err(error) => self.ua.error(format!("{error}\n")).await?,
            }
        }
        Ok(())
    }

    async fn ask_unfinished(&mut self, filter: JobFilter) -> Done<Option<Vec<u32>>> {
        let listing = self.read(move |r| listing::jobs(r, &filter, false)).await?;
        if listing.rows.is_empty() {
            self.ua.send("No Jobs to resume.\n").await?;
            return Ok(None);
        }
        self.show_listing(listing, false).await?;
        loop {
            let Some(answer) = self.ua.ask("Enter the JobId list to select: ").await? else {
                return Ok(None);
            };
            match number_list(&answer, JOB_IDS_MAX) {
                Some(ids) => return Ok(Some(ids)),
                None => self.ua.warn("Input value is not an integer.\n").await?,
            }
        }
    }
}

/// The words of a status in sentences (`wait`).
pub(super) fn status_sentence(status: JobStatus) -> &'static str {
    match status {
        JobStatus::Terminated => "OK",
        JobStatus::Warnings => "OK -- with warnings",
        JobStatus::ErrorTerminated | JobStatus::Error | JobStatus::FatalError => "Error",
        JobStatus::Canceled => "Canceled",
        JobStatus::Incomplete => "Incomplete",
        JobStatus::Differences => "Differences",
        JobStatus::Created => "Created",
        JobStatus::Running => "Running",
        other => other.as_str(),
    }
}
