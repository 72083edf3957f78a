//! A catalog that goes back in time: an old copy or dump is put in its place (DESIGN §4 "Reconciliation").
//!
//! What the Storage Daemon knows comes back: numbers, jobs with their files, Volumes; nothing is overwritten.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use holdfast_tests::audit::{Trees, audit};
use holdfast_tests::{clear_restored, compare_restored, expect_good, our_site, plain_tree};
use testkit::site::{Builder, DATABASE, Role, Site};
use testkit::wait;

/// A catalog as it was: the file's copy, or a dump.
struct Copy {
    dir: tempfile::TempDir,
}

impl Copy {
    /// An embedded catalog must be open nowhere.
    fn take(site: &mut Site) -> Result<Self> {
        let copy = Self { dir: holdfast_tests::scratch()? };
        if let Some(server) = site.postgres() {
            server.dump(DATABASE, &copy.dump())?;
            return Ok(copy);
        }
        for file in
            files(site)?.into_iter().filter(|file| !file.as_os_str().as_encoded_bytes().ends_with(b"-shm"))
        {
            fs::copy(&file, copy.dir.path().join(name(&file)?))?;
        }
        Ok(copy)
    }

    fn dump(&self) -> PathBuf {
        self.dir.path().join("dump")
    }

    /// In place of what is there now; a dump on another server at the same address.
    fn put_back(&self, site: &mut Site) -> Result<()> {
        if let Some(server) = site.postgres() {
            server.replace()?;
            return server.restore(DATABASE, &self.dump());
        }
        for file in files(site)? {
            fs::remove_file(&file)?;
        }
        let place = site.catalog_file();
        let place = place.parent().context("the catalog's folder")?;
        // The database itself comes last: what belongs to it is there then.
        let mut copies =
            fs::read_dir(self.dir.path())?.map(|file| Ok(file?.path())).collect::<Result<Vec<_>>>()?;
        copies.sort_by_key(|file| std::cmp::Reverse(file.as_os_str().len()));
        for file in copies {
            fs::copy(&file, place.join(name(&file)?))?;
        }
        Ok(())
    }
}

fn name(file: &Path) -> Result<String> {
    Ok(file.file_name().context("a name")?.to_string_lossy().into_owned())
}

/// The database with what belongs to it, but not the lock.
fn files(site: &Site) -> Result<Vec<PathBuf>> {
    let database = site.catalog_file();
    let stem = name(&database)?;
    let folder = database.parent().context("the catalog's folder")?;
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let own = name(&path)?;
        if own == stem || own == format!("{stem}-wal") || own == format!("{stem}-shm") {
            files.push(path);
        }
    }
    Ok(files)
}

/// A site that keeps each job on a Volume of its own, and a tree to back up.
fn start(builder: Builder, tree: &Path) -> Result<Site> {
    plain_tree(tree, 30, 20_000)?;
    builder.tree(tree).pool("Maximum Volume Jobs = 1").start()
}

/// The Volumes' bytes by name.
type Volumes = Vec<(String, Vec<u8>)>;

fn volumes(site: &Site) -> Result<Volumes> {
    let names = site.volume_names()?;
    names.into_iter().map(|name| Ok((name.clone(), fs::read(site.volume_file(&name))?))).collect()
}

fn status_of(site: &Site, volume: &str) -> Result<String> {
    let rows = site.sql(&format!("SELECT VolStatus FROM Media WHERE VolumeName = '{volume}'"))?;
    Ok(rows.first().and_then(|row| row.first()).cloned().unwrap_or_default())
}

/// Jobs 2 and 3 are in the catalog again, whole, and each can be restored alone; the next job has a number of its own and
/// a Volume of its own.
fn nothing_was_lost(site: &Site, tree: &Path, before: &Volumes) -> Result<()> {
    for job in [2, 3] {
        expect_good(&site.wait_job(job, wait::JOB)?)?;
        let files = site.sql(&format!(
            "SELECT count(DISTINCT FileIndex) FROM File WHERE JobId = {job} AND FileIndex > 0"
        ))?;
        ensure!(files == [[site.job(job)?.files().to_string()]], "files of job {job}: {files:?}");
    }
    let next = site.backup("Full")?;
    expect_good(&next)?;
    ensure!(next.id == 4, "the next job has number {}", next.id);
    for (name, bytes) in before {
        let now = fs::read(site.volume_file(name))?;
        ensure!(now.starts_with(bytes), "Volume {name} was overwritten");
    }
    for volume in ["Vol-0002", "Vol-0003"] {
        ensure!(status_of(site, volume)? == "Read-Only", "{volume} is {}", status_of(site, volume)?);
    }
    for job in [2, 3] {
        clear_restored(site)?;
        expect_good(&site.restore_jobs(&[job], &site.restored())?)?;
        compare_restored(site, tree)?.expect_equal()?;
    }
    wait_reconciled(site)?;
    audit(site, &Trees::of(&[tree]).gone_back())
}

/// Waits until the reconciliation is over.
fn wait_reconciled(site: &Site) -> Result<()> {
    wait::until("the end of the reconciliation", wait::JOB, || {
        Ok((!site.console(&["status director"])?.contains("gone back in time")).then_some(()))
    })
}

/// Job 1 is in the copy, jobs 2 and 3 are not. The Director is stopped.
fn three_jobs(site: &mut Site) -> Result<(Copy, Volumes)> {
    expect_good(&site.backup("Full")?)?;
    site.stop(Role::Director)?;
    let old = Copy::take(site)?;
    site.start_role(Role::Director)?;
    for _ in 0..2 {
        expect_good(&site.backup("Full")?)?;
    }
    let before = volumes(site)?;
    ensure!(before.len() == 3, "{} Volumes", before.len());
    Ok((old, before))
}

fn put_back_while_stopped(builder: Builder) -> Result<()> {
    let dir = holdfast_tests::scratch()?;
    let tree = dir.path().join("tree");
    let mut site = start(builder, &tree)?;
    let (old, before) = three_jobs(&mut site)?;
    site.stop(Role::Director)?;
    old.put_back(&mut site)?;
    site.start_role(Role::Director)?;
    nothing_was_lost(&site, &tree, &before)?;
    site.finish()
}

#[test]
fn an_old_copy_of_the_file_is_put_back() -> Result<()> {
    put_back_while_stopped(our_site().embedded())
}

#[test]
fn an_old_dump_is_restored_on_another_server() -> Result<()> {
    put_back_while_stopped(our_site().postgres())
}

/// Acknowledged journals are known as such to the Storage Daemon's next life, too: by the numbers of their jobs.
#[test]
fn the_storage_daemon_was_restarted_meanwhile() -> Result<()> {
    let dir = holdfast_tests::scratch()?;
    let tree = dir.path().join("tree");
    let mut site = start(our_site().embedded(), &tree)?;
    let (old, before) = three_jobs(&mut site)?;
    site.stop(Role::Director)?;
    site.kill(Role::Storage)?;
    old.put_back(&mut site)?;
    site.start_role(Role::Storage)?;
    site.start_role(Role::Director)?;
    nothing_was_lost(&site, &tree, &before)?;
    site.finish()
}

/// No Volume is recycled and nothing pruned before the Storage Daemon was asked, and no job writes there.
#[test]
fn a_storage_daemon_that_is_away_holds_back_what_destroys() -> Result<()> {
    let dir = holdfast_tests::scratch()?;
    let tree = dir.path().join("tree");
    let mut site = start(our_site().postgres(), &tree)?;
    let (old, before) = three_jobs(&mut site)?;
    site.stop(Role::Director)?;
    site.kill(Role::Storage)?;
    old.put_back(&mut site)?;
    site.start_role(Role::Director)?;
    let status = site.console(&["status director"])?;
    ensure!(
        status.contains("may have gone back in time") && status.contains("File1 has not been asked yet"),
        "{status}"
    );
    for command in ["purge volume=Vol-0001", "prune volume=Vol-0001 yes", "delete volume=Vol-0001 yes"] {
        let said = site.console(&[command])?;
        ensure!(said.contains("Not now: "), "{command}: {said}");
    }
    ensure!(status_of(&site, "Vol-0001")? == "Used", "{}", status_of(&site, "Vol-0001")?);
    site.start_role(Role::Storage)?;
    wait_reconciled(&site)?;
    nothing_was_lost(&site, &tree, &before)?;
    site.finish()
}

/// The embedded catalog's file is replaced under an instance of a cluster: it becomes active anew on what is there now.
#[test]
fn an_old_copy_of_the_file_is_put_back_under_the_active_instance() -> Result<()> {
    put_back_under_the_active_instance(our_site().embedded().instances(&["a"]))
}

#[test]
fn another_server_with_an_old_dump_takes_the_place_of_the_active_instances() -> Result<()> {
    let two = our_site().postgres().instances(&["a", "b"]).cluster("Lease Time = 3 seconds");
    put_back_under_the_active_instance(two)
}

/// The job that a Schedule started comes back with its due run, which does not happen once more.
#[test]
fn a_due_run_whose_job_is_replayed_does_not_happen_again() -> Result<()> {
    let dir = holdfast_tests::scratch()?;
    let tree = dir.path().join("tree");
    let minute = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() / 60 % 60;
    let planned = format!(
        "Schedule {{\n  Name = Hourly\n  Run = Level=Full hourly at 0:{minute:02}\n}}\n\
         Job {{ Name = Planned; JobDefs = Defaults; Schedule = Hourly }}"
    );
    let builder = our_site().embedded().environment("TZ", "UTC").extra(planned);
    let mut site = start(builder.director_resource("Missed Run Window = 10 minutes"), &tree)?;
    expect_good(&site.backup("Full")?)?;
    wait::until("the first look at the schedule", wait::START, || {
        Ok((!site.sql("SELECT Until FROM hf_watermark")?.is_empty()).then_some(()))
    })?;
    site.stop(Role::Director)?;
    // The minute that has begun was not considered: its run is due, in time.
    site.tamper("UPDATE hf_watermark SET Until = Until - 300")?;
    let old = Copy::take(&mut site)?;
    site.start_role(Role::Director)?;
    let due = |site: &Site| site.sql("SELECT Job, DueAt, JobId, Outcome FROM hf_due");
    wait::until("the due run", wait::JOB, || Ok((!due(&site)?.is_empty()).then_some(())))?;
    expect_good(&site.wait_job(2, wait::JOB)?)?;
    let first = due(&site)?;
    ensure!(first.len() == 1 && first[0][2] == "2", "{first:?}");
    site.stop(Role::Director)?;
    old.put_back(&mut site)?;
    site.start_role(Role::Director)?;
    wait_reconciled(&site)?;
    expect_good(&site.wait_job(2, wait::JOB)?)?;
    ensure!(site.sql("SELECT Name FROM Job WHERE JobId = 2")? == [["Planned"]], "job 2 is another");
    let next = site.backup("Full")?;
    ensure!(next.id == 3, "there is another job before {}", next.id);
    ensure!(due(&site)? == first, "due runs {:?} and not {first:?}", due(&site)?);
    site.finish()
}

/// Neither system identifier nor timeline tell it, and the lease does not run out: its renewals are forgotten.
#[test]
fn a_base_backup_is_put_back_under_the_active_instance() -> Result<()> {
    let dir = holdfast_tests::scratch()?;
    let tree = dir.path().join("tree");
    let two = our_site().postgres().instances(&["a", "b"]).cluster("Lease Time = 20 seconds");
    let mut site = start(two, &tree)?;
    site.wait_active("a", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    site.postgres().context("its server")?.base_backup()?;
    for _ in 0..2 {
        expect_good(&site.backup("Full")?)?;
    }
    let before = volumes(&site)?;
    let renewals = |site: &Site| site.sql("SELECT Renewal FROM hf_leader");
    let first = renewals(&site)?;
    wait::until("a renewal that can be forgotten", wait::JOB, || {
        Ok((renewals(&site)? != first).then_some(()))
    })?;
    site.postgres().context("its server")?.put_back()?;
    back_again(&site, &tree, &before)?;
    site.finish()
}

fn put_back_under_the_active_instance(builder: Builder) -> Result<()> {
    let dir = holdfast_tests::scratch()?;
    let tree = dir.path().join("tree");
    let mut site = start(builder, &tree)?;
    site.wait_active("a", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    let old = Copy::take(&mut site)?;
    for _ in 0..2 {
        expect_good(&site.backup("Full")?)?;
    }
    let before = volumes(&site)?;
    old.put_back(&mut site)?;
    back_again(&site, &tree, &before)?;
    site.finish()
}

/// Waits for the activation on what is there now.
fn back_again(site: &Site, tree: &Path, before: &Volumes) -> Result<()> {
    wait::until("the jobs to be there again", wait::JOB, || {
        let rows = site.sql("SELECT count(*) FROM Job WHERE JobStatus = 'T'");
        Ok(rows.is_ok_and(|rows| rows == [["3"]]).then_some(()))
    })?;
    nothing_was_lost(site, tree, before)
}
