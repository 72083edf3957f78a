//! `estimate` and `.ls`: what a job would take, asked of the client (spec/01 §5.12).

use policy::plan::{FileSetBlock, FileSetOptions, FileSetPlan, JobPlan};
use types::{JobLevel, JobType, Timestamp, bash_spaces};

use crate::jobs::fileset;
use crate::peer::ClientConn;

use super::args::{Args, yes_no};
use super::fmt::iso_time;
use super::run::Draft;
use super::select::Pick;
use super::session::{Session, now};
use super::ua::{Done, Halt};

/// Level of a full estimate.
const FULL: &str = "level = full  mtime_only=0 \n";

impl Session {
    pub(super) async fn estimate(&mut self, args: &Args) -> Done {
        self.use_catalog(false).await?;
        let mut draft = Draft::default();
        draft.request.job = self.pick(Pick::Job, args, &["job", "jobname"]).await?;
        for key in ["client", "fileset", "level", "accurate"] {
            if let Some(value) = args.get(key) {
                self.take_keyword(&mut draft, key, value).await?;
            }
        }
        let config = self.core.config();
        let plan = match policy::plan::plan_job(&config, &draft.request, Timestamp(now())) {
            Ok(plan) => plan,
            Err(error) => return self.ua.fail(format!("{error}\n")).await,
        };
        if plan.job_type != JobType::Backup {
            return self.ua.fail("Only backup jobs can be estimated.\n").await;
        }
        let listing = args.has("listing") && args.get("listing").and_then(yes_no) != Some(false);
        self.estimate_plan(&plan, listing).await
    }

    async fn estimate_plan(&mut self, plan: &JobPlan, listing: bool) -> Done {
        let since = self.since(plan).await?;
        let fileset = match fileset::expand(plan.fileset.clone()).await {
            Ok(fileset) => fileset,
            Err(error) => return self.ua.fail(format!("{}\n", super::db::chain(&error))).await,
        };
        let Some(mut conn) = self.open_client(&plan.client.name).await? else { return Err(Halt::Failed) };
        let levels = match since {
            Some((at, prior)) => vec![
                format!("level = {}  mtime_only=0 \n", conf::level_word(plan.level).to_ascii_lowercase()),
                format!("level = since_utime {at} mtime_only=0 prev_job={}\n", bash_spaces(&prior)),
            ],
            // Without an earlier Full the job would be one (spec/04 §4.7).
            None => vec![FULL.to_owned()],
        };
        let answer = ask(&mut conn, &self.core.console_name(), levels, &fileset, listing).await;
        self.relay(answer).await?;
        conn.terminate().await;
        Ok(())
    }

    /// What an Incremental or Differential would count from: the start of the earlier job and its unique name.
    async fn since(&mut self, plan: &JobPlan) -> Done<Option<(Timestamp, String)>> {
        let levels: &[JobLevel] = match plan.level {
            JobLevel::Incremental => &[JobLevel::Full, JobLevel::Differential, JobLevel::Incremental],
            JobLevel::Differential => &[JobLevel::Full],
            _ => return Ok(None),
        };
        let (job, client, fileset) = (plan.job.clone(), plan.client.name.clone(), plan.fileset.clone());
        let levels = levels.to_vec();
        let found = self
            .read(move |r| {
                let Some(client) = catalog::client::get_by_name(r, &client)? else { return Ok(None) };
                let Some(set) = catalog::fileset::find(r, &fileset.name, &fileset.md5)? else {
                    return Ok(None);
                };
                let of =
                    catalog::job::Lineage { name: job.clone(), client_id: client.id, fileset_id: set.id };
                if catalog::job::find_last_good(r, &of, &[JobLevel::Full])?.is_none() {
                    return Ok(None);
                }
                catalog::job::find_last_good(r, &of, &levels)
            })
            .await?;
        let since = found.and_then(|row| row.start_time.map(|at| (at, row.unique_name)));
        if let Some((at, _)) = &since {
            tracing::debug!(since = iso_time(at.0), "estimate counts from an earlier job");
        }
        Ok(since)
    }

    /// `.ls client= path=`: one directory of a client, as an estimate of a FileSet made for it.
    pub(super) async fn dot_ls(&mut self, args: &Args) -> Done {
        let client = self.pick(Pick::Client, args, &["client"]).await?;
        let Some(path) = args.get("path") else { return self.ua.fail("No path given.\n").await };
        let options = FileSetOptions { letters: "h".to_owned(), ..FileSetOptions::default() };
        let include = FileSetBlock {
            options: vec![options],
            files: vec![path.as_bytes().into()],
            ..FileSetBlock::default()
        };
        let fileset =
            FileSetPlan { name: "ls".to_owned(), includes: vec![include], ..FileSetPlan::default() };
        let Some(mut conn) = self.open_client(&client).await? else { return Err(Halt::Failed) };
        let answer = ask(&mut conn, &self.core.console_name(), vec![FULL.to_owned()], &fileset, true).await;
        self.relay(answer).await?;
        conn.terminate().await;
        Ok(())
    }
}

/// The estimate's exchange with a client; the lines of its answer.
async fn ask(
    conn: &mut ClientConn,
    name: &str,
    levels: Vec<String>,
    fileset: &FileSetPlan,
    listing: bool,
) -> Result<Vec<String>, crate::DirectorError> {
    conn.console_job(name).await?;
    conn.lines(levels).await?;
    conn.fileset(fileset::command(fileset), fileset::packets(fileset, true)).await?;
    conn.command(format!("estimate listing={}\n", u8::from(listing))).await
}
