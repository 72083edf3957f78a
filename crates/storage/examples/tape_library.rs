//! Checks a real tape library: drives behind `st`, a changer behind `sg`, moved by a program as `mtx-changer`.
//!
//! What is in slots 1 and 2 is overwritten. `tests/tape/run` runs it in a virtual machine. It wants `HOLDFAST_TAPE_0`
//! (`/dev/nst0`), `HOLDFAST_TAPE_1`, `HOLDFAST_CHANGER` (`/dev/sg3`) and `HOLDFAST_CHANGER_COMMAND`, and panics at the first thing that is wrong.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on fails")]

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use storage::device::{ChangerCall, LinuxTape, Operation};
use types::{FileIndex, VolAddr, VolSession, VolTime, VolumeName};
use volume::{
    Block, BlockBuilder, BlockDevice, BlockFormat, LabelKind, Position, ReadOutcome, TapeDrive, TapeFormat,
    TapeMedium, TapeMotion, TapeVolume, Verify, read_label,
};

const SESSION: VolSession = VolSession { id: 1, time: 1_800_000_000 };
/// A cartridge of the virtual library takes some hundred such blocks. All have one size: tgt gives wrong bytes for shorter ones.
const FORMAT: TapeFormat = TapeFormat { bytes_min: 131_072, bytes_max: 131_072 };

fn main() {
    let checks: [(&str, fn()); 2] = [
        ("a job goes over two tapes", a_job_goes_over_two_tapes_and_is_read_back_from_them),
        ("an end without a mark", what_a_writer_left_without_a_mark_is_found_and_appended_behind),
    ];
    let mut out = std::io::stdout();
    for (name, check) in &checks {
        writeln!(out, "{name} ...").unwrap();
        check();
        writeln!(out, "{name} ... ok").unwrap();
    }
    writeln!(out, "{} passed", checks.len()).unwrap();
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: it names a part of the tape library"))
}

/// Slot 1 goes into drive 0, slot 2 into drive 1.
fn changer(slot: u32) -> ChangerCall {
    let drive = slot.saturating_sub(1) % 2;
    ChangerCall {
        command: variable("HOLDFAST_CHANGER_COMMAND"),
        changer_device: variable("HOLDFAST_CHANGER"),
        archive_device: variable(&format!("HOLDFAST_TAPE_{drive}")),
        drive,
        slot,
        wait: Duration::from_secs(120),
        ..ChangerCall::default()
    }
}

/// Has a slot in its drive, and opens the drive.
fn load(slot: u32) -> TapeVolume<LinuxTape> {
    let there = changer(slot).number(Operation::Loaded).unwrap();
    if there != slot {
        if there != 0 {
            ChangerCall { slot: there, ..changer(slot) }.run(Operation::Unload).unwrap();
        }
        changer(slot).run(Operation::Load).unwrap();
    }
    assert_eq!(changer(slot).number(Operation::Loaded).unwrap(), slot);
    let drive = LinuxTape::open(Path::new(&changer(slot).archive_device)).unwrap();
    TapeVolume::open(drive, FORMAT).unwrap()
}

fn block_format() -> BlockFormat {
    BlockFormat { bytes_max: FORMAT.bytes_max, ..BlockFormat::default() }
}

fn label(tape: &mut TapeVolume<LinuxTape>, name: &str) {
    let maker = storage::session::LabelMaker { program: "sd".into(), host: "vm".into() };
    let volume = VolumeName::new(name).unwrap();
    let label = maker.label(LabelKind::Volume, &volume, "P", "LTO", None, VolTime(1));
    tape.position(Position::Start).unwrap();
    tape.write(&volume::label_block(block_format(), SESSION, 0, &label)).unwrap();
    tape.mark().unwrap();
}

/// Blocks of a job whose files each have one record of 200 000 bytes; file `n` begins with its number.
fn job_blocks(files: u32) -> Vec<Vec<u8>> {
    let mut builder = BlockBuilder::new(block_format(), SESSION, 1);
    for n in 1..=files {
        let mut data = vec![n as u8; 200_000];
        data[..4].copy_from_slice(&n.to_be_bytes());
        builder.push(FileIndex(n as i32), 2, &data);
    }
    builder.finish_block();
    let (bytes, blocks) = builder.finished();
    let mut rest = bytes;
    blocks
        .iter()
        .map(|block| {
            let (one, more) = rest.split_at(block.bytes);
            rest = more;
            one.to_vec()
        })
        .collect()
}

/// Reads from a position to the end of the data, and gives the blocks without their padding.
fn read_from(tape: &mut TapeVolume<LinuxTape>, from: VolAddr) -> Vec<Vec<u8>> {
    tape.position(Position::Address(from)).unwrap();
    let (mut out, mut bytes) = (Vec::new(), Vec::new());
    loop {
        match tape.read(&mut bytes).unwrap() {
            ReadOutcome::Block { .. } => {
                let block = Block::decode(&bytes, Verify::Checksum).unwrap();
                let len = block.header.len as usize;
                out.push(bytes[..len].to_vec());
            }
            ReadOutcome::Mark => {}
            ReadOutcome::EndOfData => return out,
            ReadOutcome::Damaged { reason, .. } => panic!("{reason}"),
        }
    }
}

fn a_job_goes_over_two_tapes_and_is_read_back_from_them() {
    let slots = changer(0).number(Operation::Slots).unwrap();
    assert!(slots >= 2, "{slots} slots");
    let list = changer(0).run(Operation::List).unwrap();
    assert!(
        list.lines().any(|line| line.starts_with("1:") && line.len() > 2),
        "no barcode of slot 1: {list}"
    );
    for (slot, name) in [(2, "T2"), (1, "T1")] {
        label(&mut load(slot), name);
    }

    // 160 files of 200 kB do not fit on 24 MB.
    let blocks = job_blocks(160);
    let mut tape = load(1);
    let (_, found) = read_label(&mut tape, Verify::Checksum).unwrap();
    assert_eq!(found.volume, "T1");
    let end = tape.end(None).unwrap();
    assert_eq!((end.at, end.is_marked), (VolAddr::from_file_block(1, 0), true));
    let mut places = Vec::new();
    let mut full = None;
    for (n, block) in blocks.iter().enumerate() {
        match tape.write(block) {
            Ok(at) => places.push(at),
            Err(error) => {
                assert!(error.is_full(), "block {n}: {error:?}");
                full = Some(n);
                break;
            }
        }
        if n == 100 {
            tape.sync().unwrap();
        }
        // A mark every Maximum File Size, so that a restore can seek near.
        if n % 64 == 63 {
            tape.mark().unwrap();
        }
    }
    let full = full.expect("the first tape takes it all");
    assert!(full > 150, "the tape of 24 MB is full after {full} blocks");
    tape.mark().unwrap();
    let end = tape.end(None).unwrap();
    assert!(end.is_marked, "{end:?}");
    drop(tape);

    let mut tape = load(2);
    let (_, found) = read_label(&mut tape, Verify::Checksum).unwrap();
    assert_eq!(found.volume, "T2");
    assert_eq!(tape.end(None).unwrap().at, VolAddr::from_file_block(1, 0));
    // The block that did not fit is the first on the next tape.
    for block in &blocks[full..] {
        tape.write(block).unwrap();
    }
    tape.mark().unwrap();
    let on_second = read_from(&mut tape, VolAddr::from_file_block(1, 0));
    assert!(on_second == blocks[full..], "the second tape differs");
    drop(tape);

    let mut tape = load(1);
    let on_first = read_from(&mut tape, VolAddr::from_file_block(1, 0));
    assert!(on_first == blocks[..full], "the first tape differs");
    // A restore of single files seeks to their blocks, forward and back.
    for n in [full - 1, 3, 70, 64, 63] {
        let there = read_from(&mut tape, places[n]);
        assert!(there[0] == blocks[n], "block {n} is not at {:?}", places[n]);
    }
}

fn what_a_writer_left_without_a_mark_is_found_and_appended_behind() {
    let mut tape = load(2);
    label(&mut tape, "T2");
    let blocks = job_blocks(7);
    for block in &blocks[..3] {
        tape.write(block).unwrap();
    }
    // Closing the drive writes a mark, as st does for whoever is killed.
    drop(tape);
    let mut tape = load(2);
    let end = tape.end(Some(1)).unwrap();
    assert_eq!((end.at, end.is_marked), (VolAddr::from_file_block(2, 0), true));
    for block in &blocks[3..5] {
        tape.write(block).unwrap();
    }
    // After a request for no marks st takes the tape to be closed: no mark comes, as when the power fails.
    let mut drive = tape.into_inner();
    drive.operate(TapeMotion::WriteMarks(0)).unwrap();
    drop(drive);
    for expected in [None, Some(2), Some(1)] {
        let end = load(2).end(expected).unwrap();
        assert_eq!((end.at, end.is_marked), (VolAddr::from_file_block(2, 2), false));
    }
    let mut tape = load(2);
    tape.end(Some(2)).unwrap();
    tape.mark().unwrap();
    for block in &blocks[5..] {
        tape.write(block).unwrap();
    }
    tape.mark().unwrap();
    assert_eq!(tape.end(Some(3)).unwrap().at, VolAddr::from_file_block(4, 0));
    assert!(read_from(&mut tape, VolAddr::from_file_block(1, 0)) == blocks);
}
