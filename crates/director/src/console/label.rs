//! `label` and `relabel`.

use catalog::media::MediaRow;
use catalog::operator::{self, Setting};
use catalog::volume_state::VolumeState;
use types::{Timestamp, VolStatus, bash_spaces};

use super::args::Args;
use super::daemons::first_device;
use super::select::Pick;
use super::session::{Session, now};
use super::ua::{Done, Halt};
use super::volumes::{NewVolume, create_in_txn, pool_with_room};
use crate::reconcile::labels;

impl Session {
    pub(super) async fn label(&mut self, args: &Args) -> Done {
        if args.has("barcodes") {
            return self.label_barcodes(args).await;
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
        let new =
            NewLabel { storage: &storage, resource: &resource, volume: &volume, pool: &pool, slot, drive };
        let is_labelled = self.label_one(&mut conn, &new).await?;
        if is_labelled {
            self.mount_after_label(&mut conn, &first_device(&resource), drive, slot).await?;
        }
        conn.terminate().await;
        if is_labelled { Ok(()) } else { Err(Halt::Failed) }
    }

    /// Has a Volume labelled, and makes its row; `false` when that did not go (the user was told).
    pub(super) async fn label_one(
        &mut self,
        conn: &mut crate::peer::StorageConn,
        new: &NewLabel<'_>,
    ) -> Done<bool> {
        let NewLabel { storage, resource, volume, pool, slot, drive } = *new;
        self.ua.send(format!("Sending label command for Volume \"{volume}\" Slot {slot} ...\n")).await?;
        let line = format!(
            "label {} VolumeName={} PoolName={} MediaType={} Slot={slot} drive={drive}",
            bash_spaces(&first_device(resource)),
            bash_spaces(volume),
            bash_spaces(pool),
            bash_spaces(&resource.media_type),
        );
        self.note_label(conn.holdfast, labels::note(storage, volume, None)).await?;
        sys::failpoint::reach("director-label-decided");
        let answer = conn.command(line).await;
        sys::failpoint::reach("director-label-answered");
        let Some(labelled) = self.label_answer(answer).await? else { return Ok(false) };
        let row = NewVolume {
            name: volume.to_owned(),
            pool: pool.to_owned(),
            media_type: resource.media_type.clone(),
            slot,
            storage: storage.to_owned(),
            labelled,
            takes_place_of: None,
        };
        self.create_volume(row).await?;
        let text = format!("Catalog record for Volume \"{volume}\", Slot {slot}  successfully created.\n");
        self.ua.send(text).await?;
        Ok(true)
    }

    /// Notes what is about to be asked for, in case that nobody hears the answer; that of one that was refused does no harm. A stock
    /// daemon could not be asked later.
    async fn note_label(&mut self, can_be_asked: bool, note: Setting) -> Done {
        if !can_be_asked {
            return Ok(());
        }
        self.write(move |tx| operator::set(tx, &note, Timestamp(now()))).await
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
        self.note_label(conn.holdfast, labels::note(&storage, &name, Some(&old.volume_name))).await?;
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
        let old_name = old.volume_name.clone();
        let promoted = self
            .write(move |tx| {
                create_in_txn(tx, &new)?;
                catalog::purge::delete_volume(tx, &old)
            })
            .await?;
        self.ua
            .send(format!("Catalog record for Volume \"{name}\", Slot {slot}  successfully created.\n"))
            .await?;
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
}

/// A Volume that is to be labelled.
pub(super) struct NewLabel<'a> {
    pub(super) storage: &'a str,
    pub(super) resource: &'a conf::director::Storage,
    pub(super) volume: &'a str,
    pub(super) pool: &'a str,
    pub(super) slot: i32,
    pub(super) drive: i64,
}

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

    /// What kind of Volume it is.
    pub(super) fn vol_type(self) -> u32 {
        self.vol_type
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

/// A relabel, or a truncation when the names are equal.
pub(super) struct Relabel<'a> {
    pub(super) device: &'a str,
    pub(super) old: &'a MediaRow,
    pub(super) new: &'a str,
    pub(super) pool: &'a str,
    pub(super) drive: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
