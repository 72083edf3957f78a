//! The active instance is frozen between a decision and its command, followed by the other, and woken: the command comes too late.
//!
//! Over PostgreSQL, where the one who follows cannot kill it. A Storage Daemon that has heard of the new epoch refuses by it; one
//! that has not, by the lease that was left when the Director decided.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::audit::{Trees, audit};
use holdfast_tests::{expect_good, our_site, plain_tree, scratch};
use testkit::site::{Act, Builder, Role, Site};
use testkit::wait;

use crate::two;

/// How long the Storage Daemon of a woken instance may take to refuse what it sends.
const REFUSED: Duration = Duration::from_secs(10);

/// The switch that keeps the Storage Daemons away from the one who follows, so that they do not hear of its epoch.
const CUT_OFF: &str = "storages-not-asked";

/// A console's command that is decided by the instance that is then frozen.
pub(crate) struct Late<'a> {
    /// What the console says before.
    pub(crate) prepare: &'a [&'a str],
    /// The command.
    pub(crate) command: &'a str,
    /// Where it is frozen.
    pub(crate) place: &'a str,
    /// Whether the Storage Daemon hears of the next epoch before the frozen instance is woken.
    pub(crate) is_heard: bool,
    /// What the Storage Daemon logs, if anything is sent to it.
    pub(crate) refusal: Option<&'a str>,
    /// What must be so afterwards, besides what is audited.
    pub(crate) holds: fn(&Site) -> Result<()>,
}

pub(crate) fn comes_too_late(builder: Builder, late: &Late<'_>) -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 30_000)?;
    let mut site = two(builder.postgres()).pool("Action On Purge = Truncate").tree(&tree).start()?;
    site.wait_active("b", "a", wait::START)?;
    site.prefer_instance("b");
    expect_good(&site.backup("Full")?)?;
    site.console(late.prepare)?;
    if !late.is_heard {
        site.switch_on(CUT_OFF)?;
    }
    site.arm(late.place, Act::Stop)?;
    let frozen = site.instance_process("a")?;
    std::thread::scope(|scope| -> Result<()> {
        let site = &site;
        // It loses its Director in the middle of the command; what it is told then is for other tests.
        scope.spawn(move || drop(site.console_of("a", &[late.command])));
        let followed = (|| {
            site.wait_reached(late.place, wait::START)?;
            site.wait_active("b", "b", wait::START)?;
            if late.is_heard { expect_good(&site.backup("Full")?) } else { Ok(()) }
        })();
        frozen.thaw()?;
        followed?;
        site.wait_active("a", "b", wait::START)
    })?;
    let refused = late.refusal.map(|words| {
        wait::until("the Storage Daemon to refuse it", REFUSED, || {
            Ok(site.log(Role::Storage)?.contains(words).then_some(()))
        })
    });
    if !late.is_heard {
        site.switch_off(CUT_OFF)?;
    }
    audit(&site, &Trees::of(&[&tree]))?;
    (late.holds)(&site)?;
    refused.unwrap_or(Ok(()))?;
    site.finish()
}

/// The lease time that the command names is over.
const LEASE_OVER: &str = "the Director's lease may have run out since it decided";
/// The epoch that it was sent in is.
const EPOCH_OVER: &str = "3981 Stale Director";

/// Truncates a purged Volume.
pub(crate) fn late_truncate(builder: Builder, is_heard: bool) -> Result<()> {
    comes_too_late(
        builder,
        &Late {
            prepare: &["purge volume=Vol-0001"],
            command: "truncate allpools storage=File1 drive=0",
            place: "director-relabel-decided",
            is_heard,
            refusal: Some(if is_heard { EPOCH_OVER } else { LEASE_OVER }),
            holds: |_| Ok(()),
        },
    )
}

#[test]
fn a_truncate_is_refused_by_a_storage_daemon_that_has_heard_nothing_yet() -> Result<()> {
    late_truncate(our_site(), false)
}

#[test]
fn a_truncate_is_refused_by_its_epoch_when_the_volume_is_in_use_again() -> Result<()> {
    late_truncate(our_site(), true)
}

fn late_relabel(is_heard: bool) -> Result<()> {
    comes_too_late(
        our_site(),
        &Late {
            prepare: &["purge volume=Vol-0001"],
            command: "relabel storage=File1 drive=0 oldvolume=Vol-0001 volume=Late-0001 pool=File",
            place: "director-relabel-decided",
            is_heard,
            refusal: Some(if is_heard { EPOCH_OVER } else { LEASE_OVER }),
            holds: late_volume_is_not_there,
        },
    )
}

#[test]
fn a_relabel_is_refused_by_a_storage_daemon_that_has_heard_nothing_yet() -> Result<()> {
    late_relabel(false)
}

#[test]
fn a_relabel_is_refused_by_its_epoch_when_the_volume_is_in_use_again() -> Result<()> {
    late_relabel(true)
}

/// No data is overwritten by a new label, so it carries no lease: the epoch alone keeps it away.
pub(crate) fn late_label(builder: Builder) -> Result<()> {
    comes_too_late(
        builder,
        &Late {
            prepare: &[],
            command: "label storage=File1 drive=0 volume=Late-0001 pool=File slot=0",
            place: "director-label-decided",
            is_heard: true,
            refusal: Some(EPOCH_OVER),
            holds: late_volume_is_not_there,
        },
    )
}

#[test]
fn a_label_is_refused_by_its_epoch() -> Result<()> {
    late_label(our_site())
}

fn late_volume_is_not_there(site: &Site) -> Result<()> {
    let made = site.find_volume("Late-0001");
    ensure!(made.is_none(), "I1: a Director of an epoch that is over has made Volume Late-0001");
    Ok(())
}

/// Its transaction is open; the one who follows ends its session with the catalog.
#[test]
fn a_purge_that_was_not_committed_is_not_done() -> Result<()> {
    comes_too_late(
        our_site(),
        &Late {
            prepare: &[],
            command: "purge files jobid=1 yes",
            place: "director-console-uncommitted",
            is_heard: false,
            refusal: None,
            holds: |site| {
                let purged = site.sql("SELECT PurgedFiles FROM Job WHERE JobId = 1")?;
                ensure!(purged == [["0"]], "the purge is in the catalog: {purged:?}");
                Ok(())
            },
        },
    )
}

/// The answer that recycles a Volume is in the catalog and not sent; the job starts anew under the next Director.
#[test]
fn a_recycling_is_done_by_the_one_who_follows() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 30_000)?;
    let mut site = two(our_site().postgres()).tree(&tree).start()?;
    site.wait_active("b", "a", wait::START)?;
    site.prefer_instance("b");
    expect_good(&site.backup("Full")?)?;
    site.console(&["purge volume=Vol-0001"])?;
    site.arm("director-volume-decided", Act::Stop)?;
    let job = site.run("run job=Backup level=Full yes")?;
    site.wait_reached("director-volume-decided", wait::START)?;
    site.wait_active("b", "b", wait::START)?;
    expect_good(&site.wait_job(job, wait::JOB).context("the job that recycles")?)?;
    site.thaw_instance("a")?;
    site.wait_active("a", "b", wait::START)?;
    ensure!(site.volume_names()?.len() == 1, "the Volume was not recycled: {:?}", site.volume_names()?);
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}
