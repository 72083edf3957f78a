//! Replays the saved corpus of every fuzz target.

use std::path::{Path, PathBuf};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

#[test]
fn every_saved_input_of_every_target_is_survived() {
    for target in fuzz_targets::TARGETS {
        let folder = corpus().join(target.name);
        let inputs: Vec<PathBuf> = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("corpus of target {}: {}: {error}", target.name, folder.display()))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(!inputs.is_empty(), "target {} has no saved input in {}", target.name, folder.display());
        for input in inputs {
            let data = std::fs::read(&input).unwrap();
            let outcome = std::panic::catch_unwind(|| (target.run)(&data));
            assert!(outcome.is_ok(), "target {} panics on {}", target.name, input.display());
        }
    }
}

#[test]
fn every_corpus_folder_has_a_target() {
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name();
        let name = name.to_str().unwrap();
        assert!(fuzz_targets::find(name).is_some(), "fuzz/corpus/{name} belongs to no target");
    }
}
