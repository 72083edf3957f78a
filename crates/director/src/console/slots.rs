//! What is in the slots of an autochanger: `update slots`, `label barcodes` (spec/03 §4.6, spec/04 §8.2).

use std::collections::{BTreeMap, BTreeSet};

use catalog::media::{self, MediaRow};
use types::{StorageId, VolStatus, VolumeName, bash_spaces, unbash_spaces};

use super::args::{Args, number_list};
use super::daemons::first_device;
use super::label::{Labelled, NewLabel};
use super::select::Pick;
use super::session::Session;
use super::ua::{Done, Halt};
use super::volumes::NewVolume;
use crate::peer::StorageConn;

/// Slots of one changer; the largest libraries have some ten thousand.
const SLOTS_MAX: usize = 65_536;

/// What the changer says of its slots: the barcode, or nothing for a slot that is empty or has no barcode.
type Slots = BTreeMap<u32, Option<String>>;

/// A changer that a console works with.
struct Library {
    storage: String,
    device: String,
    drive: i64,
    conn: StorageConn,
}

impl Session {
    /// `update slots [storage=] [drive=] [slots=] [scan]`: the catalog gets the slots of its Volumes from their barcodes, with `scan` from
    /// their labels.
    pub(super) async fn update_slots(&mut self, args: &Args) -> Done {
        let Some(mut library) = self.open_library(args).await? else { return Err(Halt::Failed) };
        let Some(mut slots) = self.read_slots(&mut library, args).await? else { return Err(Halt::Failed) };
        if args.has("scan") {
            for (slot, name) in &mut slots {
                *name = self.scan_slot(&mut library, *slot).await?;
            }
        }
        library.conn.terminate().await;
        let storage = library.storage;
        let group = crate::catreq::storages_of_changer(&self.core.config(), &storage);
        let said = self.write(move |tx| update_in_txn(tx, &storage, &group, &slots)).await?;
        self.ua.send(said).await
    }

    /// `label barcodes [storage=] [drive=] [slots=] [pool=] [yes]`: each slot with a barcode gets a Volume of that name.
    pub(super) async fn label_barcodes(&mut self, args: &Args) -> Done {
        let Some(mut library) = self.open_library(args).await? else { return Err(Halt::Failed) };
        let Some(slots) = self.read_slots(&mut library, args).await? else { return Err(Halt::Failed) };
        let named: Vec<(u32, String)> =
            slots.into_iter().filter_map(|(slot, name)| Some((slot, name?))).collect();
        if named.is_empty() {
            return self.ua.fail("No Volumes found to label, or no barcodes.\n").await;
        }
        let mut text = "The following Volumes will be labeled:\nSlot  Volume\n==============\n".to_owned();
        named.iter().for_each(|(slot, name)| text.push_str(&format!("{slot:4}  {name}\n")));
        self.ua.send(text).await?;
        let question = "Do you want to label these Volumes? (yes|no): ";
        if !args.has("yes") && self.ua.ask_yes_no(question).await? != Some(true) {
            return Err(Halt::Left);
        }
        let pool = self.pick(Pick::Pool, args, &["pool"]).await?;
        let mut is_good = true;
        for (slot, name) in named {
            is_good &= self.label_slot(&mut library, &pool, slot, name).await?;
        }
        library.conn.terminate().await;
        if is_good { Ok(()) } else { Err(Halt::Failed) }
    }

    async fn open_library(&mut self, args: &Args) -> Done<Option<Library>> {
        self.use_catalog(true).await?;
        let storage = self.pick(Pick::Storage, args, &["storage", "store"]).await?;
        let Some(resource) = self.storage_resource(&storage) else { return Ok(None) };
        if !resource.is_autochanger() {
            let text = format!(
                "Storage \"{storage}\" is no autochanger (its Storage resource has Autochanger = no).\n"
            );
            self.ua.error(text).await?;
            return Ok(None);
        }
        // Which drive labels or reads is of no weight: the first, where none is named.
        let drive = args.get("drive").and_then(|d| d.parse().ok()).unwrap_or(0);
        let Some(conn) = self.open_storage(&storage, true).await? else { return Ok(None) };
        Ok(Some(Library { storage, device: first_device(&resource), drive, conn }))
    }

    /// The slots that are meant, as the changer lists them; `None` when it cannot say (the user was told).
    async fn read_slots(&mut self, library: &mut Library, args: &Args) -> Done<Option<Slots>> {
        let wanted = match args.get_any(&["slots", "slot"]) {
            None => None,
            Some(list) => match number_list(list, SLOTS_MAX) {
                Some(list) => Some(list.into_iter().collect::<BTreeSet<u32>>()),
                None => {
                    self.ua.error(format!("Invalid slots: {list}\n")).await?;
                    return Ok(None);
                }
            },
        };
        let device = bash_spaces(&library.device);
        let Some(said) = self.ask_library(library, format!("autochanger slots {device}\n")).await? else {
            return Ok(None);
        };
        let count = said.iter().find_map(|line| line.trim().strip_prefix("slots=")?.parse::<u32>().ok());
        let count = count.unwrap_or(0).min(SLOTS_MAX as u32);
        if count == 0 {
            let text = format!("Device \"{}\" has no slots: {}\n", library.device, said.join(" "));
            self.ua.error(text).await?;
            return Ok(None);
        }
        self.ua.send(format!("Device \"{}\" has {count} slots.\n", library.device)).await?;
        let Some(said) = self.ask_library(library, format!("autochanger list {device} \n")).await? else {
            return Ok(None);
        };
        let Some(listed) = read_list(&said) else {
            self.ua.error(format!("{}\n", said.join("\n"))).await?;
            return Ok(None);
        };
        let is_meant = |slot: &u32| wanted.as_ref().is_none_or(|wanted| wanted.contains(slot));
        Ok(Some((1..=count).filter(is_meant).map(|slot| (slot, listed.get(&slot).cloned())).collect()))
    }

    async fn ask_library(&mut self, library: &mut Library, line: String) -> Done<Option<Vec<String>>> {
        match library.conn.command(line).await {
            Ok(said) => Ok(Some(said)),
            Err(error) => {
                self.ua.error(format!("{}\n", super::db::chain(&error))).await?;
                Ok(None)
            }
        }
    }

    /// The name on the label of a slot's medium; what the Storage Daemon says where there is none is shown.
    async fn scan_slot(&mut self, library: &mut Library, slot: u32) -> Done<Option<String>> {
        let line =
            format!("readlabel {} Slot={slot} drive={}\n", bash_spaces(&library.device), library.drive);
        let Some(said) = self.ask_library(library, line).await? else { return Ok(None) };
        let name = said.iter().find_map(|line| {
            let rest = line.strip_prefix("3001 Volume=")?;
            Some(unbash_spaces(rest.split_ascii_whitespace().next()?))
        });
        if name.is_none() {
            self.ua.send(said.iter().map(|line| format!("{line}\n")).collect::<String>()).await?;
        }
        Ok(name)
    }

    /// Labels what is in a slot; `false` when that did not go (the user was told).
    async fn label_slot(&mut self, library: &mut Library, pool: &str, slot: u32, name: String) -> Done<bool> {
        if let Err(error) = VolumeName::new(name.clone()) {
            self.ua.error(format!("Slot {slot}: {error}\n")).await?;
            return Ok(false);
        }
        let key = name.clone();
        let known = self.read(move |r| media::get_by_name(r, &key)).await?;
        if known.as_ref().is_some_and(|row| row.vol_bytes > 0) {
            let text = format!("Media record for Slot {slot} Volume \"{name}\" already exists.\n");
            self.ua.send(text).await?;
            return Ok(true);
        }
        if known.is_some() {
            let text = format!(
                "Volume \"{name}\" of slot {slot} is in the catalog, but was never labeled. Delete it there, then label again.\n"
            );
            self.ua.error(text).await?;
            return Ok(false);
        }
        let Some(resource) = self.storage_resource(&library.storage) else { return Ok(false) };
        let config = self.core.config();
        let prefix = config.pool(pool).and_then(|pool| pool.cleaning_prefix.clone());
        let slot = i32::try_from(slot).unwrap_or(0);
        if prefix.is_some_and(|prefix| !prefix.is_empty() && name.starts_with(&prefix)) {
            let new = NewVolume {
                name: name.clone(),
                pool: pool.to_owned(),
                media_type: resource.media_type,
                slot,
                storage: library.storage.clone(),
                labelled: Labelled::default(),
                takes_place_of: None,
            };
            self.write(move |tx| create_cleaning(tx, &new)).await?;
            let text = format!("Catalog record for cleaning tape \"{name}\" successfully created.\n");
            self.ua.send(text).await?;
            return Ok(true);
        }
        let new = NewLabel {
            storage: &library.storage,
            resource: &resource,
            volume: &name,
            pool,
            slot,
            drive: library.drive,
        };
        self.label_one(&mut library.conn, &new).await
    }
}

/// Reads the answer to `autochanger list`: slots with barcodes. `None` when the changer failed.
fn read_list(said: &[String]) -> Option<BTreeMap<u32, String>> {
    let mut slots = BTreeMap::new();
    for line in said {
        let line = line.trim();
        if line.starts_with("3306 ") || line.is_empty() {
            continue;
        }
        let (slot, barcode) = line.split_once(':')?;
        let slot = slot.trim().parse().ok()?;
        let barcode = barcode.trim();
        if !barcode.is_empty() {
            slots.insert(slot, barcode.to_owned());
        }
    }
    Some(slots)
}

/// A cleaning tape is in the catalog and nothing is written on it.
fn create_cleaning(tx: &catalog::WriteTx<'_>, new: &NewVolume) -> catalog::Result<()> {
    super::volumes::create_in_txn(tx, new)?;
    let Some(mut row) = media::get_by_name(tx, &new.name)? else { return Ok(()) };
    row.status = VolStatus::Cleaning;
    media::update(tx, &row)
}

/// Makes the catalog agree with the slots; gives what is said of it.
/// `group` is all Storages that share the changer.
fn update_in_txn(
    tx: &catalog::WriteTx<'_>,
    storage: &str,
    group: &[String],
    slots: &Slots,
) -> catalog::Result<String> {
    let Some(storage) = catalog::storage::get_by_name(tx, storage)? else {
        return Err(catalog::CatalogError::Refused(format!("Storage \"{storage}\" is not in the catalog")));
    };
    let mut ids = BTreeSet::new();
    for name in group {
        ids.extend(catalog::storage::get_by_name(tx, name)?.map(|row| row.id));
    }
    let plan = plan(&media::list(tx, None)?, storage.id, &ids, slots);
    for row in &plan.changed {
        media::update(tx, row)?;
    }
    Ok(plan.said)
}

/// What `update slots` is going to do.
#[derive(Debug, Default)]
struct SlotPlan {
    changed: Vec<MediaRow>,
    said: String,
}

/// Each named Volume is in its slot, and no other one is; a Volume of the changer in a slot that was looked at, and was not found there, is
/// out. Slots that were not looked at keep what they have.
fn plan(rows: &[MediaRow], storage: StorageId, group: &BTreeSet<StorageId>, slots: &Slots) -> SlotPlan {
    let mut plan = SlotPlan::default();
    let by_name: BTreeMap<&str, &MediaRow> = rows.iter().map(|row| (row.volume_name.as_str(), row)).collect();
    let mut found = BTreeSet::new();
    for (slot, name) in slots {
        let Some(name) = name else {
            plan.said.push_str(&format!("No VolName for Slot={slot} InChanger set to zero.\n"));
            continue;
        };
        let Some(row) = by_name.get(name.as_str()) else {
            let text =
                format!("Volume \"{name}\" not found in catalog. Slot={slot} InChanger set to zero.\n");
            plan.said.push_str(&text);
            continue;
        };
        found.insert(row.id);
        let slot = i32::try_from(*slot).unwrap_or(0);
        if row.slot == slot && row.in_changer && group.contains(&row.storage_id) {
            plan.said.push_str(&format!("Catalog record for Volume \"{name}\" is up to date.\n"));
            continue;
        }
        let text = format!("Catalog record for Volume \"{name}\" updated to reference slot {slot}.\n");
        plan.said.push_str(&text);
        plan.changed.push(MediaRow { slot, in_changer: true, storage_id: storage, ..(*row).clone() });
    }
    for row in rows.iter().filter(|row| row.in_changer && group.contains(&row.storage_id)) {
        let is_looked_at = u32::try_from(row.slot).is_ok_and(|slot| slots.contains_key(&slot));
        if is_looked_at && !found.contains(&row.id) {
            plan.changed.push(MediaRow { in_changer: false, ..row.clone() });
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalog::pool::VolumeLimits;
    use types::{MediaId, PoolId};

    fn row(id: u32, slot: i32, in_changer: bool, storage: u32) -> MediaRow {
        let mut row = MediaRow::new(&format!("V{id}"), PoolId(1), "LTO", VolumeLimits::default());
        row.id = MediaId(id);
        row.slot = slot;
        row.in_changer = in_changer;
        row.storage_id = StorageId(storage);
        row
    }

    #[test]
    fn the_catalog_agrees_with_the_slots_that_were_looked_at() {
        let rows = [
            row(1, 1, true, 7),
            row(2, 2, true, 7),
            row(3, 0, false, 0),
            row(4, 4, true, 7),
            row(5, 9, true, 7),
            row(6, 3, true, 8),
        ];
        let named = [(1, Some("V1")), (2, None), (3, Some("V3")), (4, Some("New"))];
        let slots = named.into_iter().map(|(slot, name)| (slot, name.map(str::to_owned))).collect();
        let plan = plan(&rows, StorageId(7), &BTreeSet::from([StorageId(7)]), &slots);
        let changed: Vec<_> = plan
            .changed
            .iter()
            .map(|r| (r.volume_name.as_str(), r.slot, r.in_changer, r.storage_id.0))
            .collect();
        // V5's slot was not looked at; V6 is in another changer.
        assert_eq!(changed, [("V3", 3, true, 7), ("V2", 2, false, 7), ("V4", 4, false, 7)]);
        assert_eq!(
            plan.said,
            "Catalog record for Volume \"V1\" is up to date.\n\
             No VolName for Slot=2 InChanger set to zero.\n\
             Catalog record for Volume \"V3\" updated to reference slot 3.\n\
             Volume \"New\" not found in catalog. Slot=4 InChanger set to zero.\n"
        );
    }

    #[test]
    fn a_changers_list_is_read() {
        let said = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let list = said("3306 Issuing autochanger \"list\" command.\n1:A1\n2:\n 10: VC:1 \n");
        let expected = BTreeMap::from([(1, "A1".to_owned()), (10, "VC:1".to_owned())]);
        assert_eq!(read_list(&list), Some(expected));
        assert_eq!(read_list(&said("3998 Autochanger error: ERR=no such program")), None);
    }
}
