//! Entry points that must not panic on any bytes; `fuzz/` and the tests call them.

use types::FileIndex;

use crate::{
    Assembler, Block, BlockDevice, BlockHeader, Bsr, DiskVolume, ReadOutcome, Selector, SessionLabel, Verify,
    VolumeLabel, VtapeVolume,
};

/// Steps on one input, so that no input runs long.
const STEPS_MAX: usize = 4096;

/// Reads the bytes as one block.
pub fn fuzz_block(data: &[u8]) {
    let _ = BlockHeader::decode(data);
    let mut assembler = Assembler::new();
    for verify in [Verify::Checksum, Verify::Nothing] {
        if let Ok(block) = Block::decode(data, verify) {
            for piece in block.pieces() {
                let _ = assembler.push(&piece);
            }
        }
    }
}

/// Reads the bytes as a Volume, on disk and as VTape.
pub fn fuzz_volume(data: &[u8]) {
    let mut buffer = Vec::new();
    let mut disk = DiskVolume::new(data.to_vec());
    let mut tape = VtapeVolume::new(data.to_vec()).ok();
    for _ in 0..STEPS_MAX {
        match disk.read(&mut buffer) {
            Ok(ReadOutcome::EndOfData) | Err(_) => break,
            Ok(_) => fuzz_block(&buffer),
        }
    }
    for _ in 0..STEPS_MAX {
        match tape.as_mut().map(|t| t.read(&mut buffer)) {
            None | Some(Ok(ReadOutcome::EndOfData) | Err(_)) => break,
            Some(Ok(_)) => fuzz_block(&buffer),
        }
    }
}

/// Reads the bytes as labels of every kind.
pub fn fuzz_label(data: &[u8]) {
    for version in [crate::BlockVersion::Bb02, crate::BlockVersion::Bb03] {
        if let Ok(label) = VolumeLabel::decode(FileIndex(-2), data, version) {
            let _ = label.encode(version);
        }
    }
    for index in [-4, -5] {
        if let Ok(label) = SessionLabel::decode(FileIndex(index), data) {
            let _ = label.encode();
        }
    }
}

/// Reads the bytes as a bootstrap; what is written of it reads the same.
pub fn fuzz_bsr(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(bsr) = text.parse::<Bsr>() else { return };
    let _ = bsr.to_string();
    let _ = Selector::new(&bsr);
}
