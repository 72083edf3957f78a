//! Attribute records of the SD as File rows (spec/03 §3.4, spec/02 §3.6).

use attrs::{AttrRecord, DigestKind, FileType, Stream, StreamKind, base64_encode};
use catalog::file::NewFile;
use types::{FileIndex, VolSession};

/// Bytes of the binary header after the text.
const HEADER_BYTES: usize = 20;

/// What one `UpdCat` carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attribute {
    /// A file, its digest not yet known.
    File(NewFile),
    /// A file taken from a base job: a row of BaseFiles, not of File.
    Base(NewFile),
    /// The digest of a file whose record came before.
    Digest {
        /// Which file.
        file_index: FileIndex,
        /// As stored: base-64 without padding.
        digest: String,
    },
    /// A record that has no row in the catalog (restore objects of plugins that are not there, plugin data).
    Nothing,
}

/// An `UpdCat` without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Update {
    /// Session that stored it.
    pub(super) session: VolSession,
    /// What it is.
    pub(super) attribute: Attribute,
}

/// Reads the binary part of an `UpdCat`, what follows `FileAttributes `.
pub(super) fn decode(binary: &[u8]) -> Result<Update, String> {
    let header = binary.get(..HEADER_BYTES).ok_or("the binary header is cut")?;
    let word = |at: usize| header[at..at + 4].iter().fold(0_u32, |n, &b| (n << 8) | u32::from(b));
    let session = VolSession { id: word(0), time: word(4) };
    let (file_index, stream, len) = (word(8).cast_signed(), word(12).cast_signed(), word(16) as usize);
    let data = &binary[HEADER_BYTES..];
    let data =
        data.get(..len).ok_or_else(|| format!("{len} bytes of data are announced, {} came", data.len()))?;
    let attribute = attribute(FileIndex(file_index), Stream(stream), data)?;
    Ok(Update { session, attribute })
}

fn attribute(file_index: FileIndex, stream: Stream, data: &[u8]) -> Result<Attribute, String> {
    if DigestKind::of_stream(stream).is_some() {
        return Ok(Attribute::Digest { file_index, digest: base64_encode(data) });
    }
    match stream.kind() {
        StreamKind::UnixAttributes | StreamKind::UnixAttributesEx | StreamKind::UnixAttributeUpdate => {
            file(data)
        }
        _ => Ok(Attribute::Nothing),
    }
}

fn file(data: &[u8]) -> Result<Attribute, String> {
    let record = AttrRecord::decode(data).map_err(|e| format!("attribute record: {e}"))?;
    let (path, name) = split_path(record.name);
    let file = NewFile {
        file_index: FileIndex(record.file_index),
        path: path.to_vec(),
        name: name.to_vec(),
        lstat: String::from_utf8_lossy(record.lstat).into_owned(),
        digest: "0".to_owned(),
        delta_seq: u32::try_from(record.delta_seq).unwrap_or(0),
    };
    Ok(match record.file_type {
        // Stored with minus its FileIndex: gone since the job before (spec/02 §3.6).
        FileType::Deleted => {
            Attribute::File(NewFile { file_index: FileIndex(record.file_index.saturating_neg()), ..file })
        }
        FileType::Base => Attribute::Base(file),
        FileType::RestoreFirst
        | FileType::PluginConfig
        | FileType::PluginConfigFilled
        | FileType::PluginObject
        | FileType::SecurityObject => Attribute::Nothing,
        FileType::HardLink
        | FileType::RegularEmpty
        | FileType::Regular
        | FileType::Symlink
        | FileType::Directory
        | FileType::Special
        | FileType::NoAccess
        | FileType::NoFollow
        | FileType::NoStat
        | FileType::Unchanged
        | FileType::DirUnchanged
        | FileType::Archive
        | FileType::NoRecurse
        | FileType::OtherFs
        | FileType::NoOpen
        | FileType::RawDevice
        | FileType::Fifo
        | FileType::DirBegin
        | FileType::BadFsType
        | FileType::BadDriveType
        | FileType::Reparse
        | FileType::Plugin
        | FileType::Junction => Attribute::File(file),
    })
}

/// At the last slash; a directory has an empty name.
pub(super) fn split_path(full: &[u8]) -> (&[u8], &[u8]) {
    let cut = full.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
    full.split_at(cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(file_index: i32, stream: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in
            [1_u32, 1_795_446_221, file_index.cast_unsigned(), stream.cast_unsigned(), data.len() as u32]
        {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn a_file_and_its_digest_are_read() {
        let record = AttrRecord {
            file_index: 3,
            file_type: FileType::Regular,
            name: b"/tmp/a\xffb",
            lstat: b"A B C",
            ..AttrRecord::default()
        };
        let update = decode(&packet(3, 1, &record.encode())).unwrap();
        assert_eq!(update.session, VolSession { id: 1, time: 1_795_446_221 });
        let Attribute::File(file) = update.attribute else { panic!("{update:?}") };
        assert_eq!((file.path.as_slice(), file.name.as_slice()), (&b"/tmp/"[..], &b"a\xffb"[..]));
        let digest = decode(&packet(3, 3, &[0; 16])).unwrap().attribute;
        assert_eq!(digest, Attribute::Digest { file_index: FileIndex(3), digest: "A".repeat(22) });
    }

    #[test]
    fn a_deleted_file_has_minus_its_index_and_cut_packets_are_refused() {
        let record = AttrRecord {
            file_index: 11,
            file_type: FileType::Deleted,
            name: b"/d/",
            ..AttrRecord::default()
        };
        let bytes = packet(11, 1, &record.encode());
        let Attribute::File(file) = decode(&bytes).unwrap().attribute else { panic!() };
        assert_eq!((file.file_index, file.name.len()), (FileIndex(-11), 0));
        for len in 0..bytes.len() {
            assert!(decode(&bytes[..len]).is_err());
        }
    }
}
