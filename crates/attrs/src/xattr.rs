//! The generic list of extended attributes (spec/02 §2.3): one packet for all of a file.

/// Start of each attribute.
const MAGIC: u32 = 0x005C_5884;

/// One attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XattrEntry<'a> {
    /// Full name with namespace, without NUL.
    pub name: &'a [u8],
    /// Value, may be empty.
    pub value: &'a [u8],
}

/// Why bytes are no list of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XattrError {
    /// Wrong magic.
    #[error("extended attribute list has a wrong magic number at byte {at}")]
    Magic {
        /// Offset.
        at: usize,
    },
    /// A name of no bytes.
    #[error("extended attribute at byte {at} has an empty name")]
    EmptyName {
        /// Offset.
        at: usize,
    },
    /// A name with a NUL inside, which no system takes.
    #[error("extended attribute at byte {at} has a NUL in its name")]
    NulInName {
        /// Offset.
        at: usize,
    },
    /// The list ends inside an attribute.
    #[error("extended attribute list ends inside the attribute at byte {at}")]
    Cut {
        /// Offset.
        at: usize,
    },
}

/// Appends all attributes to `out`.
pub fn encode_xattrs<'a>(entries: impl IntoIterator<Item = XattrEntry<'a>>, out: &mut Vec<u8>) {
    for entry in entries {
        out.extend_from_slice(&MAGIC.to_be_bytes());
        out.extend_from_slice(&(entry.name.len() as u32).to_be_bytes());
        out.extend_from_slice(entry.name);
        out.extend_from_slice(&(entry.value.len() as u32).to_be_bytes());
        out.extend_from_slice(entry.value);
    }
}

/// Reads a list.
///
/// # Errors
/// [`XattrError`] with the offset of the broken attribute.
pub fn decode_xattrs(bytes: &[u8]) -> Result<Vec<XattrEntry<'_>>, XattrError> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let at = bytes.len() - rest.len();
        let (magic, tail) = split_u32(rest).ok_or(XattrError::Cut { at })?;
        if magic != MAGIC {
            return Err(XattrError::Magic { at });
        }
        let (name, tail) = split_counted(tail).ok_or(XattrError::Cut { at })?;
        // Some writers count the name's NUL.
        let name = name.strip_suffix(&[0]).unwrap_or(name);
        if name.is_empty() {
            return Err(XattrError::EmptyName { at });
        }
        if name.contains(&0) {
            return Err(XattrError::NulInName { at });
        }
        let (value, tail) = split_counted(tail).ok_or(XattrError::Cut { at })?;
        entries.push(XattrEntry { name, value });
        rest = tail;
    }
    Ok(entries)
}

fn split_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (head, tail) = bytes.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*head), tail))
}

fn split_counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, tail) = split_u32(bytes)?;
    tail.split_at_checked(len as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_recorded_list_decodes_and_encodes() {
        let bytes = b"\x00\x5c\x58\x84\0\0\0\x06user.k\0\0\0\x01v";
        let entries = decode_xattrs(bytes).unwrap();
        assert_eq!(entries, [XattrEntry { name: b"user.k", value: b"v" }]);
        let mut out = Vec::new();
        encode_xattrs(entries, &mut out);
        assert_eq!(out, bytes);
    }

    #[test]
    fn broken_lists_are_refused() {
        assert_eq!(decode_xattrs(b"\0\0\0\x01"), Err(XattrError::Magic { at: 0 }));
        assert_eq!(decode_xattrs(b"\x00\x5c\x58\x84\0\0\0\0\0\0\0\0"), Err(XattrError::EmptyName { at: 0 }));
        let nul = b"\x00\x5c\x58\x84\0\0\0\x02\0\0\0\0\0\0";
        assert_eq!(decode_xattrs(nul), Err(XattrError::NulInName { at: 0 }));
        assert_eq!(decode_xattrs(b"\x00\x5c\x58\x84\xff\xff\xff\xff"), Err(XattrError::Cut { at: 0 }));
    }

    proptest! {
        #[test]
        fn any_list_comes_back(list in proptest::collection::vec(("[a-z.]{1,12}", proptest::collection::vec(0u8.., 0..30)), 0..5)) {
            let entries: Vec<_> = list.iter().map(|(n, v)| XattrEntry { name: n.as_bytes(), value: v }).collect();
            let mut out = Vec::new();
            encode_xattrs(entries.iter().copied(), &mut out);
            prop_assert_eq!(decode_xattrs(&out).unwrap(), entries);
        }
    }
}
