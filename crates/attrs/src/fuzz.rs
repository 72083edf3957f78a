//! Entry points for fuzzing: any bytes may come in, nothing may panic, and what decodes must decode again to the same.

use crate::{AccurateEntry, AttrRecord, EncodedStat, PosixAcl};

/// Attribute records and the encoded stat in them.
pub fn fuzz_decode_record(data: &[u8]) {
    let Ok(record) = AttrRecord::decode(data) else { return };
    let again = record.encode();
    assert_eq!(AttrRecord::decode(&again).as_ref(), Ok(&record), "a record must survive its own encoding");
    fuzz_decode_stat(record.lstat);
}

/// Encoded stats.
pub fn fuzz_decode_stat(data: &[u8]) {
    let Ok(stat) = EncodedStat::decode(data) else { return };
    let text = stat.to_text();
    let again = EncodedStat::decode(&text);
    // i64::MIN has no encoding (spec/02 §3.2): one more turn must be stable.
    assert!(again.is_ok_and(|again| EncodedStat::decode(&again.to_text()) == Ok(again)));
}

/// ACL texts and attributes, lists of extended attributes, accurate entries, data headers, digests.
pub fn fuzz_decode_payload(data: &[u8]) {
    if let Ok(acl) = PosixAcl::from_xattr(data) {
        assert_eq!(PosixAcl::from_xattr(&acl.to_xattr()).as_ref(), Ok(&acl));
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(acl) = PosixAcl::from_text(text, |_| None, |_| None)
    {
        let again = PosixAcl::from_text(&acl.to_text(|_| None, |_| None), |_| None, |_| None);
        assert_eq!(again.as_ref(), Ok(&acl));
    }
    if let Ok(entries) = crate::decode_xattrs(data) {
        let mut out = Vec::new();
        crate::encode_xattrs(entries.iter().copied(), &mut out);
        assert_eq!(crate::decode_xattrs(&out), Ok(entries));
    }
    if let Some(entry) = AccurateEntry::decode(data) {
        let mut out = Vec::new();
        entry.encode_into(&mut out);
        assert_eq!(AccurateEntry::decode(&out), Some(entry));
    }
    let _ = crate::split_compressed(data);
    let _ = crate::split_offset(data);
    if let Some(bytes) = crate::base64_decode(data) {
        assert_eq!(crate::base64_decode(crate::base64_encode(&bytes).as_bytes()), Some(bytes));
    }
    let _ = crate::base64_encode_legacy(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_entry_panics_on_any_bytes(data: Vec<u8>) {
            super::fuzz_decode_record(&data);
            super::fuzz_decode_stat(&data);
            super::fuzz_decode_payload(&data);
        }
    }
}
