//! Attribute records (spec/02 §3.1).

use crate::FileType;

/// Why bytes are no attribute record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The FileIndex or type at the start is no number.
    #[error("attribute record does not start with a FileIndex and a file type")]
    Start,
    /// A type no version writes.
    #[error("attribute record has the unknown file type {number}")]
    Type {
        /// As found, masked.
        number: i32,
    },
    /// The name or the encoded stat has no terminating NUL.
    #[error("attribute record ends inside its {field}")]
    Cut {
        /// Which field.
        field: &'static str,
    },
}

/// One attribute record, borrowed from its packet.
///
/// Names are bytes: no character set is assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttrRecord<'a> {
    /// Position in the job, from 1.
    pub file_index: i32,
    /// What it is.
    pub file_type: FileType,
    /// Full path; directories end in a slash.
    pub name: &'a [u8],
    /// The encoded stat; see [`crate::EncodedStat::decode`].
    pub lstat: &'a [u8],
    /// Target of a symlink, first path of a hard link, else empty.
    pub link: &'a [u8],
    /// Windows or macOS attributes, else empty.
    pub attr_ex: &'a [u8],
    /// Sequence number of a delta, 0 for whole files.
    pub delta_seq: i32,
}

impl<'a> AttrRecord<'a> {
    /// Appends the packet, its final NUL included.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        push_decimal(out, self.file_index);
        out.push(b' ');
        push_decimal(out, self.file_type.number());
        out.push(b' ');
        for field in [self.name, self.lstat, self.link, self.attr_ex] {
            out.extend_from_slice(field);
            out.push(0);
        }
        push_decimal(out, self.delta_seq);
        out.push(0);
    }

    /// The packet as bytes of its own.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.name.len() + self.lstat.len() + self.link.len() + 24);
        self.encode_into(&mut out);
        out
    }

    /// Reads a packet. Old forms without link, attrEx or delta are accepted.
    ///
    /// # Errors
    /// [`RecordError`] names the field that is broken.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (file_index, rest) = split_decimal(bytes).ok_or(RecordError::Start)?;
        let (file_type, rest) = split_decimal(rest).ok_or(RecordError::Start)?;
        // Bit 16 is historic (spec/02 §3.1 a): what follows attrEx is then a stream number and no delta.
        let historic = file_type & 0x1_0000 != 0;
        let number = file_type & 0xFFFF;
        let file_type = FileType::from_number(number).ok_or(RecordError::Type { number })?;
        let (name, rest) = split_nul(rest).ok_or(RecordError::Cut { field: "name" })?;
        let (lstat, rest) = split_nul(rest).ok_or(RecordError::Cut { field: "encoded stat" })?;
        let (link, rest) = split_nul(rest).unwrap_or((rest, &[]));
        let (attr_ex, rest) = split_nul(rest).unwrap_or((rest, &[]));
        let delta = rest.split(|&b| b == 0).next().unwrap_or_default();
        let delta_seq = if historic { 0 } else { parse_decimal(delta).unwrap_or(0) };
        Ok(Self { file_index, file_type, name, lstat, link, attr_ex, delta_seq })
    }
}

fn push_decimal(out: &mut Vec<u8>, value: i32) {
    use std::io::Write;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}

fn split_decimal(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let end = bytes.iter().take(12).position(|&b| b == b' ')?;
    Some((parse_decimal(&bytes[..end])?, &bytes[end + 1..]))
}

fn parse_decimal(bytes: &[u8]) -> Option<i32> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn split_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&b| b == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_old_record_without_delta_is_read() {
        let record = AttrRecord::decode(b"4 3 /a b\0P4A\0\0\0").unwrap();
        assert_eq!((record.name, record.delta_seq), (&b"/a b"[..], 0));
        let historic = AttrRecord::decode(b"4 65539 /a\0P4A\0\0\0C\0").unwrap();
        assert_eq!((historic.file_type, historic.delta_seq), (FileType::Regular, 0));
    }

    #[test]
    fn broken_records_are_named() {
        assert_eq!(AttrRecord::decode(b""), Err(RecordError::Start));
        assert_eq!(AttrRecord::decode(b"1 99 x\0y\0"), Err(RecordError::Type { number: 99 }));
        assert_eq!(AttrRecord::decode(b"1 3 name"), Err(RecordError::Cut { field: "name" }));
    }

    proptest! {
        #[test]
        fn any_record_comes_back(index in 1i32.., name in "[^\0]{0,40}", link in "[^\0]{0,20}", delta in 0i32..9) {
            let record = AttrRecord { file_index: index, file_type: FileType::Symlink, name: name.as_bytes(), lstat: b"P4A B", link: link.as_bytes(), attr_ex: b"", delta_seq: delta };
            let bytes = record.encode();
            prop_assert_eq!(AttrRecord::decode(&bytes), Ok(record));
        }
    }
}
