//! The Director goes away while a restore runs.
//!
//! The restore is held in its middle by the FIFO of the backup: the File Daemon waits for somebody who reads it.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use holdfast_tests::audit::audit;
use holdfast_tests::held::Held;
use holdfast_tests::{compare_restored, expect_good, our_site};
use testkit::site::{Builder, Maker, Role};
use testkit::wait;

/// A restore that stands at the FIFO, and its JobId.
fn held_restore(builder: Builder) -> Result<(Held, u32, PathBuf)> {
    let mut held = Held::start(builder)?;
    held.release()?;
    expect_good(&held.site.wait_job(held.job, wait::JOB)?)?;
    let start =
        format!("restore jobid=1 client=kit-fd where={} all done yes", held.site.restored().display());
    let job = held.site.run(&start)?;
    let fifo = held.site.restored_tree(&held.before.with_file_name("gate"));
    wait::until("the FIFO of the restore", wait::START, || {
        Ok(std::fs::metadata(&fifo).is_ok_and(|meta| meta.file_type().is_fifo()).then_some(()))
    })?;
    Ok((held, job, fifo))
}

/// Reads what is written to the FIFO at a path until the test ends; a restore that starts again makes another FIFO there.
fn read_on(fifo: PathBuf) {
    std::thread::spawn(move || {
        let mut open: Option<File> = None;
        // Ends with its bound, or with the process.
        let _ = wait::until("the end of the test", wait::JOB, || {
            let there = std::fs::metadata(&fifo).map(|meta| meta.ino()).ok();
            let held = open.as_ref().and_then(|file| file.metadata().ok()).map(|meta| meta.ino());
            if there.is_some() && there != held {
                let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
                open = OpenOptions::new().read(true).custom_flags(nonblock).open(&fifo).ok();
            }
            if let Some(file) = &mut open {
                // Nothing to read yet is no fault.
                let _ = file.read(&mut [0; 4096]);
            }
            Ok(None::<()>)
        });
    });
}

fn ends_well(held: &Held, job: u32) -> Result<()> {
    let row = held.site.wait_job(job, wait::JOB)?;
    ensure!(row.status() == 'T', "{row:?}");
    compare_restored(&held.site, &held.before)?.expect_equal()?;
    compare_restored(&held.site, &held.after)?.expect_equal()?;
    audit(&held.site, &held.trees())
}

fn killed(builder: Builder, while_away: bool) -> Result<()> {
    let (mut held, job, fifo) = held_restore(builder)?;
    held.site.kill(Role::Director)?;
    if while_away {
        read_on(fifo.clone());
        let last = held.site.restored_tree(&held.after).join("file-0059");
        let whole = std::fs::metadata(held.after.join("file-0059"))?.len();
        wait::until("the last file of the restore", wait::START, || {
            Ok(std::fs::metadata(&last).is_ok_and(|meta| meta.len() == whole).then_some(()))
        })?;
    }
    held.site.start_role(Role::Director)?;
    if !while_away {
        held.site.wait_job_log("took over the running JobId 2", wait::START)?;
        read_on(fifo);
    }
    ends_well(&held, job)?;
    held.site.finish()
}

#[test]
fn killed_and_the_restore_is_adopted() -> Result<()> {
    killed(our_site(), false)
}

#[test]
fn killed_and_the_restore_ends_without_a_director() -> Result<()> {
    killed(our_site(), true)
}

#[test]
fn killed_with_a_stock_file_daemon() -> Result<()> {
    killed(our_site().client(Maker::Bacula9), false)
}

#[test]
fn killed_and_a_stock_file_daemon_ends_without_a_director() -> Result<()> {
    killed(our_site().client(Maker::Bacula9), true)
}

#[test]
fn the_standby_takes_the_restore_up() -> Result<()> {
    let site = our_site().instances(&["a", "b"]).cluster("Lease Time = 3 seconds");
    let (mut held, job, fifo) = held_restore(site)?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.kill_instance("a")?;
    held.site.wait_active("b", "b", wait::START)?;
    read_on(fifo);
    ends_well(&held, job)?;
    held.site.finish()
}

#[test]
fn killed_with_a_stock_storage_daemon() -> Result<()> {
    killed_on_stock_storage(our_site().storage(Maker::Bacula9))
}

#[test]
fn killed_with_both_stock() -> Result<()> {
    killed_on_stock_storage(our_site().storage(Maker::Bacula9).client(Maker::Bacula9))
}

fn killed_on_stock_storage(builder: Builder) -> Result<()> {
    let (mut held, job, fifo) = held_restore(builder)?;
    held.site.kill(Role::Director)?;
    held.site.start_role(Role::Director)?;
    read_on(fifo);
    ends_well(&held, job)?;
    held.site.finish()
}

/// Kills a daemon together with the Director; the restore cannot be adopted.
fn starts_again_without(role: Role) -> Result<()> {
    let (mut held, job, fifo) = held_restore(our_site())?;
    held.site.kill(Role::Director)?;
    held.site.kill(role)?;
    held.site.start_role(role)?;
    held.site.start_role(Role::Director)?;
    read_on(fifo);
    held.site.wait_job_log("The job starts again", wait::JOB)?;
    ends_well(&held, job)?;
    let attempts = held.site.sql("SELECT State FROM hf_attempt WHERE JobId = 2 ORDER BY Attempt")?;
    ensure!(attempts == [["closed"], ["ended"]], "{attempts:?}");
    held.site.finish()
}

#[test]
fn killed_with_its_file_daemon_it_starts_again() -> Result<()> {
    starts_again_without(Role::Client)
}

#[test]
fn killed_with_its_storage_daemon_it_starts_again() -> Result<()> {
    starts_again_without(Role::Storage)
}
