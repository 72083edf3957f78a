//! Rows of JobMedia as the parts of a bootstrap.

use catalog::jobmedia::JobMediaRow;
use catalog::storage::StorageRow;
use conf::DirectorConfig;
use policy::restore::Piece;

/// A piece with the Storage that has its Volume, as far as that is known, and the Storage's first Device.
pub(super) fn piece(config: &DirectorConfig, storages: &[StorageRow], row: JobMediaRow) -> Piece {
    let storage = storages.iter().find(|storage| storage.id == row.storage_id).map(|s| s.name.clone());
    let device = storage.as_ref().and_then(|name| config.storage(name)).and_then(|s| s.device.first());
    Piece {
        device: device.cloned(),
        storage,
        volume: row.volume_name,
        media_type: row.media_type,
        slot: u32::try_from(row.slot).unwrap_or(0),
        in_changer: row.in_changer,
        first_index: row.piece.first_index,
        last_index: row.piece.last_index,
        start: row.piece.start,
        end: row.piece.end,
    }
}
