//! Entries for fuzzing: each takes any bytes and must not panic. Cheap, always compiled, replayed over the saved corpus.

use crate::frame::FrameDecoder;
use crate::hello::{Greeting, HelloLine, Listener};

/// Packets out of a byte stream.
pub fn fuzz_packets(data: &[u8]) {
    let mut decoder = FrameDecoder::with_capacity(64);
    decoder.buffer().extend_from_slice(data);
    while let Ok(Some(_)) = decoder.next_packet() {}
}

/// Hello, greeting and challenge lines.
pub fn fuzz_hello(data: &[u8]) {
    for at in [Listener::Director, Listener::Storage, Listener::Client] {
        if let Ok(line) = HelloLine::parse(data, at) {
            let _ = line.format();
        }
    }
    let _ = Greeting::parse(data);
    let _ = crate::cram::Challenge::parse(data);
}
