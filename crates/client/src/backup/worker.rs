//! The worker: reads, digests and compresses; ACLs and extended attributes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use attrs::{DigestKind, FileType, PosixAcl, Stream, XattrEntry};
use crossbeam_channel::Sender;
use sys::{DirFd, FileStat, NameCache, XattrTarget, XattrValue, stat_at, stat_fd};

use super::chunk::ChunkPool;
use super::{Action, Batch, Chunk, Item, Op};
use crate::codec::Packer;
use crate::counters::StopFlags;
use crate::digest::Digester;
use crate::fileset::{Compression, FileOptions, FileSet};
use crate::message::{JobLog, MessageKind, path_text};

/// Bytes read for one packet (spec/02 §1.2).
pub(crate) const UNIT_BYTES: usize = 65536;
/// The same for sparse streams, whose packets start with an offset.
pub(crate) const SPARSE_UNIT_BYTES: usize = UNIT_BYTES - attrs::OFFSET_BYTES;
/// How long a FIFO may have nobody at its other end (spec/02 §6, §9).
pub(crate) const FIFO_WAIT: Duration = Duration::from_secs(60);
/// How often a job that waits for one looks whether it was canceled.
const FIFO_LOOK: Duration = Duration::from_millis(250);
/// Files from this size on are read ahead and, behind the reading, dropped from the cache.
const LARGE_FILE_BYTES: u64 = 8 << 20;

const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// One worker's buffers and state.
pub struct Worker<'a> {
    set: &'a FileSet,
    log: &'a dyn JobLog,
    stop: &'a StopFlags,
    pool: &'a ChunkPool,
    packer: Packer,
    names: NameCache,
    unit: Vec<u8>,
    list: Vec<u8>,
    value: Vec<u8>,
    xattrs: Vec<u8>,
}

/// Where a worker's chunks go: to the emitter's queue, or straight to the emitter.
type Hand<'h> = &'h mut dyn FnMut(Chunk) -> Option<Chunk>;

/// Work ends: nobody takes chunks any more.
struct Gone;

/// The chunk being filled.
struct Out<'h> {
    chunk: Chunk,
    hand: Hand<'h>,
}

impl Out<'_> {
    fn op(&mut self, op: Op) {
        self.chunk.ops.push(op);
    }

    /// One stream with one packet.
    fn stream(&mut self, stream: Stream, payload: &[u8]) {
        self.op(Op::Begin { stream, hint: 0 });
        self.chunk.bytes.extend_from_slice(payload);
        self.op(Op::Packet { len: payload.len() as u32, plain: 0 });
        self.op(Op::End);
    }

    fn hand_on_if_full(&mut self) -> Result<(), Gone> {
        if self.chunk.is_full() { self.hand_on() } else { Ok(()) }
    }

    fn hand_on(&mut self) -> Result<(), Gone> {
        let chunk = std::mem::take(&mut self.chunk);
        self.chunk = (self.hand)(chunk).ok_or(Gone)?;
        Ok(())
    }
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        set: &'a FileSet,
        log: &'a dyn JobLog,
        stop: &'a StopFlags,
        pool: &'a ChunkPool,
    ) -> Self {
        Self {
            set,
            log,
            stop,
            pool,
            packer: Packer::default(),
            names: NameCache::default(),
            unit: Vec::new(),
            list: Vec::new(),
            value: Vec::new(),
            xattrs: Vec::new(),
        }
    }

    /// Works on a batch and sends its chunks.
    pub(super) fn run(&mut self, batch: &Batch, chunks: &Sender<Chunk>) {
        let pool = self.pool;
        let mut hand = |chunk| chunks.send(chunk).is_ok().then(|| pool.take());
        let mut out = Out { chunk: pool.take(), hand: &mut hand };
        for number in 0..batch.items.len() as u32 {
            if self.item(batch, number, &mut out).is_err() || self.stop.is_canceled() {
                return;
            }
        }
        // The receiver's end is no error of ours: it was told why the job ends.
        let _ = out.hand_on();
    }

    /// Works on one item that turned out to be no further link, in the emitter's thread. `take` gets each chunk.
    pub(super) fn content_here(&mut self, batch: &Batch, number: u32, take: &mut dyn FnMut(&Chunk) -> bool) {
        let mut hand = |mut chunk: Chunk| {
            let more = take(&chunk);
            chunk.bytes.clear();
            chunk.ops.clear();
            more.then_some(chunk)
        };
        let mut out = Out { chunk: Chunk::default(), hand: &mut hand };
        let item = &batch.items[number as usize];
        let done = match item.file_type {
            FileType::Special => self.plain(batch, number, item, &mut out),
            _ => self.content(batch, number, item, &mut out),
        };
        if done.is_ok() {
            // As above.
            let _ = out.hand_on();
        }
    }

    fn item(&mut self, batch: &Batch, number: u32, out: &mut Out<'_>) -> Result<(), Gone> {
        let item = &batch.items[number as usize];
        match item.action {
            Action::MaybeLink => {
                out.op(Op::MaybeLink { item: number });
                Ok(())
            }
            Action::Attributes => self.plain(batch, number, item, out),
            Action::Update => {
                out.op(Op::File { item: number });
                self.metadata(batch, item, None, out);
                if let Some(kind) = self.set.options(item.options).digest {
                    out.stream(kind.stream(), batch.text(&item.link));
                }
                out.hand_on_if_full()
            }
            Action::Content | Action::Stream => self.content(batch, number, item, out),
        }
    }

    /// An entry without content.
    fn plain(&mut self, batch: &Batch, number: u32, item: &Item, out: &mut Out<'_>) -> Result<(), Gone> {
        out.op(Op::File { item: number });
        self.metadata(batch, item, None, out);
        out.hand_on_if_full()
    }

    /// An entry with content. A file that cannot be opened leaves no record, so that a restore does not make an empty one.
    fn content(&mut self, batch: &Batch, number: u32, item: &Item, out: &mut Out<'_>) -> Result<(), Gone> {
        let options = self.set.options(item.options);
        let path = batch.text(&item.path);
        if item.stat.size == 0 && matches!(item.file_type, FileType::Regular | FileType::RegularEmpty) {
            out.op(Op::File { item: number });
            self.metadata(batch, item, None, out);
            if let Some(kind) = options.digest {
                out.stream(kind.stream(), &Digester::new(kind).finish());
            }
            return out.hand_on_if_full();
        }
        let file = match open_same(&item.dir, batch.text(&item.name), &item.stat, options.no_atime) {
            Ok(file) => file,
            Err(error) => {
                let text =
                    format!("     Cannot open \"{}\": ERR={}.\n", path_text(path), sys::error_text(&error));
                self.log.message(MessageKind::NotSaved, &text);
                return Ok(());
            }
        };
        out.op(Op::File { item: number });
        let digest = self.data(&file, item, path, options, out)?;
        if options.check_changes {
            self.check_changes(batch, item, path);
        }
        if options.keep_atime {
            let s = &item.stat;
            // Failing to put the time back does no harm to the backup.
            let _ = item.dir.set_times(batch.text(&item.name), (s.atime, s.atime_ns), (s.mtime, s.mtime_ns));
        }
        self.metadata(batch, item, Some(&file), out);
        if let Some((kind, digest)) = digest {
            out.stream(kind.stream(), &digest);
        }
        out.hand_on_if_full()
    }

    /// The data stream; gives the digest of what was sent.
    fn data(
        &mut self,
        file: &File,
        item: &Item,
        path: &[u8],
        options: &FileOptions,
        out: &mut Out<'_>,
    ) -> Result<Option<(DigestKind, Vec<u8>)>, Gone> {
        let kind = options.digest.filter(|_| item.file_type.has_digest());
        let mut digester = kind.map(Digester::new);
        let stream = data_stream(options, item.file_type);
        out.op(Op::Begin { stream, hint: item.stat.size as i64 });
        if item.stat.size >= LARGE_FILE_BYTES {
            sys::advise_sequential(file);
        }
        let mut units = Units::new(file, item, options.sparse, self.stop);
        let mut unit = std::mem::take(&mut self.unit);
        let result = loop {
            if self.stop.is_canceled() {
                break Err(Gone);
            }
            match units.next(&mut unit) {
                Ok(None) => break Ok(()),
                Ok(Some(offset)) => {
                    if let Some(digester) = &mut digester {
                        digester.update(&unit);
                    }
                    if let Err(gone) =
                        self.packet(&unit, options.sparse.then_some(offset), options.compression, path, out)
                    {
                        break Err(gone);
                    }
                }
                Err(error) => {
                    let text =
                        format!("Read error on file {}. ERR={}\n", path_text(path), sys::error_text(&error));
                    self.log.message(MessageKind::Error, &text);
                    break Ok(());
                }
            }
        };
        self.unit = unit;
        result?;
        out.op(Op::End);
        Ok(kind.zip(digester.map(Digester::finish)))
    }

    /// One unit as a packet: offset, then the bytes as they are or compressed.
    fn packet(
        &mut self,
        unit: &[u8],
        offset: Option<u64>,
        compression: Option<Compression>,
        path: &[u8],
        out: &mut Out<'_>,
    ) -> Result<(), Gone> {
        let bytes = &mut out.chunk.bytes;
        let start = bytes.len();
        if let Some(offset) = offset {
            attrs::put_offset(offset, bytes);
        }
        match compression {
            None => bytes.extend_from_slice(unit),
            Some(how) => {
                if let Err(error) = self.packer.pack(how, unit, bytes) {
                    let text = format!("Compression of {} failed: {error}\n", path_text(path));
                    self.log.message(MessageKind::Fatal, &text);
                    return Err(Gone);
                }
            }
        }
        let len = (out.chunk.bytes.len() - start) as u32;
        out.op(Op::Packet { len, plain: unit.len() as u32 });
        out.hand_on_if_full()
    }

    fn check_changes(&self, batch: &Batch, item: &Item, path: &[u8]) {
        let Ok(now) = stat_at(&item.dir, batch.text(&item.name)) else { return };
        let path = path_text(path);
        let (old, log) = (&item.stat, self.log);
        if now.mtime != old.mtime {
            log.message(MessageKind::Error, &format!("{path} mtime changed during backup.\n"));
        }
        if now.ctime != old.ctime {
            log.message(MessageKind::Error, &format!("{path} ctime changed during backup.\n"));
        }
        if now.size != old.size {
            let text = format!("{path} size of {} changed during backup to {}.\n", old.size, now.size);
            log.message(MessageKind::Error, &text);
        }
    }

    /// ACLs, then extended attributes (spec/02 §1.2). Errors count and the rest goes on.
    fn metadata(&mut self, batch: &Batch, item: &Item, file: Option<&File>, out: &mut Out<'_>) {
        let options = self.set.options(item.options);
        if !options.acl && !options.xattr {
            return;
        }
        let target = match file {
            Some(file) => XattrTarget::File(file),
            None => XattrTarget::At(&item.dir, batch.text(&item.name)),
        };
        let path = batch.text(&item.path);
        let mut listed = None;
        if options.xattr {
            match target.list(&mut self.list) {
                Ok(()) => listed = Some(()),
                Err(error) => {
                    self.metadata_error("xattr list", path, &error);
                    self.list.clear();
                }
            }
        }
        if options.acl && item.file_type != FileType::Symlink {
            // The list, when there is one, spares asking for ACLs that most files do not have.
            let may_have =
                |list: &[u8], name: &[u8]| listed.is_none() || list.split(|&b| b == 0).any(|n| n == name);
            if may_have(&self.list, ACCESS_ACL) {
                self.acl(target, ACCESS_ACL, Stream::LINUX_ACCESS_ACL, path, out);
            }
            if item.file_type == FileType::Directory && may_have(&self.list, DEFAULT_ACL) {
                self.acl(target, DEFAULT_ACL, Stream::LINUX_DEFAULT_ACL, path, out);
            }
        }
        if options.xattr && !self.list.is_empty() {
            self.xattr_stream(target, options.acl, path, out);
        }
    }

    fn metadata_error(&self, what: &str, path: &[u8], error: &io::Error) {
        // A file that vanished has been told of already.
        if error.kind() != io::ErrorKind::NotFound {
            let text =
                format!("{what} error on file \"{}\": ERR={}\n", path_text(path), sys::error_text(error));
            self.log.message(MessageKind::Warning, &text);
        }
    }

    fn acl(&mut self, target: XattrTarget<'_>, name: &[u8], stream: Stream, path: &[u8], out: &mut Out<'_>) {
        match target.get(name, &mut self.value) {
            Ok(XattrValue::Value) => {}
            Ok(XattrValue::Absent | XattrValue::Unsupported) => return,
            Err(error) => return self.metadata_error("ACL get", path, &error),
        }
        let acl = match PosixAcl::from_xattr(&self.value) {
            Ok(acl) => acl,
            Err(error) => return self.metadata_error("ACL decode", path, &io::Error::other(error)),
        };
        if acl.entries.is_empty() || stream == Stream::LINUX_ACCESS_ACL && acl.is_trivial() {
            return;
        }
        let names = std::cell::RefCell::new(&mut self.names);
        let mut text = acl.to_text(
            |uid| names.borrow_mut().user(uid).map(str::to_owned),
            |gid| names.borrow_mut().group(gid).map(str::to_owned),
        );
        text.push('\0');
        out.stream(stream, text.as_bytes());
    }

    fn xattr_stream(&mut self, target: XattrTarget<'_>, acls_apart: bool, path: &[u8], out: &mut Out<'_>) {
        self.xattrs.clear();
        let list = std::mem::take(&mut self.list);
        for name in list.split(|&b| b == 0).filter(|name| !name.is_empty()) {
            if acls_apart && (name == ACCESS_ACL || name == DEFAULT_ACL) {
                continue;
            }
            match target.get(name, &mut self.value) {
                Ok(XattrValue::Value) => {
                    attrs::encode_xattrs([XattrEntry { name, value: &self.value }], &mut self.xattrs);
                }
                // Gone since it was listed, or of a namespace that we may not read.
                Ok(XattrValue::Absent | XattrValue::Unsupported) => {}
                Err(error) => self.metadata_error("xattr get", path, &error),
            }
        }
        self.list = list;
        if !self.xattrs.is_empty() {
            out.stream(Stream::LINUX_XATTR, &self.xattrs);
        }
    }
}

/// Opens a file and makes sure that it is of the kind that was found: a FIFO put in its place must not stop the job.
fn open_same(dir: &DirFd, name: &[u8], found: &FileStat, no_atime: bool) -> io::Result<File> {
    let file = dir.open_file(name, no_atime)?;
    // Only a swap between two system calls can differ; a small file is not worth a third call when it cannot block.
    if found.kind() != sys::FileKind::Regular || found.size >= UNIT_BYTES as u64 {
        let now = stat_fd(&file)?;
        if now.kind() != found.kind() {
            return Err(io::Error::other("it was replaced by something else during the backup"));
        }
    }
    Ok(file)
}

/// Reads a file in units; holes of sparse files are left out (spec/02 §4.3).
struct Units<'f> {
    file: &'f File,
    stop: &'f StopFlags,
    size: u64,
    offset: u64,
    unit_bytes: usize,
    sparse: bool,
    /// Size unknown: a device or FIFO.
    endless: bool,
    fifo: bool,
    /// Up to where data is known to be, so that the system is not asked for each unit.
    data_until: u64,
    has_holes: bool,
    dropped: u64,
    ended: bool,
}

impl<'f> Units<'f> {
    fn new(file: &'f File, item: &Item, sparse: bool, stop: &'f StopFlags) -> Self {
        Self {
            file,
            stop,
            size: item.stat.size,
            offset: 0,
            unit_bytes: if sparse { SPARSE_UNIT_BYTES } else { UNIT_BYTES },
            sparse,
            endless: matches!(item.file_type, FileType::RawDevice | FileType::Fifo),
            fifo: item.file_type == FileType::Fifo,
            data_until: 0,
            has_holes: sparse && item.stat.blocks * 512 < item.stat.size,
            dropped: 0,
            ended: false,
        }
    }

    /// The next unit that is to be sent, and its offset; `None` at the end.
    fn next(&mut self, unit: &mut Vec<u8>) -> io::Result<Option<u64>> {
        loop {
            if self.ended {
                return Ok(None);
            }
            if self.has_holes {
                self.skip_hole()?;
            }
            let offset = self.offset;
            self.read(unit)?;
            if unit.is_empty() {
                self.ended = true;
                return Ok(None);
            }
            self.offset += unit.len() as u64;
            self.drop_cache();
            let full = unit.len() == self.unit_bytes;
            // A short read up to the known size is the end; asking once more would cost each small file a call.
            self.ended = !full && !self.endless && self.offset == self.size;
            let before_end = self.endless || offset + (self.unit_bytes as u64) < self.size;
            if self.sparse && full && before_end && is_zero(unit) {
                continue;
            }
            return Ok(Some(offset));
        }
    }

    /// Jumps over whole units that lie in a hole; the last unit is always read, so that the file regains its length.
    fn skip_hole(&mut self) -> io::Result<()> {
        if self.offset < self.data_until {
            return Ok(());
        }
        let data = sys::next_data(self.file, self.offset)?.unwrap_or(self.size);
        let unit = self.unit_bytes as u64;
        while self.offset + unit <= data && self.offset + unit < self.size {
            self.offset += unit;
        }
        self.data_until =
            sys::next_hole(self.file, data.min(self.size.saturating_sub(1)))?.max(self.offset + 1);
        Ok(())
    }

    /// Fills the unit as far as there is content.
    fn read(&mut self, unit: &mut Vec<u8>) -> io::Result<()> {
        unit.resize(self.unit_bytes, 0);
        let mut filled = 0;
        while filled < self.unit_bytes {
            let read = match self.read_some(&mut unit[filled..], self.offset + filled as u64) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if filled == 0 => {
                    unit.clear();
                    return Err(error);
                }
                // What was read is sent; the error comes again with the next unit.
                Err(_) => break,
            };
            filled += read;
            let known_end = !self.endless && self.offset + filled as u64 == self.size;
            if read == 0 || known_end {
                break;
            }
        }
        unit.truncate(filled);
        Ok(())
    }

    fn read_some(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        if !self.fifo {
            return self.file.read_at(out, offset);
        }
        let limit = Instant::now() + FIFO_WAIT;
        loop {
            if !sys::wait_readable(self.file, FIFO_LOOK)? {
                if self.stop.is_canceled() {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "the job was canceled"));
                }
                if Instant::now() >= limit {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, "no writer has opened the FIFO"));
                }
                continue;
            }
            match (&mut &*self.file).read(out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }

    /// Large files are read once and must not push everything else out of the cache.
    fn drop_cache(&mut self) {
        if self.size >= LARGE_FILE_BYTES && self.offset - self.dropped >= LARGE_FILE_BYTES {
            sys::advise_done(self.file, self.dropped, self.offset - self.dropped);
            self.dropped = self.offset;
        }
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    // Sixteen at a time: a comparison of words that the compiler turns into wide loads.
    let (head, middle, tail) = (bytes.len() % 16, bytes.chunks_exact(16), bytes.chunks_exact(16).remainder());
    debug_assert_eq!(head, tail.len());
    middle.map(|chunk| u128::from_ne_bytes(chunk.try_into().expect("of sixteen"))).all(|word| word == 0)
        && tail.iter().all(|&b| b == 0)
}

/// The data stream of a file under its options (spec/02 §2.2); also field 16 of every attribute record.
#[must_use]
pub(crate) fn data_stream(options: &FileOptions, _file_type: FileType) -> Stream {
    match (options.sparse, options.compression) {
        (false, None) => Stream::FILE_DATA,
        (true, None) => Stream::SPARSE_DATA,
        (false, Some(Compression::Gzip(_))) => Stream::GZIP_DATA,
        (true, Some(Compression::Gzip(_))) => Stream::SPARSE_GZIP_DATA,
        (false, Some(Compression::Lzo | Compression::Zstd(_))) => Stream::COMPRESSED_DATA,
        (true, Some(Compression::Lzo | Compression::Zstd(_))) => Stream::SPARSE_COMPRESSED_DATA,
    }
}

/// The digest of a file as a backup would compute it, the units left out included (spec/02 §7.2, §7.5).
///
/// # Errors
/// When the file cannot be opened or read.
pub(crate) fn digest_of(
    dir: &std::sync::Arc<DirFd>,
    name: &[u8],
    stat: &FileStat,
    options: &FileOptions,
) -> io::Result<Vec<u8>> {
    let Some(kind) = options.digest else { return Ok(Vec::new()) };
    let file = open_same(dir, name, stat, options.no_atime)?;
    let item = Item {
        path: 0..0,
        stored: 0..0,
        name: 0..0,
        link: 0..0,
        dir: dir.clone(),
        stat: *stat,
        file_type: FileType::Regular,
        action: Action::Content,
        options: crate::fileset::OptionId(0),
    };
    // Only regular files come here: nothing waits.
    let never = StopFlags::default();
    let mut units = Units::new(&file, &item, options.sparse, &never);
    let (mut digester, mut unit) = (Digester::new(kind), Vec::new());
    while stat.size > 0 && units.next(&mut unit)?.is_some() {
        digester.update(&unit);
    }
    Ok(digester.finish())
}
