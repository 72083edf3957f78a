//! File metadata as Bacula stores it on Volumes, in catalogs and on the wire (`spec/02-client-data.md`).
//!
//! Pure: bytes or values in, values or bytes out. Nothing here opens a file, looks at a clock or panics on input.
//!
//! ```
//! use attrs::{AttrRecord, EncodedStat, FileType, Stream};
//!
//! let stat = EncodedStat { mode: 0o100644, size: 12, data_stream: Stream::FILE_DATA.number(), ..EncodedStat::default() };
//! let lstat = stat.to_text();
//! let record = AttrRecord {
//!     file_index: 1,
//!     file_type: FileType::Regular,
//!     name: b"/etc/motd",
//!     lstat: &lstat,
//!     ..AttrRecord::default()
//! };
//! let bytes = record.encode();
//! let back = AttrRecord::decode(&bytes).unwrap();
//! assert_eq!(back.name, b"/etc/motd");
//! assert_eq!(EncodedStat::decode(back.lstat).unwrap().size, 12);
//! ```

mod accurate;
mod acl;
mod data;
mod digest;
mod file_type;
pub mod fuzz;
mod number;
mod record;
mod stat;
mod stream;
mod xattr;

pub use accurate::AccurateEntry;
pub use acl::{AclEntry, AclError, AclTag, PosixAcl};
pub use data::{
    COMPRESSED_HEADER_BYTES, CompressedHeader, Compressor, DataError, OFFSET_BYTES, put_offset,
    split_compressed, split_offset,
};
pub use digest::{DigestKind, base64_decode, base64_encode, base64_encode_legacy};
pub use file_type::FileType;
pub use number::{decode_number, encode_number, number_text};
pub use record::{AttrRecord, RecordError};
pub use stat::{EncodedStat, StatError};
pub use stream::{DataLayout, Stream, StreamKind};
pub use xattr::{XattrEntry, XattrError, decode_xattrs, encode_xattrs};
