//! Writing Volume labels.

use std::path::Path;

use types::{VolSession, VolTime, VolumeName};
use volume::{BlockFormat, LabelKind, RawFile, VolumeLabel, label_block};

use crate::device::VolumeFile;

/// What all labels of a daemon have in common.
#[derive(Debug, Clone)]
pub struct LabelMaker {
    /// The daemon's name.
    pub program: String,
    /// The machine's name.
    pub host: String,
}

impl LabelMaker {
    /// For a daemon on this machine.
    #[must_use]
    pub fn new(program: &str) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self { program: program.to_owned(), host }
    }

    /// A label written `now`. `labelled` is kept where the Volume keeps its identity.
    #[must_use]
    pub fn label(
        &self,
        kind: LabelKind,
        volume: &VolumeName,
        pool: &str,
        media_type: &str,
        labelled: Option<VolTime>,
        now: VolTime,
    ) -> VolumeLabel {
        VolumeLabel {
            kind,
            id: volume::label::ID_BACULA.to_owned(),
            version: volume::label::VERSION,
            labelled: labelled.unwrap_or(now),
            written: now,
            write_date: 0.0,
            write_time: 0.0,
            volume: volume.to_string(),
            previous_volume: String::new(),
            pool: pool.to_owned(),
            pool_type: "Backup".to_owned(),
            media_type: media_type.to_owned(),
            host: self.host.clone(),
            program: self.program.chars().take(49).collect(),
            program_version: format!(
                "Ver. {} {} ",
                wire::version::BACULA_LEVEL,
                wire::version::BACULA_LEVEL_DATE
            ),
            program_date: format!("{} {} ", wire::version::PRODUCT, wire::version::PRODUCT_VERSION),
            aligned_volume: String::new(),
            first_data: 0,
            file_alignment: 0,
            padding: 0,
            block_size: 0,
            cipher_key: Vec::new(),
            master_key_id: Vec::new(),
        }
    }
}

/// Makes the file a Volume that holds this label and nothing else; durable when it returns. Gives its length in bytes.
///
/// # Errors
/// What the system says.
pub(crate) fn write_label(
    path: &Path,
    format: BlockFormat,
    session: VolSession,
    ordinal: i32,
    label: &VolumeLabel,
) -> std::io::Result<(VolumeFile, u64)> {
    let file = match VolumeFile::create(path) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => VolumeFile::open_append(path)?,
        other => other?,
    };
    let bytes = overwrite(file.clone(), format, session, ordinal, label)?;
    Ok((file, bytes))
}

/// Makes a label all that is in the file, durably; gives its length in bytes.
///
/// # Errors
/// What the system says.
pub fn overwrite(
    mut file: VolumeFile,
    format: BlockFormat,
    session: VolSession,
    ordinal: i32,
    label: &VolumeLabel,
) -> std::io::Result<u64> {
    let block = label_block(format, session, ordinal, label);
    file.truncate(0)?;
    sys::failpoint::reach("storage-label-truncated");
    file.write_all_at(0, &block)?;
    file.sync_data()?;
    sys::failpoint::reach("storage-label-written");
    Ok(block.len() as u64)
}
