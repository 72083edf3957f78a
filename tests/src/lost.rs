//! A Storage Daemon killed at a random moment of a backup that has another one in its group.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use testkit::Rng;
use testkit::site::{Builder, Maker, Role, Site};
use testkit::tree::{Kinds, every_kind};
use testkit::wait;

use crate::{clear_restored, compare_restored, our_site, pass, plain_tree};

/// Files of the tree beside one of every kind, and the size of each.
const FILES: usize = 150;
const FILE_BYTES: usize = 60_000;
/// What the job may read a second, so that a moment of it can be hit.
const BYTES_PER_SECOND: u64 = 2_000_000;
/// The latest moment of a kill: a little after the job would have ended undisturbed.
const LATEST_MS: u64 = 6_500;

/// What becomes of the Storage Daemon that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is started again at a random moment after its death, before the restore.
    Back,
    /// It and its Volumes are gone.
    Gone,
}

/// What a moment showed.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// After the start of the job.
    pub killed_after: Duration,
    /// Attempts of the job.
    pub attempts: usize,
    /// Storages that hold it in the end.
    pub storages: usize,
}

/// Kills the Storage Daemon at the moment of a seed, sees that the job ends `T` and that it restores without a difference.
///
/// # Errors
/// When it does not.
pub fn moment(seed: u64, client: Maker, fate: Fate) -> Result<Moment> {
    let dir = crate::scratch()?;
    let trees = ["first", "second", "kinds"].map(|name| dir.path().join(name));
    make_trees(&trees)?;
    let builder = trees.iter().fold(group(client), Builder::tree);
    let mut site = builder.start()?;
    let shown =
        at(&mut site, &trees, seed, fate).with_context(|| format!("seed {seed}, {client:?}, {fate:?}"));
    let shown = shown.map_err(|error| error.context(site.job_log()))?;
    if fate == Fate::Gone && !site.is_running(Role::Storage) {
        site.forget(Role::Storage)?;
    }
    site.finish()?;
    Ok(shown)
}

fn group(client: Maker) -> Builder {
    our_site()
        .client(client)
        .far_storage(Maker::Holdfast)
        .pool("Storage = File1, Far")
        .option("sparse = yes")
        .job(format!("Maximum Bandwidth = {BYTES_PER_SECOND}"))
        .storage_daemon_if_ours("Checkpoint Interval = 1 second")
}

/// Many small files come first, so that most moments find some of them checkpointed.
fn make_trees([first, second, kinds]: &[PathBuf; 3]) -> Result<()> {
    plain_tree(first, FILES / 2, FILE_BYTES)?;
    plain_tree(second, FILES / 2, FILE_BYTES)?;
    every_kind(kinds, 2, Kinds { large: 1 << 20, ..Kinds::default() })
}

fn at(site: &mut Site, trees: &[PathBuf], seed: u64, fate: Fate) -> Result<Moment> {
    let mut rng = Rng::new(seed);
    let killed_after = Duration::from_millis(rng.below(LATEST_MS));
    let back_after = Duration::from_millis(rng.below(LATEST_MS));
    let id = site.run("run job=Backup level=Full yes")?;
    pass(killed_after)?;
    site.kill(Role::Storage)?;
    match fate {
        Fate::Back => {
            pass(back_after)?;
            site.start_role(Role::Storage)?;
        }
        Fate::Gone => {
            for name in ["file1", "file2"] {
                let folder = site.volumes().join(name);
                if folder.exists() {
                    std::fs::remove_dir_all(&folder)?;
                    std::fs::create_dir(&folder)?;
                }
            }
        }
    }
    let end = site.wait_job(id, wait::JOB)?;
    ensure!(end.status() == 'T', "the backup ended {:?}", end.columns);
    let attempts = site.sql(&format!("SELECT count(*) FROM hf_attempt WHERE JobId = {id}"))?;
    let attempts = attempts[0][0].parse()?;
    let storages = site.sql(&format!(
        "SELECT DISTINCT Media.StorageId FROM JobMedia JOIN Media ON Media.MediaId = JobMedia.MediaId WHERE JobId = {id}"
    ))?;
    if fate == Fate::Gone && attempts == 1 {
        // It was killed after the job had ended: what was on it alone is lost with it, and that is no matter of groups.
        return Ok(Moment { killed_after, attempts, storages: storages.len() });
    }
    clear_restored(site)?;
    let restored = site.restore_current()?;
    if restored.status() != 'T' {
        bail!("the restore ended {:?}", restored.columns);
    }
    trees.iter().try_for_each(|tree| compare_restored(site, tree)?.expect_equal())?;
    Ok(Moment { killed_after, attempts, storages: storages.len() })
}
