//! Volumes: blocks, records, labels, bootstraps (spec/03).
//!
//! Pure: bytes in, values out; devices are ports ([`BlockDevice`], [`RawFile`]).
//!
//! - [`block`]: block and record headers, checksums, [`Block::pieces`];
//! - [`build`]: [`BlockBuilder`] splits records into blocks, [`label_block`] makes the first block;
//! - [`assemble`]: [`Assembler`] joins the pieces of each session;
//! - [`label`]: [`VolumeLabel`], [`SessionLabel`];
//! - [`bsr`], [`select`]: [`Bsr`] parse and format, [`Selector`] matching and seek planning;
//! - [`device`], [`vtape`], [`tape`]: [`DiskVolume`], [`VtapeVolume`], [`TapeVolume`];
//! - [`reader`]: [`VolumeReader`], verified records with damage reported.
//!
//! ```
//! use types::{FileIndex, VolSession};
//! use volume::{Assembler, Block, BlockBuilder, BlockFormat, Verify};
//!
//! let session = VolSession { id: 1, time: 1_795_447_116 };
//! let mut builder = BlockBuilder::new(BlockFormat::default(), session, 1);
//! builder.push(FileIndex(1), 2, b"hello");
//! builder.finish_block();
//! let (bytes, _) = builder.finished();
//!
//! let block = Block::decode(bytes, Verify::Checksum).unwrap();
//! let piece = block.pieces().next().unwrap();
//! let (_, record) = Assembler::new().push(&piece);
//! assert_eq!(&*record.unwrap().data, b"hello");
//! ```

pub mod assemble;
pub mod block;
pub mod bsr;
pub mod build;
pub mod device;
pub mod fuzz;
pub mod label;
pub mod reader;
pub mod select;
pub mod tape;
pub mod vtape;

pub use assemble::{Assembler, Integrity, Record};
pub use block::{
    BLOCK_BYTES_DEFAULT, BLOCK_BYTES_MAX, Block, BlockError, BlockHeader, BlockVersion, Piece, Verify,
};
pub use bsr::{Bsr, BsrError, BsrVolume, Section};
pub use build::{BlockBuilder, BlockFormat, BuiltBlock, label_block};
pub use device::{Addressing, BlockDevice, DeviceError, DiskVolume, Position, RawFile, ReadOutcome};
pub use label::{LabelError, LabelKind, SessionEnd, SessionLabel, VolumeKind, VolumeLabel};
pub use reader::{Damage, ReadLabelError, VolumeBlock, VolumeReader, read_label};
pub use select::{BlockPlace, SelectError, Selection, Selector};
pub use tape::{TapeDrive, TapeEnd, TapeFormat, TapeMedium, TapeMotion, TapeStatus, TapeVolume};
pub use vtape::VtapeVolume;
