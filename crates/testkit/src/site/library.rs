//! A disk changer in the site: Debian's `disk-changer` over a folder of slots, two drives, barcodes.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::{Role, Site, programs};

/// Slots of the changer.
const SLOTS: u32 = 6;

/// The Media Type of its Volumes.
const MEDIA_TYPE: &str = "Library";

impl Site {
    /// The tape in the drive without a changer.
    #[must_use]
    pub fn tape_in_drive(&self) -> PathBuf {
        self.dir().join("drive")
    }

    /// Folder of the changer: `slot1` …, `loaded0` …, `barcodes`.
    #[must_use]
    pub fn library(&self) -> PathBuf {
        self.dir().join("library")
    }
}

/// Makes the folder: empty media with the barcodes `LB0001` …
pub(super) fn make(site: &Site) -> Result<()> {
    let folder = site.library();
    fs::create_dir_all(&folder)?;
    let mut barcodes = String::new();
    for slot in 1..=SLOTS {
        let path = folder.join(format!("slot{slot}"));
        if !path.exists() {
            fs::write(path, "")?;
        }
        writeln!(barcodes, "{slot}:LB{slot:04}")?;
    }
    // A stock daemon does not start with a drive whose Archive Device is not there; the program replaces it.
    for drive in ["drive0", "drive1"] {
        let path = folder.join(drive);
        if !path.is_symlink() {
            fs::write(path, "")?;
        }
    }
    fs::write(folder.join("barcodes"), barcodes)?;
    fs::write(folder.join("config"), format!("maxslot={SLOTS}\nmaxdrive=1\n"))?;
    let script = programs::disk_changer()?;
    let to = folder.join("disk-changer");
    fs::copy(&script, &to).with_context(|| format!("copy {}", script.display()))?;
    Ok(())
}

/// The Director's Storage `Lib`.
pub(super) fn director(site: &Site) -> String {
    let (address, port) = (site.address_of(Role::Storage.word()), Role::Storage.port());
    format!(
        "Storage {{ Name = Lib; Address = {address}; SDPort = {port}; Password = \"storage-password\"; Device = LibChanger; \
         Media Type = {MEDIA_TYPE}; Autochanger = yes; Maximum Concurrent Jobs = 10 }}\n"
    )
}

/// The Director's Storage `Drive`.
pub(super) fn drive_of_director(site: &Site) -> String {
    let (address, port) = (site.address_of(Role::Storage.word()), Role::Storage.port());
    format!(
        "Storage {{ Name = Drive; Address = {address}; SDPort = {port}; Password = \"storage-password\"; Device = LoneDrive; \
         Media Type = Lone }}\n"
    )
}

/// The drive without a changer.
pub(super) fn drive_of_storage(site: &Site) -> String {
    format!(
        "Device {{ Name = LoneDrive; Device Type = VTape; Media Type = Lone; Archive Device = \"{}\"; LabelMedia = no; \
         AutomaticMount = yes; RemovableMedia = yes; AlwaysOpen = yes; Random Access = no; Volume Poll Interval = 5 minutes }}\n",
        site.tape_in_drive().display()
    )
}

/// Each slot as a virtual tape of its own, for Bacula's Volume tools.
pub(super) fn for_tools(site: &Site) -> String {
    let folder = site.library();
    let slots = if site.description.library { SLOTS } else { 0 };
    let mut text = String::new();
    for slot in 1..=slots {
        let _ = writeln!(
            text,
            "Device {{ Name = Slot{slot}; Device Type = VTape; Media Type = {MEDIA_TYPE}; Archive Device = \"{}/slot{slot}\"; \
             LabelMedia = no; AutomaticMount = yes; RemovableMedia = yes; Random Access = no }}",
            folder.display()
        );
    }
    text
}

/// The Storage Daemon's devices. To stock daemons the drives are virtual tapes.
pub(super) fn storage(site: &Site) -> String {
    let folder = site.library();
    let folder = folder.display();
    let kind = match (site.maker(Role::Storage).is_bacula(), site.description.virtual_tapes) {
        (true, _) => "",
        (false, true) => "Device Type = VTape",
        (false, false) => "Device Type = File",
    };
    let mut text = String::new();
    for drive in [0, 1] {
        let _ = writeln!(
            text,
            "Device {{\n  Name = LibDrive{drive}\n  {kind}\n  Media Type = {MEDIA_TYPE}\n  Archive Device = \"{folder}/drive{drive}\"\n  \
             Drive Index = {drive}\n  Autochanger = yes\n  LabelMedia = no\n  AutomaticMount = yes\n  RemovableMedia = yes\n  \
             AlwaysOpen = yes\n  Random Access = no\n  Volume Poll Interval = 1\n}}"
        );
    }
    let _ = writeln!(
        text,
        "Autochanger {{\n  Name = LibChanger\n  Device = LibDrive0, LibDrive1\n  Changer Device = \"{folder}/config\"\n  \
         Changer Command = \"/bin/sh {folder}/disk-changer %c %o %S %a %d\"\n}}"
    );
    text
}
