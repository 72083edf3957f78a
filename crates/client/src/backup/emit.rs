//! The emitter: numbers files and frames everything in order (spec/02 §1.2).

use std::io::{self, Write};

use attrs::{AttrRecord, DigestKind, EncodedStat, FileType, Stream};

use super::hardlinks::HardLinks;
use super::select::Leftovers;
use super::worker::{Worker, data_stream};
use super::{Action, Batch, Chunk, Item, Op};
use crate::counters::Counters;
use crate::fileset::FileSet;
use crate::message::{JobLog, MessageKind};

/// Framed bytes are written when so many have gathered.
const WRITE_BYTES: usize = 256 * 1024;
/// End of a stream.
const SIGNAL_EOD: [u8; 4] = (-1i32).to_be_bytes();

/// Where framed packets go.
pub trait FrameSink {
    /// Takes whole packets, framed, and the count of payload bytes among them.
    ///
    /// # Errors
    /// When the Storage Daemon is gone.
    fn write_frames(&mut self, framed: &[u8], payload_bytes: u64) -> io::Result<()>;
}

/// State of the sending side.
pub struct Emitter<'a> {
    set: &'a FileSet,
    counters: &'a Counters,
    log: &'a dyn JobLog,
    sink: &'a mut dyn FrameSink,
    /// FileIndex of the current file.
    index: i32,
    links: HardLinks,
    /// Inode of the current file when it is the first of several links.
    first_link: Option<(u64, u64)>,
    /// Stream being sent.
    stream: Option<Stream>,
    framed: Vec<u8>,
    payload_bytes: u64,
    record: Vec<u8>,
    lstat: Vec<u8>,
}

impl<'a> Emitter<'a> {
    /// Starts behind FileIndex `last_index`.
    pub fn new(
        set: &'a FileSet,
        last_index: i32,
        counters: &'a Counters,
        log: &'a dyn JobLog,
        sink: &'a mut dyn FrameSink,
    ) -> Self {
        Self {
            set,
            counters,
            log,
            sink,
            index: last_index.max(0),
            links: HardLinks::default(),
            first_link: None,
            stream: None,
            framed: Vec::with_capacity(WRITE_BYTES + 128 * 1024),
            payload_bytes: 0,
            record: Vec::new(),
            lstat: Vec::new(),
        }
    }

    /// Sends what a worker made of a batch, or of a part of it.
    ///
    /// # Errors
    /// When the Storage Daemon is gone.
    pub fn chunk(&mut self, batch: &Batch, chunk: &Chunk, inline: &mut Worker<'_>) -> io::Result<()> {
        let mut at = 0;
        for op in &chunk.ops {
            match *op {
                Op::File { item } => self.file(batch, &batch.items[item as usize])?,
                Op::MaybeLink { item } => self.maybe_link(batch, item, inline)?,
                Op::Begin { stream, hint } => self.begin(stream, hint),
                Op::Packet { len, plain } => {
                    let packet = &chunk.bytes[at..at + len as usize];
                    at += len as usize;
                    self.packet(packet, plain)?;
                }
                Op::End => self.end(),
            }
        }
        Ok(())
    }

    /// Sends the records of files that are gone, or that base jobs hold (spec/02 §7.2, §7.3).
    ///
    /// # Errors
    /// When the Storage Daemon is gone.
    pub fn leftovers(&mut self, rest: &Leftovers) -> io::Result<()> {
        let mut result = Ok(());
        rest.for_each(|file_type, name, lstat| {
            result = self.plain_record(file_type, name, lstat);
            result.is_ok()
        });
        result
    }

    /// Sends what has gathered and, when `complete`, the final signal.
    ///
    /// # Errors
    /// When the Storage Daemon is gone.
    pub fn finish(mut self, complete: bool) -> io::Result<()> {
        if !complete {
            return Ok(());
        }
        self.framed.extend_from_slice(&SIGNAL_EOD);
        self.flush()
    }

    fn file(&mut self, batch: &Batch, item: &Item) -> io::Result<()> {
        self.index += 1;
        self.first_link = None;
        let name = batch.text(&item.stored);
        self.counters.set_current(batch.text(&item.path));
        let link = match item.file_type {
            FileType::Symlink => batch.text(&item.link),
            _ => b"",
        };
        let stream = if item.action == Action::Update {
            Stream::UNIX_ATTRIBUTE_UPDATE
        } else {
            Stream::UNIX_ATTRIBUTES
        };
        let delta_seq = i32::from(item.action == Action::Update);
        self.attributes(stream, item, item.file_type, name, link, 0, delta_seq)?;
        let may_have_links = item.stat.nlink > 1 && item.file_type != FileType::Directory;
        if may_have_links && !self.set.options(item.options).no_hardlinks {
            let stat = &item.stat;
            self.links.register(stat.dev, stat.ino, stat.nlink, self.index, name);
            self.first_link = Some((stat.dev, stat.ino));
        }
        Ok(())
    }

    /// A further link to a saved file, or the first one after all: then it is read here.
    fn maybe_link(&mut self, batch: &Batch, number: u32, inline: &mut Worker<'_>) -> io::Result<()> {
        let item = &batch.items[number as usize];
        let Some(first) = self.links.further(item.stat.dev, item.stat.ino) else {
            let mut result = Ok(());
            inline.content_here(batch, number, &mut |chunk| {
                // The worker has turned the possible link into a file, so this does not come back here.
                result = self.plain_chunk(batch, chunk);
                result.is_ok()
            });
            return result;
        };
        let name = batch.text(&item.stored);
        if *first.name == *name {
            // The same path again: two entries of the FileSet reach it.
            return Ok(());
        }
        self.index += 1;
        self.first_link = None;
        self.attributes(
            Stream::UNIX_ATTRIBUTES,
            item,
            FileType::HardLink,
            name,
            &first.name,
            first.index,
            0,
        )?;
        if let Some((kind, digest)) = &first.digest {
            self.begin(kind.stream(), 0);
            self.packet(digest, 0)?;
            self.end();
        }
        Ok(())
    }

    fn plain_chunk(&mut self, batch: &Batch, chunk: &Chunk) -> io::Result<()> {
        let mut at = 0;
        for op in &chunk.ops {
            match *op {
                Op::File { item } | Op::MaybeLink { item } => {
                    self.file(batch, &batch.items[item as usize])?;
                }
                Op::Begin { stream, hint } => self.begin(stream, hint),
                Op::Packet { len, plain } => {
                    self.packet(&chunk.bytes[at..at + len as usize], plain)?;
                    at += len as usize;
                }
                Op::End => self.end(),
            }
        }
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one record")]
    fn attributes(
        &mut self,
        stream: Stream,
        item: &Item,
        file_type: FileType,
        name: &[u8],
        link: &[u8],
        link_fi: i32,
        delta_seq: i32,
    ) -> io::Result<()> {
        let options = self.set.options(item.options);
        let stat = encoded_stat(&item.stat, link_fi, data_stream(options, file_type));
        self.lstat.clear();
        stat.encode(&mut self.lstat);
        self.record.clear();
        let record = AttrRecord {
            file_index: self.index,
            file_type,
            name,
            lstat: &self.lstat,
            link,
            attr_ex: b"",
            delta_seq,
        };
        record.encode_into(&mut self.record);
        self.send_record(stream)
    }

    /// A record of its own, with an encoded stat from elsewhere.
    fn plain_record(&mut self, file_type: FileType, name: &[u8], lstat: &[u8]) -> io::Result<()> {
        self.index += 1;
        self.first_link = None;
        self.record.clear();
        let record = AttrRecord { file_index: self.index, file_type, name, lstat, ..AttrRecord::default() };
        record.encode_into(&mut self.record);
        self.send_record(Stream::UNIX_ATTRIBUTES)
    }

    fn send_record(&mut self, stream: Stream) -> io::Result<()> {
        Counters::add(&self.counters.files, 1);
        self.begin(stream, 0);
        let record = std::mem::take(&mut self.record);
        self.frame(&record);
        self.record = record;
        self.end();
        self.flush_if_full()
    }

    fn begin(&mut self, stream: Stream, hint: i64) {
        let start = self.framed.len();
        self.framed.extend_from_slice(&[0; 4]);
        // Writing to a Vec cannot fail.
        let _ = write!(self.framed, "{} {} {hint}", self.index, stream.0);
        let len = self.framed.len() - start - 4;
        self.framed[start..start + 4].copy_from_slice(&(len as u32).to_be_bytes());
        self.payload_bytes += len as u64;
        self.stream = Some(stream);
    }

    fn packet(&mut self, packet: &[u8], plain: u32) -> io::Result<()> {
        let stream = self.stream.unwrap_or_default();
        match DigestKind::of_stream(stream) {
            Some(kind) => {
                if let Some((dev, ino)) = self.first_link {
                    self.links.set_digest(dev, ino, kind, packet);
                }
            }
            None => Counters::add(&self.counters.job_bytes, packet.len() as u64),
        }
        Counters::add(&self.counters.read_bytes, plain.into());
        self.frame(packet);
        self.flush_if_full()
    }

    fn end(&mut self) {
        self.framed.extend_from_slice(&SIGNAL_EOD);
        self.stream = None;
    }

    fn frame(&mut self, payload: &[u8]) {
        self.framed.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        self.framed.extend_from_slice(payload);
        self.payload_bytes += payload.len() as u64;
    }

    fn flush_if_full(&mut self) -> io::Result<()> {
        if self.framed.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.sink.write_frames(&self.framed, self.payload_bytes);
        self.framed.clear();
        Counters::add(&self.counters.comm_bytes, std::mem::take(&mut self.payload_bytes));
        if let Err(error) = &result
            && self.log.wants(MessageKind::Error)
        {
            tracing::warn!(%error, "sending to the Storage Daemon failed");
        }
        result
    }
}

/// A status as attribute records have it.
#[must_use]
pub(crate) fn encoded_stat(stat: &sys::FileStat, link_fi: i32, stream: Stream) -> EncodedStat {
    EncodedStat {
        dev: stat.dev,
        ino: stat.ino,
        mode: stat.mode,
        nlink: stat.nlink,
        uid: stat.uid,
        gid: stat.gid,
        rdev: stat.rdev,
        size: stat.size,
        blksize: stat.blksize,
        blocks: stat.blocks,
        atime: stat.atime,
        mtime: stat.mtime,
        ctime: stat.ctime,
        link_fi,
        flags: 0,
        data_stream: stream.number(),
        win_attrs: None,
    }
}
