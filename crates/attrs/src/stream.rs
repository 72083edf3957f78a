//! Stream numbers and their option bits (spec/02 §2).

use std::fmt;

/// Mask of the stream's number; the rest are option bits.
const NUMBER_MASK: u32 = 0x7FF;

/// A stream as headers and records carry it: a number and option bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stream(pub i32);

macro_rules! streams {
    ($($(#[$doc:meta])* $konst:ident, $kind:ident = $number:literal;)*) => {
        impl Stream {
            $($(#[$doc])* pub const $konst: Self = Self($number);)*
        }

        /// The streams that have a meaning of their own here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum StreamKind {
            $($(#[$doc])* $kind,)*
            /// ACL of some system, 1000 to 1022 without Linux' two.
            OtherAcl,
            /// Extended attributes of some system other than Linux.
            OtherXattr,
            /// A number no version defines.
            Unknown,
        }

        impl Stream {
            /// Which stream it is, whatever its option bits.
            #[must_use]
            pub const fn kind(self) -> StreamKind {
                match self.number() {
                    $($number => StreamKind::$kind,)*
                    1000..=1022 => StreamKind::OtherAcl,
                    1987..=1999 => StreamKind::OtherXattr,
                    _ => StreamKind::Unknown,
                }
            }
        }
    };
}

streams! {
    /// Attribute record.
    UNIX_ATTRIBUTES, UnixAttributes = 1;
    /// Plain file data.
    FILE_DATA, FileData = 2;
    /// MD5, 16 bytes.
    MD5_DIGEST, Md5Digest = 3;
    /// One zlib stream a packet.
    GZIP_DATA, GzipData = 4;
    /// Attribute record with Windows attributes.
    UNIX_ATTRIBUTES_EX, UnixAttributesEx = 5;
    /// Offset and data.
    SPARSE_DATA, SparseData = 6;
    /// Offset and zlib stream.
    SPARSE_GZIP_DATA, SparseGzipData = 7;
    /// SHA-1, 20 bytes.
    SHA1_DIGEST, Sha1Digest = 10;
    /// Windows `BackupRead` stream.
    WIN32_DATA, Win32Data = 11;
    /// The same in zlib streams.
    WIN32_GZIP_DATA, Win32GzipData = 12;
    /// macOS resource fork.
    MACOS_FORK_DATA, MacosForkData = 13;
    /// macOS Finder information.
    HFSPLUS_ATTRIBUTES, HfsplusAttributes = 14;
    /// Obsolete access ACL text.
    UNIX_ACCESS_ACL, UnixAccessAcl = 15;
    /// Obsolete default ACL text.
    UNIX_DEFAULT_ACL, UnixDefaultAcl = 16;
    /// SHA-256, 32 bytes.
    SHA256_DIGEST, Sha256Digest = 17;
    /// SHA-512, 64 bytes.
    SHA512_DIGEST, Sha512Digest = 18;
    /// Signed digest.
    SIGNED_DIGEST, SignedDigest = 19;
    /// Encrypted data.
    ENCRYPTED_FILE_DATA, EncryptedFileData = 20;
    /// Encrypted Windows data.
    ENCRYPTED_WIN32_DATA, EncryptedWin32Data = 21;
    /// Session key and IV.
    ENCRYPTED_SESSION_DATA, EncryptedSessionData = 22;
    /// Encrypted zlib blocks.
    ENCRYPTED_FILE_GZIP_DATA, EncryptedFileGzipData = 23;
    /// Encrypted zlib blocks of Windows data.
    ENCRYPTED_WIN32_GZIP_DATA, EncryptedWin32GzipData = 24;
    /// Encrypted resource fork.
    ENCRYPTED_MACOS_FORK_DATA, EncryptedMacosForkData = 25;
    /// Start or end of a plugin's file.
    PLUGIN_NAME, PluginName = 26;
    /// Plugin private data.
    PLUGIN_DATA, PluginData = 27;
    /// Restore object.
    RESTORE_OBJECT, RestoreObject = 28;
    /// 12-byte header and LZO or ZSTD data.
    COMPRESSED_DATA, CompressedData = 29;
    /// Offset, header, LZO or ZSTD data.
    SPARSE_COMPRESSED_DATA, SparseCompressedData = 30;
    /// Windows data, LZO or ZSTD.
    WIN32_COMPRESSED_DATA, Win32CompressedData = 31;
    /// Encrypted LZO or ZSTD blocks.
    ENCRYPTED_FILE_COMPRESSED_DATA, EncryptedFileCompressedData = 32;
    /// Encrypted LZO or ZSTD blocks of Windows data.
    ENCRYPTED_WIN32_COMPRESSED_DATA, EncryptedWin32CompressedData = 33;
    /// Plugin object.
    PLUGIN_OBJECT, PluginObject = 34;
    /// Plugin metadata, blob.
    PLUGIN_META_BLOB, PluginMetaBlob = 35;
    /// Plugin metadata for the catalog.
    PLUGIN_META_CATALOG, PluginMetaCatalog = 36;
    /// Attributes changed, content not.
    UNIX_ATTRIBUTE_UPDATE, UnixAttributeUpdate = 37;
    /// File event.
    FILEEVENT, FileEvent = 38;
    /// XXH64, 8 bytes.
    XXHASH64_DIGEST, Xxhash64Digest = 39;
    /// XXH3-64; 15.0 writes 16 bytes.
    XXH3_64_DIGEST, Xxh3x64Digest = 40;
    /// XXH3-128, 16 bytes.
    XXH3_128_DIGEST, Xxh3x128Digest = 41;
    /// Aligned Volumes: block header.
    ADATA_BLOCK_HEADER, AdataBlockHeader = 200;
    /// Aligned Volumes: record header.
    ADATA_RECORD_HEADER, AdataRecordHeader = 201;
    /// Linux default ACL text.
    LINUX_DEFAULT_ACL, LinuxDefaultAcl = 1007;
    /// Linux access ACL text.
    LINUX_ACCESS_ACL, LinuxAccessAcl = 1008;
    /// Linux extended attributes.
    LINUX_XATTR, LinuxXattr = 1998;
}

/// How the packets of a data stream are built (spec/02 §2.2, §4.3, §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataLayout {
    /// Each packet starts with an eight-byte offset.
    pub offset: bool,
    /// Each packet is one zlib stream.
    pub gzip: bool,
    /// Each packet has the twelve-byte header and LZO or ZSTD data.
    pub header: bool,
    /// The content is a `BackupRead` stream.
    pub win32: bool,
    /// Encrypted: packet boundaries have no meaning.
    pub encrypted: bool,
}

impl Stream {
    /// Written by a plugin.
    pub const BIT_PLUGIN: u32 = 1 << 28;
    /// Delta data.
    pub const BIT_DELTA: u32 = 1 << 27;
    /// Each data packet starts with an offset.
    pub const BIT_OFFSETS: u32 = 1 << 26;
    /// Portable data.
    pub const BIT_PORTABLE: u32 = 1 << 25;
    /// References of de-duplication; to be refused.
    pub const BIT_DEDUP: u32 = 1 << 24;

    /// The number without option bits.
    #[must_use]
    pub const fn number(self) -> i32 {
        (self.0 as u32 & NUMBER_MASK) as i32
    }

    /// Whether an option bit is set.
    #[must_use]
    pub const fn has(self, bit: u32) -> bool {
        self.0 as u32 & bit != 0
    }

    /// An attribute record: 1, 5 or 37.
    #[must_use]
    pub const fn is_attributes(self) -> bool {
        matches!(
            self.kind(),
            StreamKind::UnixAttributes | StreamKind::UnixAttributesEx | StreamKind::UnixAttributeUpdate
        )
    }

    /// Whether the SD passes the record to the Director for the catalog (spec/02 §2.2, column `cat`).
    #[must_use]
    pub const fn goes_to_catalog(self) -> bool {
        self.is_attributes()
            || crate::DigestKind::of_stream(self).is_some()
            || matches!(
                self.kind(),
                StreamKind::RestoreObject
                    | StreamKind::PluginObject
                    | StreamKind::PluginMetaCatalog
                    | StreamKind::FileEvent
            )
    }

    /// The layout when this is a data stream.
    #[must_use]
    pub const fn data_layout(self) -> Option<DataLayout> {
        let (offset, gzip, header, win32, encrypted) = match self.kind() {
            StreamKind::FileData => (false, false, false, false, false),
            StreamKind::GzipData => (false, true, false, false, false),
            StreamKind::SparseData => (true, false, false, false, false),
            StreamKind::SparseGzipData => (true, true, false, false, false),
            StreamKind::Win32Data => (false, false, false, true, false),
            StreamKind::Win32GzipData => (false, true, false, true, false),
            StreamKind::CompressedData => (false, false, true, false, false),
            StreamKind::SparseCompressedData => (true, false, true, false, false),
            StreamKind::Win32CompressedData => (false, false, true, true, false),
            StreamKind::EncryptedFileData => (false, false, false, false, true),
            StreamKind::EncryptedWin32Data => (false, false, false, true, true),
            StreamKind::EncryptedFileGzipData => (false, true, false, false, true),
            StreamKind::EncryptedWin32GzipData => (false, true, false, true, true),
            StreamKind::EncryptedFileCompressedData => (false, false, true, false, true),
            StreamKind::EncryptedWin32CompressedData => (false, false, true, true, true),
            _ => return None,
        };
        Some(DataLayout { offset: offset || self.has(Self::BIT_OFFSETS), gzip, header, win32, encrypted })
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn option_bits_do_not_hide_the_stream() {
        let stream = Stream(Stream::FILE_DATA.0 | Stream::BIT_OFFSETS as i32);
        assert_eq!(stream.kind(), StreamKind::FileData);
        assert!(stream.data_layout().unwrap().offset);
        assert_eq!(Stream(1994).kind(), StreamKind::OtherXattr);
        assert_eq!(Stream(1001).kind(), StreamKind::OtherAcl);
        assert_eq!(Stream(99).kind(), StreamKind::Unknown);
    }

    #[test]
    fn the_catalog_gets_attributes_digests_and_objects() {
        for number in [1, 3, 5, 10, 17, 18, 28, 34, 36, 37, 38, 39, 40, 41] {
            assert!(Stream(number).goes_to_catalog(), "{number}");
        }
        for number in [2, 4, 6, 19, 22, 26, 29, 35, 1008, 1998] {
            assert!(!Stream(number).goes_to_catalog(), "{number}");
        }
    }
}
