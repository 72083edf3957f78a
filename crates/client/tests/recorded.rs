//! The recorded wire bytes of real Bacula clients decode to the expected content (spec/02 §9), and what the restore engine
//! makes of them is the tree that was saved.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;

use attrs::{AttrRecord, DigestKind, EncodedStat, Stream};
use client::codec::Unpacker;
use client::counters::Counters;
use client::digest::Digester;
use client::message::{JobLog, MessageKind};
use client::restore::{Names, RestoreOptions, Restorer};
use wire::frame::{FrameDecoder, Packet, Signal};

/// FileIndex and stream, with the packets.
type Streams = Vec<((i32, Stream), Vec<Vec<u8>>)>;

fn packets(bytes: &[u8]) -> Vec<Packet> {
    let mut decoder = FrameDecoder::default();
    decoder.buffer().extend_from_slice(bytes);
    let mut out = Vec::new();
    while let Some(packet) = decoder.next_packet().unwrap() {
        out.push(packet);
    }
    out
}

/// Streams as a client sends them: header, packets, end.
fn sent(bytes: &[u8]) -> Streams {
    let mut out = Streams::new();
    let mut open = false;
    for packet in packets(bytes) {
        match packet {
            Packet::Signal(Signal::Eod) => open = false,
            Packet::Signal(_) => {}
            Packet::Data(data) if open => out.last_mut().unwrap().1.push(data.to_vec()),
            Packet::Data(data) => {
                if let Ok(header) = wire::msg::fd_sd::StreamHeader::parse(&data) {
                    out.push(((header.file_index.get(), Stream(header.stream)), Vec::new()));
                    open = true;
                }
            }
        }
    }
    out
}

/// Streams as a Storage Daemon sends them back: a header before each packet.
fn received(bytes: &[u8]) -> Streams {
    let mut out = Streams::new();
    let mut header = None;
    for packet in packets(bytes) {
        let Packet::Data(data) = packet else { continue };
        match header.take() {
            None => header = wire::msg::fd_sd::RecordHeader::parse(&data).ok(),
            Some(head) => {
                let key = (head.file_index.get(), Stream(head.stream));
                match out.last_mut() {
                    Some((last, list)) if *last == key => list.push(data.to_vec()),
                    _ => out.push((key, vec![data.to_vec()])),
                }
            }
        }
    }
    out
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::new();
    for &byte in bytes {
        match byte {
            b'\n' => out.push_str("\\n"),
            0x20..=0x7e => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").unwrap(),
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// One line as in the `expected` files.
fn describe(stream: Stream, packets: &[Vec<u8>]) -> String {
    if stream.is_attributes() {
        let record = AttrRecord::decode(&packets[0]).unwrap();
        assert_eq!(record.encode(), packets[0]);
        let s = EncodedStat::decode(record.lstat).unwrap();
        return format!(
            "type={} name=\"{}\" mode={:#o} nlink={} uid={} gid={} rdev={} size={} mtime={} LinkFI={} data_stream={} link=\"{}\" delta={}",
            record.file_type.number(),
            escape(record.name),
            s.mode,
            s.nlink,
            s.uid,
            s.gid,
            s.rdev,
            s.size,
            s.mtime,
            s.link_fi,
            s.data_stream,
            escape(record.link),
            record.delta_seq
        );
    }
    if let Some(layout) = stream.data_layout() {
        let (mut unpacker, mut plain, mut buffer) = (Unpacker::default(), Vec::new(), Vec::new());
        let mut offsets = Vec::new();
        for packet in packets {
            let mut rest: &[u8] = packet;
            if layout.offset {
                let (offset, body) = attrs::split_offset(rest).unwrap();
                offsets.push(offset);
                rest = body;
            }
            if layout.gzip {
                unpacker.gunzip(rest, &mut buffer).unwrap();
            } else {
                unpacker.unpack(rest, &mut buffer).unwrap();
            }
            plain.extend_from_slice(&buffer);
        }
        let mut md5 = Digester::new(DigestKind::Md5);
        md5.update(&plain);
        return format!("{} bytes md5 {} offsets {offsets:?}", plain.len(), hex(&md5.finish()));
    }
    hex(&packets[0])
}

/// Compares with an `expected` file: attribute lines word by word, data by length and digest, digests by value.
fn check(streams: &Streams, expected: &str) {
    let expected: Vec<_> =
        expected.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit())).collect();
    assert_eq!(streams.len(), expected.len());
    for (((index, stream), packets), line) in streams.iter().zip(expected) {
        let (key, text) = line.split_once(" [").unwrap();
        assert_eq!(key, format!("{index} {stream}"));
        let (sizes, text) = text.split_once("] ").unwrap();
        let have: Vec<_> = packets.iter().map(|packet| packet.len().to_string()).collect();
        assert_eq!(sizes, format!("{}: {}", packets.len(), have.join(",")));
        let described = describe(*stream, packets);
        if stream.is_attributes() {
            assert_eq!(described, text);
        } else if stream.data_layout().is_some() {
            let digest = described.split(' ').nth(3).unwrap();
            let offsets = described.split(['[', ']']).nth(1).unwrap();
            let same_offsets =
                || offsets.split(", ").all(|offset| text.contains(&format!("offset {offset} ")));
            assert!(text.contains(digest) || same_offsets(), "{described} against {text}");
        } else if DigestKind::of_stream(*stream).is_some() {
            assert_eq!(text, format!("digest {described}"));
        }
    }
}

#[test]
fn recorded_backups_and_restores_decode_to_the_expected_content() {
    check(
        &sent(include_bytes!("../fixtures/mini-backup.fd2sd.bin")),
        include_str!("../fixtures/mini-backup.expected.txt"),
    );
    check(
        &sent(include_bytes!("../fixtures/mini-sparse-lzo.fd2sd.bin")),
        include_str!("../fixtures/mini-sparse-lzo.expected.txt"),
    );
    check(
        &received(include_bytes!("../fixtures/mini-restore.sd2fd.bin")),
        include_str!("../fixtures/mini-restore.expected.txt"),
    );
}

#[derive(Default)]
struct Log(Mutex<Vec<(MessageKind, String)>>);

impl JobLog for Log {
    fn message(&self, kind: MessageKind, text: &str) {
        self.0.lock().unwrap().push((kind, text.to_owned()));
    }

    fn wants(&self, kind: MessageKind) -> bool {
        kind != MessageKind::Restored
    }
}

/// Restores recorded streams; gives the messages that are no information.
fn restore(streams: &Streams, place: &std::path::Path) -> Vec<String> {
    let (counters, log) = (Counters::default(), Log::default());
    let options = RestoreOptions {
        names: Names::below(place.to_str().unwrap()),
        replace: types::Replace::Always,
        prefix_links: false,
    };
    let mut restorer = Restorer::new(options, &counters, &log);
    for ((_, stream), packets) in streams {
        for packet in packets {
            restorer.record(*stream, packet).unwrap();
        }
    }
    restorer.finish();
    // Setting owners, and devices, needs root.
    let unprivileged = |text: &str| text.contains("Operation not permitted");
    let log = log.0.into_inner().unwrap();
    log.into_iter()
        .filter(|(kind, _)| kind.is_error())
        .map(|(_, text)| text)
        .filter(|text| !unprivileged(text))
        .collect()
}

#[test]
fn recorded_streams_restore_to_the_saved_files() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::MetadataExt;
    for bytes in [
        &include_bytes!("../fixtures/mini-backup.fd2sd.bin")[..],
        &include_bytes!("../fixtures/mini-sparse-lzo.fd2sd.bin")[..],
    ] {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(restore(&sent(bytes), dir.path()), Vec::<String>::new());
        let root = dir.path().join("srv/demo/tree3");
        let names: BTreeMap<_, _> = std::fs::read_dir(&root)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().as_bytes().to_vec(), entry.metadata().unwrap().mtime()))
            .collect();
        assert!(names.contains_key(&b"bad_\xff"[..]));
        assert_eq!(std::fs::read(root.join("reg.txt")).unwrap(), b"hello world\n");
        assert_eq!(
            root.join("reg.txt").metadata().unwrap().ino(),
            root.join("dir/hard").metadata().unwrap().ino()
        );
        assert_eq!(names[&b"reg.txt"[..]], 1_622_548_800);
        assert_eq!(std::fs::read_link(root.join("sym")).unwrap().as_os_str(), "reg.txt");
        let sparse = std::fs::read(root.join("sparse")).unwrap();
        assert_eq!((sparse.len(), &sparse[..4], &sparse[300_000..]), (300_004, &b"HEAD"[..], &b"TAIL"[..]));
        assert_eq!(root.metadata().unwrap().mtime(), 1_795_447_216);
    }
}

#[test]
fn a_damaged_stream_is_told_by_name_and_the_rest_is_restored() {
    let mut streams = sent(include_bytes!("../fixtures/mini-backup.fd2sd.bin"));
    let data = streams.iter_mut().find(|((_, stream), _)| stream.data_layout().is_some()).unwrap();
    let last = data.1.last_mut().unwrap();
    let middle = last.len() / 2;
    last[middle] ^= 0xff;
    let dir = tempfile::tempdir().unwrap();
    let errors = restore(&streams, dir.path());
    assert!(errors.iter().any(|error| error.contains("/srv/demo/tree3/sparse")), "{errors:?}");
    assert_eq!(std::fs::read(dir.path().join("srv/demo/tree3/reg.txt")).unwrap(), b"hello world\n");
}

#[test]
fn a_wrong_digest_is_told() {
    let mut streams = sent(include_bytes!("../fixtures/mini-backup.fd2sd.bin"));
    let digests = streams.iter_mut().filter(|((_, stream), _)| *stream == Stream::MD5_DIGEST);
    for (_, packets) in digests.skip(1).take(1) {
        packets[0][3] ^= 1;
    }
    let dir = tempfile::tempdir().unwrap();
    let errors = restore(&streams, dir.path());
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].starts_with("MD5 digest of restored file "), "{errors:?}");
}
