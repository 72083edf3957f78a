use proptest::prelude::*;

use super::*;

fn decode_all(bytes: &[u8]) -> Result<Vec<Packet>, FrameError> {
    let mut decoder = FrameDecoder::with_capacity(64);
    decoder.buffer().extend_from_slice(bytes);
    let mut packets = Vec::new();
    while let Some(packet) = decoder.next_packet()? {
        packets.push(packet);
    }
    Ok(packets)
}

#[test]
fn the_recorded_hello_and_signals_decode() {
    let mut bytes = vec![0, 0, 0, 0x1e];
    bytes.extend_from_slice(b"Hello *UserAgent* calling 100\n");
    bytes.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf7]);
    assert_eq!(
        decode_all(&bytes).unwrap(),
        [
            Packet::Data(Bytes::from_static(b"Hello *UserAgent* calling 100\n")),
            Packet::Signal(Signal::Eod),
            Packet::Signal(Signal::Btime)
        ]
    );
}

#[test]
fn signals_have_one_number_each() {
    for (index, signal) in Signal::ALL.iter().enumerate() {
        assert_eq!(signal.number(), -(index as i32) - 1);
        assert_eq!(Signal::from_number(signal.number()), *signal);
    }
    assert_eq!(Signal::from_number(-77), Signal::Unknown(-77));
}

#[test]
fn recorded_lz4_packets_expand() {
    let vectors = include_str!("../../fixtures/lz4-vectors.txt");
    let mut packet = None;
    let mut checked = 0;
    for line in vectors.lines().filter(|line| !line.starts_with('#')) {
        match line.trim().strip_prefix("= '") {
            None => packet = Some(hex::decode(line.replace(' ', "")).unwrap()),
            Some(text) => {
                let want = text.strip_suffix("\\n'").unwrap().to_owned() + "\n";
                let got = decode_all(&packet.take().unwrap()).unwrap();
                assert_eq!(got, [Packet::Data(want.into())]);
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 7);
}

#[test]
fn oversized_and_command_packets_are_refused() {
    assert_eq!(
        decode_all(&1_000_001u32.to_be_bytes()),
        Err(FrameError::TooBig { len: 1_000_001, max: PAYLOAD_BYTES_MAX })
    );
    assert!(matches!(decode_all(b"GET / HTTP/1.1\r\n"), Err(FrameError::TooBig { .. })));
    let header = Header::parse(&9000u32.to_be_bytes()).unwrap().unwrap();
    assert_eq!(header.check_handshake(), Err(FrameError::TooBig { len: 9000, max: HANDSHAKE_BYTES_MAX }));
    let mut command = (EXTENDED | 4).to_be_bytes().to_vec();
    command.extend_from_slice(&FLAG_IS_CMD.to_be_bytes());
    assert_eq!(decode_all(&command), Err(FrameError::Command));
}

#[test]
fn an_extended_header_is_skipped_and_its_offset_obeyed() {
    let block = lz4_flex::block::compress(&b"tail ".repeat(40));
    let mut bytes = (EXTENDED | (4 + block.len()) as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(&(FLAG_OFFSET | 4).to_be_bytes());
    bytes.extend_from_slice(b"head");
    bytes.extend_from_slice(&block);
    let want = [b"head".to_vec(), b"tail ".repeat(40)].concat();
    assert_eq!(decode_all(&bytes).unwrap(), [Packet::Data(want.into())]);
}

#[test]
fn a_small_block_does_not_expand_without_bound() {
    // 20,000 continuation bytes would be 5 MB.
    let mut block = vec![0x1f, b'x', 1, 0];
    block.extend(std::iter::repeat_n(255u8, 20_000));
    block.push(0);
    assert_eq!(expand(&block, 0), Err(FrameError::Lz4 { len: block.len() }));
}

proptest! {
    #[test]
    fn packets_round_trip_in_any_segments(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20), cut in 1usize..50,
    ) {
        let mut encoder = FrameEncoder::default();
        for payload in &payloads {
            encoder.data(payload);
            encoder.signal(Signal::Eod);
        }
        let bytes = encoder.take();
        let mut decoder = FrameDecoder::with_capacity(16);
        let mut got = Vec::new();
        for piece in bytes.chunks(cut) {
            decoder.buffer().extend_from_slice(piece);
            while let Some(packet) = decoder.next_packet().unwrap() {
                if let Packet::Data(data) = packet { got.push(data.to_vec()); }
            }
        }
        prop_assert!(!decoder.is_mid_packet());
        prop_assert_eq!(got, payloads);
    }

    #[test]
    fn lz4_of_any_bytes_expands_to_them(data in prop::collection::vec(0u8..4, 0..5000)) {
        prop_assert_eq!(expand(&lz4_flex::block::compress(&data), 0).unwrap(), data);
    }

    #[test]
    fn any_bytes_decode_or_fail(data in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzz::fuzz_packets(&data);
    }
}
