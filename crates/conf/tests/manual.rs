//! The committed page of directives is the generated one, and the table is sound.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use conf::table::{Directive, Kind, ResourceTable};
use conf::{ClientConfig, Config, ConsoleConfig, DirectorConfig, StorageConfig, TopologyConfig};

#[test]
fn the_manual_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let generated = conf::manual::markdown();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == generated, "docs/configuration.md is stale: run this test with UPDATE_EXPECT=1");
}

fn tables() -> Vec<&'static ResourceTable> {
    [
        DirectorConfig::RESOURCES,
        StorageConfig::RESOURCES,
        ClientConfig::RESOURCES,
        ConsoleConfig::RESOURCES,
        TopologyConfig::RESOURCES,
    ]
    .concat()
}

#[test]
fn names_are_unique_and_documented() {
    for table in tables() {
        let mut names: Vec<String> = Vec::new();
        for d in table.directives() {
            assert!(d.doc.trim().ends_with('.'), "{}: {} lacks a sentence", table.name, d.name);
            for name in std::iter::once(d.name).chain(d.aliases.iter().copied()) {
                let key = conf::table::squeeze(name);
                assert!(!names.contains(&key), "{}: {name} is there twice", table.name);
                names.push(key);
            }
        }
    }
}

#[test]
fn defaults_and_examples_are_values() {
    let needs_example = |d: &Directive| d.required && d.kind != Kind::Name;
    for table in tables() {
        for d in table.directives() {
            assert!(
                !needs_example(d) || !d.example.is_empty(),
                "{}: {} lacks an example",
                table.name,
                d.name
            );
            for text in [d.default, d.example].into_iter().filter(|t| !t.is_empty()) {
                assert!(d.accepts(text), "{}: {} = {text} is refused", table.name, d.name);
            }
        }
    }
}
