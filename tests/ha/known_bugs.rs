//! Known bugs put back one by one (docs/decisions/005): each is found by a scenario that passes without it.

use anyhow::{Result, ensure};
use holdfast_tests::audit::{Trees, audit};
use holdfast_tests::{expect_good, our_site};
use testkit::site::Builder;
use testkit::wait;

use crate::{failpoints, frozen, takeover, two};

/// The scenario fails with the bug, in these words.
fn check_found(bug: &str, scenario: impl FnOnce(Builder) -> Result<()>, words: &str) -> Result<()> {
    let Err(found) = scenario(our_site().quiet().known_bug(bug)) else {
        anyhow::bail!("{bug} was put back and not found");
    };
    let found = format!("{found:#}");
    ensure!(found.contains(words), "{bug} was not found as “{words}”, but:\n{found}");
    Ok(())
}

/// A standby follows; nothing is asked of the daemons, which would refuse a second activation in one epoch.
fn followed_when_idle(builder: Builder) -> Result<()> {
    let mut site = two(builder).tree("/etc/hostname").start()?;
    expect_good(&site.backup("Full")?)?;
    site.kill_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    site.start_instance("a")?;
    audit(&site, &Trees::none())?;
    site.finish()
}

/// By the lock of the host; the lease's own takeover has its bug in the model of it (docs/decisions/004).
#[test]
fn a_takeover_that_does_not_raise_the_epoch() -> Result<()> {
    let followed = |builder: Builder| followed_when_idle(builder.embedded());
    followed(our_site())?;
    check_found("bug-epoch-not-raised", followed, "I1: epoch 1 was given to")
}

#[test]
fn an_epoch_that_the_storage_daemon_does_not_check() -> Result<()> {
    check_found("bug-epoch-not-checked", frozen::late_label, "I1: a Director of an epoch that is over")
}

#[test]
fn a_destructive_command_whose_nonce_and_volume_state_are_not_checked() -> Result<()> {
    let late = |builder| frozen::late_truncate(builder, false);
    check_found("bug-permit-not-checked", late, "I4: Volume Vol-0001 was labelled at")
}

#[test]
fn an_attempt_that_starts_before_the_old_one_is_closed() -> Result<()> {
    let killed = |builder| takeover::killed_in_mid_job(builder, false);
    check_found("bug-attempt-not-closed", killed, "job 1 did not end well")
}

#[test]
fn an_end_that_is_acknowledged_before_it_is_committed() -> Result<()> {
    let killed = |builder| failpoints::director_killed_at("director-end-uncommitted", builder);
    check_found("bug-answered-before-commit", killed, "job 1 did not end well")
}
