//! Opening a Volume that is read.

use std::io;
use std::path::Path;

use types::VolAddr;
use volume::{BlockDevice, DiskVolume, VolumeBlock, VolumeReader};

use crate::device::{Device, VolumeFile};
use crate::session::chain;

/// What a Volume is read from.
pub(super) type Source = Box<dyn BlockDevice + Send>;

/// The Volume's file, or the tape in the drive, of which the caller has the right to mount.
fn source(device: &Device, path: &Path) -> io::Result<Source> {
    if device.kind.is_tape() {
        return Ok(Box::new(device.open_medium()?));
    }
    Ok(Box::new(DiskVolume::new(VolumeFile::open_read(path)?)))
}

/// Opens a Volume and checks its label; the position is behind it.
///
/// # Errors
/// Why it cannot be read, for a message.
pub(super) fn open(device: &Device, path: &Path, volume: &str) -> Result<VolumeReader<Source>, String> {
    let mut reader = VolumeReader::over(source(device, path).map_err(|e| e.to_string())?, device.verify());
    match reader.read_label() {
        Ok((_, label)) if label.volume == volume => Ok(reader),
        Ok((_, label)) => {
            Err(format!("Wrong Volume mounted: wanted \"{volume}\", have \"{}\"", label.volume))
        }
        Err(error) => {
            // A label that is damaged hides no data: every block says whose it is.
            let is_damage =
                matches!(error, volume::ReadLabelError::Block(_) | volume::ReadLabelError::Label(_));
            if !is_damage || !has_blocks(&mut reader) {
                return Err(format!("its label cannot be read: {}", chain(&error)));
            }
            tracing::warn!(
                volume,
                error = chain(&error),
                "the label is damaged; the blocks are read without it"
            );
            Ok(reader)
        }
    }
}

/// Whether blocks can be found behind a damaged label.
fn has_blocks(reader: &mut VolumeReader<Source>) -> bool {
    if reader.seek(VolAddr(0)).is_err() {
        return false;
    }
    loop {
        match reader.next_block() {
            Ok(VolumeBlock::Damage(_)) => {}
            Ok(VolumeBlock::Block { .. }) => return true,
            Ok(VolumeBlock::End) | Err(_) => return false,
        }
    }
}
