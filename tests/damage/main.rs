//! Damaged Volumes: what can be restored is, what cannot is named, and nothing wrong is passed off as good.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use holdfast_tests::{clear_restored, expect_good, our_site, plain_tree, scratch};
use testkit::Rng;
use testkit::compare::{Compare, Comparison, What};
use testkit::fault;
use testkit::site::{JobRow, Role, Site};

/// Bytes of one block on a Volume, the most that one flipped byte may cost.
const BLOCK: usize = 64_512;
/// Size of each file of the tree.
const FILE: usize = 20_000;
/// Files that lie in part in one block, and one more at each end.
const FILES_PER_BLOCK: usize = BLOCK / FILE + 3;

/// A site with one Full on one Volume, and a copy of the sound Volume.
struct Damaged {
    site: Site,
    tree: PathBuf,
    sound: PathBuf,
    full: JobRow,
    _dir: tempfile::TempDir,
}

impl Damaged {
    fn new(files: usize) -> Result<Self> {
        let dir = scratch()?;
        let tree = dir.path().join("tree");
        plain_tree(&tree, files, FILE)?;
        let site = our_site().tree(&tree).start()?;
        let full = site.backup("Full")?;
        expect_good(&full)?;
        let sound = dir.path().join("sound");
        fs::copy(site.volume_file("Vol-0001"), &sound)?;
        Ok(Self { site, tree, sound, full, _dir: dir })
    }

    fn volume(&self) -> PathBuf {
        self.site.volume_file("Vol-0001")
    }

    /// Restores from the Volume as it is now; the job, what differs, and what its messages said.
    fn restore(&self) -> Result<(JobRow, Comparison, String)> {
        clear_restored(&self.site)?;
        let said_before = self.site.job_log().len();
        let job = self.site.restore_jobs(&[self.full.id], &self.site.restored())?;
        let place = self.site.restored_tree(&self.tree);
        fs::create_dir_all(&place)?;
        let found = Compare::new(&self.tree, &place).dir_times(false).run()?;
        let said = self.site.job_log().get(said_before..).unwrap_or_default().to_owned();
        Ok((job, found, said))
    }

    /// Checks a restore from a damaged Volume: each file is there as it was, or named in the job's messages.
    fn check(&self, what: &str, lost_max: usize) -> Result<()> {
        let (job, found, said) = self.restore().with_context(|| what.to_owned())?;
        let lost: BTreeSet<&Path> = found
            .differences
            .iter()
            .filter(|difference| !difference.path.as_os_str().is_empty())
            .map(|difference| difference.path.as_path())
            .collect();
        if lost.is_empty() {
            return Ok(());
        }
        ensure!(
            lost.len() <= lost_max,
            "{what}: {} files lost, at most {lost_max} expected:\n{found}\n{said}",
            lost.len()
        );
        ensure!(job.status() != 'T' || job.errors() > 0, "{what}: reported as good:\n{found}\n{said}");
        for difference in &found.differences {
            ensure!(!matches!(difference.what, What::Extra), "{what}: {difference}");
        }
        for path in lost {
            let name = path.display().to_string();
            ensure!(
                said.contains(&name),
                "{what}: {name} is damaged or missing and nobody said so:\n{found}\n{said}"
            );
        }
        Ok(())
    }
}

#[test]
fn a_byte_flipped_at_two_hundred_places_costs_only_what_it_hit() -> Result<()> {
    let mut damaged = Damaged::new(60)?;
    let size = fs::metadata(&damaged.sound)?.len();
    let first_block = fs::read(&damaged.sound)?;
    // The first block holds the Volume's label; its length is at byte 4 of its header.
    let label_end = u64::from(u32::from_be_bytes(first_block[4..8].try_into()?));
    let mut rng = Rng::new(77);
    for round in 0..200 {
        let offset = rng.below(size);
        let mask = 1 << rng.below(8);
        fs::copy(&damaged.sound, damaged.volume())?;
        fault::flip(&damaged.volume(), offset, mask)?;
        // Without its label a Volume is not known; all files may be lost then, but not in silence.
        let lost_max = if offset < label_end { 61 } else { FILES_PER_BLOCK };
        damaged.check(&format!("round {round}, bits {mask:#x} of byte {offset} flipped"), lost_max)?;
        ensure!(
            damaged.site.is_running(Role::Storage) && damaged.site.is_running(Role::Client),
            "a daemon ended"
        );
    }
    damaged.site.finish()
}

#[test]
fn of_a_volume_cut_short_the_part_that_is_there_is_restored() -> Result<()> {
    let damaged = Damaged::new(60)?;
    let size = fs::metadata(&damaged.sound)?.len();
    for part in [1, 3, 7, 9] {
        fs::copy(&damaged.sound, damaged.volume())?;
        let length = size * part / 10 + 17;
        fault::cut(&damaged.volume(), length)?;
        let lost_max = 60 - 60 * part as usize / 10 + FILES_PER_BLOCK + 1;
        damaged.check(&format!("cut to {length} of {size} bytes"), lost_max)?;
        let (job, found, said) = damaged.restore()?;
        ensure!(!found.is_equal() && job.status() != 'T', "{job:?} {found} {said}");
    }
    damaged.site.finish()
}

#[test]
fn a_missing_volume_fails_the_restore_with_its_name() -> Result<()> {
    let damaged = Damaged::new(5)?;
    fs::remove_file(damaged.volume())?;
    let (job, found, said) = damaged.restore()?;
    ensure!(!found.is_equal() && matches!(job.status(), 'E' | 'f' | 'A' | 'I'), "{job:?}");
    ensure!(said.contains("Vol-0001"), "{said}");
    damaged.site.finish()
}

#[test]
fn one_of_two_volumes_missing_costs_only_its_own_files() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 100, FILE)?;
    let site = our_site().tree(&tree).pool("Maximum Volume Bytes = 1100000").start()?;
    let full = site.backup("Full")?;
    expect_good(&full)?;
    ensure!(site.volume_names()?.len() == 2, "{:?}", site.volume_names()?);
    fs::remove_file(site.volume_file("Vol-0002"))?;
    let job = site.restore_jobs(&[full.id], &site.restored())?;
    ensure!(job.status() != 'T', "{job:?}");
    let found = Compare::new(&tree, site.restored_tree(&tree)).dir_times(false).run()?;
    let lost = found.differences.iter().filter(|d| matches!(d.what, What::Missing)).count();
    ensure!((30..70).contains(&lost), "{lost} files lost\n{found}");
    ensure!(site.job_log().contains("Vol-0002"), "{}", site.job_log());
    site.finish()
}

#[test]
fn a_wrong_volume_under_the_right_name_is_refused() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 10, FILE)?;
    let site = our_site().tree(&tree).pool("Maximum Volume Jobs = 1").start()?;
    let first = site.backup("Full")?;
    expect_good(&first)?;
    plain_tree(&tree, 12, FILE + 1)?;
    expect_good(&site.backup("Full")?)?;
    assert_eq!(site.volume_names()?, ["Vol-0001", "Vol-0002"]);
    fault::swap(&site.volume_file("Vol-0001"), &site.volume_file("Vol-0002"))?;
    let job = site.restore_jobs(&[first.id], &site.restored())?;
    ensure!(matches!(job.status(), 'E' | 'f' | 'A' | 'I'), "{job:?}");
    ensure!(site.job_log().contains("Vol-0002"), "the label found is not named: {}", site.job_log());
    ensure!(!site.restored_tree(&tree).join("file-0001").exists(), "restored from the wrong Volume");
    site.finish()
}
