//! `decode(encode(x)) == x`, and no panic on any bytes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use types::{FileIndex, VolAddr, VolSession, VolTime};
use volume::*;

fn session() -> VolSession {
    VolSession { id: 3, time: 1_795_447_116 }
}

fn records() -> impl Strategy<Value = Vec<(i32, i32, Vec<u8>)>> {
    let data = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..64),
        1 => (0usize..9000, any::<u8>()).prop_map(|(n, b)| vec![b; n]),
    ];
    prop::collection::vec((1i32..1000, 1i32..i32::MAX, data), 0..40)
}

fn assembled(bytes: &[u8]) -> Vec<(i32, i32, Vec<u8>)> {
    let mut device = DiskVolume::new(bytes.to_vec());
    let mut assembler = Assembler::new();
    let mut buffer = Vec::new();
    let mut out = Vec::new();
    while let ReadOutcome::Block { .. } = device.read(&mut buffer).unwrap() {
        for piece in Block::decode(&buffer, Verify::Checksum).unwrap().pieces() {
            let (broken, whole) = assembler.push(&piece);
            assert!(broken.is_none());
            out.extend(whole.map(|r| (r.index.0, r.stream, r.data.into_owned())));
        }
    }
    out
}

proptest! {
    #[test]
    fn records_come_back_from_blocks(records in records(), v3 in any::<bool>(), size in 512usize..5000) {
        let version = if v3 { BlockVersion::Bb03 } else { BlockVersion::Bb02 };
        let mut builder = BlockBuilder::new(BlockFormat { version, checksum: true, bytes_max: size }, session(), 0);
        for (index, stream, data) in &records {
            builder.push(FileIndex(*index), *stream, data);
        }
        builder.finish_block();
        let (bytes, blocks) = builder.finished();
        prop_assert!(blocks.iter().all(|b| b.bytes <= size));
        prop_assert_eq!(blocks.iter().map(|b| b.bytes).sum::<usize>(), bytes.len());
        prop_assert_eq!(assembled(bytes), records);
    }

    #[test]
    fn taking_blocks_away_in_the_middle_changes_nothing(records in records(), step in 1usize..4) {
        let format = BlockFormat { bytes_max: 700, ..BlockFormat::default() };
        let mut builder = BlockBuilder::new(format, session(), 0);
        let mut out = Vec::new();
        for (index, stream, data) in &records {
            builder.push(FileIndex(*index), *stream, data);
            let (bytes, blocks) = builder.finished();
            let n = blocks.len().min(step);
            out.extend_from_slice(&bytes[..blocks[..n].iter().map(|b| b.bytes).sum()]);
            builder.consume(n);
        }
        builder.finish_block();
        out.extend_from_slice(builder.finished().0);
        prop_assert_eq!(assembled(&out), records);
    }

    #[test]
    fn session_labels_round_trip(text in "[a-z ]{0,20}", job in any::<u32>(), files in any::<u32>(), bytes in any::<u64>(), is_end in any::<bool>()) {
        let end = is_end.then_some(SessionEnd { files, bytes, start: VolAddr(bytes), end: VolAddr(u64::from(files)), errors: 1, status: 84 });
        let label = SessionLabel {
            version: 11, job_id: job, written: VolTime(bytes), write_time: 0.0, pool: text.clone(), pool_type: "Backup".into(),
            job_name: text.clone(), client: text.clone(), job: text.clone(), file_set: text.clone(), job_type: 66, job_level: 70,
            file_set_md5: text, end,
        };
        prop_assert_eq!(SessionLabel::decode(label.index(), &label.encode()).unwrap(), label);
    }

    #[test]
    fn bootstraps_round_trip(name in "[A-Za-z0-9-]{1,20}", id in any::<u32>(), low in 0u64..1000, len in 0u64..1000, count in any::<Option<u32>>(), slot in any::<Option<u32>>()) {
        let bsr = Bsr { sections: vec![Section {
            storage: Some(name.clone()),
            volumes: vec![BsrVolume { name, media_type: Some("a \"b".into()), device: Some("D".into()), slot }],
            session_ids: vec![id..=id], session_times: vec![id], addresses: vec![VolAddr(low)..=VolAddr(low + len)],
            indexes: vec![1..=4, 7..=7], count, ..Section::default()
        }] };
        prop_assert_eq!(bsr.to_string().parse::<Bsr>().unwrap(), bsr);
    }

    #[test]
    fn no_bytes_panic(data in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::fuzz_block(&data);
        fuzz::fuzz_volume(&data);
        fuzz::fuzz_label(&data);
        fuzz::fuzz_bsr(&data);
    }

    #[test]
    fn no_changed_volume_panics_or_gives_a_wrong_record(at in 0usize..74_575, bit in 0u8..8, cut in 0usize..74_575) {
        let good = include_bytes!("../fixtures/v96-interleaved.vol");
        let whole = read_whole(good.to_vec());
        let mut bytes = good.to_vec();
        bytes[at] ^= 1 << bit;
        for damaged in [bytes, good[..cut].to_vec()] {
            for record in read_whole(damaged) {
                prop_assert!(whole.contains(&record), "a record that was never written: {:?}", (record.0, record.1, record.2));
            }
        }
    }
}

fn read_whole(bytes: Vec<u8>) -> Vec<(VolSession, i32, i32, Vec<u8>)> {
    let mut reader = VolumeReader::new(bytes, Verify::Checksum);
    let mut assembler = Assembler::new();
    let mut out = Vec::new();
    loop {
        match reader.next_block().unwrap() {
            VolumeBlock::End => return out,
            VolumeBlock::Damage(damage) => {
                assert!(damage.bytes > 0);
                let _ = assembler.abandon_all();
            }
            VolumeBlock::Block { block, .. } => {
                for piece in block.pieces() {
                    let whole = assembler.push(&piece).1.filter(|r| r.integrity == Integrity::Whole);
                    out.extend(whole.map(|r| (r.session, r.index.0, r.stream, r.data.into_owned())));
                }
            }
        }
    }
}
