//! What is behind the known end of a Volume after a crash: whole blocks that nobody owns, then a torn one.

use std::io;

use volume::{BlockDevice, DiskVolume, Position, ReadOutcome};

use crate::device::VolumeFile;

/// Where the last whole block behind `from` ends. What follows it is a torn block, or nothing.
///
/// # Errors
/// The file cannot be read.
pub fn end_of_whole_blocks(file: &VolumeFile, from: u64) -> io::Result<u64> {
    let mut device = DiskVolume::new(file.clone());
    let failed = |e: volume::DeviceError| e.source;
    device.position(Position::Address(types::VolAddr(from))).map_err(failed)?;
    let mut buffer = Vec::new();
    let mut end = from;
    loop {
        match device.read(&mut buffer).map_err(failed)? {
            ReadOutcome::Block { .. } => match volume::Block::decode(&buffer, volume::Verify::Checksum) {
                Ok(_) => end = device.address().0,
                Err(_) => return Ok(end),
            },
            ReadOutcome::Mark | ReadOutcome::EndOfData | ReadOutcome::Damaged { .. } => return Ok(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{FileIndex, VolSession};
    use volume::{BlockBuilder, BlockFormat};

    #[test]
    fn a_torn_block_is_behind_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("V");
        let format = BlockFormat { bytes_max: 1024, ..BlockFormat::default() };
        let mut builder = BlockBuilder::new(format, VolSession { id: 1, time: 2 }, 0);
        builder.push(FileIndex(1), 2, &[7; 5000]);
        builder.finish_block();
        let (bytes, blocks) = builder.finished();
        for cut in [0, 1, 10, 700, 1500] {
            let left = bytes.len() - cut;
            std::fs::write(&path, &bytes[..left]).unwrap();
            let file = VolumeFile::open_read(&path).unwrap();
            let mut whole = 0;
            for block in blocks {
                if whole + block.bytes > left {
                    break;
                }
                whole += block.bytes;
            }
            assert_eq!(end_of_whole_blocks(&file, 0).unwrap(), whole as u64);
            assert_eq!(end_of_whole_blocks(&file, 1024).unwrap(), whole as u64);
        }
    }
}
