//! Rows of JobMedia as the parts of a bootstrap.

use catalog::jobmedia::JobMediaRow;
use catalog::storage::StorageRow;
use conf::DirectorConfig;
use policy::restore::Piece;

/// A piece with the Storage that has its Volume, as far as that is known, and the Storage's first Device.
pub(super) fn piece(config: &DirectorConfig, storages: &[StorageRow], row: JobMediaRow) -> Piece {
    let storage = recorded(storages, &row);
    piece_at(config, storage, row)
}

fn recorded(storages: &[StorageRow], row: &JobMediaRow) -> Option<String> {
    storages.iter().find(|storage| storage.id == row.storage_id).map(|storage| storage.name.clone())
}

/// As [`piece`]; where the row names no Storage, as that of a Volume that another program wrote, any with its media type will do.
pub(crate) fn piece_somewhere(config: &DirectorConfig, storages: &[StorageRow], row: JobMediaRow) -> Piece {
    let with_type =
        || config.storages.iter().find(|s| s.media_type == row.media_type).map(|s| s.name.clone());
    let storage = recorded(storages, &row).or_else(with_type);
    piece_at(config, storage, row)
}

fn piece_at(config: &DirectorConfig, storage: Option<String>, row: JobMediaRow) -> Piece {
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
