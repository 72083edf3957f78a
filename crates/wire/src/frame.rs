//! Packet framing (spec/01 §1): a signed 32-bit big-endian length, flags in its upper bits, then the payload.

use bytes::{Buf, BufMut, Bytes, BytesMut};

mod lz4;
mod signal;

pub use signal::Signal;

/// Largest payload a receiver takes, in bytes (spec/01 §1.1).
pub const PAYLOAD_BYTES_MAX: usize = 1_000_000;
/// Largest packet before a peer has authenticated, in bytes: a Hello has at most 500, an answer 24.
pub const HANDSHAKE_BYTES_MAX: usize = 8 << 10;
/// Largest text or data after decompression, in bytes (spec/01 §1.4).
pub const PLAIN_BYTES_MAX: usize = 4 << 20;
/// Bytes of the length word.
pub const HEADER_BYTES: usize = 4;
/// Size of a receive buffer that lets a data stream run at the speed of the network.
pub const RECEIVE_BUFFER_BYTES: usize = 256 << 10;

const COMPRESSED: u32 = 1 << 30;
const EXTENDED: u32 = 1 << 29;
const FLAG_IS_CMD: u32 = 1 << 28;
const FLAG_OFFSET: u32 = 1 << 27;

/// Why bytes are no packet. The connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Over [`PAYLOAD_BYTES_MAX`]: another protocol is spoken, or the stream lost its place.
    #[error("packet of {len} bytes announced; at most {max} are permitted")]
    TooBig {
        /// Announced length in bytes.
        len: usize,
        /// The limit at this place, in bytes.
        max: usize,
    },
    /// Deduplication commands are not spoken here.
    #[error("packet is a deduplication command, which was not agreed on")]
    Command,
    /// A compressed packet whose content is damaged or would exceed [`PLAIN_BYTES_MAX`].
    #[error("compressed packet of {len} bytes cannot be expanded")]
    Lz4 {
        /// Compressed length in bytes.
        len: usize,
    },
}

/// One received packet that owns its bytes (a slice of the receive buffer, or a decompressed copy).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet {
    /// Payload; empty is legal.
    Data(Bytes),
    /// A signal.
    Signal(Signal),
}

impl Packet {
    /// The payload, unless it is a signal.
    #[must_use]
    pub fn data(&self) -> Option<&Bytes> {
        match self {
            Self::Data(data) => Some(data),
            Self::Signal(_) => None,
        }
    }
}

/// One received packet in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketRef<'a> {
    /// Payload; empty is legal.
    Data(&'a [u8]),
    /// A signal.
    Signal(Signal),
}

impl PacketRef<'_> {
    /// A copy that owns its bytes.
    #[must_use]
    pub fn to_owned(self) -> Packet {
        match self {
            Self::Data(data) => Packet::Data(Bytes::copy_from_slice(data)),
            Self::Signal(signal) => Packet::Signal(signal),
        }
    }
}

/// What the first bytes of a buffer announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// A signal; only the length word belongs to it.
    Signal(Signal),
    /// Payload of `payload` bytes after `header` bytes; `lz4_from` is where its compressed part starts.
    Data {
        /// Bytes of length and flags words.
        header: usize,
        /// Bytes of payload as sent.
        payload: usize,
        /// Offset in the payload of an LZ4 block, if there is one.
        lz4_from: Option<usize>,
    },
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` while more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError::TooBig`] and [`FrameError::Command`].
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let Some(word) = bytes.first_chunk::<4>().map(|word| i32::from_be_bytes(*word)) else {
            return Ok(None);
        };
        if word < 0 {
            return Ok(Some(Self::Signal(Signal::from_number(word))));
        }
        let word = word as u32;
        let payload = (word & !(COMPRESSED | EXTENDED)) as usize;
        if payload > PAYLOAD_BYTES_MAX {
            return Err(FrameError::TooBig { len: payload, max: PAYLOAD_BYTES_MAX });
        }
        let whole = (word & COMPRESSED != 0).then_some(0);
        if word & EXTENDED == 0 {
            return Ok(Some(Self::Data { header: HEADER_BYTES, payload, lz4_from: whole }));
        }
        let Some(flags) = bytes[HEADER_BYTES..].first_chunk::<4>().map(|word| u32::from_be_bytes(*word))
        else {
            return Ok(None);
        };
        if flags & FLAG_IS_CMD != 0 {
            return Err(FrameError::Command);
        }
        let offset = (flags & FLAG_OFFSET != 0).then_some((flags & 0xff) as usize);
        Ok(Some(Self::Data { header: 2 * HEADER_BYTES, payload, lz4_from: whole.or(offset) }))
    }

    /// Refuses what nobody may send before the handshake is over, so that a stranger cannot make us allocate.
    ///
    /// # Errors
    /// [`FrameError::TooBig`].
    pub const fn check_handshake(&self) -> Result<(), FrameError> {
        match self {
            Self::Data { payload, .. } if *payload > HANDSHAKE_BYTES_MAX => {
                Err(FrameError::TooBig { len: *payload, max: HANDSHAKE_BYTES_MAX })
            }
            Self::Data { .. } | Self::Signal(_) => Ok(()),
        }
    }

    /// Bytes of header and payload together.
    #[must_use]
    pub const fn total(&self) -> usize {
        match self {
            Self::Signal(_) => HEADER_BYTES,
            Self::Data { header, payload, .. } => *header + *payload,
        }
    }
}

/// Expands a payload whose LZ4 block starts at `offset`; the bytes before it are plain.
///
/// # Errors
/// [`FrameError::Lz4`] for damaged blocks and for more than [`PLAIN_BYTES_MAX`] bytes.
pub fn expand(payload: &[u8], offset: usize) -> Result<Vec<u8>, FrameError> {
    let damaged = FrameError::Lz4 { len: payload.len() };
    let (plain, block) = payload.split_at_checked(offset).ok_or_else(|| damaged.clone())?;
    lz4::expand(plain, block).ok_or(damaged)
}

/// Cuts a byte stream into packets. Feed it by reading into [`FrameDecoder::buffer`]; it never reads ahead by itself.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    reserve: usize,
}

impl FrameDecoder {
    /// A decoder whose buffer grows by `capacity` bytes at a time.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: BytesMut::new(), reserve: capacity.max(HEADER_BYTES) }
    }

    /// The buffer with room for the next read: at least what the packet at its start still needs.
    pub fn buffer(&mut self) -> &mut BytesMut {
        let missing = match Header::parse(&self.buffer) {
            Ok(Some(header)) => header.total().saturating_sub(self.buffer.len()),
            _ => HEADER_BYTES,
        };
        if self.buffer.capacity() - self.buffer.len() < missing.max(self.reserve / 4) {
            self.buffer.reserve(missing.max(self.reserve));
        }
        &mut self.buffer
    }

    /// Whether bytes of an unfinished packet are waiting: then an end of the stream is a broken connection.
    #[must_use]
    pub fn is_mid_packet(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Takes the next whole packet; `None` until more bytes have been read.
    ///
    /// # Errors
    /// [`FrameError`]; the stream is unusable afterwards.
    pub fn next_packet(&mut self) -> Result<Option<Packet>, FrameError> {
        let Some(header) = Header::parse(&self.buffer)? else {
            return Ok(None);
        };
        if self.buffer.len() < header.total() {
            return Ok(None);
        }
        match header {
            Header::Signal(signal) => {
                self.buffer.advance(HEADER_BYTES);
                Ok(Some(Packet::Signal(signal)))
            }
            Header::Data { header, payload, lz4_from } => {
                self.buffer.advance(header);
                let data = self.buffer.split_to(payload).freeze();
                match lz4_from {
                    None => Ok(Some(Packet::Data(data))),
                    Some(offset) => Ok(Some(Packet::Data(expand(&data, offset)?.into()))),
                }
            }
        }
    }
}

impl Default for FrameDecoder {
    /// With [`RECEIVE_BUFFER_BYTES`].
    fn default() -> Self {
        Self::with_capacity(RECEIVE_BUFFER_BYTES)
    }
}

/// Collects packets to be written in one go.
#[derive(Debug, Default)]
pub struct FrameEncoder {
    buffer: BytesMut,
}

impl FrameEncoder {
    /// Appends a data packet. Text longer than [`PAYLOAD_BYTES_MAX`] goes in several packets: packet boundaries are no
    /// line boundaries for text (spec/01 §1.1); data must be cut by the caller, who knows its limit.
    pub fn data(&mut self, payload: &[u8]) {
        if payload.is_empty() {
            self.buffer.put_u32(0);
        }
        for piece in payload.chunks(PAYLOAD_BYTES_MAX) {
            self.buffer.reserve(HEADER_BYTES + piece.len());
            self.buffer.put_u32(piece.len() as u32);
            self.buffer.put_slice(piece);
        }
    }

    /// Appends a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.buffer.put_i32(signal.number());
    }

    /// Bytes collected and not yet taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing is collected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The bytes to be written, taken out.
    pub fn take(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }
}

#[cfg(test)]
mod tests;
