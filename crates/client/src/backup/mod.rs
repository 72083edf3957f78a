//! The data path of a backup (DESIGN §5): walk → read, digest, compress on several threads → emit in order.
//!
//! The walker packs found entries into batches, workers turn batches into chunks of payload and operations, and the emitter
//! takes the batches in the walker's order, numbers the files and frames everything into large writes. Every queue is
//! bounded: a slow Storage Daemon stops the emitter, then the workers, then the walker.

mod batch;
mod chunk;
mod emit;
mod hardlinks;
mod select;
mod worker;

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::accurate::AccurateList;
use crate::counters::{Counters, StopFlags};
use crate::fileset::FileSet;
use crate::message::{JobLog, MessageKind};
use crate::walk::walk_include;

pub use batch::{Action, Batch, Item};
pub use chunk::{CHUNK_BYTES, Chunk, Op};
pub(crate) use emit::encoded_stat;
pub use emit::{Emitter, FrameSink};
pub use select::{Leftovers, Selection, Selector, Since, Take};
pub use worker::Worker;
pub(crate) use worker::{FIFO_WAIT, digest_of};

/// Batches between walker and emitter.
const BATCHES_AHEAD: usize = 12;
/// Finished chunks of one batch that wait for the emitter.
const CHUNKS_AHEAD: usize = 2;
/// More threads than this do not help one job, and each costs memory.
const WORKERS_MAX: usize = 8;

/// Everything that a backup needs to know.
pub struct BackupPlan<'a> {
    /// What to take.
    pub set: &'a FileSet,
    /// Expanded entries of each Include.
    pub files: &'a [Vec<Vec<u8>>],
    /// Which of the found entries have changed.
    pub selection: Selection,
    /// The accurate list, when there is one.
    pub accurate: Option<AccurateList>,
    /// FileIndex of the last file of an earlier, incomplete attempt; 0 for none.
    pub last_index: i32,
    /// Numbers that others see.
    pub counters: &'a Counters,
    /// Requests to end.
    pub stop: &'a StopFlags,
    /// Where messages go.
    pub log: &'a dyn JobLog,
}

/// How the data path ended.
#[derive(Debug)]
pub enum BackupEnd {
    /// Everything was sent.
    Complete,
    /// Ended behind a whole file, as asked.
    Stopped,
    /// Ended at once, as asked.
    Canceled,
    /// The connection to the Storage Daemon failed.
    Lost(io::Error),
}

/// A batch on its way to the emitter, with the chunks that a worker makes of it.
type Ordered = (Arc<Batch>, Receiver<Chunk>);
/// A batch on its way to a worker.
type Work = (Arc<Batch>, Sender<Chunk>);

/// Runs the data path and sends everything between `append data` and the final end-of-data signal to `sink`.
pub fn run_backup(plan: BackupPlan<'_>, sink: &mut dyn FrameSink) -> BackupEnd {
    let (work_in, work_out) = bounded::<Work>(BATCHES_AHEAD);
    let (order_in, order_out) = bounded::<Ordered>(BATCHES_AHEAD);
    let pool = chunk::ChunkPool::default();
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, WORKERS_MAX);
    let BackupPlan { set, files, selection, accurate, last_index, counters, stop, log } = plan;
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let work = work_out.clone();
            let pool = &pool;
            spawn(scope, "fd-read", move || {
                let mut worker = Worker::new(set, log, stop, pool);
                for (batch, chunks) in work {
                    worker.run(&batch, &chunks);
                }
            });
        }
        drop(work_out);
        let walker = spawn(scope, "fd-walk", move || {
            let batcher = batch::Batcher::new(work_in, order_in);
            let mut select = Selector::new(set, selection, accurate, batcher, counters, stop, log);
            for (index, entries) in files.iter().enumerate() {
                if walk_include(set, index, entries, &mut select) == ControlFlow::Break(()) {
                    break;
                }
            }
            select.taker.send();
            select.leftovers()
        });
        let mut emitter = Emitter::new(set, last_index, counters, log, sink);
        let mut inline = Worker::new(set, log, stop, &pool);
        let mut end = emit_all(&mut emitter, &mut inline, &order_out, stop, &pool);
        // The walker and the workers end when nobody takes their batches any more.
        drop(order_out);
        let rest = walker.join().unwrap_or_else(|_| {
            log.message(MessageKind::Fatal, "The walk through the FileSet ended with an internal error.\n");
            None
        });
        if matches!(end, BackupEnd::Complete)
            && let Some(rest) = rest
            && let Err(error) = emitter.leftovers(&rest)
        {
            end = BackupEnd::Lost(error);
        }
        match (&end, emitter.finish(matches!(end, BackupEnd::Complete | BackupEnd::Stopped))) {
            (BackupEnd::Complete | BackupEnd::Stopped, Err(error)) => BackupEnd::Lost(error),
            _ => end,
        }
    })
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    name: &str,
    body: impl FnOnce() -> T + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, T> {
    // The threads hold a few buffers on the heap and nothing deep on the stack.
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(512 * 1024);
    builder.spawn_scoped(scope, body).expect("a thread can be started")
}

fn emit_all(
    emitter: &mut Emitter<'_>,
    inline: &mut Worker<'_>,
    order: &Receiver<Ordered>,
    stop: &StopFlags,
    pool: &chunk::ChunkPool,
) -> BackupEnd {
    for (batch, chunks) in order {
        for chunk in chunks {
            if stop.is_canceled() {
                return BackupEnd::Canceled;
            }
            if let Err(error) = emitter.chunk(&batch, &chunk, inline) {
                return if stop.is_canceled() { BackupEnd::Canceled } else { BackupEnd::Lost(error) };
            }
            pool.give_back(chunk);
        }
        if stop.is_stopped() {
            return BackupEnd::Stopped;
        }
    }
    if stop.is_canceled() {
        BackupEnd::Canceled
    } else if stop.is_stopped() {
        BackupEnd::Stopped
    } else {
        BackupEnd::Complete
    }
}
