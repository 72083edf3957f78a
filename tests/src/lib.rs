//! What the groups of whole-system tests share.

use std::path::{Path, PathBuf};

use anyhow::Result;
use testkit::compare::{Compare, Comparison};
use testkit::site::Site;
use testkit::tree::{Kinds, every_kind};

/// A folder for a test's own trees, removed at its end.
///
/// # Errors
/// When it cannot be made.
pub fn scratch() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("holdfast-tree-").tempdir()?)
}

/// A tree of every kind, of a size that keeps a test short.
///
/// # Errors
/// When it cannot be made.
pub fn tree_of_every_kind(root: &Path) -> Result<PathBuf> {
    let tree = root.join("tree");
    every_kind(&tree, 2, Kinds { large: 3 << 20, ..Kinds::default() })?;
    Ok(tree)
}

/// Compares a restored tree with its original, holes included.
///
/// # Errors
/// When either cannot be read.
pub fn compare_restored(site: &Site, tree: &Path) -> Result<Comparison> {
    Compare::new(tree, site.restored_tree(tree)).run()
}
