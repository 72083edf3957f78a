use types::VolAddr;

use super::sim::{Item, SimTape};
use super::*;

const PLENTY: usize = 100 << 20;

fn tape(drive: SimTape) -> TapeVolume<SimTape> {
    TapeVolume::open(drive, TapeFormat::default()).unwrap()
}

fn addr(file: u32, block: u32) -> VolAddr {
    VolAddr::from_file_block(file, block)
}

/// A label, and two jobs of three and two blocks.
fn written(room: usize) -> SimTape {
    let mut tape = tape(SimTape::of_bytes(room));
    for blocks in [1_u8, 3, 2] {
        for n in 0..blocks {
            tape.write(&[blocks * 16 + n; 100]).unwrap();
        }
        tape.mark().unwrap();
    }
    tape.into_inner()
}

fn first_byte(tape: &mut TapeVolume<SimTape>) -> u8 {
    let mut block = Vec::new();
    assert!(matches!(tape.read(&mut block), Ok(ReadOutcome::Block { .. })));
    block[0]
}

#[test]
fn blocks_are_padded_as_bacula_pads_them() {
    let format = |bytes_min, bytes_max| TapeFormat { bytes_min, bytes_max };
    assert_eq!(format(0, 0).padded(100), BLOCK_BYTES_DEFAULT);
    assert_eq!(format(65_536, 65_536).padded(100), 65_536);
    assert_eq!(format(0, 262_144).padded(1025), 2048);
    assert_eq!(format(5000, 262_144).padded(100), 5120);
    let drive = written(PLENTY);
    assert!(drive.items.iter().all(|i| !matches!(i, Item::Record(r) if r.len() != BLOCK_BYTES_DEFAULT)));
}

#[test]
fn what_was_written_is_read_with_its_addresses() {
    let mut tape = tape(written(PLENTY));
    let mut seen = Vec::new();
    let mut block = Vec::new();
    loop {
        match tape.read(&mut block).unwrap() {
            ReadOutcome::Block { at } => seen.push((at.file(), at.block(), block[0])),
            ReadOutcome::Mark => {}
            ReadOutcome::EndOfData => break,
            ReadOutcome::Damaged { .. } => panic!("damaged"),
        }
    }
    assert_eq!(seen, [(0, 0, 16), (1, 0, 48), (1, 1, 49), (1, 2, 50), (2, 0, 32), (2, 1, 33)]);
    assert_eq!(tape.address(), addr(3, 0));
}

#[test]
fn a_restore_goes_to_a_block_forward_and_back() {
    let mut tape = tape(written(PLENTY));
    for (file, block, byte) in [(2, 1, 33), (1, 2, 50), (1, 0, 48), (2, 0, 32), (0, 0, 16)] {
        assert_eq!(tape.position(Position::Address(addr(file, block))).unwrap(), addr(file, block));
        assert_eq!(first_byte(&mut tape), byte);
    }
    // Behind the last block of a file there is none.
    assert!(tape.position(Position::Address(addr(1, 9))).is_err());
    assert!(tape.position(Position::Address(addr(9, 0))).is_err());
}

#[test]
fn the_end_is_found_and_appended_to() {
    for (is_truthful, expected) in
        [false, true].into_iter().flat_map(|t| [None, Some(2), Some(3), Some(9)].map(|e| (t, e)))
    {
        let mut tape = tape(SimTape { is_truthful, ..written(PLENTY) });
        assert_eq!(tape.end(expected).unwrap(), TapeEnd { at: addr(3, 0), is_marked: true });
        assert_eq!(tape.write(b"more").unwrap(), addr(3, 0));
        // The power fails before a mark, though not before the drive has written the block: it is counted.
        let mut drive = tape.into_inner();
        drive.safe = drive.items.len();
        drive.lose_power();
        let mut tape = super::tests::tape(drive);
        assert_eq!(tape.end(expected).unwrap(), TapeEnd { at: addr(3, 1), is_marked: false });
        tape.mark().unwrap();
        assert_eq!(tape.end(None).unwrap(), TapeEnd { at: addr(4, 0), is_marked: true });
    }
    let mut empty = tape(SimTape::of_bytes(PLENTY));
    assert_eq!(empty.end(None).unwrap(), TapeEnd { at: addr(0, 0), is_marked: true });
    assert_eq!(empty.read(&mut Vec::new()).unwrap(), ReadOutcome::EndOfData);
}

#[test]
fn what_was_synced_or_marked_outlives_the_power() {
    let mut tape = tape(written(PLENTY));
    tape.end(None).unwrap();
    tape.write(b"synced").unwrap();
    tape.sync().unwrap();
    tape.write(b"in the drive's memory").unwrap();
    let mut drive = tape.into_inner();
    drive.lose_power();
    let mut tape = super::tests::tape(drive);
    assert_eq!(tape.end(None).unwrap(), TapeEnd { at: addr(4, 0), is_marked: true });
    assert_eq!(tape.position(Position::Address(addr(3, 0))).unwrap(), addr(3, 0));
    assert_eq!(first_byte(&mut tape), b's');
}

#[test]
fn at_the_end_of_the_tape_a_block_is_refused_whole_and_a_mark_still_fits() {
    let mut tape = tape(SimTape::of_bytes(3 * BLOCK_BYTES_DEFAULT + 10));
    for _ in 0..3 {
        tape.write(b"x").unwrap();
    }
    let error = tape.write(b"too much").unwrap_err();
    assert!(error.is_full(), "{error}");
    assert_eq!(tape.address(), addr(0, 3));
    tape.mark().unwrap();
    assert_eq!(tape.end(None).unwrap(), TapeEnd { at: addr(1, 0), is_marked: true });
    assert_eq!(tape.into_inner().items.len(), 4);
}

#[test]
fn a_protected_tape_is_read_and_not_written() {
    let mut tape = tape(SimTape { is_write_protected: true, ..written(PLENTY) });
    assert!(tape.status().unwrap().is_write_protected);
    let before = tape.drive.items.clone();
    tape.end(None).unwrap();
    assert!(!tape.write(b"x").unwrap_err().is_full());
    assert!(tape.mark().is_err());
    assert_eq!(tape.drive.items, before);
    tape.position(Position::Start).unwrap();
    assert_eq!(first_byte(&mut tape), 16);
}

#[test]
fn a_record_that_is_longer_than_a_block_may_be_is_an_error_and_no_block() {
    let mut drive = SimTape::of_bytes(PLENTY);
    drive.items = vec![Item::Record(vec![1; BLOCK_BYTES_DEFAULT + 1]), Item::Mark];
    assert!(tape(drive).read(&mut Vec::new()).is_err());
}
