//! Commands on Volumes and devices: label, relabel, mount, unmount, release (spec/03 §2.7).

use std::path::Path;
use std::sync::Arc;

use types::{VolAddr, VolSession, VolTime, VolumeName};
use volume::{BlockHeader, DiskVolume, LabelKind, ReadLabelError, VolumeLabel, label_block, read_label};
use wire::scan::Fields;

use super::command::Console;
use super::guard::{OnMedium, check_permit, holds_only_its_label, owner_of, state_to_check};
use crate::device::{Blocked, Device, Permit, VolumeFile, is_behind_label};
use crate::disk::SystemDisk;
use crate::ledger::VolumeState;
use crate::session::{LabelMaker, chain, load_state, write_label};
use crate::text::unix_now_us;

/// Where the first block of a job goes on a tape.
const BEHIND_LABEL: VolAddr = VolAddr::from_file_block(1, 0);

/// What label and relabel say about a new Volume.
struct NewLabel<'a> {
    volume: &'a VolumeName,
    pool: String,
    media_type: String,
    /// Writes that the catalog has counted.
    writes: u64,
}

impl Console<'_> {
    /// `label <dev> VolumeName= PoolName= MediaType= Slot= drive=`.
    pub(crate) fn label(&self, text: &str) {
        let Some(device) = self.device_of(text) else { return };
        let Some(name) = field(text, "VolumeName") else {
            return self.say(&format!("3903 Error scanning label command: {text}\n"));
        };
        let volume = match checked_name(&name) {
            Ok(volume) => volume,
            Err(why) => return self.say(&format!("3912 Failed to label Volume: ERR={why}\n")),
        };
        let path = device.volume_path(&volume);
        let _right = device.lock_mounting();
        if !self.bring(device, text, &name) {
            return;
        }
        let _claims = self.daemon.lock_claims();
        match look_at(device, &path) {
            OnDisk::Nothing => {}
            OnDisk::Label(_) if self.is_label_of_ours(device, &volume) => {
                if let Some(text) = self.busy_with(&volume) {
                    return self.say(&text);
                }
                forget_mounted(device, &volume);
            }
            OnDisk::Label(label) => {
                return self.say(&format!(
                    "3920 Cannot label Volume because it is already labeled: \"{}\"\n",
                    label.volume
                ));
            }
            OnDisk::Data(why) => {
                let path = path.display();
                return self.say(&format!("3912 Failed to label Volume: ERR={path} exists and {why}\n"));
            }
        }
        let new = NewLabel {
            volume: &volume,
            pool: field(text, "PoolName").unwrap_or_default(),
            media_type: field(text, "MediaType").unwrap_or_else(|| device.config.media_type.clone()),
            writes: 0,
        };
        self.write_new_label(device, &path, &new);
    }

    /// `relabel <dev> OldName= NewName= …`: what was on the Volume is lost.
    pub(crate) fn relabel(&self, text: &str) {
        let Some(device) = self.device_of(text) else { return };
        let (Some(old), Some(new)) = (field(text, "OldName"), field(text, "NewName")) else {
            return self.say(&format!("3903 Error scanning relabel command: {text}\n"));
        };
        let (old, new) = match (checked_name(&old), checked_name(&new)) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(why), _) | (_, Err(why)) => {
                return self.say(&format!("3912 Failed to label Volume: ERR={why}\n"));
            }
        };
        let _right = device.lock_mounting();
        if !self.bring(device, text, old.as_str()) {
            return;
        }
        // No other device takes it meanwhile.
        let _claims = self.daemon.lock_claims();
        if let Some(text) = self.busy_with(&old) {
            return self.say(&text);
        }
        let path = device.volume_path(&old);
        let label = match look_at(device, &path) {
            OnDisk::Label(label) if label.volume == old.as_str() => Some(label),
            // A drive has it under its new name already, for a Director that did not hear of it.
            OnDisk::Label(_) if device.is_drive && self.is_label_of_ours(device, &new) => None,
            OnDisk::Label(label) => {
                let have = &label.volume;
                return self.say(&format!("3921 Wrong volume mounted: wanted \"{old}\", have \"{have}\"\n"));
            }
            // After a crash while it was relabelled there is nothing on it: the same command mends it.
            OnDisk::Nothing => None,
            OnDisk::Data(why) => {
                let path = path.display();
                return self.say(&format!("3912 Failed to label Volume: ERR={path} exists and {why}\n"));
            }
        };
        self.relabel_checked(device, text, &old, &new, label.as_deref());
    }

    fn relabel_checked(
        &self,
        device: &Arc<Device>,
        text: &str,
        old: &VolumeName,
        new: &VolumeName,
        label: Option<&VolumeLabel>,
    ) {
        let path = device.volume_path(new);
        // Done already, for a Director that died before it had that in its catalog: once more.
        let is_done = new != old && self.is_label_of_ours(device, new);
        let subject = if is_done && label.is_none() { new } else { old };
        let state = match state_to_check(self.daemon, subject, &device.volume_path(subject), label) {
            Ok(state) => state,
            Err(error) => return self.say(&format!("3912 Failed to label Volume: ERR={}\n", chain(&error))),
        };
        let medium = OnMedium { state: state.as_ref(), label };
        if let Err(refusal) = check_permit(self.daemon, &self.key, subject.as_str(), permit(text), medium) {
            tracing::warn!(director = self.key.name, volume = %old, %refusal, "a relabel was refused");
            return self.say(&format!("3985 {refusal}\n"));
        }
        if new != old && path.exists() && !is_done && !device.is_drive {
            let path = path.display();
            return self.say(&format!("3912 Failed to label Volume: ERR={path} exists already\n"));
        }
        if let Some(text) = self.busy_with(new).filter(|_| is_done) {
            return self.say(&text);
        }
        forget_mounted(device, old);
        forget_mounted(device, new);
        let labelled = NewLabel {
            volume: new,
            pool: field(text, "PoolName").unwrap_or_default(),
            media_type: field(text, "MediaType").unwrap_or_else(|| device.config.media_type.clone()),
            writes: state.as_ref().map_or(0, |s| s.writes),
        };
        if self.write_new_label(device, &path, &labelled) && new != old {
            // A drive's medium has the new name; there is no other file.
            let file = (!device.is_drive).then(|| device.volume_path(old));
            for path in file.into_iter().chain([self.daemon.home.volume_state(old)]) {
                let removed = std::fs::remove_file(&path);
                if let Err(error) = removed.or_else(|e| missing_is_fine(e, is_done)) {
                    tracing::warn!(path = %path.display(), %error, "the file of a renamed Volume could not be removed");
                }
            }
        }
    }

    /// Whether a Volume holds nothing but a label that was written for this registered Director and catalog. Its catalog may not know:
    /// the Director may have died before it had the answer.
    fn is_label_of_ours(&self, device: &Device, volume: &VolumeName) -> bool {
        let path = device.volume_path(volume);
        let OnDisk::Label(label) = look_at(device, &path) else { return false };
        let is_alone = || match device.kind.is_tape() {
            true => device
                .open_tape()
                .and_then(|t| t.end(Some(1)).map_err(|e| e.source))
                .is_ok_and(is_behind_label),
            false => holds_only_its_label(&SystemDisk, &path),
        };
        let is_bare = label.volume == volume.as_str() && label.kind == LabelKind::Pre && is_alone();
        if !is_bare || self.registration.is_none() {
            return false;
        }
        let state = load_state(self.daemon, volume, Some(label.labelled)).ok().flatten();
        state.is_some_and(|state| state.owner == owner_of(&self.key) && state.blocks == 0 && state.jobs == 0)
    }

    /// Why a Volume cannot be overwritten now.
    fn busy_with(&self, volume: &VolumeName) -> Option<String> {
        if let Some(place) = self.daemon.append_device_of(volume) {
            let device = &self.daemon.devices[place];
            let writers = device.state().appenders.len();
            let name = device.print_name();
            return Some(format!(
                "3937 Device \"{name}\" is busy with writers={writers} reserved={writers}.\n"
            ));
        }
        self.daemon.is_being_read(volume).then(|| format!("3936 Volume \"{volume}\" is busy reading.\n"))
    }

    /// Writes a PRE_LABEL and its state; `true` when all went well.
    fn write_new_label(&self, device: &Arc<Device>, path: &Path, new: &NewLabel<'_>) -> bool {
        let (maker, now) = (LabelMaker::new(self.daemon.name()), VolTime(unix_now_us()));
        let label = maker.label(LabelKind::Pre, new.volume, &new.pool, &new.media_type, None, now);
        let format = device.format(self.daemon.block_version);
        let written = if device.kind.is_tape() {
            let block = label_block(format, VolSession::default(), 0, &label);
            device.open_tape().and_then(|tape| tape.overwrite(&block).map_err(|error| error.source))
        } else {
            write_label(path, format, VolSession::default(), 0, &label).map(|(_, bytes)| bytes)
        };
        let bytes = match written {
            Ok(bytes) => bytes,
            Err(error) => {
                let path = path.display();
                self.say(&format!("3912 Failed to label Volume: ERR={path}: {error}\n"));
                return false;
            }
        };
        let before = load_state(self.daemon, new.volume, None).ok().flatten();
        let state = VolumeState {
            seq: before.map_or(1, |s| s.seq + 1),
            label_time: label.labelled,
            owner: owner_of(&self.key),
            bytes,
            writes: new.writes,
            status: "Append".to_owned(),
            pool: new.pool.clone(),
            media_type: new.media_type.clone(),
            files: if device.kind.is_tape() { BEHIND_LABEL.file() } else { 0 },
            synced_end: if device.kind.is_tape() { BEHIND_LABEL.0 } else { bytes },
            ..VolumeState::default()
        };
        if let Err(error) = state.save(&self.daemon.home.volume_state(new.volume)) {
            self.say(&format!("3912 Failed to label Volume: ERR={}\n", chain(&error)));
            return false;
        }
        let ours = match self.registration {
            Some(_) => {
                format!(" HfLabelTime={} HfVolSeq={} HfWrites={}", label.labelled, state.seq, state.writes)
            }
            None => String::new(),
        };
        self.say(&format!(
            "3000 OK label. VolBytes={bytes} VolABytes=0 VolType={} UseProtect=0 VolEncrypted=0 Volume=\"{}\" \
             Device={}{ours}\n",
            device.kind.vol_type(),
            new.volume,
            device.print_name()
        ));
        device.notify();
        true
    }

    /// `mount <dev> drive= slot=`.
    pub(crate) fn mount(&self, text: &str) {
        let Some(device) = self.device_of(text) else { return };
        if device.is_drive {
            return self.mount_drive(device, text);
        }
        let name = device.print_name();
        let (blocked, mounted) = {
            let mut state = device.state();
            let blocked = state.blocked.clone();
            if matches!(blocked, Some(Blocked::Unmounted)) {
                state.blocked = None;
            }
            (blocked, state.mounted.clone())
        };
        device.notify();
        self.daemon.notify_devices();
        match (blocked, mounted) {
            (Some(Blocked::NeedsVolume { .. } | Blocked::NeedsMount { .. }), _) => {
                self.say(&format!("3001 OK mount requested. Device={name}\n"));
            }
            (Some(Blocked::Labelling), _) => self.say(&format!("3903 Device \"{name}\" is being labeled.\n")),
            (Some(Blocked::Unmounted) | None, Some(mounted)) => {
                self.say(&format!("3001 Mounted Volume: {}\n", mounted.volume));
                self.say(&format!(
                    "3001 Device \"{name}\" is already mounted with Volume \"{}\"\n",
                    mounted.volume
                ));
            }
            (Some(Blocked::Unmounted), None) => self.say(&format!("3002 Device \"{name}\" is mounted.\n")),
            (None, None) => self.say(&format!("3906 File device \"{name}\" is always mounted.\n")),
        }
    }

    /// `unmount <dev> drive= slot=`.
    pub(crate) fn unmount(&self, text: &str) {
        let Some(device) = self.device_of(text) else { return };
        if device.is_drive {
            return self.unmount_drive(device);
        }
        let name = device.print_name();
        let mut state = device.state();
        if state.blocked == Some(Blocked::Unmounted) {
            return self.say(&format!("3901 Device \"{name}\" is already unmounted.\n"));
        }
        if state.appenders.iter().any(|r| r.is_writing) || !state.readers.is_empty() {
            let (w, r) = (state.appenders.len(), state.readers.len());
            return self.say(&format!("3937 Device \"{name}\" is busy with writers={w} reserved={r}.\n"));
        }
        state.mounted = None;
        state.blocked = Some(Blocked::Unmounted);
        drop(state);
        self.say(&format!("3002 Device \"{name}\" unmounted.\n"));
    }

    /// `release <dev> drive= slot=`.
    pub(crate) fn release(&self, text: &str) {
        let Some(device) = self.device_of(text) else { return };
        let name = device.print_name();
        let state = device.state();
        if state.appenders.iter().any(|r| r.is_writing) || !state.readers.is_empty() {
            let (w, r) = (state.appenders.len(), state.readers.len());
            return self.say(&format!("3937 Device \"{name}\" is busy with writers={w} reserved={r}.\n"));
        }
        drop(state);
        let _right = device.lock_mounting();
        if device.let_go().is_none() {
            return self.say(&format!("3921 Device \"{name}\" already released.\n"));
        }
        self.daemon.notify_devices();
        self.say(&format!("3022 Device \"{name}\" released.\n"));
    }

    /// `enable <dev>` and `disable <dev>`.
    pub(crate) fn enable(&self, text: &str, is_on: bool) {
        let Some(device) = self.device_of(text) else { return };
        let name = device.print_name();
        let was = std::mem::replace(&mut device.state().is_enabled, is_on);
        self.daemon.notify_devices();
        let answer = match (was, is_on) {
            (true, true) => format!("3003 Device \"{name}\" already enabled.\n"),
            (false, true) => format!("3002 Device \"{name}\" enabled.\n"),
            (_, false) => format!("3002 Device \"{name}\" disabled.\n"),
        };
        self.say(&answer);
    }

    /// `readlabel <dev> Slot= drive=`: what is mounted.
    pub(crate) fn read_label(&self, text: &str) {
        let Some(device) = self.device_of(text) else { return };
        if device.is_drive {
            return self.read_label_of_drive(device, text);
        }
        let slot = Fields::new(text.as_bytes()).get::<i32>("Slot").unwrap_or(0);
        match device.mounted() {
            Some(mounted) => self.say(&format!("3001 Volume={} Slot={slot}\n", mounted.volume)),
            None => self.say(&format!("3902 Device \"{}\" has no Volume mounted.\n", device.print_name())),
        }
    }
}

fn missing_is_fine(error: std::io::Error, is_fine: bool) -> std::io::Result<()> {
    if is_fine && error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

pub(super) fn field(text: &str, key: &str) -> Option<String> {
    let raw = Fields::new(text.as_bytes()).raw(key)?;
    Some(types::unbash_spaces(&String::from_utf8_lossy(raw))).filter(|v| !v.is_empty())
}

fn checked_name(name: &str) -> Result<VolumeName, String> {
    let volume = VolumeName::new(name).map_err(|e| e.to_string())?;
    // `.holdfast` holds the daemon's own records.
    if !volume.is_file_name() || name.starts_with('.') {
        return Err(format!("\"{name}\" cannot be the name of a Volume's file"));
    }
    Ok(volume)
}

/// What the Director's decision to overwrite stands on (docs/extensions.md §3).
fn permit(text: &str) -> Option<Permit> {
    let f = Fields::new(text.as_bytes());
    Some(Permit {
        label_time: f.get("expect_label").ok()?,
        writes: f.get("expect_writes").ok()?,
        nonce: f.get("nonce").ok()?,
        lease_ms: f.get("lease_ms").ok()?,
    })
}

pub(super) enum OnDisk {
    Nothing,
    Label(Box<VolumeLabel>),
    Data(String),
}

pub(super) fn look_at(device: &Device, path: &Path) -> OnDisk {
    if device.kind.is_tape() {
        return match device.open_tape() {
            Ok(tape) => on_medium(tape.read_label(device.verify())),
            Err(error) => OnDisk::Data(format!("cannot be opened: {error}")),
        };
    }
    let file = match VolumeFile::open_read(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return OnDisk::Nothing,
        Err(e) => return OnDisk::Data(format!("cannot be opened: {e}")),
    };
    on_medium(read_label(&mut DiskVolume::new(file), device.verify()))
}

fn on_medium(label: Result<(BlockHeader, VolumeLabel), ReadLabelError>) -> OnDisk {
    match label {
        Ok((_, label)) => OnDisk::Label(Box::new(label)),
        Err(ReadLabelError::Empty) => OnDisk::Nothing,
        Err(error) => OnDisk::Data(format!("holds no Volume label: {}", chain(&error))),
    }
}

fn forget_mounted(device: &Device, volume: &VolumeName) {
    let mut state = device.state();
    if state.mounted.as_ref().is_some_and(|m| m.volume == *volume) {
        state.mounted = None;
    }
}
