//! `prune`, `purge`, `truncate`: plans, shown before they are done (spec/04 §5.5, §5.6).

use std::collections::BTreeMap;

use catalog::media::{self, MediaRow};
use catalog::purge;
use catalog::removal::{self, Prunable};
use policy::volume::{JobFacts, JobOnVolume, JobPrunePlan, VolumePrunePlan};
use types::{JobId, PoolId, Timestamp, VolStatus};

use super::args::{Args, number_list};
use super::daemons::first_device;
use super::fmt::commas;
use super::jobs::JOB_IDS_MAX;
use super::label::Relabel;
use super::select::Pick;
use super::session::{Session, now};
use super::ua::{Done, Halt};
use crate::jobs::auto_prune::{drop_partitions, with_bases};

/// Jobs removed in one transaction: a plan of any length is executed in such steps.
const STEP_JOBS: usize = 100;

const PURGE_WARNING: &str = "
This command can be DANGEROUS!!!

It purges (deletes) all Files from a Job,
JobId, Client or Volume; or it purges (deletes)
all Jobs from a Client or Volume without regard
to retention periods. Normally you should use the
PRUNE command, which respects retention periods.
";

impl Session {
    pub(super) async fn prune(&mut self, args: &Args) -> Done {
        self.unless_held().await?;
        self.use_catalog(false).await?;
        let kind = ["files", "jobs", "volume", "stats"].into_iter().find(|kind| args.has(kind));
        let kind = match kind {
            Some(kind) => kind,
            None if args.has("expired") => "volume",
            None => {
                let items = ["Files", "Jobs", "Volume", "Stats"].map(str::to_owned);
                let at =
                    self.ua.choose("You have the following choices:", "Choose item to prune", &items).await?;
                ["files", "jobs", "volume", "stats"][at]
            }
        };
        match kind {
            "files" => self.prune_files_or_jobs(args, true).await,
            "jobs" => self.prune_files_or_jobs(args, false).await,
            "stats" => self.prune_stats(args).await,
            _ if args.has("expired") => self.prune_expired(args).await,
            _ => self.prune_volume(args).await,
        }
    }

    /// Asks unless `yes` stands on the line.
    async fn agreed(&mut self, args: &Args, question: &str) -> Done<bool> {
        Ok(args.has("yes") || self.ua.ask_yes_no(question).await? == Some(true))
    }

    async fn prune_files_or_jobs(&mut self, args: &Args, files: bool) -> Done {
        let client = self.pick(Pick::Client, args, &["client", "fd"]).await?;
        let config = self.core.config();
        let Some(resource) = config.client(&client) else { return Err(Halt::Failed) };
        let pool = args.get("pool").and_then(|name| config.pool(name));
        let of_pool =
            pool.map(|p| if files { p.file_retention } else { p.job_retention }).filter(|r| !r.is_zero());
        let own = if files { resource.file_retention } else { resource.job_retention };
        let retention = of_pool.unwrap_or(own).as_secs();
        let (facts, pools) = self.facts(Some(&client)).await?;
        let now = Timestamp(now());
        let mut plan = if files {
            policy::volume::plan_file_prune(&facts, retention, now)
        } else {
            policy::volume::plan_job_prune(&facts, retention, now)
        };
        if let Some(pool) = args.get("pool") {
            let key = pool.to_owned();
            let id = self.read(move |r| catalog::pool::get_by_name(r, &key)).await?.map(|p| p.id);
            plan.delete.retain(|job| pools.get(job).copied() == id);
        }
        let what = if files { "Files" } else { "Jobs" };
        if plan.delete.is_empty() {
            return self.ua.send(format!("No {what} found to prune.\n")).await;
        }
        self.show_plan(what, &client, &plan).await?;
        let question = format!("Prune {what} of Client \"{client}\" as shown? (yes/no): ");
        if !self.agreed(args, &question).await? {
            return Err(Halt::Left);
        }
        if files {
            self.purge_files_of(&plan.delete).await?;
            self.ua
                .send(format!(
                    "Pruned Files from {} Jobs for client {client} from catalog.\n",
                    commas(plan.delete.len() as u64)
                ))
                .await
        } else {
            self.remove_jobs(&plan.delete).await?;
            let count = plan.delete.len();
            let plural = if count == 1 { "Job" } else { "Jobs" };
            self.ua.send(format!("Pruned {count} {plural} for client {client} from catalog.\n")).await
        }
    }

    async fn show_plan(&mut self, what: &str, of: &str, plan: &JobPrunePlan) -> Done {
        self.ua.send(format!("Prune {what} of \"{of}\": {plan}\n")).await
    }

    /// What retention rules ask of the jobs of a client (all clients without one), and the pool of each.
    async fn facts(&mut self, client: Option<&str>) -> Done<(Vec<JobFacts>, BTreeMap<JobId, PoolId>)> {
        let name = client.map(str::to_owned);
        self.read(move |r| {
            let id = match &name {
                Some(name) => match catalog::client::get_by_name(r, name)? {
                    Some(client) => Some(client.id),
                    None => return Ok((Vec::new(), BTreeMap::new())),
                },
                None => None,
            };
            let rows = removal::jobs(r, id)?;
            let pools = rows.iter().map(|row| (row.job_id, row.pool)).collect();
            Ok((with_bases(r, rows)?, pools))
        })
        .await
    }

    /// Removes file rows in bounded transactions.
    async fn purge_files_of(&mut self, jobs: &[JobId]) -> Done {
        self.drop_partitions(jobs).await?;
        for &job in jobs {
            self.write(move |tx| purge::purge_files(tx, job)).await?;
        }
        Ok(())
    }

    async fn drop_partitions(&mut self, jobs: &[JobId]) -> Done {
        let epoch = self.epoch().await?;
        let dropped = drop_partitions(&self.catalog(), epoch, jobs).await;
        self.or_fail(dropped).await
    }

    /// Removes jobs in bounded transactions and says which copies took their place.
    pub(super) async fn remove_jobs(&mut self, jobs: &[JobId]) -> Done {
        self.drop_partitions(jobs).await?;
        let mut promoted = Vec::new();
        for step in jobs.chunks(STEP_JOBS) {
            let step = step.to_vec();
            promoted.extend(self.write(move |tx| purge::delete_jobs(tx, &step)).await?);
        }
        self.say_promoted(promoted).await
    }

    pub(super) async fn say_promoted(&mut self, promoted: Vec<JobId>) -> Done {
        if promoted.is_empty() {
            return Ok(());
        }
        self.ua.send("The following Copy jobs have been upgraded to Backup jobs:\n").await?;
        let filter = catalog::listing::JobFilter { job_ids: promoted, ..Default::default() };
        let listing = self.read(move |r| catalog::listing::jobs(r, &filter, false)).await?;
        self.show_listing(listing, false).await
    }

    async fn prune_stats(&mut self, args: &Args) -> Done {
        let retention = self.core.config().director.statistics_retention.as_secs();
        let text =
            format!("The current Statistics retention period is: {}\n", super::fmt::duration(retention));
        if !args.has("yes") {
            self.ua.send(text).await?;
        }
        if !self.agreed(args, "Continue? (yes/no): ").await? {
            return Err(Halt::Left);
        }
        let before = Timestamp(now().saturating_sub(i64::try_from(retention).unwrap_or(i64::MAX)));
        self.write(move |tx| removal::prune_stats(tx, before)).await?;
        self.ua.send("Pruned Jobs from JobHisto catalog.\n").await
    }

    async fn prune_expired(&mut self, args: &Args) -> Done {
        let now = Timestamp(now());
        let volumes = self.read(|r| media::list(r, None)).await?;
        let mut expired: Vec<MediaRow> = volumes.into_iter().filter(|v| is_expired(v, now)).collect();
        if let Some(pool) = args.get("pool") {
            let key = pool.to_owned();
            let id = self.read(move |r| catalog::pool::get_by_name(r, &key)).await?.map(|p| p.id);
            expired.retain(|v| Some(v.pool_id) == id);
        }
        self.ua.send(format!("{} expired volume found\n", expired.len())).await?;
        for volume in expired {
            self.prune_one(args, volume).await?;
        }
        Ok(())
    }

    async fn prune_volume(&mut self, args: &Args) -> Done {
        let Some(volume) = self.pick_volume(args, &["volume"]).await? else { return Err(Halt::Failed) };
        let name = &volume.volume_name;
        if volume.enabled == 2 {
            return self.ua.fail(format!("Cannot prune Volume \"{name}\" because it is archived.\n")).await;
        }
        if !matches!(volume.status, VolStatus::Full | VolStatus::Used) {
            let text = format!(
                "Cannot prune Volume \"{name}\" because the volume status is \"{}\" and should be Full or Used.\n",
                volume.status
            );
            return self.ua.fail(text).await;
        }
        if !args.has("yes") {
            let retention = super::fmt::duration(volume.limits.vol_retention);
            self.ua.send(format!("The current Volume retention period is: {retention}\n")).await?;
        }
        self.prune_one(args, volume).await
    }

    async fn prune_one(&mut self, args: &Args, volume: MediaRow) -> Done {
        let id = volume.id;
        let rows = self.read(move |r| removal::jobs_on_volume(r, id)).await?;
        let jobs: Vec<_> = rows.iter().map(on_volume).collect();
        let plan = policy::volume::plan_volume_prune(
            id,
            &volume.volume_name,
            volume.limits.vol_retention,
            &jobs,
            Timestamp(now()),
        );
        if plan.delete.is_empty() && !plan.purges() {
            return self.ua.send("No Jobs found to prune.\n").await;
        }
        self.ua.send(format!("{plan}\n")).await?;
        if !self.agreed(args, "Prune as shown? (yes/no): ").await? {
            return Err(Halt::Left);
        }
        let done = plan.clone();
        let promoted = self
            .write(move |tx| {
                crate::catreq::execute_volume_prune(tx, &mut volume.clone(), &done, types::JobId(0))
            })
            .await?;
        self.say_promoted(promoted).await?;
        self.say_pruned(&plan).await
    }

    async fn say_pruned(&mut self, plan: &VolumePrunePlan) -> Done {
        let count = plan.delete.len();
        let plural = if count == 1 { "Job" } else { "Jobs" };
        self.ua.send(format!("Pruned {count} {plural} on Volume \"{}\" from catalog.\n", plan.name)).await?;
        if plan.purges() {
            let text = format!(
                "There are no more Jobs associated with Volume \"{}\". Marking it purged.\n",
                plan.name
            );
            return self.ua.send(text).await;
        }
        Ok(())
    }

    pub(super) async fn purge(&mut self, args: &Args) -> Done {
        self.unless_held().await?;
        self.ua.send(PURGE_WARNING).await?;
        self.use_catalog(false).await?;
        let kind = ["files", "jobs", "volume"].into_iter().find(|kind| args.has(kind));
        let kind = match kind {
            Some(kind) => kind,
            None => {
                let items = ["files", "jobs", "volume"].map(str::to_owned);
                let at =
                    self.ua.choose("You have the following choices:", "Choose item to purge", &items).await?;
                ["files", "jobs", "volume"][at]
            }
        };
        match kind {
            "volume" if args.get("action").is_some() && args.get("volume").is_none() => {
                self.truncate(args).await
            }
            "volume" => self.purge_volume(args).await,
            kind => self.purge_jobs(args, kind == "files").await,
        }
    }

    /// The jobs that `purge files` and `purge jobs` mean: by JobId, of a Volume, or of a client (by job and pool if given).
    async fn purge_targets(&mut self, args: &Args) -> Done<Vec<Prunable>> {
        if let Some(list) = args.get("jobid") {
            let Some(ids) = number_list(list, JOB_IDS_MAX) else {
                return self.ua.fail(format!("Invalid JobId list: {list}\n")).await;
            };
            return self
                .read(move |r| {
                    let mut jobs = Vec::new();
                    for &id in &ids {
                        jobs.extend(removal::job(r, JobId(id))?);
                    }
                    Ok(jobs)
                })
                .await;
        }
        if args.get("volume").is_some() {
            let Some(volume) = self.pick_volume(args, &["volume"]).await? else { return Err(Halt::Failed) };
            return self.read(move |r| removal::jobs_on_volume(r, volume.id)).await;
        }
        let client = self.pick(Pick::Client, args, &["client", "fd"]).await?;
        let job = args.get_any(&["job", "jobname"]).map(str::to_owned);
        let pool = args.get("pool").map(str::to_owned);
        self.read(move |r| {
            let Some(client) = catalog::client::get_by_name(r, &client)? else { return Ok(Vec::new()) };
            let mut jobs = removal::jobs(r, Some(client.id))?;
            if let Some(pool) = &pool {
                let id = catalog::pool::get_by_name(r, pool)?.map(|p| p.id);
                jobs.retain(|row| Some(row.pool) == id);
            }
            if let Some(name) = &job {
                let mut of_name = Vec::new();
                for row in jobs {
                    if catalog::job::get(r, row.job_id)?.is_some_and(|j| j.name == *name) {
                        of_name.push(row);
                    }
                }
                jobs = of_name;
            }
            Ok(jobs)
        })
        .await
    }

    async fn purge_jobs(&mut self, args: &Args, files: bool) -> Done {
        let jobs = self.purge_targets(args).await?;
        let (over, alive): (Vec<&Prunable>, Vec<&Prunable>) =
            jobs.iter().partition(|job| job.status.is_final());
        for job in &alive {
            self.ua.warn(format!("JobId {} is not over and is left alone.\n", job.job_id)).await?;
        }
        let ids: Vec<JobId> = over.iter().filter(|j| !(files && j.purged_files)).map(|j| j.job_id).collect();
        let what = if files { "Files" } else { "Jobs" };
        if ids.is_empty() {
            return self.ua.send(format!("No {what} found to purge.\n")).await;
        }
        let list = JobPrunePlan { delete: ids.clone(), protected: Vec::new() };
        self.ua.send(format!("Purge {what}: {list}\n")).await?;
        if files {
            self.purge_files_of(&ids).await?;
        } else {
            self.remove_jobs(&ids).await?;
        }
        self.ua.send(format!("{} {what} purged.\n", ids.len())).await
    }

    async fn purge_volume(&mut self, args: &Args) -> Done {
        let Some(volume) = self.pick_volume(args, &["volume"]).await? else { return Err(Halt::Failed) };
        let name = volume.volume_name.clone();
        if !matches!(volume.status, VolStatus::Append | VolStatus::Full | VolStatus::Used | VolStatus::Error)
        {
            let text = format!(
                "\nVolume \"{name}\" has VolStatus \"{}\" and cannot be purged.\nThe VolStatus must be: Append, Full, Used, or \
                 Error to be purged.\n",
                volume.status
            );
            return self.ua.fail(text).await;
        }
        if volume.enabled == 2 {
            return self.ua.fail(format!("Volume \"{name}\" is archived and cannot be purged.\n")).await;
        }
        let id = volume.id;
        let jobs = self.read(move |r| removal::jobs_on_volume(r, id)).await?;
        let (over, alive): (Vec<&Prunable>, Vec<&Prunable>) =
            jobs.iter().partition(|job| job.status.is_final());
        let plan = VolumePrunePlan {
            volume: id,
            name: name.clone(),
            delete: over.iter().map(|j| j.job_id).collect(),
            keep: alive.iter().map(|j| j.job_id).collect(),
        };
        if !plan.delete.is_empty() {
            self.ua.send(format!("{plan}\n")).await?;
        }
        let (purges, done) = (plan.purges(), plan.clone());
        let promoted = self
            .write(move |tx| {
                crate::catreq::execute_volume_prune(tx, &mut volume.clone(), &done, types::JobId(0))
            })
            .await?;
        self.say_promoted(promoted).await?;
        if !plan.delete.is_empty() {
            self.ua
                .send(format!("{} Jobs on Volume \"{name}\" purged from catalog.\n", plan.delete.len()))
                .await?;
        }
        if purges {
            let text =
                format!("There are no more Jobs associated with Volume \"{name}\". Marking it purged.\n");
            self.ua.send(text).await?;
        }
        if args.get("action").is_some_and(|action| action.eq_ignore_ascii_case("truncate")) {
            return self.truncate(args).await;
        }
        Ok(())
    }

    /// Truncates Purged Volumes whose `ActionOnPurge` says so.
    pub(super) async fn truncate(&mut self, args: &Args) -> Done {
        self.unless_held().await?;
        self.use_catalog(false).await?;
        let storage = self.pick(Pick::Storage, args, &["storage", "store"]).await?;
        let Some(resource) = self.storage_resource(&storage) else { return Err(Halt::Failed) };
        let config = self.core.config();
        let pools = self.read(catalog::pool::list).await?;
        let wanted_pool = args
            .get("pool")
            .filter(|_| !args.has("allpools"))
            .and_then(|name| pools.iter().find(|p| p.name == name).map(|p| p.id));
        let only = args.get("volume").map(str::to_owned);
        let media_type = args.get("mediatype").unwrap_or(&resource.media_type).to_owned();
        let mut volumes = self.read(|r| media::list(r, None)).await?;
        volumes.retain(|v| {
            v.status == VolStatus::Purged
                && v.enabled == 1
                && v.limits.action_on_purge & 1 == 1
                && v.media_type == media_type
                && only.as_ref().is_none_or(|name| *name == v.volume_name)
                && wanted_pool.is_none_or(|id| v.pool_id == id)
        });
        if volumes.is_empty() {
            return self.ua.send("No Volumes found to perform the command.\n").await;
        }
        let Some(drive) = self.drive(args, &resource).await? else { return Err(Halt::Left) };
        let names: Vec<_> = volumes.iter().map(|v| v.volume_name.as_str()).collect();
        self.ua.send(format!("Truncate {} Volume(s): {}\n", names.len(), names.join(", "))).await?;
        let device = first_device(&resource);
        let Some(mut conn) = self.open_storage(&storage, true).await? else { return Err(Halt::Failed) };
        for volume in volumes {
            let pool = pools.iter().find(|p| p.id == volume.pool_id).map_or("", |p| p.name.as_str());
            let name = volume.volume_name.clone();
            self.ua.send(format!("Sending truncate command for Volume \"{name}\" ...\n")).await?;
            let target = Relabel { device: &device, old: &volume, new: &name, pool, drive };
            let Some(labelled) = self.send_relabel(&mut conn, &target).await? else { continue };
            let mut row = volume.clone();
            row.vol_bytes = labelled.vol_bytes();
            row.vol_files = 0;
            row.vol_blocks = 0;
            self.write(move |tx| {
                media::update(tx, &row)?;
                match labelled.state() {
                    Some(state) => catalog::volume_state::advance(tx, row.id, state).map(drop),
                    None => Ok(()),
                }
            })
            .await?;
            self.ua.send(format!("The volume \"{name}\" has been truncated\n")).await?;
        }
        drop(config);
        conn.terminate().await;
        Ok(())
    }
}

fn is_expired(volume: &MediaRow, now: Timestamp) -> bool {
    let Some(written) = volume.last_written else { return false };
    let retention = i64::try_from(volume.limits.vol_retention).unwrap_or(i64::MAX);
    matches!(volume.status, VolStatus::Full | VolStatus::Used)
        && volume.enabled != 2
        && retention > 0
        && written.0.saturating_add(retention) < now.0
}

fn on_volume(row: &Prunable) -> JobOnVolume {
    JobOnVolume { job: row.job_id, tdate: row.job_tdate, status: row.status }
}
