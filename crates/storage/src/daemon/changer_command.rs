//! Console commands on changers and their drives (spec/03 §2.7, §4.6).

use std::sync::Arc;

use wire::scan::Fields;

use super::command::Console;
use super::media_command::{OnDisk, field, look_at};
use crate::device::{Blocked, Changer, Device, Medium, Operation};
use crate::session::chain;

impl Console<'_> {
    /// `autochanger list|listall|slots|drives <dev>`.
    pub(crate) fn autochanger(&self, text: &str) {
        let mut words = text.split_whitespace().skip(1);
        let operation = words.next().unwrap_or("");
        let name = types::unbash_spaces(words.next().unwrap_or(""));
        let changer = self.daemon.changers.iter().find(|c| c.name == name).or_else(|| {
            let (_, device) = self.daemon.device(&name)?;
            self.daemon.changers.get(device.changer?)
        });
        let Some(changer) = changer else {
            return self.say(&format!("3998 Device \"{name}\" is not an autochanger.\n"));
        };
        let operation = match operation {
            "drives" => return self.say(&format!("drives={}\n", changer.drives.len())),
            "slots" => Operation::Slots,
            "list" => Operation::List,
            "listall" => Operation::ListAll,
            _ => return self.say("3900 Invalid command:\n"),
        };
        self.say(&format!("3306 Issuing autochanger \"{}\" command.\n", operation.as_str()));
        let drives = || changer.drives.iter().map(|place| &self.daemon.devices[*place]);
        match drives().find(|device| device.is_fed) {
            Some(drive) => self.ask_changer(changer, drive, operation),
            // A changer of disk Volumes has no slots: each Volume is always in reach.
            None if operation == Operation::Slots => self.say("slots=0\n"),
            None if operation == Operation::ListAll => drives().for_each(|drive| self.list_drive(drive)),
            None => {}
        }
    }

    /// Has the changer's program answer, by way of one of its drives.
    fn ask_changer(&self, changer: &Changer, drive: &Device, operation: Operation) {
        let call = drive.changer_call(changer, 0, "", ("", ""));
        let _moving = changer.lock_moving();
        let answer = match operation {
            Operation::Slots => call.number(operation).map(|slots| format!("slots={slots}\n")),
            _ => call.run(operation),
        };
        match answer {
            Ok(answer) => answer.lines().for_each(|line| self.say(&format!("{line}\n"))),
            Err(error) => self.say(&format!("3998 Autochanger error: ERR={}\n", chain(&error))),
        }
    }

    fn list_drive(&self, device: &Device) {
        let index = device.config.drive_index;
        match device.mounted() {
            Some(mounted) => self.say(&format!("D:{index}:F:0:{}\n", mounted.volume)),
            None => self.say(&format!("D:{index}:E\n")),
        }
    }

    /// Brings the slot that a command names into its drive; `false` when that did not go, which was said. Without a slot, what is in the
    /// drive is meant. The caller has the right to mount.
    pub(super) fn bring(&self, device: &Arc<Device>, text: &str, volume: &str) -> bool {
        if !device.is_drive {
            return true;
        }
        if device.is_at_work() {
            let state = device.state();
            let (w, r) = (state.appenders.len(), state.readers.len());
            let name = device.print_name();
            self.say(&format!("3937 Device \"{name}\" is busy with writers={w} reserved={r}.\n"));
            return false;
        }
        if device.kind.is_tape() {
            device.let_go();
        }
        let f = Fields::new(text.as_bytes());
        let slot = f.get::<u32>("Slot").or_else(|_| f.get("slot")).unwrap_or(0);
        let say = |text: &str| self.say(&format!("{text}\n"));
        let loader = self.daemon.loader(device, ("", ""), &say).filter(|_| slot > 0);
        let Some(Err(error)) = loader.map(|loader| loader.load(Medium { slot, volume })) else { return true };
        self.say(&format!("3992 Bad autochanger \"load slot {slot}\": ERR={}\n", chain(&error)));
        false
    }

    /// `mount` of a drive: the slot is loaded, and what is on it is said.
    pub(super) fn mount_drive(&self, device: &Arc<Device>, text: &str) {
        let name = device.print_name();
        {
            let _right = device.lock_mounting();
            if !self.bring(device, text, "") {
                return;
            }
            let mut state = device.state();
            if state.blocked == Some(Blocked::Unmounted) {
                state.blocked = None;
            }
            drop(state);
            match look_at(device, device.config.archive_device.as_ref()) {
                OnDisk::Label(label) => {
                    self.say(&format!("3001 Device \"{name}\" is mounted with Volume \"{}\"\n", label.volume));
                }
                OnDisk::Nothing | OnDisk::Data(_) => self.say(&format!(
                    "3905 Device \"{name}\" open but no Bacula volume is mounted.\nIf this is not a blank Volume, try unmounting and \
                     remounting it.\n"
                )),
            }
        }
        device.notify();
        self.daemon.notify_devices();
    }

    /// `unmount` of a drive: the medium goes back into its slot, and the drive is left alone until it is mounted again.
    pub(super) fn unmount_drive(&self, device: &Arc<Device>) {
        let name = device.print_name();
        let _right = device.lock_mounting();
        let is_unmounted = device.state().blocked == Some(Blocked::Unmounted);
        if is_unmounted {
            return self.say(&format!("3901 Device \"{name}\" is already unmounted.\n"));
        }
        // Without a slot nothing is brought: this tells that the drive is at work.
        if !self.bring(device, "", "") {
            return;
        }
        let say = |text: &str| self.say(&format!("{text}\n"));
        if let Some(Err(error)) = self.daemon.loader(device, ("", ""), &say).map(|loader| loader.unload()) {
            return self.say(&format!("3995 Bad autochanger \"unload\": ERR={}\n", chain(&error)));
        }
        let is_to_eject = device.config.offline_on_unmount && device.kind.is_tape() && !device.is_fed;
        let eject = || device.open_tape()?.eject().map_err(|error| error.source);
        if is_to_eject && let Err(error) = eject() {
            self.say(&format!("3995 Device \"{name}\" did not let go of the tape: ERR={error}\n"));
        }
        let mut state = device.state();
        state.mounted = None;
        state.blocked = Some(Blocked::Unmounted);
        drop(state);
        self.say(&format!("3002 Device \"{name}\" unmounted.\n"));
    }

    /// `readlabel` of a drive: the name on the medium of a slot, for `update slots scan`.
    pub(super) fn read_label_of_drive(&self, device: &Arc<Device>, text: &str) {
        let _right = device.lock_mounting();
        if !self.bring(device, text, "") {
            return;
        }
        let slot = field(text, "Slot").unwrap_or_default();
        let name = device.print_name();
        match look_at(device, device.config.archive_device.as_ref()) {
            OnDisk::Label(label) => self.say(&format!("3001 Volume={} Slot={slot}\n", types::bash_spaces(&label.volume))),
            OnDisk::Nothing => self.say(&format!(
                "3902 Cannot mount Volume for Storage Device {name} because:\nthere is nothing on the medium of slot {slot}.\n"
            )),
            OnDisk::Data(why) => self.say(&format!(
                "3902 Cannot mount Volume for Storage Device {name} because:\nthe medium of slot {slot} {why}.\n"
            )),
        }
    }
}
