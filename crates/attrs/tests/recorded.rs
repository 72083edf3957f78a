//! What real Bacula daemons sent decodes to the expected values and encodes to the same bytes (spec/02 §9).

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use attrs::{AttrRecord, EncodedStat, FileType, PosixAcl, Stream, XattrEntry, decode_xattrs, encode_xattrs};

fn from_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Text of the fixtures: bytes outside printable ASCII are `\xHH`.
fn unescape(text: &str) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (kind, tail) = rest.split_first().unwrap();
        rest = tail;
        match kind {
            b'x' => {
                out.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
                rest = &rest[2..];
            }
            b'n' => out.push(b'\n'),
            other => out.push(*other),
        }
    }
    out
}

/// Value of `key=` up to the next blank, or between quotes.
fn field<'a>(text: &'a str, key: &str) -> &'a str {
    let pattern = format!("{key}=");
    let starts = text.match_indices(&pattern).map(|(at, _)| at);
    let mut whole = starts.filter(|&at| at == 0 || text[..at].ends_with([' ', '\n']));
    let at = whole.next().unwrap_or_else(|| panic!("{key} in {text}")) + key.len() + 1;
    match text[at..].strip_prefix('"') {
        Some(quoted) => &quoted[..quoted.find('"').unwrap()],
        None => text[at..].split([' ', '\n']).next().unwrap(),
    }
}

fn number(text: &str, key: &str) -> i64 {
    let value = field(text, key);
    match value.strip_prefix("0o") {
        Some(octal) => i64::from_str_radix(octal, 8).unwrap(),
        None => value.parse().unwrap(),
    }
}

#[test]
fn attribute_records_decode_to_the_expected_fields_and_back() {
    let mut seen = 0;
    for part in include_str!("../fixtures/attr-records.decoded.txt").split("\nhex: ").skip(1) {
        let (hex, expected) = part.split_once('\n').unwrap();
        let bytes = from_hex(hex.trim());
        let record = AttrRecord::decode(&bytes).unwrap();
        assert_eq!(i64::from(record.file_index), number(expected, "FileIndex"));
        assert_eq!(i64::from(record.file_type.number()), number(expected, "type"));
        let name = expected.split_once(" name=").unwrap().1.split_once("\n  lstat=").unwrap().0;
        assert_eq!(record.name, unescape(name), "{expected}");
        assert_eq!(record.lstat, field(expected, "lstat").as_bytes());
        assert_eq!(record.link, unescape(field(expected, "link")));
        let stat = EncodedStat::decode(record.lstat).unwrap();
        for (have, key) in [
            (stat.dev as i64, "st_dev"),
            (stat.ino as i64, "st_ino"),
            (i64::from(stat.mode), "st_mode"),
            (stat.nlink as i64, "st_nlink"),
            (i64::from(stat.uid), "st_uid"),
            (i64::from(stat.gid), "st_gid"),
            (stat.rdev as i64, "st_rdev"),
            (stat.size as i64, "st_size"),
            (stat.blksize as i64, "st_blksize"),
            (stat.blocks as i64, "st_blocks"),
            (stat.atime, "st_atime"),
            (stat.mtime, "st_mtime"),
            (stat.ctime, "st_ctime"),
            (i64::from(stat.link_fi), "LinkFI"),
            (i64::from(stat.flags), "st_flags"),
            (i64::from(stat.data_stream), "data_stream"),
        ] {
            assert_eq!(have, number(expected, key), "{key} of {expected}");
        }
        assert_eq!(stat.to_text(), record.lstat);
        assert_eq!(record.encode(), bytes);
        seen += 1;
    }
    assert_eq!(seen, 17);
}

/// Every attribute record of the transcripts: they show types that the list above does not.
#[test]
fn attribute_records_of_all_transcripts_encode_to_the_same_bytes() {
    let transcripts = [
        include_str!("../fixtures/accurate-incremental.transcript.txt"),
        include_str!("../fixtures/base-job-full.transcript.txt"),
        include_str!("../fixtures/hardlink-excluded-target.transcript.txt"),
        include_str!("../fixtures/plugin-bpipe.transcript.txt"),
        include_str!("../fixtures/raw-and-fifo.transcript.txt"),
        include_str!("../fixtures/strippath.transcript.txt"),
    ];
    let mut types = std::collections::BTreeSet::new();
    for transcript in transcripts {
        let mut is_record = false;
        for line in transcript.lines().filter_map(|line| line.strip_prefix("FD->SD  [")) {
            let payload = unescape(line.split_once("] ").map_or("", |(_, payload)| payload));
            let header: Vec<_> = payload.split(|&b| b == b' ').collect();
            if is_record {
                let record = AttrRecord::decode(&payload).unwrap();
                types.insert(record.file_type.number());
                assert_eq!(record.encode(), payload);
                let stat = EncodedStat::decode(record.lstat).unwrap();
                assert_eq!(stat.to_text(), record.lstat);
                is_record = false;
            } else {
                is_record = header.len() == 3
                    && header[1] == b"1"
                    && header[2] == b"0"
                    && header[0].iter().all(u8::is_ascii_digit);
            }
        }
    }
    for wanted in [
        FileType::HardLink,
        FileType::Directory,
        FileType::Deleted,
        FileType::Base,
        FileType::RawDevice,
        FileType::Fifo,
    ] {
        assert!(types.contains(&wanted.number()), "{wanted:?} of {types:?}");
    }
}

#[test]
fn acl_and_xattr_streams_encode_to_the_same_bytes() {
    let (mut acls, mut lists, mut blocks) = (0, 0, 0);
    for part in include_str!("../fixtures/streams.hex.txt").split("\njob=").skip(1) {
        let header = field(part, "header");
        let stream = Stream(header.split(' ').nth(1).unwrap().parse().unwrap());
        let hex: String = part.lines().skip(2).filter(|line| !line.is_empty()).collect();
        let payload = from_hex(&hex);
        assert_eq!(payload.len() as i64, number(part, "payload_len"));
        match stream {
            Stream::LINUX_ACCESS_ACL | Stream::LINUX_DEFAULT_ACL => {
                let text = std::str::from_utf8(&payload).unwrap();
                let acl = PosixAcl::from_text(text, |_| None, |_| None).unwrap();
                let again = PosixAcl::from_xattr(&acl.to_xattr()).unwrap().to_text(|_| None, |_| None) + "\0";
                assert_eq!(again.as_bytes(), payload);
                acls += 1;
            }
            Stream::LINUX_XATTR => {
                let entries = decode_xattrs(&payload).unwrap();
                assert_eq!(entries, [XattrEntry { name: b"user.k", value: b"v" }]);
                let mut again = Vec::new();
                encode_xattrs(entries, &mut again);
                assert_eq!(again, payload);
                lists += 1;
            }
            Stream::SPARSE_COMPRESSED_DATA => {
                let (offset, rest) = attrs::split_offset(&payload).unwrap();
                let (compressed, body) = attrs::split_compressed(rest).unwrap();
                let mut again = Vec::new();
                attrs::put_offset(offset, &mut again);
                again.extend_from_slice(&compressed.encode());
                again.extend_from_slice(body);
                assert_eq!(again, payload);
                blocks += 1;
            }
            _ => {}
        }
    }
    assert_eq!((acls, lists, blocks), (2, 1, 2));
}
