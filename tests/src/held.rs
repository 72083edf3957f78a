//! A backup that stands still in its middle.

use std::path::{Path, PathBuf};

use crate::audit::{Trees, audit};
use crate::{bulk_tree, expect_good, plain_tree, scratch};
use anyhow::{Context, Result};
use testkit::site::{Builder, Gate, JobRow, OpenGate, Site};
use testkit::wait;

/// Files before and after the gate, each.
pub const FILES: usize = 60;
/// Size of each.
const FILE_BYTES: usize = 200_000;
/// Below this, each file is noise of its own.
const NOISE_MAX: usize = 1 << 20;
/// Files that are on the Volume while the job stands at the gate; some of the others may wait in the daemons' buffers, which
/// hold a megabyte or two.
pub const SURELY_SENT: usize = 45;

/// The trees of a held backup.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Files before the gate.
    pub before: usize,
    /// Files behind it.
    pub after: usize,
    /// Size of each.
    pub file_bytes: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { before: FILES, after: FILES, file_bytes: FILE_BYTES }
    }
}

impl Size {
    fn make(self, tree: &Path, files: usize) -> Result<()> {
        let make = if self.file_bytes < NOISE_MAX { plain_tree } else { bulk_tree };
        make(tree, files, self.file_bytes)
    }
}

/// A running site whose job 1 waits at the gate.
#[derive(Debug)]
pub struct Held {
    /// The daemons.
    pub site: Site,
    /// JobId of the backup.
    pub job: u32,
    /// Tree in front of the gate.
    pub before: PathBuf,
    /// Tree behind it.
    pub after: PathBuf,
    open: Option<OpenGate>,
    /// Holds the trees.
    pub dir: tempfile::TempDir,
}

impl Held {
    /// Starts the job and waits until the files before the gate are on the Volume.
    ///
    /// # Errors
    /// When a daemon, the console or the catalog does not do it in time.
    pub fn start(builder: Builder) -> Result<Self> {
        Self::start_on(builder, "Vol-0001", SURELY_SENT * FILE_BYTES)
    }

    /// As [`Self::start`], where several Volumes take the files: waits until `volume` holds `least` bytes.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_on(builder: Builder, volume: &str, least: usize) -> Result<Self> {
        Self::start_sized(builder, Size::default(), volume, least)
    }

    /// As [`Self::start_on`], with trees of this size.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_sized(builder: Builder, size: Size, volume: &str, least: usize) -> Result<Self> {
        Ok(Self::start_behind(builder, size, (volume, least), |_| Ok(()))?.0)
    }

    /// As [`Self::start`], of a site whose Director is `started` when its other daemons run.
    ///
    /// # Errors
    /// As [`Self::start`], and those of `started`.
    pub fn start_managed<T>(
        builder: Builder,
        started: impl FnOnce(&mut Site) -> Result<T>,
    ) -> Result<(Self, T)> {
        Self::start_behind(builder, Size::default(), ("Vol-0001", SURELY_SENT * FILE_BYTES), started)
    }

    fn start_behind<T>(
        builder: Builder,
        size: Size,
        (volume, least): (&str, usize),
        started: impl FnOnce(&mut Site) -> Result<T>,
    ) -> Result<(Self, T)> {
        let dir = scratch()?;
        let (before, after) = (dir.path().join("before"), dir.path().join("after"));
        size.make(&before, size.before)?;
        size.make(&after, size.after)?;
        let gate = Gate::create(dir.path().join("gate"))?;
        let mut site = builder
            .option("readfifo = yes")
            .tree(&before)
            .tree(gate.path())
            .tree(&after)
            .storage_daemon_if_ours("Checkpoint Interval = 1 second")
            .start()?;
        let started = started(&mut site)?;
        let job = site.run("run job=Backup level=Full yes")?;
        let open = gate.wait_reader(wait::JOB)?;
        let least = least as u64;
        // Whichever Storage has taken the job.
        let files =
            ["file1", "file2", "far"].map(|folder| site.volumes().with_file_name(folder).join(volume));
        let holds = |file: &PathBuf| std::fs::metadata(file).is_ok_and(|meta| meta.len() >= least);
        wait::until("the first files on the Volume", wait::JOB, || {
            Ok(files.iter().any(holds).then_some(()))
        })?;
        Ok((Self { site, job, before, after, open: Some(open), dir }, started))
    }

    /// Lets the File Daemon go on.
    ///
    /// # Errors
    /// When a daemon, the console or the catalog does not do it in time.
    pub fn release(&mut self) -> Result<()> {
        let mut open = self.open.take().context("the gate is open already")?;
        // A reader that was killed is no fault here.
        let _ = open.write(b"what came through the FIFO\n");
        Ok(())
    }

    /// What the job saves, for the audit.
    #[must_use]
    pub fn trees(&self) -> Trees {
        Trees::of(&[&self.before, &self.after]).unmark(&self.dir.path().join("gate"))
    }

    /// Restores what a job saved, but for the FIFO, whose restore would wait for a reader.
    ///
    /// # Errors
    /// When a daemon, the console or the catalog does not do it in time.
    pub fn restore(&self, job: u32) -> Result<JobRow> {
        let start = format!("restore jobid={job} client=kit-fd where={} all", self.site.restored().display());
        let folder = self.before.parent().context("the trees have a folder")?;
        let cd = format!("cd {}", folder.display());
        let id = self.site.run_dialogue(&[&start, &cd, "unmark gate", "done", "yes"])?;
        self.site.wait_job(id, wait::JOB)
    }

    /// The job ends `T`, and everything is as it must be.
    ///
    /// # Errors
    /// When it does not or is not.
    pub fn ends_well(&self) -> Result<()> {
        expect_good(&self.site.wait_job(self.job, wait::JOB)?)?;
        audit(&self.site, &self.trees())
    }
}
