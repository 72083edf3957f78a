//! Real Volumes decode to what an independent decoder found, and encode to the same bytes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::PathBuf;

use serde_json::Value;
use sha2::{Digest, Sha256};
use types::{FileIndex, VolSession};
use volume::*;

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)).unwrap()
}

fn expected(name: &str) -> Value {
    serde_json::from_slice(&fixture(&format!("{name}.json"))).unwrap()
}

/// All blocks of a Volume with their addresses; marks and damage fail.
fn blocks_of(device: &mut dyn BlockDevice) -> Vec<(types::VolAddr, Vec<u8>)> {
    let mut out = Vec::new();
    let mut buffer = Vec::new();
    loop {
        match device.read(&mut buffer).unwrap() {
            ReadOutcome::Block { at } => out.push((at, buffer.clone())),
            ReadOutcome::Mark => {}
            ReadOutcome::EndOfData => return out,
            damaged @ ReadOutcome::Damaged { .. } => panic!("{damaged:?}"),
        }
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("a number, not {value}"))
}

fn address(value: &Value) -> types::VolAddr {
    match value {
        Value::Array(pair) => {
            types::VolAddr::from_file_block(number(&pair[0]) as u32, number(&pair[1]) as u32)
        }
        other => types::VolAddr(number(other)),
    }
}

fn hex_sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

fn check_block(at: types::VolAddr, bytes: &[u8], want: &Value) {
    assert_eq!(at, address(&want["addr"]));
    let block = Block::decode(bytes, Verify::Checksum).unwrap();
    let header = block.header;
    assert_eq!(u64::from(header.len), number(&want["block_len"]));
    assert_eq!(bytes.len() as u64, number(&want["written_len"]));
    assert_eq!(u64::from(header.number), number(&want["BlockNumber"]));
    assert_eq!(header.version.id(), want["id"].as_str().unwrap().as_bytes());
    assert_eq!(u64::from(header.session.id), number(&want["VolSessionId"]));
    assert_eq!(u64::from(header.session.time), number(&want["VolSessionTime"]));
    let sum = match want.get("checksum64") {
        Some(sum) => sum.as_str().unwrap().to_owned(),
        None => format!("{:0>16}", want["checksum"].as_str().unwrap()),
    };
    assert_eq!(format!("{:016x}", header.checksum), sum);
    let mut pieces = block.pieces();
    for record in want["records"].as_array().unwrap() {
        let piece = pieces.next().unwrap();
        assert_eq!(i64::from(piece.index.0), record["FileIndex"].as_i64().unwrap());
        assert_eq!(i64::from(piece.stream), record["Stream"].as_i64().unwrap());
        assert_eq!(u64::from(piece.remaining), number(&record["len_field"]));
        assert_eq!(piece.data.len() as u64, number(&record["here"]));
    }
    assert!(pieces.next().is_none());
    assert_eq!(pieces.left_over() as u64, number(&want["slack"]));
}

fn check_record(record: &Record<'_>, version: BlockVersion, want: &Value) {
    assert_eq!(i64::from(record.index.0), want["FileIndex"].as_i64().unwrap());
    assert_eq!(i64::from(record.stream), want["Stream"].as_i64().unwrap());
    assert_eq!(record.data.len() as u64, number(&want["data_len"]));
    assert_eq!(hex_sha256(&record.data), want["data_sha256"].as_str().unwrap());
    if let Some(label) = want.get("volume_label") {
        let got = VolumeLabel::decode(record.index, &record.data, version).unwrap();
        assert_eq!(got.id, label["Id"].as_str().unwrap());
        assert_eq!(u64::from(got.version), number(&label["VerNum"]));
        assert_eq!(got.labelled.0, number(&label["label_btime"]));
        assert_eq!(got.written.0, number(&label["write_btime"]));
        for (text, key) in [
            (&got.volume, "VolumeName"),
            (&got.previous_volume, "PrevVolumeName"),
            (&got.pool, "PoolName"),
            (&got.pool_type, "PoolType"),
            (&got.media_type, "MediaType"),
            (&got.host, "HostName"),
            (&got.program, "LabelProg"),
            (&got.program_version, "ProgVersion"),
            (&got.program_date, "ProgDate"),
        ] {
            assert_eq!(text, label[key].as_str().unwrap(), "{key}");
        }
        assert_eq!(u64::from(got.block_size), number(&label["BlockSize"]));
        assert_eq!(got.encode(version), &*record.data);
    }
    if let Some(label) = want.get("session_label") {
        let got = SessionLabel::decode(record.index, &record.data).unwrap();
        assert_eq!(u64::from(got.job_id), number(&label["JobId"]));
        assert_eq!(got.written.0, number(&label["write_btime"]));
        assert_eq!(got.job, label["Job"].as_str().unwrap());
        assert_eq!(got.file_set, label["FileSetName"].as_str().unwrap());
        assert_eq!(got.file_set_md5, label["FileSetMD5"].as_str().unwrap());
        assert_eq!(char::from_u32(got.job_level).unwrap().to_string(), label["JobLevel"].as_str().unwrap());
        if let Some(end) = got.end {
            assert_eq!(u64::from(end.files), number(&label["JobFiles"]));
            assert_eq!(end.bytes, number(&label["JobBytes"]));
            assert_eq!(u64::from(end.start.block()), number(&label["StartBlock"]));
            assert_eq!(u64::from(end.end.block()), number(&label["EndBlock"]));
            assert_eq!(char::from_u32(end.status).unwrap().to_string(), label["JobStatus"].as_str().unwrap());
        }
        assert_eq!(got.encode(), &*record.data);
    }
}

fn check_records(blocks: &[(types::VolAddr, Vec<u8>)], want: &Value) -> Assembler {
    let mut assembler = Assembler::new();
    let mut wanted = want["records"].as_array().unwrap().iter();
    for (_, bytes) in blocks {
        let block = Block::decode(bytes, Verify::Checksum).unwrap();
        for piece in block.pieces() {
            let (broken, record) = assembler.push(&piece);
            assert!(broken.is_none());
            let Some(record) = record else { continue };
            if record.integrity == Integrity::Whole {
                check_record(&record, block.header.version, wanted.next().unwrap());
            } else {
                let orphan = &want["records"].as_array().unwrap()[1];
                assert_eq!(orphan.get("orphan_continuation").and_then(Value::as_bool), Some(true));
                wanted.next();
            }
        }
    }
    assert!(wanted.next().is_none());
    assembler
}

/// Builds every block anew from the records and compares.
fn check_encode(blocks: &[(types::VolAddr, Vec<u8>)], bytes_max: usize) {
    for (_, bytes) in blocks {
        let block = Block::decode(bytes, Verify::Checksum).unwrap();
        let h = block.header;
        let mut copy = vec![0; h.version.header_bytes()];
        for piece in block.pieces() {
            copy.extend_from_slice(&piece.index.0.to_be_bytes());
            copy.extend_from_slice(&piece.stream.to_be_bytes());
            copy.extend_from_slice(&piece.remaining.to_be_bytes());
            copy.extend_from_slice(piece.data);
        }
        h.seal(&mut copy, true);
        assert_eq!(copy, block.bytes());
    }
    check_split(blocks, bytes_max);
}

/// The builder splits the records of each session as the real writer did.
fn check_split(blocks: &[(types::VolAddr, Vec<u8>)], bytes_max: usize) {
    let mut sessions: Vec<VolSession> = Vec::new();
    for (_, bytes) in &blocks[1..] {
        let session = BlockHeader::decode(bytes).unwrap().session;
        if !sessions.contains(&session) {
            sessions.push(session);
        }
    }
    for session in sessions {
        let own: Vec<&[u8]> = blocks[1..]
            .iter()
            .map(|(_, b)| Block::decode(b, Verify::Checksum).unwrap())
            .filter(|b| b.header.session == session)
            .map(|b| b.bytes())
            .collect();
        let first = BlockHeader::decode(own[0]).unwrap();
        let format = BlockFormat { version: first.version, checksum: true, bytes_max };
        let mut builder = BlockBuilder::new(format, session, first.number);
        let mut assembler = Assembler::new();
        for bytes in &own {
            for piece in Block::decode(bytes, Verify::Checksum).unwrap().pieces() {
                let (_, Some(record)) = assembler.push(&piece) else { continue };
                if record.integrity != Integrity::Whole {
                    return;
                }
                if record.index < FileIndex(0) {
                    builder.push_label(record.index, record.stream.cast_unsigned(), &record.data);
                } else {
                    builder.push(record.index, record.stream, &record.data);
                }
            }
        }
        builder.finish_block();
        let got = builder.finished().0.to_vec();
        let want: Vec<u8> = own.concat();
        if assembler.is_pending(session) {
            assert!(want.starts_with(&got[..got.len().min(own[0].len())]));
        } else {
            assert_eq!(got, want);
        }
    }
}

fn check_disk(name: &str, bytes_max: usize) {
    let bytes = fixture(&format!("{name}.vol"));
    let want = expected(name);
    assert_eq!(bytes.len() as u64, number(&want["size"]));
    let blocks = blocks_of(&mut DiskVolume::new(bytes.clone()));
    let wanted = want["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), wanted.len());
    for ((at, bytes), want) in blocks.iter().zip(wanted) {
        check_block(*at, bytes, want);
    }
    let mut assembler = check_records(&blocks, &want);
    let unfinished = want["unfinished"].as_array().unwrap();
    for (record, want) in assembler.abandon_all().iter().zip(unfinished) {
        assert_eq!(record.integrity, Integrity::TailMissing);
        assert_eq!(hex_sha256(&record.data), want["data_sha256"].as_str().unwrap());
    }
    check_encode(&blocks, bytes_max);
    let (_, label) = read_label(&mut DiskVolume::new(bytes.clone()), Verify::Checksum).unwrap();
    let first = BlockHeader::decode(&bytes).unwrap();
    let format = BlockFormat { version: first.version, checksum: true, bytes_max };
    let ordinal = Block::decode(&bytes, Verify::Checksum).unwrap().pieces().next().unwrap().stream;
    assert_eq!(label_block(format, first.session, ordinal, &label), bytes[..first.len as usize]);
}

#[test]
fn volumes_of_bacula_96() {
    for name in ["v96-prelabel", "v96-single", "v96-copy-src", "v96-copy-dst"] {
        check_disk(name, 64_512);
    }
    for name in ["v96-interleaved", "v96-span-1", "v96-span-2"] {
        check_disk(name, 4096);
    }
}

#[test]
fn volumes_of_bacula_15() {
    for name in ["v15-prelabel", "v15-single", "v15-copy-src", "v15-copy-dst"] {
        check_disk(name, 64_512);
    }
    check_disk("v15-interleaved", 4096);
}

#[test]
fn an_encrypted_volume_is_recognised_and_refused() {
    let bytes = fixture("v15-encrypted.vol");
    let mut reader = VolumeReader::new(bytes, Verify::Checksum);
    let (header, label) = reader.read_label().unwrap();
    assert!(header.is_volume_encrypted());
    assert_eq!(label.volume, "PE-0007");
    let VolumeBlock::Damage(damage) = reader.next_block().unwrap() else {
        panic!("an encrypted block was read")
    };
    assert!(matches!(damage.reason, BlockError::Encrypted { number: 1 }));
    assert!(damage.reason.to_string().contains("Volume Encryption"));
    assert_eq!(damage.at.0 + damage.bytes, reader.address().0);
}

#[test]
fn a_vtape_decodes_and_is_written_the_same() {
    let bytes = fixture("v96-vtape.vtape");
    let want = expected("v96-vtape");
    let mut tape = VtapeVolume::new(bytes.clone()).unwrap();
    let blocks = blocks_of(&mut tape);
    let wanted = want["blocks"].as_array().unwrap().iter().filter(|b| b.get("tape_mark").is_none());
    for ((at, bytes), want) in blocks.iter().zip(wanted) {
        check_block(*at, bytes, want);
    }
    let _ = check_records(&blocks, &want);

    let mut copy = VtapeVolume::new(Vec::new()).unwrap();
    for (at, bytes) in &blocks {
        let block = Block::decode(bytes, Verify::Checksum).unwrap();
        assert_eq!(copy.write(block.bytes()).unwrap(), *at);
    }
    copy.mark().unwrap();
    assert_eq!(copy.into_inner(), bytes);
}

#[test]
fn a_vtape_positions_and_appends() {
    let mut tape = VtapeVolume::new(fixture("v96-vtape.vtape")).unwrap();
    assert_eq!(tape.position(Position::EndOfData).unwrap(), types::VolAddr::from_file_block(1, 0));
    let at = tape.position(Position::Address(types::VolAddr::from_file_block(0, 1))).unwrap();
    let mut buffer = Vec::new();
    assert_eq!(tape.read(&mut buffer).unwrap(), ReadOutcome::Block { at });
    assert_eq!(BlockHeader::decode(&buffer).unwrap().number, 1);
}

/// spec/03 §5.4 A: one file out of two interleaved sessions.
#[test]
fn a_bootstrap_selects_one_file_with_a_seek() {
    let bsr: Bsr = "Volume=\"PM-0002\"\nMediaType=\"FileS\"\nVolSessionId=3\nVolSessionTime=1795447116\nVolAddr=24783-74574\nFileIndex=2\nCount=1\n"
        .parse()
        .unwrap();
    let mut selector = Selector::new(&bsr).unwrap();
    let mut reader = VolumeReader::new(fixture("v96-interleaved.vol"), Verify::Checksum);
    let (_, label) = reader.read_label().unwrap();
    let start = selector.next_address(&label.volume, reader.address()).unwrap();
    assert_eq!(start.0, 24783);
    reader.seek(start).unwrap();
    let mut assembler = Assembler::new();
    let mut got = Vec::new();
    let mut read = 0;
    while !selector.is_done() {
        let VolumeBlock::Block { at, block } = reader.next_block().unwrap() else { break };
        read += 1;
        let end = types::VolAddr(at.0 + u64::from(block.header.len) - 1);
        for piece in block.pieces().filter(|p| p.index.0 > 0) {
            let place = BlockPlace { volume: &label.volume, start: at, end };
            if selector.select(place, piece.session, piece.index, piece.stream_id(), None) == Selection::Skip
            {
                continue;
            }
            got.extend(assembler.push(&piece).1.map(|r| (r.index.0, r.stream, r.data.len())));
        }
    }
    assert!(read < 14, "the whole Volume was read");
    assert_eq!(got.len(), 3);
    assert!(got.iter().all(|(index, ..)| *index == 2));
    assert_eq!((got[1].1, got[1].2), (2, 12_000));
}
