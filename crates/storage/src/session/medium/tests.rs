//! Tapes in drives: a tape in memory that ends, and may be changed behind the daemon's back.

use std::io;
use std::sync::{Arc, Mutex};

use types::{FileIndex, VolAddr};
use volume::{
    Addressing, BlockBuilder, BlockDevice, DeviceError, Position, ReadOutcome, TapeEnd, TapeFormat,
    TapeMedium, VtapeVolume,
};

use super::*;
use crate::device::{FullReason, VolumeReply};
use crate::disk::SystemDisk;

/// What lies on a tape, and how many blocks it takes.
#[derive(Debug, Clone, Default)]
struct Cartridge {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: usize,
    is_protected: bool,
}

/// A drive with a cartridge.
#[derive(Debug)]
struct Drive {
    tape: VtapeVolume<Vec<u8>>,
    cartridge: Cartridge,
    has_warned: bool,
}

impl Drive {
    fn keep(&mut self) {
        let tape = std::mem::replace(&mut self.tape, VtapeVolume::new(Vec::new()).unwrap());
        let at = tape.address();
        let bytes = tape.into_inner();
        self.cartridge.bytes.lock().unwrap().clone_from(&bytes);
        self.tape = VtapeVolume::new(bytes).unwrap();
        self.tape.position(Position::Address(at)).unwrap();
    }
}

impl BlockDevice for Drive {
    fn addressing(&self) -> Addressing {
        Addressing::Blocks
    }
    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<ReadOutcome, DeviceError> {
        self.tape.read(buffer)
    }
    fn write(&mut self, block: &[u8]) -> Result<VolAddr, DeviceError> {
        let used = self.cartridge.bytes.lock().unwrap().len() / TapeFormat::default().largest();
        // As st: the warning comes once, and what is written after it is on the tape.
        if used >= self.cartridge.room && !std::mem::replace(&mut self.has_warned, true) {
            return Err(DeviceError { action: "write", at: 0, source: io::ErrorKind::StorageFull.into() });
        }
        let at = self.tape.write(block)?;
        self.keep();
        Ok(at)
    }
    fn mark(&mut self) -> Result<(), DeviceError> {
        self.tape.mark()?;
        self.keep();
        Ok(())
    }
    fn position(&mut self, to: Position) -> Result<VolAddr, DeviceError> {
        self.tape.position(to)
    }
    fn address(&self) -> VolAddr {
        self.tape.address()
    }
    fn sync(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl TapeMedium for Drive {
    fn end(&mut self, expected: Option<u32>) -> Result<TapeEnd, DeviceError> {
        self.tape.end(expected)
    }
    fn padded(&self, len: usize) -> usize {
        self.tape.padded(len)
    }
    fn is_protected(&mut self) -> bool {
        self.cartridge.is_protected
    }
    fn eject(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }
    fn stands(&mut self) -> bool {
        true
    }
}

impl Cartridge {
    fn of_blocks(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    fn open(&self) -> Tape {
        let tape = VtapeVolume::new(self.bytes.lock().unwrap().clone()).unwrap();
        Tape::new(Box::new(Drive { tape, cartridge: self.clone(), has_warned: false }))
    }

    fn mark(&self) {
        let tape = self.open();
        tape.end(None).unwrap();
        tape.mark().unwrap();
    }
}

/// A folder of states; what the catalog says of `V`.
struct Bench {
    dir: tempfile::TempDir,
    says: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), says: Vec::new() }
    }

    fn place(&mut self, cartridge: &Cartridge, info: VolumeInfo) -> Placed {
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let volume = VolumeName::new("V").unwrap();
        let open = || Ok(cartridge.open());
        let owner = DirectorKey { name: "dir".into(), catalog: None };
        let mut placing = Placing {
            disk: &disk,
            volume: &volume,
            path: "/dev/nst0".into(),
            kind: DeviceKind::Tape,
            tape: Some(&open),
            file_bytes_max: 0,
            state_path: self.dir.path().join("V"),
            is_being_read: false,
            drive: "drive".into(),
            format: BlockFormat::default(),
            verify: Verify::Checksum,
            may_label: true,
            size_max: 0,
            media_type: "LTO",
            owner: &owner,
            session: VolSession { id: 1, time: 2 },
            pool: "P",
            ordinal: 0,
            maker: &LabelMaker { program: "sd".into(), host: "here".into() },
            now: VolTime(1_000_000),
            permit: &|_, _| Ok(()),
            says: Vec::new(),
        };
        let placed = placing.place(info).unwrap();
        self.says = placing.says.into_iter().map(|(_, text)| text).collect();
        placed
    }

    fn mount(&mut self, cartridge: &Cartridge, info: VolumeInfo) -> Mounted {
        match self.place(cartridge, info) {
            Placed::Mounted(mounted) => *mounted,
            other => panic!("{other:?}"),
        }
    }
}

fn info(bytes: u64, files: u32, status: &str) -> VolumeInfo {
    let line = format!("1000 OK VolName=V VolBytes={bytes} VolFiles={files} VolStatus={status} MediaId=1\n");
    match VolumeReply::parse(line.as_bytes()) {
        VolumeReply::Found(info) => *info,
        VolumeReply::Refused(why) => panic!("{why}"),
    }
}

/// Writes so many blocks; gives how many were taken, and why no more were.
fn write(mounted: &Mounted, blocks: usize) -> (usize, Option<FullReason>) {
    let mut builder = BlockBuilder::new(BlockFormat::default(), VolSession { id: 1, time: 2 }, 1);
    for n in 0..blocks {
        builder.push(FileIndex(i32::try_from(n).unwrap() + 1), 2, &[7; 1000]);
        builder.finish_block();
    }
    let (bytes, built) = builder.finished();
    let written = mounted.append(bytes, built).unwrap();
    (written.blocks, written.full)
}

#[test]
fn a_blank_tape_is_labelled_and_appended_to_at_its_mark() {
    let (mut bench, tape) = (Bench::new(), Cartridge::of_blocks(100));
    let mounted = bench.mount(&tape, info(0, 0, "Append"));
    assert!(mounted.has_new_label());
    assert_eq!(mounted.end(), VolAddr::from_file_block(1, 0));
    assert_eq!(write(&mounted, 3), (3, None));
    assert_eq!(mounted.end(), VolAddr::from_file_block(1, 3));
    let synced = mounted.checkpoint().unwrap();
    assert_eq!((synced.info.files, synced.info.vol_type, synced.info.blocks), (2, 2, 3));
    assert_eq!(synced.info.bytes, 4 * 64_512);
    assert_eq!(synced.state.synced_end, VolAddr::from_file_block(2, 0).0);
    // Nothing has changed: no second mark.
    mounted.checkpoint().unwrap();
    assert_eq!(mounted.end(), VolAddr::from_file_block(2, 0));
    mounted.let_go();
    assert_eq!(write(&mounted, 1), (0, Some(FullReason::Closed)));

    let again = bench.mount(&tape, synced.info);
    assert_eq!(again.end(), VolAddr::from_file_block(2, 0));
    assert!(bench.says.iter().any(|text| text.contains("at file=2.")), "{:?}", bench.says);
}

#[test]
fn at_the_end_of_a_tape_the_rest_is_refused_and_what_was_taken_gets_its_mark() {
    let (mut bench, tape) = (Bench::new(), Cartridge::of_blocks(4));
    let mounted = bench.mount(&tape, info(0, 0, "Append"));
    assert_eq!(write(&mounted, 5), (3, Some(FullReason::Limit)));
    // Another job of the drive would get its block behind the warning.
    assert_eq!(write(&mounted, 1), (0, Some(FullReason::Limit)));
    assert!(!mounted.is_closed());
    mounted.close("Full");
    let synced = mounted.checkpoint().unwrap();
    assert_eq!((synced.info.files, synced.info.blocks, synced.info.status.as_str()), (2, 3, "Full"));
    mounted.let_go();
    assert_eq!(tape.open().end(None).unwrap().at, VolAddr::from_file_block(2, 0));
}

#[test]
fn what_nobody_owns_is_kept_and_marked() {
    for is_marked in [false, true] {
        let (mut bench, tape) = (Bench::new(), Cartridge::of_blocks(100));
        let mounted = bench.mount(&tape, info(0, 0, "Append"));
        write(&mounted, 2);
        let synced = mounted.checkpoint().unwrap();
        write(&mounted, 3);
        // The daemon is killed, or the power fails.
        drop(mounted);
        if is_marked {
            tape.mark();
        }
        let mounted = bench.mount(&tape, synced.info);
        assert!(bench.says.iter().any(|text| text.contains("Volume=3 Catalog=2")), "{:?}", bench.says);
        assert_eq!((mounted.end(), mounted.info().files), (VolAddr::from_file_block(3, 0), 3));
        let state = mounted.checkpoint().unwrap().state;
        let (from, to) = (VolAddr::from_file_block(2, 0), VolAddr::from_file_block(3, 0));
        assert_eq!(state.unowned, [(from.0, to.0)]);
    }
}

#[test]
fn a_tape_with_fewer_files_than_are_known_is_left_as_it_is() {
    let (mut bench, tape) = (Bench::new(), Cartridge::of_blocks(100));
    let mounted = bench.mount(&tape, info(0, 0, "Append"));
    write(&mounted, 2);
    let mut known = mounted.checkpoint().unwrap().info;
    mounted.let_go();
    let before = tape.bytes.lock().unwrap().clone();
    known.files += 1;
    let placed = bench.place(&tape, known);
    assert!(matches!(placed, Placed::Unfit(Unfit::FewerFiles { files: 2, known: 3 })), "{placed:?}");
    assert!(*tape.bytes.lock().unwrap() == before);
    // The state kept here counts, too.
    let label_only =
        Cartridge { bytes: Arc::new(Mutex::new(before[..20 + 4 + 64_512 + 20].to_vec())), ..tape };
    let placed = bench.place(&label_only, info(64_512, 1, "Append"));
    assert!(matches!(placed, Placed::Unfit(Unfit::FewerFiles { files: 1, known: 2 })), "{placed:?}");
}

#[test]
fn a_tape_with_another_label_or_none_or_a_lock_is_not_written() {
    let (mut bench, tape) = (Bench::new(), Cartridge::of_blocks(100));
    let blank = bench.place(&tape, info(5000, 2, "Append"));
    assert!(matches!(blank, Placed::Unfit(Unfit::Label(_))), "{blank:?}");
    drop(bench.mount(&tape, info(0, 0, "Append")));
    let locked = Cartridge { is_protected: true, ..tape.clone() };
    let placed = bench.place(&locked, info(64_512, 1, "Append"));
    assert!(matches!(placed, Placed::Unfit(Unfit::Protected)), "{placed:?}");
    let recycled = bench.mount(&tape, info(64_512, 1, "Recycle"));
    assert!(recycled.has_new_label());
    assert_eq!(recycled.end(), VolAddr::from_file_block(1, 0));
}
