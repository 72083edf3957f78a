//! Volumes: `label`, `relabel`, `add`, `delete`, and which one comes next.

use catalog::media::{self, MediaRow};
use catalog::removal;
use catalog::volume_state::VolumeState;
use types::{JobId, MediaId, PoolId, Timestamp, VolStatus, VolumeName, bash_spaces};

use super::args::{Args, number_list};
use super::daemons::first_device;
use super::jobs::JOB_IDS_MAX;
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

    pub(super) async fn label(&mut self, args: &Args) -> Done {
        if args.has("barcodes") {
            return self
                .ua
                .fail("label barcodes needs a tape library, which this version does not drive.\n")
                .await;
        }
        self.use_catalog(true).await?;
        let storage = self.pick(Pick::Storage, args, &["storage", "store"]).await?;
        let Some(resource) = self.storage_resource(&storage) else { return Err(Halt::Failed) };
        let Some(drive) = self.drive(args, &resource).await? else { return Err(Halt::Left) };
        let Some(volume) = self.new_volume_name(args.get_any(&["volume", "name"])).await? else {
            return Err(Halt::Left);
        };
        let slot = args.get("slot").and_then(|s| s.parse().ok()).unwrap_or(0);
        let pool = self.pick(Pick::Pool, args, &["pool"]).await?;
        let Some(mut conn) = self.open_storage(&storage, true).await? else { return Err(Halt::Failed) };
        let device = first_device(&resource);
        self.ua.send(format!("Sending label command for Volume \"{volume}\" Slot {slot} ...\n")).await?;
        let line = format!(
            "label {} VolumeName={} PoolName={} MediaType={} Slot={slot} drive={drive}",
            bash_spaces(&device),
            bash_spaces(&volume),
            bash_spaces(&pool),
            bash_spaces(&resource.media_type),
        );
        sys::failpoint::reach("director-label-decided");
        let answer = conn.command(line).await;
        sys::failpoint::reach("director-label-answered");
        let labelled = self.label_answer(answer).await?;
        if let Some(labelled) = labelled {
            let new = NewVolume {
                name: volume.clone(),
                pool,
                media_type: resource.media_type.clone(),
                slot,
                storage,
                labelled,
                takes_place_of: None,
            };
            self.create_volume(new).await?;
            let text =
                format!("Catalog record for Volume \"{volume}\", Slot {slot}  successfully created.\n");
            self.ua.send(text).await?;
            self.mount_after_label(&mut conn, &device, drive, slot).await?;
        }
        conn.terminate().await;
        if labelled.is_some() { Ok(()) } else { Err(Halt::Failed) }
    }

    /// Shows what the daemon said to `label` or `relabel`; what it labelled when it did.
    async fn label_answer(
        &mut self,
        answer: Result<Vec<String>, crate::DirectorError>,
    ) -> Done<Option<Labelled>> {
        let lines = match answer {
            Ok(lines) => lines,
            Err(error) => {
                self.ua.error(format!("{}\n", super::db::chain(&error))).await?;
                return Ok(None);
            }
        };
        let mut labelled = None;
        for line in &lines {
            self.ua.send(format!("{}\n", stock_line(line))).await?;
            labelled = labelled.or(Labelled::read(line));
        }
        if labelled.is_none() {
            self.ua.error("Label command failed; the catalog was not changed.\n").await?;
        }
        Ok(labelled)
    }

    async fn mount_after_label(
        &mut self,
        conn: &mut crate::peer::StorageConn,
        device: &str,
        drive: i64,
        slot: i32,
    ) -> Done {
        if !self.ua.automount {
            return Ok(());
        }
        self.ua.send(format!("Requesting to mount {device} ...\n")).await?;
        let answer = conn.command(format!("mount {} drive={drive} slot={slot}", bash_spaces(device))).await;
        self.relay(answer).await
    }

    /// A name that is legal and not in the catalog; asked for until it is. `None` when the user left.
    async fn new_volume_name(&mut self, given: Option<&str>) -> Done<Option<String>> {
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

    async fn create_volume(&mut self, new: NewVolume) -> Done<MediaId> {
        self.write(move |tx| {
            let pool = pool_with_room(tx, &new.pool, new.takes_place_of)?;
            let mut row = MediaRow::new(&new.name, pool.id, &new.media_type, pool.limits);
            row.slot = new.slot;
            row.in_changer = new.slot > 0;
            row.vol_bytes = new.labelled.vol_bytes;
            row.vol_type = new.labelled.vol_type;
            row.recycle_pool_id = pool.recycle_pool_id;
            row.scratch_pool_id = pool.scratch_pool_id;
            if new.labelled.vol_bytes > 0 {
                row.label_date = Some(Timestamp(now()));
            }
            if let Some(storage) = catalog::storage::get_by_name(tx, &new.storage)? {
                row.storage_id = storage.id;
            }
            let id = media::create(tx, &row)?;
            if let Some(state) = new.labelled.state {
                catalog::volume_state::advance(tx, id, state)?;
            }
            Ok(id)
        })
        .await
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

    pub(super) async fn relabel(&mut self, args: &Args) -> Done {
        self.unless_held().await?;
        self.use_catalog(false).await?;
        let storage = self.pick(Pick::Storage, args, &["storage", "store"]).await?;
        let Some(resource) = self.storage_resource(&storage) else { return Err(Halt::Failed) };
        let Some(drive) = self.drive(args, &resource).await? else { return Err(Halt::Left) };
        let Some(old) = self.pick_volume(args, &["oldvolume"]).await? else { return Err(Halt::Failed) };
        if !matches!(old.status, VolStatus::Purged | VolStatus::Recycle) {
            let text = format!(
                "Volume \"{}\" has VolStatus {}. It must be Purged or Recycled before relabeling.\n",
                old.volume_name, old.status
            );
            return self.ua.fail(text).await;
        }
        let Some(name) = self.new_volume_name(args.get("volume")).await? else { return Err(Halt::Left) };
        let pool = self.pick(Pick::Pool, args, &["pool"]).await?;
        let (named, takes_place_of) = (pool.clone(), Some(old.pool_id));
        // Before the medium is changed: the Volume would be lost to the catalog.
        self.read(move |r| pool_with_room(r, &named, takes_place_of)).await?;
        let Some(mut conn) = self.open_storage(&storage, true).await? else { return Err(Halt::Failed) };
        let text = format!("Sending relabel command from \"{}\" to \"{name}\" ...\n", old.volume_name);
        self.ua.send(text).await?;
        let device = first_device(&resource);
        let target = Relabel { device: &device, old: &old, new: &name, pool: &pool, drive };
        let Some(labelled) = self.send_relabel(&mut conn, &target).await? else { return Err(Halt::Failed) };
        let slot = old.slot;
        let new = NewVolume {
            name: name.clone(),
            pool,
            media_type: old.media_type.clone(),
            slot,
            storage,
            labelled,
            takes_place_of,
        };
        self.create_volume(new).await?;
        self.ua
            .send(format!("Catalog record for Volume \"{name}\", Slot {slot}  successfully created.\n"))
            .await?;
        let old_name = old.volume_name.clone();
        let promoted = self.write(move |tx| catalog::purge::delete_volume(tx, &old)).await?;
        self.say_promoted(promoted).await?;
        self.ua.send(format!("Old volume \"{old_name}\" deleted from catalog.\n")).await?;
        self.mount_after_label(&mut conn, &device, drive, slot).await?;
        conn.terminate().await;
        Ok(())
    }

    /// Sends `relabel` with what it was decided on (docs/extensions.md §3). `None` when it was refused (the user was told).
    pub(super) async fn send_relabel(
        &mut self,
        conn: &mut crate::peer::StorageConn,
        what: &Relabel<'_>,
    ) -> Done<Option<Labelled>> {
        let mut line = format!(
            "relabel {} OldName={} NewName={} PoolName={} MediaType={} Slot={} drive={}",
            bash_spaces(what.device),
            bash_spaces(&what.old.volume_name),
            bash_spaces(what.new),
            bash_spaces(what.pool),
            bash_spaces(&what.old.media_type),
            what.old.slot,
            what.drive
        );
        let nonce = match conn.nonce().await {
            Ok(nonce) => nonce,
            Err(error) => {
                self.ua.error(format!("{}\n", super::db::chain(&error))).await?;
                return Ok(None);
            }
        };
        let mut permit = None;
        if let Some(nonce) = nonce {
            let id = what.old.id;
            let state = self.read(move |r| catalog::volume_state::get(r, id)).await?;
            let writes = state.write_counter;
            let label = state.label_date;
            let lease_ms = permit.insert(self.core.permit()).lease_ms();
            line.push_str(&format!(
                " expect_label={label} expect_writes={writes} nonce={nonce} lease_ms={lease_ms}"
            ));
        }
        sys::failpoint::reach("director-relabel-decided");
        let answer = conn.command(line).await;
        sys::failpoint::reach("director-relabel-answered");
        // Without an answer the daemon may have yet to read it.
        if let (Some(permit), Ok(_)) = (permit, &answer) {
            permit.spent();
        }
        self.label_answer(answer).await
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

/// What the Storage Daemon said of a Volume it labelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Labelled {
    vol_bytes: u64,
    vol_type: u32,
    /// State of the Volume at a Holdfast SD.
    state: Option<VolumeState>,
}

impl Labelled {
    /// State of the Volume, from a Holdfast SD.
    pub(super) fn state(self) -> Option<VolumeState> {
        self.state
    }

    /// Bytes of the label.
    pub(super) fn vol_bytes(self) -> u64 {
        self.vol_bytes
    }

    /// From `3000 OK label. VolBytes=212 VolABytes=0 VolType=1 …`.
    fn read(line: &str) -> Option<Self> {
        let rest = line.strip_prefix("3000 OK label.")?;
        let field = |name: &str| {
            rest.split_ascii_whitespace()
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        };
        let state = field("HfVolSeq").map(|state_seq| VolumeState {
            state_seq,
            label_date: field("HfLabelTime").unwrap_or(0),
            write_counter: field("HfWrites").unwrap_or(0),
        });
        Some(Self { vol_bytes: field("VolBytes")?, vol_type: field("VolType").unwrap_or(0) as u32, state })
    }
}

/// A line of the daemon without Holdfast's fields, as scripts know it.
fn stock_line(line: &str) -> &str {
    line.split(" HfLabelTime=").next().unwrap_or(line)
}

/// A Volume that gets its row.
struct NewVolume {
    name: String,
    pool: String,
    media_type: String,
    slot: i32,
    storage: String,
    labelled: Labelled,
    /// Pool of the Volume that goes when this one is there.
    takes_place_of: Option<PoolId>,
}

/// The Pool of a Volume that is to be made, if it has room. `takes_place_of` is the Pool of the Volume that goes for it.
fn pool_with_room(
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

/// A relabel, or a truncation when the names are equal.
pub(super) struct Relabel<'a> {
    pub(super) device: &'a str,
    pub(super) old: &'a MediaRow,
    pub(super) new: &'a str,
    pub(super) pool: &'a str,
    pub(super) drive: i64,
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
    fn the_answer_to_label_is_read() {
        let line = r#"3000 OK label. VolBytes=212 VolABytes=0 VolType=1 Volume="M" Device="D" (/v)"#;
        assert_eq!(Labelled::read(line), Some(Labelled { vol_bytes: 212, vol_type: 1, state: None }));
        let ours = format!("{line} HfLabelTime=17 HfVolSeq=2 HfWrites=3");
        let state = VolumeState { label_date: 17, state_seq: 2, write_counter: 3 };
        assert_eq!(Labelled::read(&ours).and_then(|l| l.state), Some(state));
        assert_eq!(stock_line(&ours), line);
        assert_eq!(Labelled::read("3920 Cannot label Volume"), None);
        assert_eq!(Labelled::read("3000 OK label. VolBytes=x"), None);
    }

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
