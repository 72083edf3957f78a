//! Job types, levels and statuses, with the letters of the catalog and the wire (spec/01 §5.14).

use std::fmt;

macro_rules! letter_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $letter:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
        }

        impl $name {
            /// All values, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The letter in the catalog; its ASCII code is the number on the wire.
            #[must_use]
            pub const fn letter(self) -> char {
                match self { $(Self::$variant => $letter,)* }
            }

            /// The decimal code on the wire.
            #[must_use]
            pub const fn code(self) -> u32 {
                self.letter() as u32
            }

            /// The value of a letter, if there is one.
            #[must_use]
            pub const fn from_letter(letter: char) -> Option<Self> {
                match letter { $($letter => Some(Self::$variant),)* _ => None }
            }

            /// The value of a code on the wire, if there is one.
            #[must_use]
            pub const fn from_code(code: u32) -> Option<Self> {
                if code > 127 { return None; }
                Self::from_letter(code as u8 as char)
            }

            /// The word Bacula shows.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

letter_enum! {
    /// What a job is.
    JobType {
        /// Backup.
        Backup = 'B', "Backup";
        /// Compares with the catalog or a Volume.
        Verify = 'V', "Verify";
        /// Restore.
        Restore = 'R', "Restore";
        /// Runs scripts only.
        Admin = 'D', "Admin";
        /// Control job of a copy.
        Copy = 'c', "Copy";
        /// Control job of a migration.
        Migrate = 'g', "Migrate";
        /// The copy of a backup job.
        JobCopy = 'C', "Job Copy";
        /// A backup job that has been migrated.
        MigratedJob = 'M', "Migrated Job";
        /// A console session.
        Console = 'U', "Console";
        /// The daemon itself.
        System = 'I', "System";
        /// Archive.
        Archive = 'A', "Archive";
        /// Scan.
        Scan = 'S', "Scan";
    }
}

letter_enum! {
    /// How much a job takes.
    JobLevel {
        /// Everything.
        Full = 'F', "Full";
        /// Since the last Full.
        Differential = 'D', "Differential";
        /// Since the last backup of any level.
        Incremental = 'I', "Incremental";
        /// Since a given time.
        Since = 'S', "Since";
        /// Base job.
        Base = 'B', "Base";
        /// A Full made of older jobs.
        VirtualFull = 'f', "Virtual Full";
        /// Verify against the catalog.
        VerifyCatalog = 'C', "Verify Catalog";
        /// Verify: initialise the catalog.
        VerifyInit = 'V', "Verify Init Catalog";
        /// Verify a Volume against the catalog.
        VerifyVolume = 'O', "Verify Volume to Catalog";
        /// Verify the disk against the catalog.
        VerifyDisk = 'd', "Verify Disk to Catalog";
        /// Verify the data on a Volume.
        VerifyData = 'A', "Verify Data";
        /// No level (restore, admin).
        None = ' ', "";
    }
}

letter_enum! {
    /// State of a job as the catalog and the daemons name it.
    JobStatus {
        /// Created, not yet running.
        Created = 'C', "Created";
        /// Running.
        Running = 'R', "Running";
        /// Blocked.
        Blocked = 'B', "Blocked";
        /// Completed successfully.
        Terminated = 'T', "OK";
        /// Completed with warnings.
        Warnings = 'W', "OK -- with warnings";
        /// Terminated with errors.
        ErrorTerminated = 'E', "Error";
        /// A non-fatal error.
        Error = 'e', "Non-fatal error";
        /// Fatal error.
        FatalError = 'f', "Fatal Error";
        /// Verify found differences.
        Differences = 'D', "Verify differences";
        /// Canceled by the user.
        Canceled = 'A', "Canceled";
        /// Incomplete: can be restarted.
        Incomplete = 'I', "Incomplete";
        /// Waiting for the File Daemon.
        WaitFd = 'F', "Waiting for FD";
        /// Waiting for the Storage Daemon.
        WaitSd = 'S', "Waiting for SD";
        /// Waiting for new media.
        WaitMedia = 'm', "Waiting for new media";
        /// Waiting for a mount.
        WaitMount = 'M', "Waiting for mount";
        /// Waiting for a Storage resource.
        WaitStorage = 's', "Waiting for storage resource";
        /// Waiting for a Job resource.
        WaitJob = 'j', "Waiting for job resource";
        /// Waiting for a Client resource.
        WaitClient = 'c', "Waiting for client resource";
        /// Waiting for Maximum Concurrent Jobs.
        WaitMaxJobs = 'd', "Waiting for maximum jobs";
        /// Waiting for its start time.
        WaitStartTime = 't', "Waiting for start time";
        /// Waiting for jobs of higher priority.
        WaitPriority = 'p', "Waiting for higher priority jobs";
        /// Waiting for a device.
        WaitDevice = 'q', "Waiting for device";
        /// SD despooling attributes.
        AttrDespooling = 'a', "SD despooling attributes";
        /// Inserting file records.
        AttrInserting = 'i', "Dir inserting attributes";
        /// Despooling data.
        DataDespooling = 'l', "Despooling data";
        /// Committing data.
        Committing = 'L', "Committing data";
        /// Uploading to the cloud.
        CloudUpload = 'u', "Cloud upload";
        /// Downloading from the cloud.
        CloudDownload = 'w', "Cloud download";
    }
}

impl JobStatus {
    /// Whether the job is over: the letters that a Job row may rest at (spec/05 §5).
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Terminated
                | Self::Warnings
                | Self::ErrorTerminated
                | Self::Error
                | Self::FatalError
                | Self::Canceled
                | Self::Incomplete
                | Self::Differences
        )
    }

    /// Whether the job's data may be used for a restore: `T` or `W`.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Terminated | Self::Warnings)
    }
}

letter_enum! {
    /// What a restore does with a file that exists (spec/01 §5.9).
    Replace {
        /// Always.
        Always = 'a', "Always";
        /// If the saved one is newer.
        IfNewer = 'w', "IfNewer";
        /// If the saved one is older.
        IfOlder = 'o', "IfOlder";
        /// Never.
        Never = 'n', "Never";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_codes_round_trip() {
        for status in JobStatus::ALL {
            assert_eq!(JobStatus::from_letter(status.letter()), Some(*status));
            assert_eq!(JobStatus::from_code(status.code()), Some(*status));
        }
        assert_eq!(JobType::Backup.code(), 66);
        assert_eq!(JobStatus::from_code(84), Some(JobStatus::Terminated));
        assert_eq!(JobStatus::from_code(84 + 256), None);
    }
}
