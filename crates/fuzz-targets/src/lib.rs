//! Every decoder that reads bytes from outside, as one table: the fuzzer runs a target of it, the ordinary tests replay
//! the saved corpus (`fuzz/corpus/<target>/`) through the same functions.
//!
//! A target takes any bytes and returns; what it finds wrong is a panic. The functions themselves stand beside the decoders
//! (`fuzz` modules), so that an ordinary test and the fuzzer call the very same code.

/// One decoder.
pub struct Target {
    /// Name of the target and of its corpus folder.
    pub name: &'static str,
    /// Must return on any bytes; panics are findings.
    pub run: fn(&[u8]),
}

/// All targets, in the order of the layers.
pub const TARGETS: &[Target] = &[
    Target { name: "config", run: conf::fuzz::fuzz_config },
    Target { name: "units", run: conf::fuzz::fuzz_units },
    Target { name: "attr_record", run: attrs::fuzz::fuzz_decode_record },
    Target { name: "attr_stat", run: attrs::fuzz::fuzz_decode_stat },
    Target { name: "attr_payload", run: attrs::fuzz::fuzz_decode_payload },
    Target { name: "volume_block", run: volume::fuzz::fuzz_block },
    Target { name: "volume_file", run: volume::fuzz::fuzz_volume },
    Target { name: "volume_label", run: volume::fuzz::fuzz_label },
    Target { name: "bsr", run: volume::fuzz::fuzz_bsr },
    Target { name: "packets", run: wire::fuzz::fuzz_packets },
    Target { name: "hello", run: wire::fuzz::fuzz_hello },
    Target { name: "messages", run: wire::fuzz::fuzz_messages },
    Target { name: "unpack", run: client::fuzz::fuzz_unpack },
    Target { name: "fileset", run: client::fuzz::fuzz_fileset },
    Target { name: "regexwhere", run: client::fuzz::fuzz_regexwhere },
    Target { name: "accurate", run: client::fuzz::fuzz_accurate },
    Target { name: "journal", run: storage::journal::fuzz_journal },
    Target { name: "catalog_request", run: director::catreq::fuzz_decode },
    Target { name: "console_line", run: director::console::fuzz_line },
];

/// The target of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
