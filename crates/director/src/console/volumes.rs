//! Volumes: `add`, `delete`, and which one comes next.

use crate::reconcile::labels;
use catalog::media::{self, MediaRow};
use catalog::operator;
use catalog::removal;
use types::{JobId, MediaId, PoolId, Timestamp, VolStatus, VolumeName};

use super::args::{Args, number_list};
use super::jobs::JOB_IDS_MAX;
use super::label::Labelled;
use super::restore::join;
use super::select::Pick;
use super::session::{Session, now};
use super::ua::{Done, Halt};

impl Session {
    /// The Volume that the next job of a pool would write to, as far as the catalog can tell.
    pub(super) async fn next_volume(&mut self, pool: &str, storage: &str) -> Done<Option<String>> {
        let config = self.core.config();
        let media_type = config.storage(storage).map(|s| s.media_type.clone()).unwrap_or_default();
        let pool = pool.to_owned();
        let volumes = self
            .read(move |r| match catalog::pool::get_by_name(r, &pool)? {
                Some(pool) => media::list(r, Some(pool.id)),
                None => Ok(Vec::new()),
            })
            .await?;
        Ok(pick_next(&volumes, &media_type).map(|volume| volume.volume_name.clone()))
    }

    /// A name that is legal and not in the catalog; asked for until it is. `None` when the user left.
    pub(super) async fn new_volume_name(&mut self, given: Option<&str>) -> Done<Option<String>> {
        let mut given = given.map(str::to_owned);
        loop {
            let name = match given.take() {
                Some(name) => name,
                None => match self.ua.ask("Enter new Volume name: ").await? {
                    Some(name) => name,
                    None => return Ok(None),
                },
            };
            if let Err(error) = VolumeName::new(name.clone()) {
                self.ua.error(format!("{error}\n")).await?;
                continue;
            }
            let key = name.clone();
            if self.read(move |r| media::get_by_name(r, &key)).await?.is_none() {
                return Ok(Some(name));
            }
            self.ua.error(format!("Media record for new Volume \"{name}\" already exists.\n")).await?;
        }
    }

    pub(super) async fn create_volume(&mut self, new: NewVolume) -> Done {
        self.write(move |tx| create_in_txn(tx, &new)).await
    }

    pub(super) async fn volume_row(&mut self, name: &str) -> Done<Option<MediaRow>> {
        let key = name.to_owned();
        let row = self.read(move |r| media::get_by_name(r, &key)).await?;
        if row.is_none() {
            self.ua.error(format!("Media record for Volume name \"{name}\" not found.\n")).await?;
        }
        Ok(row)
    }

    /// The Volume that is meant: by name, or chosen by pool and name. `None` when there is none or the user left.
    pub(super) async fn pick_volume(&mut self, args: &Args, keys: &[&str]) -> Done<Option<MediaRow>> {
        if let Some(name) = args.get_any(keys).map(str::to_owned) {
            return self.volume_row(&name).await;
        }
        let pools = self.read(catalog::pool::list).await?;
        let mut names: Vec<String> = pools
            .iter()
            .map(|p| p.name.clone())
            .filter(|n| self.acl.allows(super::acl::AclKind::Pool, n))
            .collect();
        names.sort();
        let given = args.get("pool").and_then(|pool| names.iter().position(|n| n == pool));
        let at = match given {
            Some(at) => at,
            None => self.ua.select("Defined Pools:", "Pool", "Select the Pool", &names).await?,
        };
        self.list_of_pool(&names[at]).await?;
        let Some(answer) = self.ua.ask("Enter *MediaId or Volume name: ").await? else { return Ok(None) };
        match answer.strip_prefix('*').unwrap_or(&answer).parse::<MediaId>() {
            Ok(id) => {
                let row = self.read(move |r| media::get(r, id)).await?;
                if row.is_none() {
                    self.ua.error(format!("Media record MediaId={id} not found.\n")).await?;
                }
                Ok(row)
            }
            Err(_) => self.volume_row(&answer).await,
        }
    }

    async fn list_of_pool(&mut self, pool: &str) -> Done {
        let mut listed = Args::parse("list media");
        listed.push("pool", Some(pool));
        self.list(&listed, false).await
    }

    pub(super) async fn add(&mut self, args: &Args) -> Done {
        self.ua
            .send(
                "You probably don't want to be using this command since it\ncreates database records without labeling the \
                 Volumes.\nYou probably want to use the \"label\" command.\n\n",
            )
            .await?;
        let pool = self.pick(Pick::Pool, args, &["pool"]).await?;
        let storage = self.pick(Pick::Storage, args, &["storage", "store"]).await?;
        let Some(resource) = self.storage_resource(&storage) else { return Err(Halt::Failed) };
        let question = "Enter number of Volumes to create. 0=>fixed name. Max=1000: ";
        let Some(count) = self.ua.ask_number(question).await? else { return Err(Halt::Left) };
        if count > VOLUMES_MAX {
            return self.ua.fail("The number must be between 0 and 1000\n").await;
        }
        let names = match count {
            0 => match self.new_volume_name_asked("Enter Volume name: ").await? {
                Some(name) => vec![name],
                None => return Err(Halt::Left),
            },
            count => {
                let Some(base) = self.ua.ask("Enter base volume name: ").await? else {
                    return Err(Halt::Left);
                };
                let Some(first) = self.ua.ask_number("Enter the starting number: ").await? else {
                    return Err(Halt::Left);
                };
                (0..count).map(|i| format!("{base}{:04}", first.saturating_add(i))).collect()
            }
        };
        let created = names.len();
        for name in names {
            if let Err(error) = VolumeName::new(name.clone()) {
                return self.ua.fail(format!("{error}\n")).await;
            }
            let new = NewVolume {
                name,
                pool: pool.clone(),
                media_type: resource.media_type.clone(),
                slot: 0,
                storage: storage.clone(),
                labelled: Labelled::default(),
                takes_place_of: None,
            };
            self.create_volume(new).await?;
        }
        self.ua.send(format!("{created} Volumes created in pool {pool}\n")).await
    }

    async fn new_volume_name_asked(&mut self, question: &str) -> Done<Option<String>> {
        match self.ua.ask(question).await? {
            Some(name) => self.new_volume_name(Some(&name)).await,
            None => Ok(None),
        }
    }

    pub(super) async fn delete(&mut self, args: &Args) -> Done {
        self.unless_held().await?;
        self.use_catalog(false).await?;
        if args.has("jobid") {
            return self.delete_jobs(args).await;
        }
        if args.has("pool") {
            return self.delete_pool(args).await;
        }
        if args.has("client") {
            return self.delete_client(args).await;
        }
        if !args.has("volume") {
            let items = ["volume", "pool", "jobid", "client"].map(str::to_owned);
            let text = "In general it is not a good idea to delete either a\nPool or a Volume since they may contain data.\n\n";
            self.ua.send(text).await?;
            return match self
                .ua
                .choose("You have the following choices:", "Choose catalog item to delete", &items)
                .await?
            {
                0 => self.delete_volume(args).await,
                1 => self.delete_pool(args).await,
                2 => self.delete_jobs(args).await,
                _ => self.delete_client(args).await,
            };
        }
        self.delete_volume(args).await
    }

    async fn delete_volume(&mut self, args: &Args) -> Done {
        let Some(row) = self.pick_volume(args, &["volume"]).await? else { return Err(Halt::Failed) };
        let name = row.volume_name.clone();
        self.ua
            .send(format!(
                "\nThis command will delete volume {name}\nand all Jobs saved on that volume from the Catalog\n"
            ))
            .await?;
        let id = row.id;
        let jobs = self.read(move |r| removal::jobs_on_volume(r, id)).await?;
        if jobs.iter().any(|job| !job.status.is_final()) {
            return self
                .ua
                .fail(format!("Volume \"{name}\" is in use by running jobs; nothing was deleted.\n"))
                .await;
        }
        if !jobs.is_empty() {
            let ids: Vec<JobId> = jobs.iter().map(|job| job.job_id).collect();
            self.ua.send(format!("Jobs to delete, JobIds: {}\n", join(&ids))).await?;
        }
        if !args.has("yes") {
            let question = format!("Are you sure you want to delete Volume \"{name}\"? (yes/no): ");
            if self.ua.ask_yes_no(&question).await? != Some(true) {
                return Err(Halt::Left);
            }
        }
        let promoted = self.write(move |tx| catalog::purge::delete_volume(tx, &row)).await?;
        self.say_promoted(promoted).await
    }

    async fn delete_pool(&mut self, args: &Args) -> Done {
        let name = match args.get("pool").map(str::to_owned) {
            Some(name) => name,
            None => self.pick_from_list(Pick::Pool).await?,
        };
        let key = name.clone();
        let Some(pool) = self.read(move |r| catalog::pool::get_by_name(r, &key)).await? else {
            return self.ua.fail(format!("Pool \"{name}\" is not in the catalog.\n")).await;
        };
        if pool.num_vols > 0 {
            let text =
                format!("Pool \"{name}\" holds {} Volumes; move or delete them first.\n", pool.num_vols);
            return self.ua.fail(text).await;
        }
        let question = format!("Are you sure you want to delete Pool \"{name}\"? (yes/no): ");
        if !args.has("yes") && self.ua.ask_yes_no(&question).await? != Some(true) {
            return Err(Halt::Left);
        }
        self.write(move |tx| catalog::pool::delete(tx, pool.id)).await
    }

    async fn delete_client(&mut self, args: &Args) -> Done {
        let name = match args.get("client").map(str::to_owned) {
            Some(name) => name,
            None => match self.visible_client(None).await? {
                Some(name) => name,
                None => return Err(Halt::Left),
            },
        };
        if self.core.config().client(&name).is_some() {
            let text = format!(
                "Unable to delete Client \"{name}\", the resource is still defined in the configuration.\n"
            );
            return self.ua.fail(text).await;
        }
        let key = name.clone();
        let Some(client) = self.read(move |r| catalog::client::get_by_name(r, &key)).await? else {
            return self.ua.fail(format!("Client \"{name}\" is not in the catalog.\n")).await;
        };
        let jobs = self.read(move |r| removal::jobs(r, Some(client.id))).await?;
        if jobs.iter().any(|job| !job.status.is_final()) {
            return self
                .ua
                .fail(format!("Client \"{name}\" has jobs that are not over; nothing was deleted.\n"))
                .await;
        }
        let ids: Vec<JobId> = jobs.iter().map(|job| job.job_id).collect();
        if !ids.is_empty() {
            self.ua.send(format!("Jobs to delete, JobIds: {}\n", join(&ids))).await?;
        }
        let question =
            format!("Are you sure you want to delete Client \"{name}\" and all its Jobs? (yes/no): ");
        if !args.has("yes") && self.ua.ask_yes_no(&question).await? != Some(true) {
            return Err(Halt::Left);
        }
        self.remove_jobs(&ids).await?;
        self.write(move |tx| removal::remove_client(tx, client.id)).await?;
        self.ua.send(format!("Client \"{name}\" and associated records deleted from the catalog.\n")).await
    }

    async fn delete_jobs(&mut self, args: &Args) -> Done {
        let list = match args.get("jobid").map(str::to_owned) {
            Some(list) => list,
            None => match self.ua.ask("Enter JobId to delete: ").await? {
                Some(list) => list,
                None => return Err(Halt::Left),
            },
        };
        let Some(ids) = number_list(&list, JOB_IDS_MAX) else {
            return self.ua.fail(format!("Invalid JobId list: {list}\n")).await;
        };
        if ids.len() > 1 && !args.has("yes") {
            let question = format!("Are you sure you want to delete {} JobIds ? (yes/no): ", ids.len());
            if self.ua.ask_yes_no(&question).await? != Some(true) {
                return Err(Halt::Left);
            }
        }
        for id in ids {
            let id = JobId(id);
            match self.read(move |r| removal::job(r, id)).await? {
                None => self.ua.error(format!("JobId={id} is not in the catalog.\n")).await?,
                Some(job) if !job.status.is_final() => {
                    self.ua.error(format!("JobId={id} is running; cancel it first.\n")).await?;
                }
                Some(_) => {
                    self.remove_jobs(&[id]).await?;
                    self.ua
                        .send(format!("JobId={id} and associated records deleted from the catalog.\n"))
                        .await?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn create_pool(&mut self, args: &Args) -> Done {
        let name = self.pick(Pick::Pool, args, &["pool"]).await?;
        let key = name.clone();
        if self.read(move |r| catalog::pool::get_by_name(r, &key)).await?.is_some() {
            let text = format!("Error: Pool {name} already exists.\nUse update to change it.\n");
            return self.ua.fail(text).await;
        }
        let config = self.core.config();
        let Some(pool) = config.pool(&name) else { return Err(Halt::Failed) };
        let row = crate::catreq::resources::pool_row(pool);
        self.write(move |tx| catalog::pool::ensure(tx, &row)).await?;
        self.ua.send(format!("Pool {name} created.\n")).await
    }
}

/// Volumes that one `add` may create.
const VOLUMES_MAX: u64 = 1000;

/// A Volume that gets its row.
pub(super) struct NewVolume {
    pub(super) name: String,
    pub(super) pool: String,
    pub(super) media_type: String,
    pub(super) slot: i32,
    pub(super) storage: String,
    pub(super) labelled: Labelled,
    /// Pool of the Volume that goes when this one is there.
    pub(super) takes_place_of: Option<PoolId>,
}

/// The row of a Volume that was made; a note of it has served its time.
pub(super) fn create_in_txn(tx: &catalog::WriteTx<'_>, new: &NewVolume) -> catalog::Result<()> {
    let pool = pool_with_room(tx, &new.pool, new.takes_place_of)?;
    let mut row = MediaRow::new(&new.name, pool.id, &new.media_type, pool.limits);
    row.slot = new.slot;
    row.in_changer = new.slot > 0;
    row.vol_bytes = new.labelled.vol_bytes();
    row.vol_type = new.labelled.vol_type();
    row.recycle_pool_id = pool.recycle_pool_id;
    row.scratch_pool_id = pool.scratch_pool_id;
    if new.labelled.vol_bytes() > 0 {
        row.label_date = Some(Timestamp(now()));
    }
    if let Some(storage) = catalog::storage::get_by_name(tx, &new.storage)? {
        row.storage_id = storage.id;
    }
    let id = media::create(tx, &row)?;
    if let Some(state) = new.labelled.state() {
        catalog::volume_state::advance(tx, id, state)?;
    }
    operator::clear(tx, labels::KIND, &new.name)
}

/// The Pool of a Volume that is to be made, if it has room. `takes_place_of` is the Pool of the Volume that goes for it.
pub(super) fn pool_with_room(
    r: &catalog::ReadTx<'_>,
    name: &str,
    takes_place_of: Option<PoolId>,
) -> catalog::Result<catalog::pool::PoolRow> {
    let Some(pool) = catalog::pool::get_by_name(r, name)? else {
        return Err(catalog::CatalogError::Refused(format!("Pool \"{name}\" is not in the catalog")));
    };
    let others = pool.num_vols.saturating_sub(u32::from(takes_place_of == Some(pool.id)));
    if pool.max_vols != 0 && others >= pool.max_vols {
        let max = pool.max_vols;
        let text = format!("Pool \"{name}\" already has its maximum of {max} Volumes");
        return Err(catalog::CatalogError::Refused(text));
    }
    Ok(pool)
}

/// The first candidate in the order in which a job would take them (spec/04 §5.2, steps 1 to 3).
fn pick_next<'a>(volumes: &'a [MediaRow], media_type: &str) -> Option<&'a MediaRow> {
    let usable = || volumes.iter().filter(|v| v.enabled == 1 && v.media_type == media_type);
    let append = usable().filter(|v| v.status == VolStatus::Append);
    let append = append.min_by_key(|v| (v.last_written.is_none(), v.last_written.map(|t| -t.0), v.id));
    let oldest = |status| {
        let of_status = usable().filter(move |v| v.status == status && v.limits.recycle);
        of_status.min_by_key(|v| (v.last_written, v.id))
    };
    append.or_else(|| oldest(VolStatus::Recycle)).or_else(|| oldest(VolStatus::Purged))
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::PoolId;

    #[test]
    fn the_volume_written_last_goes_on() {
        let volume = |id: u32, status, written: Option<i64>| {
            let mut row =
                MediaRow::new(&format!("V{id}"), PoolId(1), "File1", catalog::pool::VolumeLimits::default());
            row.id = MediaId(id);
            row.status = status;
            row.last_written = written.map(Timestamp);
            row.limits.recycle = true;
            row
        };
        let mut volumes = vec![
            volume(1, VolStatus::Append, None),
            volume(2, VolStatus::Append, Some(10)),
            volume(3, VolStatus::Append, Some(20)),
            volume(4, VolStatus::Purged, Some(5)),
            volume(5, VolStatus::Full, Some(30)),
        ];
        assert_eq!(pick_next(&volumes, "File1").map(|v| v.id), Some(MediaId(3)));
        volumes.drain(1..3);
        assert_eq!(pick_next(&volumes, "File1").map(|v| v.id), Some(MediaId(1)));
        volumes.remove(0);
        assert_eq!(pick_next(&volumes, "File1").map(|v| v.id), Some(MediaId(4)));
        assert_eq!(pick_next(&volumes, "Tape"), None);
    }
}
