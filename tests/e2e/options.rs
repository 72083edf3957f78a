//! FileSet options: compression, digests, sparse files, exclusions.

use anyhow::{Result, ensure};
use holdfast_tests::{compare_restored, expect_good, our_site, scratch, tree_of_every_kind};
use testkit::compare::Compare;

fn round_trip(options: &[&str], smaller: bool) -> Result<()> {
    let dir = scratch()?;
    let tree = tree_of_every_kind(dir.path())?;
    let site = options.iter().fold(our_site().tree(&tree), |site, line| site.option(*line)).start()?;
    let full = site.backup("Full")?;
    expect_good(&full)?;
    ensure!(!smaller || full.bytes() < 20_000_000, "not compressed: {full:?}");
    expect_good(&site.restore_current()?)?;
    let sparse = options.iter().any(|line| line.starts_with("sparse"));
    Compare::new(&tree, site.restored_tree(&tree)).holes(sparse).run()?.expect_equal()?;
    site.finish()
}

#[test]
fn gzip_with_sha1() -> Result<()> {
    round_trip(&["compression = GZIP6", "signature = SHA1"], true)
}

#[test]
fn lzo_with_sha256() -> Result<()> {
    round_trip(&["compression = LZO", "signature = SHA256"], true)
}

#[test]
fn sparse_with_sha512() -> Result<()> {
    round_trip(&["sparse = yes", "signature = SHA512"], true)
}

#[test]
fn sparse_and_gzip_together() -> Result<()> {
    round_trip(&["sparse = yes", "compression = GZIP1"], true)
}

#[test]
fn zstd_of_our_own_file_daemon() -> Result<()> {
    if holdfast_tests::ours().is_bacula() {
        return Ok(()); // 9.6.7 has no ZSTD
    }
    round_trip(&["compression = ZSTD"], true)
}

#[test]
fn excluded_paths_and_patterns_are_left_out() -> Result<()> {
    let dir = scratch()?;
    let tree = tree_of_every_kind(dir.path())?;
    let site = our_site()
        .tree(&tree)
        .exclude(format!("{}/sparse", tree.display()))
        .options_block("exclude = yes; wildfile = \"*size-6*\"; regexdir = \".*/names$\"")
        .start()?;
    expect_good(&site.backup("Full")?)?;
    expect_good(&site.restore_current()?)?;
    let found = compare_restored(&site, &tree)?;
    let missing: Vec<String> = found.differences.iter().map(ToString::to_string).collect();
    let expected = [
        "names: missing",
        "regular/size-64511: missing",
        "regular/size-64512: missing",
        "regular/size-64513: missing",
        "regular/size-65535: missing",
        "regular/size-65536: missing",
        "regular/size-65537: missing",
        "sparse: missing",
    ];
    assert_eq!(missing, expected);
    site.finish()
}
