//! `Device` and `Autochanger` (spec/04 §2.14, §2.16).

use std::time::Duration;

use crate::director::LabelType;
use crate::table::{Kind, ResourceKind, resource, word_enum};

word_enum! {
    /// What a Device is.
    DeviceType {
        /// A directory of Volumes.
        File = "File";
        /// A tape drive.
        Tape = "Tape";
        /// A pipe.
        Fifo = "Fifo";
        /// A tape drive emulated in a file.
        Vtape = "VTape";
        /// A virtual library.
        Vtl = "Vtl";
        /// Volumes of metadata and aligned data.
        Aligned = "Aligned";
        /// Nothing is kept.
        Null = "Null";
        /// Object storage.
        Cloud = "Cloud";
        /// Deduplicating.
        Dedup = "Dedup";
    }
}

resource! {
    /// A place for Volumes: a directory or a drive.
    Device = Device "Device" {
        /// What it is; guessed from the Archive Device when absent.
        "Device Type" => device_type: Option<DeviceType> = Kind::Words(DeviceType::WORDS), example("File");
        /// Directory of the Volumes, or device node.
        "Archive Device" => archive_device: String = Kind::Str128, required(), example("/srv/bacula/volumes");
        /// Media Type of its Volumes; must be the Director's Storage's.
        "Media Type" => media_type: String = Kind::Str128, required(), example("File1");
        /// Directory of aligned data.
        "Aligned Device" => aligned_device: Option<String> = Kind::Str128, pending();
        /// May make and label Volumes by itself.
        "Label Media" => label_media: bool = Kind::Bool, default("no");
        /// Accepted: a Volume on disk is opened when it is needed.
        "Automatic Mount" => automatic_mount: bool = Kind::Bool, default("no"), ignored();
        /// Accepted: a Volume on disk is open while it is used.
        "Always Open" => always_open: bool = Kind::Bool, default("yes"), ignored();
        /// Accepted: for drives whose media can be taken out.
        "Removable Media" => removable_media: bool = Kind::Bool, default("yes"), ignored();
        /// Accepted: what a directory can do is known.
        "Random Access" => random_access: Option<bool> = Kind::Bool, ignored();
        /// Belongs to an Autochanger.
        "Autochanger" => autochanger: bool = Kind::Bool, default("no");
        /// Jobs at once; 0 for no limit.
        "Maximum Concurrent Jobs" => maximum_concurrent_jobs: u32 = Kind::Uint, default("0");
        /// No: used only when asked for by name.
        "Auto Select" => auto_select: bool = Kind::Bool, default("yes");
        /// No: not used.
        "Enabled" => enabled: bool = Kind::Bool, default("yes");
        /// Yes: never written to.
        "Read Only" => read_only: bool = Kind::Bool, default("no");
        /// Number of the drive in its changer.
        "Drive Index" => drive_index: u32 = Kind::Uint, default("0");
        /// Smallest block on a tape, in bytes; the same as the largest for blocks of one size.
        "Minimum Block Size" => minimum_block_size: u64 = Kind::Size, default("0");
        /// Largest block, in bytes; 0 for 64512.
        "Maximum Block Size" => maximum_block_size: u64 = Kind::Size, default("0");
        /// Checksums in block headers.
        "Block Checksum" => block_checksum: bool = Kind::Bool, default("yes");
        /// Bytes between file marks of a tape.
        "Maximum File Size" => maximum_file_size: u64 = Kind::Size, default("1000000000");
        /// Bytes between index records.
        "Maximum File Index" => maximum_file_index: u64 = Kind::Size, default("100000000"), since("11"), pending();
        /// Size of a Volume; 0 for no limit.
        "Maximum Volume Size" => maximum_volume_size: u64 = Kind::Size, default("0");
        /// Least free space to go on writing; Bacula's own spelling lacks an r.
        "Minimum Free Space" => minimum_free_space: u64 = Kind::Size, default("5000000"), alias(&["Minimum Fee Space"]), pending();
        /// Volumes looked for again this often.
        "Volume Poll Interval" => volume_poll_interval: Duration = Kind::Time, default("5 minutes");
        /// Directory of data spools.
        "Spool Directory" => spool_directory: Option<String> = Kind::Path, pending();
        /// Limit of all data spools; 0 for none.
        "Maximum Spool Size" => maximum_spool_size: u64 = Kind::Size, default("0"), pending();
        /// Limit of one job's data spool; 0 for none.
        "Maximum Job Spool Size" => maximum_job_spool_size: u64 = Kind::Size, default("0"), pending();
        /// Accepted: buffers have the size that was measured to be best.
        "Maximum Network Buffer Size" => maximum_network_buffer_size: u32 = Kind::Uint, default("0"), ignored();
        /// Cloud resource.
        "Cloud" => cloud: Option<String> = Kind::Ref(ResourceKind::Cloud), pending();
        /// Accept ANSI and IBM labels.
        "Label Type" => label_type: Option<LabelType> = Kind::Words(LabelType::WORDS), pending();
        /// Program that moves media, where it is another one than the Autochanger's.
        "Changer Command" => changer_command: Option<String> = Kind::Str128,
            example("\"/etc/bacula/scripts/mtx-changer %c %o %S %a %d\"");
        /// Node of the changer, where it is another one than the Autochanger's: %c of the Changer Command.
        "Changer Device" => changer_device: Option<String> = Kind::Str128, example("/dev/sg0");
        /// SCSI node of the drive: %l of the Changer Command.
        "Control Device" => control_device: Option<String> = Kind::Str128;
        /// Program that reads the drive's alerts.
        "Alert Command" => alert_command: Option<String> = Kind::Str128, pending();
        /// Program that locks the drive.
        "Lock Command" => lock_command: Option<String> = Kind::Str128, pending();
        /// Program that tells write-once media.
        "Worm Command" => worm_command: Option<String> = Kind::Str128, pending();
        /// Where the medium is mounted.
        "Mount Point" => mount_point: Option<String> = Kind::Str128, pending();
        /// Program that mounts it.
        "Mount Command" => mount_command: Option<String> = Kind::Str128, pending();
        /// Program that unmounts it.
        "Unmount Command" => unmount_command: Option<String> = Kind::Str128, pending();
        /// Run the Mount Command before use.
        "Requires Mount" => requires_mount: bool = Kind::Bool, default("no"), pending();
        /// Accepted for old files.
        "Write Part Command" => write_part_command: Option<String> = Kind::Str128, ignored();
        /// Accepted for old files.
        "Free Space Command" => free_space_command: Option<String> = Kind::Str128, ignored();
        /// How long a change of media may take; a Changer Command that takes longer is stopped.
        "Maximum Changer Wait" => maximum_changer_wait: Duration = Kind::Time, default("5 minutes");
        /// How long a tape drive that another program has open is waited for.
        "Maximum Open Wait" => maximum_open_wait: Duration = Kind::Time, default("5 minutes");
        /// Accepted: the system's driver bounds what a drive may take.
        "Maximum Rewind Wait" => maximum_rewind_wait: Duration = Kind::Time, default("5 minutes"), ignored();
        /// Eject the tape of a drive without a changer when it is unmounted.
        "Offline On Unmount" => offline_on_unmount: bool = Kind::Bool, default("no");
        /// Alignment of data.
        "Padding Size" => padding_size: u64 = Kind::Size, default("4096"), pending();
        /// Alignment of files.
        "File Alignment" => file_alignment: u64 = Kind::Size, default("4096"), pending();
        /// Smallest file to align.
        "Minimum Aligned Size" => minimum_aligned_size: u64 = Kind::Size, default("4096"), pending();
        /// Bytes of a part.
        "Maximum Part Size" => maximum_part_size: u64 = Kind::Size, default("0"), pending();
        /// Parts of a Volume.
        "Maximum Volume Parts" => maximum_volume_parts: u32 = Kind::Uint, default("0"), since("15"), pending();
        /// Yes: full Volumes become append-only files.
        "Set Volume Append Only" => set_volume_append_only: bool = Kind::Bool, default("no"), since("15"), pending();
        /// Yes: full Volumes become immutable files.
        "Set Volume Immutable" => set_volume_immutable: bool = Kind::Bool, default("no"), since("15"), pending();
        /// Yes: full Volumes become read-only files.
        "Set Volume Read Only" => set_volume_read_only: bool = Kind::Bool, default("no"), since("15"), pending();
        /// How long they stay so.
        "Minimum Volume Protection Time" => minimum_volume_protection_time: Duration = Kind::Time, default("0"),
            since("15"), pending();
        /// Encrypt Volumes.
        "Volume Encryption" => volume_encryption: Option<String> = Kind::Str, since("15"), pending();
    }
    also {
        /// Two marks at the end of data.
        "Two Eof" = Kind::Bool, default("no"), pending();
        /// Accepted: restores always seek by address.
        "Block Positioning" = Kind::Bool, default("yes"), ignored();
        /// IBM's tape driver.
        "Use Lintape" = Kind::Bool, default("no"), since("11"), pending();
        /// Accepted: a drive of Linux's `st` writes marks.
        "Hardware End Of File" = Kind::Bool, default("yes"), ignored();
        /// Accepted: the end of data is sought by the drive, and found by reading where the drive tells wrongly.
        "Hardware End Of Medium" = Kind::Bool, default("yes"), ignored();
        /// Accepted: no step back is made.
        "Backward Space Record" = Kind::Bool, default("yes"), ignored();
        /// Accepted: no step back is made.
        "Backward Space File" = Kind::Bool, default("yes"), ignored();
        /// Accepted: a drive of Linux's `st` steps over records.
        "Forward Space Record" = Kind::Bool, default("yes"), ignored();
        /// Accepted: a drive of Linux's `st` steps over marks.
        "Forward Space File" = Kind::Bool, default("yes"), ignored();
        /// Accepted: many marks are stepped over at once.
        "Fast Forward Space File" = Kind::Bool, default("yes"), ignored();
        /// Accepted: what a drive tells of its position is compared with what was counted.
        "Use Mtioc Get" = Kind::Bool, default("yes"), ignored();
        /// Accepted: no step back is made.
        "BSF At EOM" = Kind::Bool, default("no"), ignored();
        /// Accepted: a tape that is not written is closed while an operator is waited for.
        "Close On Poll" = Kind::Bool, default("no"), ignored();
        /// Read ANSI and IBM labels.
        "Check Labels" = Kind::Bool, default("no"), pending();
        /// Sync when closed: always so here.
        "Sync On Close" = Kind::Bool, default("no"), ignored();
        /// Accepted for old files.
        "Volume Capacity" = Kind::Size, default("0"), ignored();
    }
}

resource! {
    /// A changer and its drives.
    Autochanger = Autochanger "Autochanger" {
        /// Its drives.
        "Device" => devices: Vec<String> = Kind::RefList(ResourceKind::Device), required(), example("Drive-1, Drive-2");
        /// Node of the changer: %c of the Changer Command; `/dev/null` for a changer of disk Volumes.
        "Changer Device" => changer_device: String = Kind::Str128, required(), default("/dev/null"), example("/dev/sg0");
        /// Program that moves media (docs/autochangers.md); empty for drives that are directories of Volumes.
        "Changer Command" => changer_command: String = Kind::Str128, required(), default("\"\""), example("\"/etc/bacula/scripts/mtx-changer %c %o %S %a %d\"");
        /// Program that locks the changer.
        "Lock Command" => lock_command: Option<String> = Kind::Str128, pending();
    }
}
