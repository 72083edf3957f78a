//! File types of attribute records (spec/02 §3.4).

macro_rules! file_types {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        /// What an attribute record describes, with Bacula's numbers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[repr(u8)]
        pub enum FileType {
            $($(#[$doc])* $name = $number,)*
        }

        impl FileType {
            /// Of a number; `None` for one that no version writes. Higher bits than 16 are to be masked before.
            #[must_use]
            pub const fn from_number(number: i32) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }
        }
    };
}

file_types! {
    /// A further hard link to a file saved in this job.
    HardLink = 1;
    /// Regular, empty and readable by all.
    RegularEmpty = 2;
    /// Regular.
    #[default]
    Regular = 3;
    /// Symbolic link.
    Symlink = 4;
    /// Directory, after its content.
    Directory = 5;
    /// Device node, FIFO or other special file: attributes only.
    Special = 6;
    /// No access (never written).
    NoAccess = 7;
    /// Link not readable (never written).
    NoFollow = 8;
    /// Not to be stat-ed (never written).
    NoStat = 9;
    /// Unchanged (never written).
    Unchanged = 10;
    /// Directory unchanged (never written).
    DirUnchanged = 11;
    /// The archive itself (never written).
    Archive = 12;
    /// Directory not recursed into; written as [`FileType::Directory`].
    NoRecurse = 13;
    /// Directory of another file system; written as [`FileType::Directory`].
    OtherFs = 14;
    /// Directory that cannot be opened (never written).
    NoOpen = 15;
    /// Block device with its content.
    RawDevice = 16;
    /// FIFO with its content.
    Fifo = 17;
    /// Directory before its content: internal.
    DirBegin = 18;
    /// Directory whose file system type is not wanted; written as [`FileType::Directory`].
    BadFsType = 19;
    /// Drive type not wanted (Windows).
    BadDriveType = 20;
    /// Reparse point (Windows).
    Reparse = 21;
    /// Made by a plugin.
    Plugin = 22;
    /// Deleted since the previous job.
    Deleted = 23;
    /// Unchanged and taken from a base job.
    Base = 24;
    /// Restore object.
    RestoreFirst = 25;
    /// Junction or directory symlink (Windows).
    Junction = 26;
    /// Plugin configuration.
    PluginConfig = 27;
    /// Plugin configuration, filled by the Director.
    PluginConfigFilled = 28;
    /// Plugin object.
    PluginObject = 29;
    /// Security object.
    SecurityObject = 30;
}

impl FileType {
    /// The number in the record.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Whether the record's name ends in a slash (spec/02 §3.1).
    #[must_use]
    pub const fn is_directory(self) -> bool {
        matches!(
            self,
            Self::Directory
                | Self::Reparse
                | Self::Junction
                | Self::NoRecurse
                | Self::OtherFs
                | Self::BadFsType
                | Self::DirBegin
                | Self::DirUnchanged
        )
    }

    /// Whether a data stream and a digest may follow (spec/02 §4.2).
    #[must_use]
    pub const fn has_digest(self) -> bool {
        matches!(self, Self::RegularEmpty | Self::Regular | Self::RawDevice)
    }
}
