//! What the groups of whole-system tests share.

pub mod audit;
pub mod copies;
pub mod held;
pub mod load;
pub mod lost;
pub mod random;
pub mod runbook;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use testkit::compare::{Compare, Comparison};
use testkit::site::{Builder, JobRow, Maker, Role, Site};
use testkit::tree::{Kinds, change, every_kind};
use testkit::wait;

/// The longest that a peer may take to notice that another was killed.
pub const NOTICE: Duration = Duration::from_secs(30);

/// Who stands in our positions: Holdfast. `HOLDFAST_STAND_IN=bacula9` puts real Bacula there, to see whether it is the test
/// or the program that is wrong; `HOLDFAST_STAND_IN=director,storage,console` only in these.
#[must_use]
pub fn ours() -> Maker {
    if stands_in("director") { Maker::Bacula9 } else { Maker::Holdfast }
}

/// A site of our own daemons.
#[must_use]
pub fn our_site() -> Builder {
    let maker = |position| if stands_in(position) { Maker::Bacula9 } else { Maker::Holdfast };
    Site::builder()
        .director(maker("director"))
        .storage(maker("storage"))
        .client(maker("client"))
        .console(maker("console"))
}

fn stands_in(position: &str) -> bool {
    std::env::var("HOLDFAST_STAND_IN")
        .is_ok_and(|list| list.split(',').any(|word| word == "bacula9" || word == position))
}

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

/// A tree of regular files only, in one folder, each of `size` bytes of its own.
///
/// # Errors
/// When it cannot be made.
pub fn plain_tree(tree: &Path, files: usize, size: usize) -> Result<()> {
    fs::create_dir_all(tree)?;
    for index in 0..files {
        let mut rng = testkit::Rng::new(index as u64);
        fs::write(tree.join(format!("file-{index:04}")), rng.noise(size))?;
    }
    Ok(())
}

/// As [`plain_tree`], made fast: the files differ, but each repeats one piece of noise.
///
/// # Errors
/// When it cannot be made.
pub fn bulk_tree(tree: &Path, files: usize, size: usize) -> Result<()> {
    fs::create_dir_all(tree)?;
    let piece = testkit::Rng::new(1).noise(1 << 18);
    for index in 0..files {
        let mut file = fs::File::create(tree.join(format!("file-{index:04}")))?;
        let mut left = size;
        while left > 0 {
            let part = left.min(piece.len());
            file.write_all(&piece[..part])?;
            left -= part;
        }
        file.write_all_at(format!("file {index}").as_bytes(), 0)?;
    }
    Ok(())
}

/// Lets a time pass that a scenario itself names, or that a lease lasts.
///
/// # Errors
/// None.
pub fn pass(time: Duration) -> Result<()> {
    let since = Instant::now();
    wait::until("a time to pass", time + wait::START, || Ok((since.elapsed() >= time).then_some(())))
}

/// Compares a restored tree with its original.
///
/// # Errors
/// When either cannot be read.
pub fn compare_restored(site: &Site, tree: &Path) -> Result<Comparison> {
    Compare::new(tree, site.restored_tree(tree)).run()
}

/// Empties the folder of restores.
///
/// # Errors
/// When it cannot be removed.
pub fn clear_restored(site: &Site) -> Result<()> {
    fs::remove_dir_all(site.restored())?;
    Ok(fs::create_dir(site.restored())?)
}

/// A job must have ended `T` without errors.
///
/// # Errors
/// When it has not.
pub fn expect_good(job: &JobRow) -> Result<()> {
    ensure!(job.status() == 'T' && job.errors() == 0, "job {} did not end well: {:?}", job.id, job.columns);
    Ok(())
}

/// Full, restore, change, Incremental, restore, lists: what every mix of programs must be able to do.
///
/// # Errors
/// When something does not work or a restored entry differs.
pub fn full_incremental_restore_list(builder: Builder) -> Result<()> {
    let dir = scratch()?;
    let tree = tree_of_every_kind(dir.path())?;
    let site = builder.tree(&tree).start()?;
    wait::next_second()?;
    let full = site.backup("Full")?;
    expect_good(&full)?;
    ensure!(full.level() == 'F' && full.files() > 400, "{full:?}");
    let restore = site.restore_current()?;
    expect_good(&restore)?;
    ensure!(restore.files() == full.files(), "restored {} of {} files", restore.files(), full.files());
    compare_restored(&site, &tree)?.expect_equal()?;

    let changed = change(&tree, 3, 9)?;
    let incremental = site.backup("Incremental")?;
    expect_good(&incremental)?;
    ensure!(incremental.level() == 'I', "{incremental:?}");
    let files = incremental.files();
    ensure!((changed..changed + 30).contains(&files), "{changed} files changed, {files} saved");
    clear_restored(&site)?;
    expect_good(&site.restore_current()?)?;
    // Bacula's File Daemon sets a folder's time when its record comes by, and spoils it by a later job's file in it.
    let keeps_times = !site.maker(Role::Client).is_bacula();
    Compare::new(&tree, site.restored_tree(&tree)).dir_times(keeps_times).run()?.expect_equal()?;

    lists(&site, &full, &tree)?;
    bls_agrees(&site, &full)?;
    site.finish()
}

/// `list jobs`, `list files` and `list volumes` show what was done.
fn lists(site: &Site, full: &JobRow, tree: &Path) -> Result<()> {
    let files = format!("list files jobid={}", full.id);
    let output = site.console(&["list jobs", &files, "list volumes", "list clients", "list pools"])?;
    let root = tree.display().to_string();
    for text in ["Backup", "Vol-0001", "kit-fd", "File1", &format!("{root}/regular/size-65537")] {
        ensure!(output.contains(text), "“{text}” is not in the lists:\n{output}");
    }
    Ok(())
}

/// Real `bls` reads our Volumes and finds each file of the Full.
fn bls_agrees(site: &Site, full: &JobRow) -> Result<()> {
    let listed = site.bls("Vol-0001", &["-j"])?;
    ensure!(listed.contains(&format!("JobId={}", full.id)), "bls -j does not show the job:\n{listed}");
    let files = site.bls("Vol-0001", &[])?;
    ensure!(files.contains("/regular/size-65537"), "bls does not list the files:\n{files}");
    ensure!(!files.to_ascii_lowercase().contains("error"), "bls complains:\n{files}");
    Ok(())
}
