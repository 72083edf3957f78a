//! One binary for all decoders: `HOLDFAST_FUZZ_TARGET` names the one to run.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static RUN: OnceLock<fn(&[u8])> = OnceLock::new();

fuzz_target!(|data: &[u8]| {
    let run = RUN.get_or_init(|| {
        let name = std::env::var("HOLDFAST_FUZZ_TARGET").expect("HOLDFAST_FUZZ_TARGET names the target; fuzz/run sets it");
        fuzz_targets::find(&name).unwrap_or_else(|| panic!("no fuzz target is named {name}")).run
    });
    run(data);
});
