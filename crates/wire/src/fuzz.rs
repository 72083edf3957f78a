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

/// Every typed message.
pub fn fuzz_messages(data: &[u8]) {
    use crate::msg::{dir_fd, dir_sd, fd_sd, holdfast, sd_dir};
    use crate::version::{Generation, SdVersion};
    if let Ok(command) = dir_fd::Command::parse(data) {
        let _ = command.format();
    }
    if let Ok(command) = dir_sd::Command::parse(data) {
        let _ = command.format();
    }
    if let Ok(command) = fd_sd::Command::parse(data) {
        let _ = command.format();
    }
    let _ = fd_sd::Answer::parse(data).format();
    let _ = fd_sd::StreamHeader::parse(data);
    let _ = fd_sd::RecordHeader::parse(data);
    let _ = holdfast::Attached::parse_reply(data);
    let _ = holdfast::JobEntry::parse(data);
    let _ = dir_sd::LabelReply::parse(data);
    let _ = dir_fd::parse_estimate(data);
    for generation in [Generation::Old, Generation::New] {
        let _ = dir_fd::FromClient::parse(data, generation);
        if let sd_dir::FromStorage::Record(record) = sd_dir::FromStorage::parse(data, generation) {
            let _ = sd_dir::FromStorage::parse(&record.payload, generation);
        }
    }
    if let Ok(sd_dir::VolumeReply::Volume { info, .. }) = sd_dir::VolumeReply::parse(data) {
        let _ = info.for_version(SdVersion::CURRENT).format();
    }
}
