//! Chunks: payload bytes and the operations that say what they are.

use std::sync::Mutex;

use attrs::Stream;

/// A chunk is handed on when it holds this much.
pub const CHUNK_BYTES: usize = 256 * 1024;
/// Chunks kept for reuse.
const POOL_CHUNKS: usize = 8;

/// One step of the emitter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A new file: number it and send its attribute record. The index is the item's in the batch.
    File {
        /// Index in the batch.
        item: u32,
    },
    /// The emitter decides about a possible hard link.
    MaybeLink {
        /// Index in the batch.
        item: u32,
    },
    /// A stream of the current file begins.
    Begin {
        /// Which.
        stream: Stream,
        /// Length in its header, a hint.
        hint: i64,
    },
    /// The next `len` bytes are one packet of the stream; `plain` of them were read from the file.
    Packet {
        /// Bytes in the chunk.
        len: u32,
        /// Plain bytes that they stand for.
        plain: u32,
    },
    /// The stream ends.
    End,
}

/// Payload and operations, in order.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Payload of all packets, one after the other.
    pub bytes: Vec<u8>,
    /// What to do.
    pub ops: Vec<Op>,
}

impl Chunk {
    /// Whether it is to be handed on.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= CHUNK_BYTES
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ops.clear();
    }
}

/// Chunks for reuse, so that their memory is asked from the system once.
#[derive(Debug, Default)]
pub(super) struct ChunkPool {
    free: Mutex<Vec<Chunk>>,
}

impl ChunkPool {
    pub(super) fn take(&self) -> Chunk {
        self.free.lock().ok().and_then(|mut free| free.pop()).unwrap_or_default()
    }

    pub(super) fn give_back(&self, mut chunk: Chunk) {
        chunk.clear();
        if let Ok(mut free) = self.free.lock()
            && free.len() < POOL_CHUNKS
        {
            free.push(chunk);
        }
    }
}
