//! The repository keeps its own rules.

use std::path::Path;

#[test]
fn the_repository_is_tidy() -> anyhow::Result<()> {
    let found = xtask::tidy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))?;
    let list: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} breaches:\n{}", list.len(), list.join("\n"));
    Ok(())
}
